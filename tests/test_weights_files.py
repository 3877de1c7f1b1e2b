"""Files of weights in both formats: reading, converting, and what is refused."""

import json
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main
from aibnet_arch.config.checks.weights import weight_problems
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.signature import KEY
from aibnet_arch.weights import read_network
from aibnet_arch.weights.conversion import equal_bits
from aibnet_arch.weights.plain_file import read_plain
from aibnet_arch.weights.pretrained import load_encoder, load_stages
from aibnet_arch.weights.weight_file import WeightFile
from tests.test_signature import TINY
from tests.weight_files import HOSTILE, saved, truncated

IMAGE = torch.rand(1, 3, 20, 30)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def converted(here, *flags, source='net.pth', target='net.safetensors'):
    assert main(['convert', source, target, *flags]) == 0
    return here / target


def test_there_and_back_is_the_same_to_the_bit(here, capsys):
    net = saved(here / 'net.pth')
    with safe_open(converted(here), framework='pt') as file:
        metadata = file.metadata()
    assert metadata['architecture'] == 'AIBNet'
    assert (metadata['param_key'], metadata['iter']) == ('params', '9')
    converted(here, source='net.safetensors', target='back.pth')
    assert 'params, read back bit-equal' in capsys.readouterr().out
    first, last = (torch.load(here / name, weights_only=True) for name in ('net.pth', 'back.pth'))
    assert equal_bits(first.pop('params'), last.pop('params'))
    assert first == last
    with torch.no_grad():
        assert torch.equal(read_network(here / 'net.safetensors')(IMAGE), net(IMAGE))


def test_numbers_of_any_kind_survive(here):
    state = {
        'nan': torch.tensor([float('nan'), float('-inf')]),
        'half': torch.rand(3).half(),
        'scalar': torch.tensor(2.0),
        'turned': torch.rand(3, 4).t(),
        'none': torch.zeros(0, 3),
        'bool': torch.tensor([True]),
        'int': torch.arange(3),
    }
    state['shared'] = state['turned'][0]
    torch.save({'params': state}, here / 'net.pth')
    assert equal_bits(read_plain(converted(here))['params'], state)


def test_bits_that_differ_are_seen():
    state = {'a': torch.tensor([0.0, float('nan')])}
    assert equal_bits(state, {'a': state['a'].clone()})
    for other in (torch.tensor([-0.0, float('nan')]), state['a'].double(), state['a'][:1]):
        assert not equal_bits(state, {'a': other})
    assert not equal_bits(state, {**state, 'b': state['a']})


def test_safetensors_are_read_where_pth_is(here):
    """By the encoder, by stages, by pre-flight and by the network's own reader."""
    net = saved(here / 'net.pth')
    path = converted(here)
    bigger = AIBNet(**{**TINY, 'num_sub_decoders': 3})
    assert load_stages(bigger, path) == 2
    assert equal_bits(bigger.encoder.state_dict(), net.encoder.state_dict())
    other = AIBNet(**{**TINY, 'num_sub_decoders': 2})
    assert list(weight_problems(other, path, param_key='params', strict=True)) == []
    assert 'does not fit' in next(weight_problems(bigger, path, param_key='params', strict=True))
    save_file({f'encoder.{key}': value for key, value in net.encoder.state_dict().items()}, here / 'wrong.safetensors')
    save_file(net.encoder.state_dict(), here / 'encoder.safetensors')
    with pytest.raises(CheckpointError, match='does not fit the nafnet encoder'):
        load_encoder(other, here / 'wrong.safetensors')
    assert load_encoder(other, here / 'encoder.safetensors') == []
    assert equal_bits(other.encoder.state_dict(), net.encoder.state_dict())


def test_what_would_be_lost_is_told(here, capsys):
    saved(here / 'net.pth', keys=('params', 'params_ema'))
    assert main(['convert', 'net.pth', 'net.safetensors']) == 2
    assert 'holds 2 state dicts, a .safetensors file one' in capsys.readouterr().err
    assert main(['convert', 'net.pth', 'net.safetensors', '--param-key', 'ema']) == 2
    assert "no entry 'ema'; it has: params, params_ema" in capsys.readouterr().err
    converted(here, '--param-key', 'params_ema')
    assert 'dropped: params\n' in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="no entry 'params'; it has: params_ema"):
        read_network(here / 'net.safetensors')
    read_network(here / 'net.safetensors', param_key='params_ema')

    torch.save({'params': {'a': torch.ones(1)}, 'optimizer': {'lr': 1}}, here / 'more.pth')
    assert main(['convert', 'more.pth', 'more.safetensors']) == 2
    assert 'holds more than weights: optimizer' in capsys.readouterr().err
    converted(here, '--param-key', 'params', source='more.pth', target='more.safetensors')
    assert 'dropped: optimizer' in capsys.readouterr().out


def test_a_bare_state_dict_stays_one_or_gets_a_name(here):
    torch.save({'a': torch.ones(2)}, here / 'net.pth')
    assert list(read_plain(converted(here))) == ['a']
    assert list(read_plain(converted(here, '--param-key', 'params', target='named.safetensors'))) == ['params']


@pytest.mark.parametrize(
    ('target', 'message'),
    [
        ('net.pth', 'written over itself'),
        ('there.safetensors', 'exists already'),
        ('net.onnx', 'must end in'),
        ('no/net.safetensors', 'there is no folder'),
        ('link.safetensors', 'exists already'),
        ('copy.pth', 'have one format'),
    ],
)
def test_what_is_there_stays(target, message, here, capsys):
    saved(here / 'net.pth')
    (here / 'there.safetensors').write_text('mine')
    (here / 'link.safetensors').symlink_to('nowhere')
    before = {path.name: path.lstat().st_size for path in here.iterdir()}
    assert main(['convert', 'net.pth', target]) == 2
    assert message in capsys.readouterr().err
    assert {path.name: path.lstat().st_size for path in here.iterdir()} == before


def test_a_folder_that_may_not_be_written_is_told(here, monkeypatch, capsys):
    saved(here / 'net.pth')
    monkeypatch.setattr('os.access', lambda *arguments: False)  # permissions do not hold for root
    assert main(['convert', 'net.pth', 'net.safetensors']) == 2
    assert 'nothing may be written' in capsys.readouterr().err


def test_a_write_that_fails_leaves_nothing(here, monkeypatch, capsys):
    saved(here / 'net.pth')

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    assert main(['convert', 'net.pth', 'net.safetensors']) == 1
    assert 'No space left' in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ['net.pth']


@pytest.mark.parametrize('command', ['info', 'convert', 'export'])
@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_files_get_one_message(name, command, here, capsys):
    HOSTILE[name](here / name)
    before = sorted(here.iterdir())
    targets = {'info': [], 'convert': ['out.safetensors' if name.endswith('.pth') else 'out.pth'], 'export': ['o.onnx']}
    assert main([command, name, *targets[command]]) == 2
    message = capsys.readouterr().err
    assert name in message
    assert 'weights_only' not in message
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize('name', ['net.pth', 'net.safetensors'])
def test_truncated_files_are_refused(name, here, capsys):
    saved(here / 'net.pth')
    converted(here)
    truncated(here / name)
    with pytest.raises(CheckpointError, match='truncated'):
        read_network(here / name)
    assert main(['info', name]) == 2


@pytest.mark.parametrize(
    'signature',
    [
        b'[' * 60000,
        b' ' * (1 << 20),
        b'{"trained": 3, "arguments": {"num_sub_decoders": 2}}',
        *(
            json.dumps({'trained': 1, 'arguments': {**TINY, name: value}}).encode()
            for name, value in (
                ('width', -8),
                ('width', 0),
                ('width', 10**30),
                ('width', '8'),
                ('width', 1 << 40),
                ('alpha_init', 'x'),
                ('alpha_init', float('nan')),
                ('heads', [[1]]),
                ('heads', 0),
                ('encoder_blocks', 3),
                ('encoder', ['vgg']),
                ('normalize_logits', 1),
                ('decoupler_groups', 0),
                ('num_masks', 1.5),
                ('freeze_encoder', None),
            )
        ),
    ],
    ids=lambda text: text[:20].decode() + text[-60:].decode(),
)
def test_hostile_signatures_are_refused(signature, here):
    saved(here / 'net.pth')
    state = torch.load(here / 'net.pth', weights_only=True)['params']
    state[KEY] = torch.tensor(list(signature), dtype=torch.uint8)
    torch.save({'params': state}, here / 'net.pth')
    with pytest.raises(CheckpointError, match=r'net\.pth'):
        read_network(here / 'net.pth')


@pytest.mark.parametrize('number', ['many', '9' * 6000], ids=['many', 'digits'])
def test_metadata_that_are_no_metadata_of_ours_are_told(number, here):
    save_file({'a': torch.ones(1)}, here / 'net.safetensors', metadata={'param_key': 'params', 'iter': number})
    with pytest.raises(CheckpointError, match=f"iter is '{number[:70]}"):
        read_plain(here / 'net.safetensors')


def test_weights_of_another_kind_of_number_are_refused(here):
    saved(here / 'net.pth')
    state = torch.load(here / 'net.pth', weights_only=True)['params']
    state['encoder.intro.weight'] = state['encoder.intro.weight'].to(torch.complex64)
    torch.save({'params': state}, here / 'net.pth')
    with pytest.raises(CheckpointError, match=r'encoder\.intro\.weight holds torch\.complex64'):
        read_network(here / 'net.pth')


def test_param_keys_of_options_mean_what_basicsr_means(here):
    one, other = {'module.a': torch.ones(1)}, {'a': torch.zeros(1)}
    torch.save({'params': one, 'params_ema': other}, here / 'both.pth')
    torch.save({'params': one}, here / 'one.pth')
    torch.save(one, here / 'bare.pth')
    both, single, bare = (WeightFile.read(here / f'{name}.pth') for name in ('both', 'one', 'bare'))
    assert both.of_options('params') == ('params', {'a': torch.ones(1)})
    assert both.of_options('params_ema') == ('params_ema', {'a': torch.zeros(1)})
    assert single.of_options('params_ema') == ('params', {'a': torch.ones(1)})
    assert bare.of_options(None) == (None, {'a': torch.ones(1)})
    with pytest.raises(CheckpointError, match=r'one\.pth is no state dict itself; it has: params'):
        single.of_options(None)
    with pytest.raises(CheckpointError, match=r"bare\.pth has no entry 'params'; .*set path\.param_key_\*: ~"):
        bare.of_options('params')
    assert both.state_dict() == {'a': torch.zeros(1)}
    assert single.state_dict() == bare.state_dict() == bare.state_dict('any') == {'a': torch.ones(1)}


def test_zeros_are_refused_at_once(here):
    with open(here / 'zeros.pth', 'wb') as file:
        file.truncate(1 << 30)
    started = time.monotonic()
    with pytest.raises(CheckpointError, match=r'zeros\.pth is refused'):
        read_plain(here / 'zeros.pth')
    assert time.monotonic() - started < 1


@pytest.mark.parametrize('command', ['info', 'convert', 'deblur'])
@pytest.mark.parametrize(
    ('given', 'meant'),
    [
        ('run/training_states/9.state', 'run/models/net_g_9.pth'),
        ('run/training_states/8.state', 'run/models/net_g_latest.pth'),
        ('run', 'run/models/net_g_latest.pth'),
        ('run/models', 'run/models/net_g_latest.pth'),
    ],
)
def test_the_file_that_is_meant_is_named(given, meant, command, here, capsys):
    for folder in ('models', 'training_states'):
        (here / 'run' / folder).mkdir(parents=True)
    for name in ('net_g_9', 'net_g_latest'):
        saved(here / f'run/models/{name}.pth')
    for name in ('8', '9'):
        torch.save({'iter': int(name), 'optimizers': [], 'schedulers': []}, here / f'run/training_states/{name}.state')
    (here / 'picture.png').touch()
    line = {'info': [given], 'convert': [given, 'x.pth'], 'deblur': ['picture.png', '-o', 'out', '--weights', given]}
    if command == 'info' and given.endswith('.state'):
        assert main([command, *line[command]]) == 0
        return
    assert main([command, *line[command]]) == 2
    assert f'; the weights are in {meant}' in capsys.readouterr().err


def test_names_that_a_terminal_would_obey_are_told_escaped(here, capsys):
    torch.save({'\x1b[2Jparams': {'a': torch.ones(1)}}, here / 'net.pth')
    assert main(['export', 'net.pth', 'net.onnx']) == 2
    assert r"no entry 'params'; it has: \x1b[2Jparams" in capsys.readouterr().err
    assert main(['info', 'net.pth']) == 0
    converted(here, target='back.safetensors')
    assert '\x1b' not in capsys.readouterr().out
