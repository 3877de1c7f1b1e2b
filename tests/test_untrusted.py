"""Files and arguments that would execute code, if they were trusted."""

import io
import os
import pickle
import tarfile

import pytest
import torch
import yaml

from tests.training import make_dataset, options, run


class Bomb:
    """Unpickling it makes a folder called boom."""

    def __reduce__(self):
        return os.mkdir, ('boom',)


@pytest.fixture
def root(tmp_path):
    make_dataset(tmp_path, train=4, val=1)
    return tmp_path


def refused(root, monkeypatch, capsys, opt, flags=()):
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=flags) == 2
    message = capsys.readouterr().err
    assert not (root / 'boom').exists()
    assert not (root / 'experiments').exists()
    for hint in ('weights_only=False', 'weights_only', 'add_safe_globals', 'allowlist'):
        assert hint not in message
    return message


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('key', ['pretrain_network_g', 'pretrain_network_encoder', 'pretrain_network_stages'])
def test_weights_that_execute_are_refused(key, legacy, root, monkeypatch, capsys):
    content = {'params': {'weight': torch.ones(1), 'bomb': Bomb()}}
    torch.save(content, root / 'evil.pth', _use_new_zipfile_serialization=not legacy)
    opt = options()
    opt['path'][key] = 'evil.pth'
    if key == 'pretrain_network_stages':
        opt['train'].update(stage_iter=[0, 9])
    assert 'evil.pth is refused: it holds more than tensors' in refused(root, monkeypatch, capsys, opt)


def torchscript(path):
    torch.jit.script(torch.nn.Conv2d(1, 1, 1)).save(path)


def old_archive(path):
    """Torch's format until 0.1.10; versions before 2.6 unpack all that is in it, whatever they are told."""
    content = pickle.dumps(Bomb())
    with tarfile.open(path, 'w') as archive:
        for name in ('sys_info', 'pickle', 'storages', 'tensors'):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize('write', [torchscript, old_archive])
@pytest.mark.parametrize('key', ['pretrain_network_g', 'pretrain_network_encoder'])
def test_other_formats_are_refused_without_a_hint_how_to_read_them(key, write, root, monkeypatch, capsys):
    write(root / 'evil.pth')
    opt = options()
    opt['path'][key] = 'evil.pth'
    assert 'evil.pth is refused: it holds more than tensors' in refused(root, monkeypatch, capsys, opt)


def test_a_resume_state_that_executes_is_refused(root, monkeypatch, capsys):
    opt = options()
    states = root / 'elsewhere/training_states'
    states.mkdir(parents=True)
    torch.save({'iter': 3, 'bomb': Bomb()}, states / '3.state')
    (root / 'elsewhere/models').mkdir()
    torch.save({'params': {}}, root / 'elsewhere/models/net_g_3.pth')
    opt['path']['resume_state'] = 'elsewhere/training_states/3.state'
    message = refused(root, monkeypatch, capsys, opt)
    assert '3.state' in message


def test_auto_resume_does_not_execute(root, monkeypatch, capsys):
    opt = options()
    states = root / 'runs/run/training_states'
    (root / 'runs/run/models').mkdir(parents=True)
    states.mkdir()
    torch.save({'iter': 3, 'bomb': Bomb()}, states / '3.state')
    torch.save({'params': {}}, root / 'runs/run/models/net_g_3.pth')
    opt['path']['experiments_root'] = 'runs'
    message = refused(root, monkeypatch, capsys, opt, flags=('--auto_resume',))
    assert 'iteration 3: ' in message
    assert 'it holds more than tensors' in message


@pytest.mark.parametrize(
    'text', ['!!python/object/apply:os.mkdir [boom]', '!!python/name:os.mkdir', '!!python/module:antigravity']
)
def test_option_files_that_execute_are_refused(text, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    (root / 'opt.yml').write_text(yaml.safe_dump(options()) + f'extra: {text}\n')
    from aibnet_arch.commands.main import main

    for command in ('train', 'test', 'check'):
        assert main([command, '-opt', 'opt.yml']) == 2
        assert 'only plain values are read' in capsys.readouterr().err
    assert not (root / 'boom').exists()


@pytest.mark.parametrize(
    'override',
    [
        "train:total_iter=__import__('os').mkdir('boom')",
        "train:stage_iter=[__import__('os').mkdir('boom')]",
        "train:x'];__import__('os').mkdir('boom');opt['name=1",
        'name=!!python/object/apply:os.mkdir [boom]',
    ],
)
def test_force_yml_does_not_evaluate(override, root, monkeypatch, capsys):
    refused(root, monkeypatch, capsys, options(), flags=('--force_yml', override))


def test_torch_load_of_others_reads_plain_data_too(root, monkeypatch):
    """Networks of other plugins load weights by themselves; older versions of torch would execute them."""
    from aibnet_arch.commands.main import prepare

    prepare()
    monkeypatch.chdir(root)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save(Bomb(), root / 'evil.pth')
    with pytest.raises(Exception, match='eights'):
        torch.load(root / 'evil.pth')
    assert not (root / 'boom').exists()
