"""`basicsr info`, and what a training writes for it to tell."""

import importlib.util
import json
import shutil

import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main, prepare
from aibnet_arch.config.option_file import parse_yaml, to_yaml
from aibnet_arch.weights.conversion import equal_bits
from tests.test_survival import flip_a_bit
from tests.training import make_dataset, options, run
from tests.weight_files import saved

MODELS, STATES = 'experiments/run/models', 'experiments/run/training_states'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with the files of a run of two stages, which was changed by --force_yml."""
    root = tmp_path_factory.mktemp('trained')
    make_dataset(root, train=5, val=1)
    opt = options(stage_iter=[1, 1], total_iter=2, ema_decay=0.5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--force_yml', 'train:optim_g:lr=1e-3')) == 0
    return root


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    shutil.copytree(trained / 'experiments', tmp_path / 'experiments')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def info(capsys, *arguments, code=0):
    assert main(['info', *arguments]) == code
    return capsys.readouterr().out


def test_it_tells_network_stage_options_and_checksum(here, capsys):
    text = info(capsys, f'{MODELS}/net_g_1.pth')
    for fact in (
        'AIBNet, 0.',
        'encoder=nafnet width=8',
        '1 of 2 sub-decoders are trained',
        'iteration   1\n',
        'train.stage_iter=[1,1]',
        'train.optim_g.lr=0.001',
        'agrees with the record',
        'all finite',
        'entry       params: ',
        'entry       params_ema: ',
    ):
        assert fact in text
    assert text.count('network ') == 1


def test_all_options_of_the_run_come_back(here, capsys):
    text = torch.load(here / MODELS / 'net_g_latest.pth', weights_only=True)['options']
    wanted = options(stage_iter=[1, 1], total_iter=2, ema_decay=0.5)
    wanted['train']['optim_g']['lr'] = 1e-3
    assert yaml.safe_load(text) == wanted
    printed = info(capsys, f'{MODELS}/net_g_latest.pth', '--options')
    assert all(line.strip() in printed for line in text.splitlines())
    assert 'iteration   2\n' in printed


def test_json_holds_everything(here, capsys):
    (weights, state) = json.loads(info(capsys, f'{MODELS}/net_g_2.pth', f'{STATES}/2.state', '--json'))
    assert weights['entries']['params']['network']['trained'] == 2
    assert weights['entries']['params']['types'] == ['float32']
    assert (weights['iteration'], weights['record'], weights['problems']) == (2, 'agrees', [])
    assert (state['iteration'], state['stage'], state['record']) == (2, 2, 'agrees')
    assert state['optimizers'][0]['learning_rates']


def test_a_training_state_is_told(here, capsys):
    text = info(capsys, f'{STATES}/1.state')
    for fact in ('iteration   1', 'stage       1', 'learning rate', 'random_states', 'agrees with the record'):
        assert fact in text


def test_a_file_that_differs_from_its_record_is_told(here, capsys):
    content = torch.load(here / MODELS / 'net_g_2.pth', weights_only=True)
    torch.save({'params': content['params']}, here / MODELS / 'net_g_2.pth')
    assert 'differs from what its record says' in info(capsys, f'{MODELS}/net_g_2.pth', code=1)
    (here / STATES / '2.json').write_text('[' * 10)
    assert main(['info', f'{MODELS}/net_g_2.pth', f'{MODELS}/net_g_1.pth']) == 2
    streams = capsys.readouterr()
    assert 'the record of net_g_2.pth, is damaged' in streams.err
    assert 'net_g_1.pth' in streams.out  # the others are told nevertheless


def test_a_flipped_bit_is_told(here, capsys):
    flip_a_bit(here / MODELS / 'net_g_2.pth')
    code = main(['info', f'{MODELS}/net_g_2.pth'])
    streams = capsys.readouterr()
    assert (code == 1 and 'damaged' in streams.out) or (code == 2 and 'net_g_2.pth' in streams.err)


@pytest.mark.parametrize('key', ['params', 'params_ema'])
def test_upstreams_own_loader_takes_the_files(key, here):
    """BasicSR's load_network as it is without our stand-in."""
    prepare()
    from basicsr.models import base_model

    spec = importlib.util.spec_from_file_location('upstreams_base_model', base_model.__file__)
    upstream = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(upstream)
    model = upstream.BaseModel({'num_gpu': 0, 'is_train': False})
    net = AIBNet(**{name: value for name, value in options()['network_g'].items() if name != 'type'})
    model.load_network(net, str(here / MODELS / 'net_g_2.pth'), True, key)
    content = torch.load(here / MODELS / 'net_g_2.pth', weights_only=True)
    assert set(content) == {'params', 'params_ema', 'iter', 'options'}
    assert equal_bits(net.state_dict(), content[key])


def test_numbers_that_are_not_finite_are_told(tmp_path, capsys):
    saved(tmp_path / 'net.pth')
    content = torch.load(tmp_path / 'net.pth', weights_only=True)
    content['params']['encoder.intro.bias'][0] = float('nan')
    torch.save(content, tmp_path / 'net.pth')
    text = info(capsys, str(tmp_path / 'net.pth'), code=1)
    assert 'params: 1 tensors are not finite, e.g. encoder.intro.bias' in text


@pytest.mark.parametrize('name', ['NAFNet', 'UFPNet'])
def test_published_layouts_are_known(name, tmp_path, capsys):
    encoder = saved(tmp_path / 'net.pth', encoder=name.lower(), encoder_blocks=(1, 1, 1, 2)).encoder
    state = dict(encoder.state_dict())
    state.update({key: torch.zeros(1) for key in ('ending.weight', 'decoders.0.0.beta', 'decoders.1.0.beta')})
    torch.save({'params': {f'module.{key}': value for key, value in state.items()}}, tmp_path / 'other.pth')
    text = info(capsys, str(tmp_path / 'other.pth'))
    assert f'network     {name}' in text
    assert 'width=8 encoders=[1,1,1,2] decoders=[1,1]' in text


def test_other_state_dicts_are_told_as_such(tmp_path, capsys):
    torch.save({'a': torch.ones(2), 'b': torch.ones(3).half(), 'c': torch.arange(2)}, tmp_path / 'other.pth')
    text = info(capsys, str(tmp_path / 'other.pth'))
    assert 'not known to this package' in text
    assert '(bare state dict): 3 tensors, 0.000 M numbers, float16 float32' in text


@pytest.mark.parametrize(
    'text',
    ['\x1b[2J', 'a: &a [x, x]\nb: &b [*a, *a]\nname: [*b, *b]', '!!python/name:os.mkdir', '[' * 500, '3', '\x00'],
)
def test_hostile_options_are_only_text(text, tmp_path, capsys):
    saved(tmp_path / 'net.pth')
    content = torch.load(tmp_path / 'net.pth', weights_only=True)
    torch.save({**content, 'options': text}, tmp_path / 'net.pth')
    for flags in ((), ('--options',)):
        printed = info(capsys, str(tmp_path / 'net.pth'), *flags)
        assert '\x1b' not in printed
        assert '\x00' not in printed


def test_options_survive_as_yaml():
    text = '{lr: 1e-4, small: 1e-7, off: no, none: ~, word: "1e-4", sizes: [[1, 2], [3]], path: "ä: #"}'
    opt = parse_yaml(text, name='x')
    assert parse_yaml(to_yaml(opt), name='x') == opt
