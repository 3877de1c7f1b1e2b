"""Weights that others have trained: recognised, run as their own programs run them, refused with reasons."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aibnet_arch.commands.main import main
from aibnet_arch.errors import CheckpointError
from aibnet_arch.inference.tiles import restored_bands
from aibnet_arch.modeling.lean import Lean
from aibnet_arch.modeling.published import PublishedNetwork
from aibnet_arch.modeling.traits import Traits, traits_of
from aibnet_arch.photos import Deblurrer
from aibnet_arch.photos.memory import TileChooser
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from aibnet_arch.weights import read_any_network
from tests.deblurring import network, save
from tests.golden.fill_weights import fill
from tests.odd_pictures import colours
from tests.other_networks import SMALL, other_network, save_other
from tests.plain_ufpnet import plain_ufpnet

spandrel = pytest.importorskip('spandrel')
pytest.importorskip('spandrel_extra_arches').install(ignore_duplicates=True)

UFPNET = {'width': 8, 'encoder_blocks': [1, 1, 1, 2], 'middle_blocks': 1, 'decoder_blocks': [1, 1, 1, 1]}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Name of a network to its file of weights."""
    root = tmp_path_factory.mktemp('weights')
    return {name: save_other(name, root / f'{name}.pth') for name in SMALL}


@pytest.fixture(scope='module')
def theirs(files):
    """Name of a network to spandrel's own, from the same file."""
    return {name: spandrel.ModelLoader().load_from_file(path).eval() for name, path in files.items()}


@pytest.fixture(scope='module')
def ufpnet(tmp_path_factory):
    """A state dict in UFPNet's published layout, and a file of it."""
    net = PublishedNetwork(kind='ufpnet', **UFPNET)
    state = {key.partition('.')[2]: value for key, value in net.state_dict().items()}
    shapes = json.loads((Path(__file__).parent / 'golden/ufpnet_w8_keys.json').read_text())
    unused = {key: torch.rand(shape) for key, shape in shapes.items() if key not in state}
    state = fill({**state, **unused})
    assert {key: list(value.shape) for key, value in state.items()} == shapes
    path = tmp_path_factory.mktemp('ufpnet') / 'ufpnet.pth'
    torch.save({'params': state}, path)
    return state, path


def image_of(pixels):
    return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)[None]


def picture_of(image, dtype):
    return (image[0].clamp(0, 1) * np.iinfo(dtype).max).round().permute(1, 2, 0).numpy().astype(dtype)


# As their own programs run them


@pytest.mark.parametrize('name', SMALL)
def test_the_file_alone_gives_what_spandrel_gives(name, files, theirs):
    net = read_any_network(files[name])
    assert traits_of(net).architecture == name
    for size in ((1, 1), (37, 61), (48, 32)):
        image = torch.rand(1, 3, *size)
        with torch.no_grad():
            expected, found = theirs[name](image), net(image)
        assert found.shape == image.shape
        assert (found.clamp(0, 1) - expected).abs().max() <= 1e-6
    assert (expected - image).abs().mean() > 0.01


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('name', ['NAFNet', 'Restormer', 'MPRNet', 'Uformer', 'FFTformer'])
def test_deblur_writes_what_spandrel_gives(name, dtype, files, theirs, tmp_path, monkeypatch):
    import cv2

    monkeypatch.chdir(tmp_path)
    pixels = colours(37, 61, dtype=dtype)
    cv2.imwrite('photo.png', pixels[..., ::-1])
    how = ['--weights', str(files[name]), '--device', 'cpu', '--tile', 'whole']
    assert main(['deblur', 'photo.png', '-o', 'out', *how]) == 0
    restored = cv2.imread('out/photo.png', cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert restored.dtype == dtype
    expected = picture_of(theirs[name](image_of(pixels)), dtype)
    assert np.abs(restored.astype(int) - expected).max() <= 1  # a value between two levels may go to either
    assert np.mean(restored != expected) < (1e-3 if dtype == np.uint8 else 1e-2)
    assert not np.array_equal(restored, pixels)


@pytest.mark.parametrize(('name', 'tile'), [('Restormer', 72), ('MPRNet', 72), ('FFTformer', 72), ('Uformer', 128)])
def test_tiles_are_spandrels_own_on_each_tile_and_near_the_whole(name, tile, files, theirs):
    pixels = colours(tile + 20, tile + 37, dtype=np.uint16)
    tiled = Deblurrer.from_file(files[name], device='cpu', tile=tile, overlap=32)(pixels)
    whole = Deblurrer.from_file(files[name], device='cpu', tile='whole')(pixels)
    image = image_of(pixels)
    expected = torch.empty_like(image)
    bands = restored_bands(
        lambda rows, columns: theirs[name](image[..., rows, columns]).clone(), *image.shape[2:], size=tile, overlap=32
    )
    for rows, band in bands:
        expected[..., rows, :] = band
    assert np.abs(tiled.astype(int) - picture_of(expected, np.uint16)).max() <= 1
    change = np.abs(whole.astype(int) - pixels).mean()
    assert np.abs(tiled.astype(int) - whole).mean() < 0.5 * change


def test_nafnet_with_a_window_is_nafnet_local(files):
    local = OTHER_NETWORKS['NAFNetLocal'].cls()(**SMALL['NAFNet'][1]).eval()
    local.load_state_dict(other_network('NAFNet').state_dict())
    pixels = colours(400, 404)
    with torch.no_grad():
        expected = picture_of(local(image_of(pixels)), np.uint8)  # its window is 384
    local_one, whole = (Deblurrer.from_file(files['NAFNet'], device='cpu', window=w, tile='whole') for w in (384, None))
    assert np.abs(local_one(pixels).astype(int) - expected).max() <= 1
    assert np.mean(local_one(pixels) != expected) < 1e-3
    assert not np.array_equal(whole(pixels), expected)


@pytest.mark.parametrize('lean', [Lean(), None])
@pytest.mark.parametrize('size', [(48, 32), (37, 61)])
def test_ufpnet_whole_is_the_plain_restatement(size, lean, ufpnet):
    state, path = ufpnet
    net = read_any_network(path)
    assert traits_of(net).architecture == 'UFPNet'
    net.lean = lean
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    blocks = {key: UFPNET[key] for key in ('encoder_blocks', 'decoder_blocks')}
    with torch.no_grad():
        expected = plain_ufpnet(state, image, **blocks)
        found = net(image)
    assert (expected - image).abs().mean() > 0.1
    assert (found - expected).abs().max() <= 1e-5


# Layouts and formats


@pytest.mark.parametrize('key', ['params', 'params_ema', 'state_dict', 'model', None])
def test_the_entries_that_published_files_have(key, tmp_path, theirs):
    state = {f'module.{name}': value for name, value in other_network('Restormer').state_dict().items()}
    torch.save({'epoch': 3, key: state, 'optimizer': {'lr': 1e-4}} if key else state, tmp_path / 'published.pth')
    net = read_any_network(tmp_path / 'published.pth')
    image = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        assert torch.equal(net(image), theirs['Restormer'](image))


def test_nafnet_and_ufpnet_need_no_spandrel(files, ufpnet, monkeypatch):
    monkeypatch.setitem(sys.modules, 'spandrel', None)
    for path in (files['NAFNet'], ufpnet[1]):
        assert isinstance(read_any_network(path), PublishedNetwork)


# Refusals


def deblur(*arguments, capsys):
    Image.fromarray(colours()).save('photo.png')
    assert main(['deblur', 'photo.png', '-o', 'out', '--device', 'cpu', *map(str, arguments)]) == 2
    assert not list(Path('out').glob('*'))
    return capsys.readouterr().err


def test_without_spandrel_one_message_has_the_command(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, 'spandrel', None)
    error = deblur('--weights', files['Restormer'], capsys=capsys)
    assert error.count('pip install spandrel spandrel-extra-arches') == 1
    assert 'Traceback' not in error


def test_without_the_extra_architectures_the_message_names_them(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    find = importlib.util.find_spec
    lacks = lambda name, *more: None if name == 'spandrel_extra_arches' else find(name, *more)  # noqa: E731
    monkeypatch.setattr('importlib.util.find_spec', lacks)
    monkeypatch.setattr('spandrel.MAIN_REGISTRY.load', _unsupported)
    error = deblur('--weights', files['Restormer'], capsys=capsys)
    assert 'need spandrel-extra-arches: pip install' in error


def _unsupported(state):
    raise spandrel.UnsupportedModelError


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('intro.bias'), '1 missing: encoder.intro.bias'),
        (lambda state: state.update({'more.weight': torch.zeros(1)}), '1 unexpected: encoder.more.weight'),
        (lambda state: state['ending.weight'].fill_(torch.nan), 'not finite: ending.weight'),
        (lambda state: state.update({'decoders.7.0.beta': torch.zeros(1, 8, 1, 1)}), '2 levels of the encoder, 3 of'),
        (lambda state: state.update({'intro.weight': torch.zeros(9, 3, 3, 3)}), 'of another shape'),
    ],
)
def test_weights_that_do_not_fit_together_are_refused(change, message, tmp_path):
    state = other_network('NAFNet').state_dict()
    change(state)
    torch.save({'params': state}, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=message):
        read_any_network(tmp_path / 'odd.pth')


def test_networks_that_do_not_restore_colour_pictures_are_refused(tmp_path):
    from spandrel.architectures.Compact import Compact

    for scale, channels, told in ((2, 3, 'enlarges pictures 2 times'), (1, 1, 'makes 1 channels of 1')):
        net = Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=1, upscale=scale)
        torch.save({'params': net.state_dict()}, tmp_path / 'other.pth')
        with pytest.raises(CheckpointError, match=f'{told}: expected a network that restores colour pictures'):
            read_any_network(tmp_path / 'other.pth')


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--window', '64'], 'these weights: Restormer'),
        (['--up-to', '1'], 'an AIBNet has sub-decoders; these weights: Restormer'),
        (['--page', 'page', '--blur-maps'], 'an AIBNet has them; these weights: Restormer'),
    ],
)
def test_what_a_network_does_not_know_is_refused(flags, message, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    error = deblur('--weights', files['Restormer'], *flags, capsys=capsys)
    assert message in error
    assert error.count('\n') == 1


# Memory


def test_tiles_are_chosen_for_the_size_that_the_network_runs_at():
    measured = []
    chooser = TileChooser(
        measured.append,
        device=torch.device('cpu'),
        limit=1 << 60,
        smallest=128,
        least_slope=1,
        multiple=128,
        padded=Traits('Uformer', multiple=128, square=True).padded,
    )
    assert chooser.choose(100, 520, held=0) is None
    assert all(side % 128 == 0 for side in measured)
    assert Traits('Uformer', multiple=128, square=True).padded(100, 520) == (640, 640)
    assert Traits('SCUNet', smallest=40).padded(3, 52) == (40, 52)


def test_weights_of_our_own_are_read_as_before(tmp_path):
    net = network()
    read = read_any_network(save(net, tmp_path / 'net.pth'))
    assert traits_of(read) == Traits('AIBNet', multiple=16, sub_decoders=1, windows=True, feature_channels=8)


def test_a_folder_of_weights_names_them(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    error = deblur('--weights', files['NAFNet'].parent, capsys=capsys)
    assert 'is a folder, not a file; there are FFTformer.pth, KBNet.pth' in error


@pytest.mark.parametrize('name', ['NAFNet', 'Restormer', 'Uformer', 'KBNet'])
def test_info_and_deblur_say_whose_network_it_is(name, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['info', str(files[name])]) == 0
    assert f'  network     {name}\n' in capsys.readouterr().out
    Image.fromarray(colours()).save('photo.png')
    assert main(['deblur', 'photo.png', '-o', 'out', '--weights', str(files[name]), '--tile', 'whole']) == 0
    assert f'weights: {files[name]}, {name}\n' in capsys.readouterr().out
