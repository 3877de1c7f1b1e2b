"""`basicsr dropin`: AIBNet in other people's checkouts, trained by their own trainers, and out again."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main, prepare
from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.dropin import StagedAIBNet
from aibnet_arch.dropin.record import RECORD
from aibnet_arch.errors import CheckpointError
from tests.mini_checkouts import make_modern, make_older
from tests.test_signature import TINY
from tests.training import make_dataset, options, run

REPOSITORY = Path(__file__).parent.parent
CODE = {
    'nafnet': 'basicsr/models/archs/aibnet_arch.py',
    'restormer': 'basicsr/models/archs/aibnet_arch.py',
    'modern': 'basicsr/models/aibnet_model.py',
}
OPTIONS = {
    'nafnet': ['options/train/GoPro/AIBNet-B_stage1.yml', 'options/train/GoPro/AIBNet-B_stage2.yml'],
    'restormer': ['Motion_Deblurring/Options/AIBNet-B_stage1.yml', 'Motion_Deblurring/Options/AIBNet-B_stage2.yml'],
    'modern': ['options/train/AIBNet/AIBNet-B.yml'],
}


def tree(folder):
    """Every path below a folder, with the content of the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob('*'))
        if '__pycache__' not in path.parts
    }


@pytest.fixture(params=['nafnet', 'restormer', 'modern'])
def checkout(request, tmp_path):
    """(kind, folder) of a miniature checkout."""
    folder = tmp_path / 'check out'
    make_modern(folder) if request.param == 'modern' else make_older(folder, kind=request.param)
    return request.param, folder


@pytest.fixture
def nafnet(tmp_path):
    make_older(tmp_path / 'nafnet', kind='nafnet')
    return tmp_path / 'nafnet'


# In and out


def test_in_and_out_leaves_the_checkout_as_it_was(checkout, capsys):
    kind, folder = checkout
    before = tree(folder)
    assert main(['dropin', str(folder), '--variant', 'B']) == 0
    files = {CODE[kind], *OPTIONS[kind]}
    after = tree(folder)
    assert {path for path, content in after.items() if content is not None} - before.keys() == files | {RECORD}
    assert {path: after[path] for path in before} == before
    told = capsys.readouterr().out
    assert all(f'-opt {path}\n' in told for path in OPTIONS[kind])
    assert main(['dropin', str(folder), '--variant', 'B']) == 0
    assert f'there already: {CODE[kind]}' in capsys.readouterr().out
    assert tree(folder) == after
    (folder / CODE[kind]).parent.joinpath('__pycache__').mkdir(exist_ok=True)
    compiled = folder / Path(CODE[kind]).parent / f'__pycache__/{Path(CODE[kind]).stem}.cpython-39.pyc'
    compiled.touch()
    assert main(['dropin', str(folder), '--undo']) == 0
    assert tree(folder) == before
    assert not compiled.exists()
    assert main(['dropin', str(folder), '--undo']) == 2
    assert 'nothing to undo' in capsys.readouterr().err


@pytest.mark.parametrize('way', ['file', 'link', 'folder'])
def test_what_is_there_is_never_touched(nafnet, way, capsys):
    path = nafnet / CODE['nafnet']
    {'file': lambda: path.write_text('mine'), 'link': lambda: path.symlink_to('nowhere'), 'folder': path.mkdir}[way]()
    before = tree(nafnet)
    assert main(['dropin', str(nafnet)]) == 2
    assert f'{CODE["nafnet"]} is there already, and not written by this command' in capsys.readouterr().err
    assert tree(nafnet) == before
    assert os.path.lexists(path)


def test_other_settings_need_an_undo_first(nafnet, capsys):
    assert main(['dropin', str(nafnet)]) == 0
    before = tree(nafnet)
    for other in (['--variant', 'L'], ['--data', 'elsewhere']):
        assert main(['dropin', str(nafnet), *other]) == 2
        assert 'Undo that first' in capsys.readouterr().err
    assert tree(nafnet) == before


@pytest.mark.parametrize('with_link', [False, True])
def test_a_file_that_changed_stays_and_is_named(nafnet, with_link, capsys):
    assert main(['dropin', str(nafnet), '--variant', 'B']) == 0
    changed = nafnet / OPTIONS['nafnet'][1]
    if with_link:
        changed.rename(nafnet / 'moved.yml')
        changed.symlink_to(nafnet / 'moved.yml')
    else:
        changed.write_text(changed.read_text() + '# mine\n')
    before = tree(nafnet)
    assert main(['dropin', str(nafnet), '--undo']) == 2
    assert f'{OPTIONS["nafnet"][1]} changed since it was written' in capsys.readouterr().err
    assert tree(nafnet) == before
    changed.unlink()
    assert main(['dropin', str(nafnet), '--undo']) == 0
    assert f'removed {OPTIONS["nafnet"][0]}' in capsys.readouterr().out
    assert not (nafnet / CODE['nafnet']).exists()


def test_a_folder_with_files_of_others_stays(checkout):
    kind, folder = checkout
    assert main(['dropin', str(folder)]) == 0
    own = folder / Path(OPTIONS[kind][0]).parent / 'mine.yml'
    own.write_text('mine')
    assert main(['dropin', str(folder), '--undo']) == 0
    assert own.read_text() == 'mine'


def test_what_cannot_be_written_leaves_nothing(nafnet, capsys):
    shutil.rmtree(nafnet / 'options')
    (nafnet / 'options').write_text('a file')
    before = tree(nafnet)
    assert main(['dropin', str(nafnet)]) == 2
    assert 'cannot be written' in capsys.readouterr().err
    assert tree(nafnet) == before


def test_an_interrupted_drop_in_can_be_undone(nafnet, monkeypatch):
    """The record comes first, so that whatever ends the command leaves a way back."""
    before = tree(nafnet)
    from aibnet_arch.dropin import record

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(record, '_remove', lambda *args: None)  # as after kill -9: no time to clean up
    create = record._create
    monkeypatch.setattr(record, '_create', lambda path, text: killed() if path.suffix == '.yml' else create(path, text))
    assert main(['dropin', str(nafnet)]) == 130
    monkeypatch.undo()
    assert (nafnet / CODE['nafnet']).exists()
    assert main(['dropin', str(nafnet)]) == 2
    assert main(['dropin', str(nafnet), '--undo']) == 0
    assert tree(nafnet) == before


@pytest.mark.parametrize('unwritten', [RECORD, CODE['nafnet']])
def test_a_kill_while_a_file_is_written_leaves_no_half_of_it(nafnet, unwritten, monkeypatch):
    before = tree(nafnet)

    def killed(path):
        if Path(unwritten).name in path.name:
            assert path.stat().st_size and not (nafnet / unwritten).exists()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # kill -9: no time to clean up
        patched.setattr('aibnet_arch.dropin.record._remove', lambda *args: None)
        patched.setattr('aibnet_arch.files._sync_file', killed)
        patched.setattr(Path, 'unlink', lambda *args, **kwargs: None)
        assert main(['dropin', str(nafnet)]) == 130
    assert list(nafnet.rglob('.*.part'))
    if unwritten == RECORD:
        assert main(['dropin', str(nafnet)]) == 0
    assert main(['dropin', str(nafnet), '--undo']) == 0
    assert tree(nafnet) == before


def test_a_full_disk_leaves_nothing_and_is_told(nafnet, monkeypatch, capsys):
    before = tree(nafnet)

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('aibnet_arch.files._sync_file', full)
    assert main(['dropin', str(nafnet)]) == 2
    assert 'cannot be written: [Errno 28] No space left on device' in capsys.readouterr().err
    assert tree(nafnet) == before


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'damaged'),
        ('[]', 'damaged'),
        ('{"files": {}}', 'damaged'),
        ('{"files": {"../outside": "x"}, "folders": []}', 'outside'),
        ('{"files": {"/etc/passwd": "x"}, "folders": []}', 'outside'),
        ('{"files": {}, "folders": ["../.."]}', 'outside'),
    ],
)
def test_a_record_that_is_none_removes_nothing(nafnet, content, message, capsys):
    (nafnet / RECORD).write_text(content)
    (nafnet.parent / 'outside').touch()
    before = tree(nafnet.parent)
    assert main(['dropin', str(nafnet), '--undo']) == 2
    assert message in capsys.readouterr().err
    assert tree(nafnet.parent) == before


def test_wrong_folders_are_named(tmp_path, nafnet, capsys):
    def message(folder):
        assert main(['dropin', str(folder)]) == 2
        return capsys.readouterr().err

    assert 'no such folder' in message(tmp_path / 'nothing')
    assert 'it has no basicsr/train.py' in message(tmp_path)
    assert 'it has no basicsr/train.py' in message(nafnet / 'basicsr')
    (nafnet / 'basicsr/models/image_restoration_model.py').write_text('class OtherModel: pass\n')
    assert 'none that this command knows' in message(nafnet)
    (nafnet / 'basicsr/models/image_restoration_model.py').write_text('class (')
    assert 'image_restoration_model.py cannot be read' in message(nafnet)
    (nafnet / 'setup.py').unlink()
    assert 'it has no setup.py' in message(nafnet)


def test_it_says_so_if_an_installed_basicsr_would_be_taken_instead(nafnet, capsys):
    assert main(['dropin', str(nafnet)]) == 0
    assert 'Not in this environment' not in capsys.readouterr().out
    assert main(['dropin', str(nafnet), '--undo']) == 0
    (nafnet / 'basicsr/__init__.py').unlink()
    assert main(['dropin', str(nafnet)]) == 0
    assert 'Not in this environment' in capsys.readouterr().out


# The option files


def test_the_option_files_have_the_settings_of_the_paper(checkout):
    kind, folder = checkout
    assert main(['dropin', str(folder), '--variant', 'B', '--data', 'my "data"']) == 0
    shipped = load_option_file(REPOSITORY / 'options/AIBNet-B_GoPro.yml')
    for number, path in enumerate(OPTIONS[kind], start=1):
        opt = load_option_file(folder / path)
        network, data, train = opt['network_g'], opt['datasets']['train'], opt['train']
        assert data['dataroot_lq'] == 'my "data"/train/blur_crops.lmdb'
        assert (data['gt_size'], data['batch_size_per_gpu']) == (256, 32)
        assert {k: v for k, v in network.items() if k in shipped['network_g']} == shipped['network_g']
        # A checkout's torch may be too old for Adam's `fused`.
        assert {**train['optim_g'], 'fused': True} == shipped['train']['optim_g']
        assert train['pixel_opt'] == shipped['train']['pixel_opt']
        assert train['scheduler']['eta_min'] == 1e-7
        if kind == 'modern':
            assert train['stage_iter'] == [400000, 400000]
            continue
        assert (train['total_iter'], train['scheduler']['periods']) == (400000, [400000])
        assert network['stage'] == number
        assert train['use_grad_clip'] is False
        before = {1: 'encoder_weights', 2: 'earlier_stages'}[number]
        assert set(network) - set(shipped['network_g']) == {'stage', before}
    if kind == 'restormer':
        assert (data['iters'], data['mini_batch_sizes'], data['gt_sizes']) == ([400000], [32], [256])


def test_the_modern_one_passes_pre_flight(tmp_path, monkeypatch, capsys):
    make_modern(tmp_path / 'modern')
    make_dataset(tmp_path)
    assert main(['dropin', str(tmp_path / 'modern')]) == 0
    opt = load_option_file(tmp_path / 'modern/options/train/AIBNet/AIBNet-S.yml')
    small = options()
    opt.update({key: small[key] for key in ('datasets', 'network_g', 'num_gpu')}, path={})
    opt['network_g']['num_sub_decoders'] = 1
    plain = json.loads(json.dumps(opt))
    assert run(plain, root=tmp_path, monkeypatch=monkeypatch, command='check') == 0, capsys.readouterr().err


# Their trainers


def environment(folder):
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    return {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}


def shrunk(path, *, into):
    """A copy of an option file with a tiny network."""
    opt = yaml.safe_load(path.read_text())
    for key in ('encoder_weights', 'encoder'):
        opt['network_g'].pop(key, None)
    opt['network_g'].update(TINY)
    opt['num_gpu'] = 0
    (into / path.name).write_text(yaml.safe_dump(opt))
    return into / path.name


def test_an_older_trainer_trains_it_stage_by_stage(nafnet, tmp_path):
    assert main(['dropin', str(nafnet), '--variant', 'B']) == 0
    files = [shrunk(nafnet / path, into=tmp_path) for path in OPTIONS['nafnet']]
    done = subprocess.run(
        [sys.executable, 'basicsr/train.py', *(word for file in files for word in ('-opt', str(file)))],
        cwd=nafnet,
        env=environment(nafnet),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (
        torch.load(nafnet / f'experiments/AIBNet-B_stage{stage}/models/net_g_latest.pth')['params'] for stage in (1, 2)
    )
    same = {key: torch.equal(first[key], second[key]) for key in first if not key.endswith('_extra_state')}
    assert all(equal for key, equal in same.items() if not key.startswith('sub_decoders.1.'))
    assert not any(equal for key, equal in same.items() if re.match(r'sub_decoders\.1\..*weight', key))


def test_upstreams_own_train_trains_it(tmp_path):
    folder = tmp_path / 'modern'
    make_modern(folder, whole=True)
    make_dataset(tmp_path)
    assert main(['dropin', str(folder), '--variant', 'B']) == 0
    small = options(stage_iter=[2, 1], total_iter=3, ema_decay=0.5)
    for dataset in small['datasets'].values():
        dataset.update({key: str(tmp_path / dataset[key]) for key in ('dataroot_lq', 'dataroot_gt')})
    (tmp_path / 'small.yml').write_text(yaml.safe_dump(small))
    done = subprocess.run(
        [sys.executable, 'basicsr/train.py', '-opt', str(tmp_path / 'small.yml')],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    end_of_first, end = (torch.load(folder / f'experiments/run/models/net_g_{name}.pth') for name in ('2', 'latest'))
    # Without this package's supervision, too, the next stage builds on the averaged weights.
    keys = [key for key in end['params'] if key.startswith('sub_decoders.0.')]
    assert all(torch.equal(end_of_first['params_ema'][key], end['params'][key]) for key in keys)
    assert not all(torch.equal(end_of_first['params'][key], end['params'][key]) for key in keys)


def test_the_dropped_in_file_and_the_plugin_are_no_two_owners(tmp_path):
    make_modern(tmp_path)
    assert main(['dropin', str(tmp_path)]) == 0
    prepare()
    exec((tmp_path / CODE['modern']).read_text(), {})
    prepare()


# The network for trainers that know no stages


@pytest.fixture
def stage_1(tmp_path):
    """Weights of the first stage of a network with two sub-decoders."""
    net = StagedAIBNet(stage=1, **{**TINY, 'num_sub_decoders': 2})
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
    torch.save({'params': net.state_dict()}, tmp_path / 'stage1.pth')
    return tmp_path / 'stage1.pth'


def test_a_stage_trains_its_part_alone_and_starts_from_the_one_before(stage_1):
    net = StagedAIBNet(stage=2, earlier_stages=stage_1, **{**TINY, 'num_sub_decoders': 2})
    trained = {name.split('.')[0] + name.split('.')[1] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {'sub_decoders1'}
    before = torch.load(stage_1)['params']
    for key, value in net.state_dict().items():
        if key.startswith(('encoder.', 'sub_decoders.0.')):
            assert torch.equal(value, before[key])
    net.load_state_dict(before)  # as path.pretrain_network_g does
    assert (net.stage, net.active_sub_decoders) == (2, 2)
    assert {p.requires_grad for p in net.sub_decoders[1].levels.parameters()} == {True}


def test_without_a_stage_it_is_aibnet(stage_1):
    net = StagedAIBNet(**{**TINY, 'num_sub_decoders': 2})
    net.load_state_dict(torch.load(stage_1)['params'])
    plain = AIBNet(**{**TINY, 'num_sub_decoders': 2})
    plain.load_state_dict(torch.load(stage_1)['params'])
    assert net.active_sub_decoders == 1
    image = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        assert torch.equal(net.eval()(image), plain.eval()(image))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'stage': 1, 'freeze_encoder': True}, 'random frozen encoder: give encoder_weights'),
        ({'stage': 1, 'earlier_stages': 'x.pth'}, 'stage 1 has no earlier_stages'),
        ({'stage': 2}, 'starts from the weights of stage 1'),
        ({'stage': 2, 'encoder_weights': 'x.pth', 'earlier_stages': 'y.pth'}, 'and no encoder_weights'),
        ({'stage': 3, 'num_sub_decoders': 3, 'earlier_stages': True}, 'has 1 trained sub-decoders, stage 3 needs 2'),
        ({'encoder_weights': 'x.pth'}, 'give stage, too'),
        ({'stage': 1, 'encoder_weights': 'nothing.pth'}, 'nothing.pth'),
        ({'stage': 0, 'earlier_stages': True}, 'stage 0'),
    ],
)
def test_stages_without_their_weights_are_refused(arguments, message, stage_1):
    if arguments.get('earlier_stages') is True:
        arguments = {**arguments, 'earlier_stages': stage_1}
    with pytest.raises((ValueError, CheckpointError), match=message):
        StagedAIBNet(**{**TINY, 'num_sub_decoders': 2, **arguments})
