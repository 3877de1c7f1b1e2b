"""AIBNet in spandrel: the file alone gives the same output."""

import pytest
import torch
from safetensors.torch import save_file

from aibnet_arch.commands.main import main, prepare
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from tests.weight_files import saved

spandrel = pytest.importorskip('spandrel')

from aibnet_arch.weights.spandrel import install  # noqa: E402  needs spandrel


@pytest.fixture
def loader():
    """A loader with a registry of its own, so that other tests see spandrel's as it was."""
    registry = spandrel.MAIN_REGISTRY.copy()
    install(registry)
    return spandrel.ModelLoader(registry=registry)


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'encoder': 'ufpnet', 'encoder_blocks': (1, 1, 1, 2)},
        {'heads': (1, 2, 1, 2)},
        {'num_masks': 0},
        {'alpha_init': 0.5},
        {'normalize_logits': False},
        {'logit_scale': 'beta', 'sfem_weight': 'scalar', 'branch_scale': True, 'lambda_init': 0.2},
        {'freeze_encoder': True},
        {'sfem': False, 'hfs_block': False},
        {'masked_logits': 'zero', 'fusion': 'sam'},
    ],
)
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_the_file_alone_gives_the_same_output(suffix, changes, loader, tmp_path):
    net = saved(tmp_path / 'net.pth', **changes)
    if suffix != '.pth':
        assert main(['convert', str(tmp_path / 'net.pth'), str(tmp_path / f'net{suffix}')]) == 0
    model = loader.load_from_file(tmp_path / f'net{suffix}')
    assert model.architecture.id == 'AIBNet'
    assert (model.scale, model.input_channels, model.output_channels, model.purpose) == (1, 3, 3, 'Restoration')
    assert not model.model.training
    for size in ((20, 30), (1, 1), (16, 48)):
        image = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert (model(image) - net(image).clamp(0, 1)).abs().max() <= 1e-6  # its call clamps
            assert (model.model(image) - net(image)).abs().max() <= 1e-6


def test_as_many_sub_decoders_run_as_are_trained(loader, tmp_path):
    net = saved(tmp_path / 'net.pth')
    net.set_stage(1)
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    model = loader.load_from_file(tmp_path / 'net.pth')
    assert model.model.active_sub_decoders == 1
    assert model.tags == ['nafnet', '8w', '1 sub-decoder']


@pytest.mark.parametrize('wrap', [lambda state: {f'module.{key}': value for key, value in state.items()}, dict])
def test_wrapped_and_bare_state_dicts_are_detected(wrap, loader, tmp_path):
    net = saved(tmp_path / 'net.pth')
    assert loader.load_from_state_dict(wrap(net.state_dict())).architecture.id == 'AIBNet'


def test_a_file_by_another_program_without_metadata(loader, tmp_path):
    net = saved(tmp_path / 'net.pth')
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, tmp_path / 'net.safetensors')
    assert loader.load_from_file(tmp_path / 'net.safetensors').architecture.id == 'AIBNet'


def test_it_is_looked_for_first_and_others_are_found_as_before(loader, tmp_path):
    order = [support.architecture.id for support in loader.registry.architectures('detection')]
    assert order.index('AIBNet') < order.index('NAFNet')
    before = [support.architecture.id for support in spandrel.MAIN_REGISTRY.architectures('detection')]
    assert [name for name in order if name != 'AIBNet'] == [name for name in before if name != 'AIBNet']
    nafnet = OTHER_NETWORKS['NAFNet'].cls()(width=8, enc_blk_nums=[1, 1], middle_blk_num=1, dec_blk_nums=[1, 1])
    torch.save({'params': nafnet.state_dict()}, tmp_path / 'nafnet.pth')
    assert loader.load_from_file(tmp_path / 'nafnet.pth').architecture.id == 'NAFNet'


def test_installing_again_does_no_harm(loader):
    count = len(loader.registry)
    install(loader.registry)
    assert len(loader.registry) == count
    assert loader.registry.get('AIBNet') is not None


def test_spandrels_own_loading_works_in_a_process_with_basicsr(loader, tmp_path):
    """There torch.load reads plain data only, but for callers that bring an unpickler of their own."""
    prepare()
    saved(tmp_path / 'net.pth')
    loader.load_from_file(tmp_path / 'net.pth')


def test_half_precision_is_refused_rather_than_wrong(loader, tmp_path):
    saved(tmp_path / 'net.pth')
    model = loader.load_from_file(tmp_path / 'net.pth')
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(spandrel.UnsupportedDtypeError):
            model.to(dtype)
