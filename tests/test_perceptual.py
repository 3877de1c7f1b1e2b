"""LPIPS and DISTS beside the authors' own packages, with the same random backbones; NIQE as BasicSR has it."""

import cv2
import numpy as np
import pytest
import skimage.data
import torch
import torchvision

from aibnet_arch.errors import UserError
from aibnet_arch.evaluation.measuring import Metric, measure
from aibnet_arch.metrics import calculate_dists, calculate_lpips

NETS = {'alex': torchvision.models.alexnet, 'vgg': torchvision.models.vgg16}


@pytest.fixture(scope='module')
def pictures():
    sharp = cv2.cvtColor(skimage.data.astronaut()[60:157, 150:270], cv2.COLOR_RGB2BGR)
    return cv2.GaussianBlur(sharp, (0, 0), 1.5), sharp


@pytest.fixture(scope='module')
def backbones(tmp_path_factory):
    """Random weights in torchvision's layout: net to file. The fully connected layers are left out, for their size."""
    folder = tmp_path_factory.mktemp('backbones')
    files = {}
    for net, build in NETS.items():
        torch.manual_seed(0)
        with torch.device('meta'):
            state = build(weights=None).state_dict()
        random = {
            key: torch.randn(value.shape) * (value[0].numel() ** -0.5 if value.ndim > 1 else 0.1)
            for key, value in state.items()
            if key.startswith('features.')
        }
        files[net] = folder / f'{net}.pth'
        torch.save(random, files[net])
    return files


def as_theirs(picture):
    return torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize('net', NETS)
def test_lpips_is_that_of_its_authors(net, pictures, backbones):
    import lpips

    with torch.device('cpu'), pytest.MonkeyPatch.context() as patch:
        # Their class would build the whole of VGG16: its fully connected layers alone are half a gigabyte.
        build = NETS[net]
        patch.setattr(torchvision.models, build.__name__, lambda **_: _features_of(build, backbones[net]))
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    with torch.no_grad():
        expected = theirs(*(2 * as_theirs(picture) - 1 for picture in pictures)).item()
    found = calculate_lpips(*pictures, net=net, weights=str(backbones[net]))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found > 0.001
    assert calculate_lpips(pictures[1], pictures[1], net=net, weights=str(backbones[net])) == 0


def test_dists_is_that_of_its_authors(pictures, backbones, monkeypatch):
    monkeypatch.setattr(torchvision.models, 'vgg16', lambda **_: _features_of(NETS['vgg'], backbones['vgg']))
    from DISTS_pytorch import DISTS

    theirs = DISTS(load_weights=False)  # it looks for them in sys.prefix
    monkeypatch.undo()
    from importlib.util import find_spec
    from pathlib import Path

    weights = torch.load(Path(find_spec('DISTS_pytorch').origin).with_name('weights.pt'), weights_only=True)
    theirs.alpha.data, theirs.beta.data = weights['alpha'], weights['beta']
    expected = theirs(*map(as_theirs, pictures)).item()
    found = calculate_dists(*pictures, weights=str(backbones['vgg']))
    assert found == pytest.approx(expected, abs=1e-5)
    assert found > 0.001
    assert calculate_dists(pictures[1], pictures[1], weights=str(backbones['vgg'])) == pytest.approx(0, abs=1e-5)


def _features_of(build, file):
    """A network of torchvision with the weights of a file, and nothing behind its features."""
    with torch.device('meta'):
        network = build(weights=None)
    network.features.to_empty(device='cpu')
    state = torch.load(file, weights_only=True)
    network.features.load_state_dict({key[len('features.') :]: value for key, value in state.items()})
    return network


@pytest.mark.parametrize(('metric', 'file'), [(calculate_lpips, 'alexnet-owt'), (calculate_dists, 'vgg16-')])
def test_without_the_backbone_the_message_says_where_it_goes(metric, file, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    with pytest.raises(UserError, match=rf'there is no {tmp_path}/hub/checkpoints/{file}[\s\S]*weights: FILE'):
        metric(*pictures)


def test_weights_of_another_network_are_refused(pictures, backbones, tmp_path):
    with pytest.raises(UserError, match="is not torchvision's alexnet"):
        calculate_lpips(*pictures, weights=str(backbones['vgg']))
    (tmp_path / 'text.pth').write_text('nothing')
    with pytest.raises(UserError, match='cannot be read as weights'):
        calculate_dists(*pictures, weights=str(tmp_path / 'text.pth'))
    with pytest.raises(UserError, match='no linear weights of LPIPS'):
        calculate_lpips(*pictures, weights=str(backbones['alex']), linear_weights=str(backbones['alex']))
    with pytest.raises(UserError, match='expected alex or vgg'):
        calculate_lpips(*pictures, net='vgg16')


def test_without_the_package_of_the_authors_the_message_gives_the_command(pictures, backbones, monkeypatch):
    monkeypatch.setattr('aibnet_arch.metrics.perceptual.backbone.find_spec', lambda name: None)
    with pytest.raises(UserError, match='pip install lpips'):
        calculate_lpips(*pictures, weights=str(backbones['alex']), device='cpu:0')
    with pytest.raises(UserError, match='pip install DISTS-pytorch'):
        calculate_dists(*pictures, weights=str(backbones['vgg']), device='cpu:0')


@pytest.fixture(scope='module')
def niqe():
    from aibnet_arch.basicsr_patches.preparation import prepare

    prepare()
    from basicsr.metrics import calculate_niqe

    return Metric('niqe', 'calculate_niqe', calculate_niqe, {'crop_border': 0}, lower_is_better=True, aligns=False)


def test_niqe_needs_no_truth_and_finds_noise_worse(niqe):
    photo = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[:288, :384]
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 25, photo.shape), 0, 255).astype(np.uint8)
    of_photo, of_noisy = (measure([niqe], picture, None).values['niqe'] for picture in (photo, noisy))
    assert 1 < of_photo < of_noisy
    assert measure([niqe], photo, noisy).values['niqe'] == of_photo  # the truth changes nothing


def test_niqe_of_a_picture_smaller_than_its_blocks_is_a_note(niqe):
    found = measure([niqe], np.full((40, 40, 3), 90, np.uint8), None)
    assert found.values == {'niqe': None}
    assert found.notes[0].startswith('niqe not measured')
