"""Weights in 8 bits: how near they are, and that every reader finds float32."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from aibnet_arch.commands.main import main
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.signature import KEY
from aibnet_arch.weights import eight_bit, read_network
from aibnet_arch.weights.eight_bit import MOST, SCALE, restored, rounded
from aibnet_arch.weights.weight_file import WeightFile, write_weight_file
from tests.weight_files import saved


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A network, and its weights in 8 bits in a file, matrices of any size."""
    monkeypatch.setattr(eight_bit, 'LEAST_NUMBERS', 1)
    net = saved(tmp_path / 'net.pth')
    write_weight_file(tmp_path / 'net.safetensors', WeightFile({'params': rounded(net.state_dict())}))
    return net


@pytest.mark.parametrize('shape', [(160, 100), (40, 16, 5, 5), (1, 16_000)])
def test_each_number_is_within_half_a_step_of_its_own_row(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(-6, 3, shape[0]).view(-1, *[1] * (len(shape) - 1))
    found = rounded({'x': matrix})
    assert (found['x'].dtype, found['x'].shape, found['x' + SCALE].shape) == (torch.int8, matrix.shape, shape[:1])
    back, rows = restored(found)['x'], matrix.flatten(1)
    assert back.shape == matrix.shape and back.dtype == torch.float32
    steps = rows.abs().amax(1, keepdim=True) / MOST
    assert ((back.flatten(1) - rows).abs() <= steps * 0.5001).all()
    assert not torch.equal(back, matrix)  # rounding does something


def test_rows_of_zeros_and_of_one_number_come_back():
    matrix = torch.zeros(3, 16_000)
    matrix[1, 5], matrix[2] = -3.0, 0.25
    assert torch.allclose(restored(rounded({'x': matrix}))['x'], matrix, rtol=1e-6, atol=0)


def test_small_ones_vectors_and_whole_numbers_stay_as_they_are():
    state = {
        'small': torch.randn(10, 10),
        'vector': torch.randn(20_000),
        'numbers': torch.ones(200, 200, dtype=torch.int64),
        'bytes': torch.ones(200, 200, dtype=torch.int8),  # nobody's matrix: it has no scale
    }
    assert all(found is state[key] for key, found in rounded(state).items())
    assert all(found is state[key] for key, found in restored(state).items())


def test_every_reader_finds_a_network_of_float32(stored, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert torch.int8 in {value.dtype for value in load_file('net.safetensors').values()}
    exact = stored.state_dict()
    state = WeightFile.read('net.safetensors').state_dict()
    assert {key: (v.dtype, v.shape) for key, v in state.items()} == {k: (v.dtype, v.shape) for k, v in exact.items()}
    del exact[KEY]
    assert all((state[key] - value).abs().max() <= value.abs().max() / MOST for key, value in exact.items())
    image = torch.rand(1, 3, 20, 30)
    with torch.no_grad():
        difference = (read_network('net.safetensors')(image) - stored(image)).abs().max()
    assert 0 < difference < 0.1
    assert main(['convert', 'net.safetensors', 'back.pth']) == 0
    assert main(['info', 'net.safetensors']) == 0
    assert 'AIBNet' in capsys.readouterr().out
    assert torch.equal(read_network('back.pth')(image), read_network('net.safetensors')(image))


def test_spandrel_loads_it(stored, tmp_path):
    spandrel = pytest.importorskip('spandrel')
    from aibnet_arch.weights.spandrel import install

    registry = spandrel.MAIN_REGISTRY.copy()
    install(registry)
    model = spandrel.ModelLoader(registry=registry).load_from_file(tmp_path / 'net.safetensors')
    image = torch.rand(1, 3, 16, 32)
    with torch.no_grad():
        assert torch.equal(model.model(image), read_network(tmp_path / 'net.safetensors')(image))


@pytest.mark.parametrize('scale', [torch.ones(2), torch.ones(()), torch.ones(3, dtype=torch.int32)])
def test_scales_that_do_not_fit_are_damage(scale, tmp_path):
    save_file({'x': torch.ones(3, 4, dtype=torch.int8), 'x' + SCALE: scale}, tmp_path / 'odd.safetensors')
    with pytest.raises(CheckpointError, match=r'odd\.safetensors.*x\.int8_scale.*does not fit \(3, 4\)'):
        WeightFile.read(tmp_path / 'odd.safetensors')


@pytest.mark.parametrize(('matrix', 'scale'), [((3, 4), 'no tensor'), ((3,), torch.ones(3)), ((), torch.ones(()))])
def test_hostile_state_dicts_are_refused_by_name(matrix, scale):
    with pytest.raises(CheckpointError, match=r'x\.int8_scale does not fit'):
        restored({'x': torch.ones(matrix, dtype=torch.int8), 'x' + SCALE: scale})
