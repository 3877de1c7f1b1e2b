"""The encoders against the published networks' numbers and key lists."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.encoders import ENCODERS
from aibnet_arch.modeling.lean import Lean
from aibnet_arch.weights.pretrained import load_encoder, load_published
from aibnet_arch.weights.weight_file import WeightFile
from tests.golden.fill_weights import fill

GOLDEN = Path(__file__).parent / 'golden'
SMALL = {'width': 8, 'encoder_blocks': [1, 1, 1, 2], 'middle_blocks': 1}
KINDS = sorted(ENCODERS)


def published_state(kind):
    """A state dict in the published layout, all keys of it, with made-up values."""
    shapes = json.loads((GOLDEN / f'{kind}_w8_keys.json').read_text())
    generator = torch.Generator().manual_seed(0)
    return {key: torch.rand(shape, generator=generator) for key, shape in shapes.items()}


@pytest.mark.parametrize('lean', [False, True])
@pytest.mark.parametrize('kind', KINDS)
def test_features_equal_the_published_networks(kind, lean):
    encoder = ENCODERS[kind](**SMALL).eval()
    encoder.load_state_dict(fill(encoder.state_dict()))
    golden = np.load(GOLDEN / f'{kind}_w8.npz')
    with torch.no_grad():
        image = torch.from_numpy(golden['x'])
        features = Lean().run(encoder, image) if lean else encoder(image)
    assert len(features) == 5
    for number, feature in enumerate(features, start=1):
        expected = golden[f'e{number}']
        assert np.abs(feature.numpy() - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('layout', ['params', 'bare', 'module', 'params_ema beside'])
def test_published_layouts_load_with_nothing_missing(kind, layout, tmp_path):
    state = published_state(kind)
    content = {
        'params': {'params': state},
        'bare': state,
        'module': {'params': {f'module.{key}': value for key, value in state.items()}},
        'params_ema beside': {'params': state, 'params_ema': {key: value + 1 for key, value in state.items()}},
    }[layout]
    torch.save(content, tmp_path / 'published.pth')
    encoder = ENCODERS[kind](**SMALL)
    dropped = load_published(encoder, tmp_path / 'published.pth', kind=kind)
    own = encoder.state_dict()
    assert set(own) | set(dropped) == set(state)
    assert all(torch.equal(own[key], state[key]) for key in own)
    assert all(key.startswith(encoder.UNUSED_KEYS) for key in dropped)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('intro.weight'), '1 missing: intro.weight'),
        (lambda state: state.update({'refine.weight': torch.zeros(1)}), '1 unexpected: refine.weight'),
        (
            lambda state: state.update({'downs.0.bias': torch.zeros(3)}),
            r'1 of another shape: downs.0.bias: \(3,\) in the file, \(16,\) in the network',
        ),
    ],
)
@pytest.mark.parametrize('kind', KINDS)
def test_a_checkpoint_that_does_not_fit_is_an_error_that_lists_the_keys(kind, change, message, tmp_path):
    state = published_state(kind)
    change(state)
    torch.save({'params': state}, tmp_path / 'other.pth')
    encoder = ENCODERS[kind](**SMALL)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_published(encoder, tmp_path / 'other.pth', kind=kind)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_weights_of_the_other_encoder_are_refused(tmp_path):
    torch.save(published_state('ufpnet'), tmp_path / 'ufpnet.pth')
    net = AIBNet(encoder='nafnet', blocks_per_level=1, **SMALL)
    with pytest.raises(CheckpointError, match='kernel_extra'):
        load_encoder(net, tmp_path / 'ufpnet.pth')


@pytest.mark.parametrize('kind', KINDS)
def test_a_missing_file_names_the_authors_and_the_way_without(kind, tmp_path):
    net = AIBNet(encoder=kind, blocks_per_level=1, **SMALL)
    with pytest.raises(CheckpointError, match=r'github.com(.|\n)*freeze_encoder: false') as caught:
        load_encoder(net, tmp_path / 'absent.pth')
    assert str(tmp_path / 'absent.pth') in str(caught.value)


class _Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f'touch {self.target}',)


def test_a_malicious_checkpoint_is_refused_and_nothing_runs(tmp_path):
    torch.save({'params': {'intro.weight': _Bomb(tmp_path / 'ran')}}, tmp_path / 'bomb.pth')
    (tmp_path / 'raw.pth').write_bytes(pickle.dumps(_Bomb(tmp_path / 'ran')))
    for name in ('bomb.pth', 'raw.pth'):
        with pytest.raises(CheckpointError) as caught:
            WeightFile.read(tmp_path / name)
        assert 'weights_only' not in str(caught.value)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('damage', [lambda data: data[: len(data) // 2], lambda data: b'', lambda data: b'no weights'])
def test_a_damaged_file_is_refused(damage, tmp_path):
    torch.save({'params': {'intro.weight': torch.zeros(1000)}}, tmp_path / 'good.pth')
    (tmp_path / 'bad.pth').write_bytes(damage((tmp_path / 'good.pth').read_bytes()))
    with pytest.raises(CheckpointError, match=r'bad\.pth'):
        WeightFile.read(tmp_path / 'bad.pth')


def test_an_absent_entry_names_those_that_are_there(tmp_path):
    torch.save({'params': {'a': torch.zeros(1)}, 'iter': 3}, tmp_path / 'some.pth')
    with pytest.raises(CheckpointError, match=r"no entry 'params_ema'; it has: params, iter"):
        WeightFile.read(tmp_path / 'some.pth').state_dict('params_ema')


def test_ufpnet_is_deterministic_unless_noise_is_asked_for():
    image = torch.rand(1, 3, 32, 32)
    quiet = ENCODERS['ufpnet'](**SMALL).eval()
    noisy = ENCODERS['ufpnet'](code_noise=True, **SMALL).eval()
    quiet.load_state_dict(fill(quiet.state_dict()))
    noisy.load_state_dict(quiet.state_dict())
    with torch.no_grad():
        assert torch.equal(quiet(image)[0], quiet(image)[0])
        assert not torch.equal(noisy(image)[0], noisy(image)[0])


def test_ufpnet_refuses_levels_that_its_kernels_do_not_reach():
    with pytest.raises(ValueError, match='must come first'):
        ENCODERS['ufpnet'](width=8, encoder_blocks=[1, 2, 1, 2], middle_blocks=1)
