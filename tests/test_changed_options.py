"""Resuming with options that are not those of the first start."""

import shutil

import pytest
import torch

from aibnet_arch.data.set_identity import set_identity
from aibnet_arch.training.resumed_options import changed_options
from tests.training import log_of, make_dataset, options, run, weights


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp('finished')
    make_dataset(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(options(stage_iter=[1, 2], total_iter=3), root=root, monkeypatch=monkeypatch) == 0
    return root


@pytest.fixture
def root(finished, tmp_path):
    (tmp_path / 'data').symlink_to(finished / 'data')
    shutil.copytree(finished / 'experiments', tmp_path / 'experiments')
    return tmp_path


def contents(root):
    return {path: path.read_bytes() for path in root.rglob('*') if path.is_file() and path != root / 'opt.yml'}


@pytest.mark.parametrize(
    ('section', 'changes', 'message'),
    [
        ('network_g', {'alpha_init': 0.5}, 'net_g_3.pth: the weights are of another network: alpha_init is 0.8 there'),
        ('network_g', {'width': 16}, 'net_g_3.pth does not fit AIBNet'),
        ('network_g', {'heads': 2}, 'net_g_3.pth does not fit AIBNet'),
        ('network_g', {'normalize_logits': False}, 'normalize_logits is True there and False here'),
        ('train', {'total_iter': 2, 'stage_iter': [1, 1]}, 'train.total_iter: 2, but'),
    ],
)
def test_what_does_not_fit_is_refused_and_the_run_stays_as_it_was(section, changes, message, root, monkeypatch, capsys):
    opt = options(stage_iter=[1, 2], total_iter=3)
    opt[section].update(changes)
    before = contents(root)
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    assert message in capsys.readouterr().err
    assert contents(root) == before


def test_another_strategy_is_refused_in_words(root, monkeypatch, capsys):
    opt = options(strategy='direct', total_iter=4)
    del opt['train']['stage_iter']
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    assert 'the checkpoint of iteration 3 does not fit these options' in capsys.readouterr().err


def test_a_run_may_be_lengthened_and_takes_the_new_schedule(root, monkeypatch):
    """A stage's schedule ended with it, and had nothing to say beyond."""
    opt = options(stage_iter=[1, 6], total_iter=7)
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    log = log_of(root)
    assert 'train.total_iter has changed from 3 to 7.' in log
    assert (root / 'experiments/run/models/net_g_7.pth').is_file()


def test_what_changes_is_told_and_nothing_else(root, monkeypatch):
    opt = options(stage_iter=[1, 2], total_iter=3)
    opt['train']['optim_g']['lr'] = 1e-5
    opt['datasets']['train'].update(num_worker_per_gpu=1, batch_size_per_gpu=2)
    del opt['manual_seed']  # then the checkpoint's is taken
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    told = [line.split('written, ')[1] for line in log_of(root).splitlines() if 'Since this checkpoint' in line]
    assert told == [
        'datasets.train.batch_size_per_gpu has changed from 4 to 2.',
        "train.optim_g.lr has changed from 0.002 to 1e-05; the checkpoint's counts.",
    ]


def test_a_set_that_was_shortened_or_exchanged_is_told(finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished / 'experiments', tmp_path / 'experiments')
    opt = options(stage_iter=[1, 2], total_iter=3)
    make_dataset(tmp_path, train=9)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    told = capsys.readouterr().err
    for key in ('lq', 'gt'):
        assert f'datasets.train.dataroot_{key} has changed from 10 pictures to 9; epochs have another length' in told
    for key in ('lq', 'gt'):
        shutil.rmtree(tmp_path / f'data/train/{key}.lmdb')
        shutil.copytree(finished / 'data/train/gt.lmdb', tmp_path / f'data/train/{key}.lmdb')
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    told = capsys.readouterr().err
    assert 'the pictures of datasets.train.dataroot_lq have been exchanged, or made anew' in told
    assert 'dataroot_gt' not in told


def test_a_set_may_be_moved(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        for number in range(200):
            (tmp_path / name / f'{number}.png').write_bytes(bytes([number]) * 3)
    first, second = (set_identity({'dataroot_gt': str(tmp_path / name), 'io_backend': {}}) for name in 'ab')
    assert first == second
    assert first['dataroot_gt.pictures'] == '200'
    (tmp_path / 'b/0.png').write_bytes(b'new')
    assert set_identity({'dataroot_gt': str(tmp_path / 'b')}) != second
    assert set_identity({'dataroot_gt': str(tmp_path / 'nowhere')}) == {}


def test_of_a_checkpoint_that_tells_nothing_of_its_set_nothing_is_told():
    assert list(changed_options({}, {'set of datasets.train.dataroot_gt.pictures': '3'})) == []


def test_states_hold_of_a_schedule_where_it_is(finished, tmp_path, monkeypatch):
    """MultiStepRestartLR's Counter of milestones is more than older versions of torch read as plain data."""
    (tmp_path / 'data').symlink_to(finished / 'data')
    opt = options(stage_iter=[1, 2], total_iter=3, scheduler={'type': 'MultiStepLR', 'milestones': [1], 'gamma': 0.5})
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    state = torch.load(tmp_path / 'experiments/run/training_states/3.state', weights_only=True)
    assert state['schedulers'][0]['last_epoch'] == 1
    assert not {'milestones', 'gamma', 'restarts'} & set(state['schedulers'][0])
    opt['train'].update(stage_iter=[1, 3], total_iter=4)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0


@pytest.mark.parametrize('key', [None, 'mine'])
def test_a_run_that_started_from_weights_under_another_key_goes_on(key, root, monkeypatch):
    """path.param_key_g is about these, not about the run's own."""
    state = weights(root, 3)
    torch.save(state if key is None else {key: state}, root / 'start.pth')
    opt = options(stage_iter=[1, 1], total_iter=2)
    opt['name'] = 'other'
    opt['path'].update(pretrain_network_g='start.pth', param_key_g=key)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    opt['train'].update(stage_iter=[1, 2], total_iter=3)
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
