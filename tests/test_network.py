"""The whole network: sizes, counts, stages, independence of BasicSR."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from aibnet_arch import AIBNet
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.hfs_block import HFSBlock
from aibnet_arch.modeling.level_settings import LevelSettings
from aibnet_arch.modeling.padding import pad_to_multiple
from aibnet_arch.modeling.sfem import SFEM
from aibnet_arch.weights.pretrained import load_stages

TINY = {'encoder': 'nafnet', 'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1, 'freeze_encoder': False}


def tiny(**changes):
    torch.manual_seed(0)
    net = AIBNet(**{**TINY, **changes})
    with torch.no_grad():  # what starts at zero would hide errors behind it
        for name, parameter in net.named_parameters():
            if 'to_residual' in name or name.endswith(('beta', 'gamma')):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def sub_decoders_on_meta(count):
    with torch.device('meta'):
        return AIBNet(encoder='nafnet', num_sub_decoders=count).sub_decoders.eval()


def convolution_macs(sub_decoders):
    """GMACs of the static convolutions at 256x256; the Decoupler's predicted filters are counted apart."""
    features = [torch.empty(1, 64 * 2**i, 256 >> i, 256 >> i, device='meta') for i in range(5)]
    *skips, bottom = features
    with FlopCounterMode(display=False) as counter:
        for sub_decoder in sub_decoders:
            skips = sub_decoder(skips, bottom)
            sub_decoder.to_residual(skips[0])
    flops = counter.get_flop_counts()['Global'][torch.ops.aten.convolution]
    predicted = len(sub_decoders) * sum(9 * f.numel() for f in features[:4])
    return (flops / 2 - predicted) / 1e9


def test_one_sub_decoder_has_the_papers_size():
    (sub_decoder,) = sub_decoders_on_meta(1)
    assert convolution_macs([sub_decoder]) == pytest.approx(113.9, abs=0.05)  # Table 7: 114
    assert 40.6e6 <= sum(p.numel() for p in sub_decoder.parameters()) <= 41.1e6  # Table 6: 122.01 / 3 = 40.67


def test_s_b_and_l_stand_as_1_to_2_to_4():
    nets = {count: sub_decoders_on_meta(count) for count in (1, 2, 4)}
    macs = {count: convolution_macs(net) for count, net in nets.items()}
    parameters = {count: sum(p.numel() for p in net.parameters()) for count, net in nets.items()}
    for count in (2, 4):
        assert macs[count] == pytest.approx(count * macs[1], rel=1e-9)
        assert parameters[count] == count * parameters[1]


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (2, 3), (7, 5), (16, 16), (17, 31), (33, 64)])
@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
def test_any_size_from_one_pixel_up(size, encoder):
    net = tiny(encoder=encoder).eval()
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        out = net(image)
    assert out.shape == image.shape
    assert torch.isfinite(out).all()
    assert not torch.equal(out, image)


@pytest.mark.parametrize('size', [(17, 30), (20, 48), (31, 33)])
def test_padding_is_torchs_reflection_where_that_is_defined(size):
    image = torch.rand(1, 2, *size)
    height, width = (-n % 16 for n in size)
    assert torch.equal(pad_to_multiple(image, 16), F.pad(image, (0, width, 0, height), mode='reflect'))


def test_padding_reflects_small_images_again_and_again():
    row = torch.arange(3.0).reshape(1, 1, 1, 3)
    padded = pad_to_multiple(row, 8)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]


def test_images_gives_every_sub_decoders_output():
    net = tiny(num_sub_decoders=3).eval()
    image = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        images = net.images(image)
        assert len(images) == 3
        for number, restored in enumerate(images, start=1):
            assert torch.equal(net(image, number), restored)
        assert torch.equal(net(image), images[-1])
    assert not torch.equal(images[0], images[1])
    with pytest.raises(ValueError, match='sub-decoders 1 to 3'):
        net(image, 4)


def test_a_fresh_network_gives_the_image_back():
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(AIBNet(**TINY).eval()(image), image)


def test_a_stopped_network_does_not_depend_on_later_sub_decoders():
    net = tiny(num_sub_decoders=2).eval()
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        before = net(image, 1)
        for parameter in net.sub_decoders[1].parameters():
            parameter.fill_(float('nan'))
        assert torch.equal(net(image, 1), before)


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('normalize', [True, False])
def test_attention_maps_do_not_change_when_an_image_is_tiled_to_twice_its_height(normalize, heads):
    """The literal logits (normalize False) do change: otherwise the test would not see the scale."""
    settings = LevelSettings(channels=8, heads=heads, normalize_logits=normalize)
    sfem, hfs = SFEM(settings).double(), HFSBlock(settings).double()
    parts = torch.randn(4, 1, heads, 8 // heads, 48, dtype=torch.float64)
    tiled = torch.cat((parts, parts), dim=-1)

    def difference(query1, key1, query2, key2):
        first, second = sfem.logits(query1, key1), sfem.logits(query2, key2)
        return first.softmax(dim=-1) - sfem.alpha() * second.softmax(dim=-1)

    for attention in (difference, lambda q, k, *_: hfs.attention(hfs.logits(q, k))):
        unchanged = torch.allclose(attention(*parts), attention(*tiled), rtol=1e-12, atol=0)
        assert unchanged == normalize


def test_training_with_a_batch_of_one_is_refused_with_the_reason():
    with pytest.raises(ValueError, match='batch_size_per_gpu: 2'):
        tiny().train()(torch.rand(1, 3, 16, 16))


# Stages


def test_a_stage_trains_its_sub_decoder_alone():
    net = tiny(num_sub_decoders=3)
    net.set_stage(2)
    net.train()
    net(torch.rand(2, 3, 16, 16)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad == name.startswith('sub_decoders.1.'), name
        assert (parameter.grad is not None) == name.startswith('sub_decoders.1.'), name
    assert net.sub_decoders[1].training
    assert not net.encoder.training
    assert not net.sub_decoders[0].training
    assert not any(module.training for module in net.sub_decoders[0].modules())


def test_the_encoder_trains_in_stage_one_unless_it_is_frozen():
    for freeze in (True, False):
        net = tiny(num_sub_decoders=2, freeze_encoder=freeze)
        for stage, trains in ((1, not freeze), (2, False), (None, not freeze)):
            net.set_stage(stage)
            assert all(p.requires_grad == trains for p in net.encoder.parameters())


def test_every_trained_parameter_gets_a_gradient():
    """DistributedDataParallel waits for each of them."""
    for encoder in ('nafnet', 'ufpnet'):
        for stage in (None, 1, 2):
            net = tiny(encoder=encoder, num_sub_decoders=2)
            net.set_stage(stage)
            net.train()(torch.rand(2, 3, 16, 16)).square().sum().backward()
            missing = [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
            assert not missing


def test_a_checkpoint_knows_how_many_sub_decoders_are_trained():
    net = tiny(num_sub_decoders=2).eval()
    net.set_stage(1)
    loaded = tiny(num_sub_decoders=2).eval()
    loaded.load_state_dict(net.state_dict())
    image = torch.rand(1, 3, 16, 16)
    assert loaded.active_sub_decoders == 1
    with torch.no_grad():
        assert torch.equal(loaded(image), loaded(image, 1))


def test_b_starts_from_the_weights_of_s(tmp_path):
    small, big = tiny(), tiny(num_sub_decoders=2)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.normal_()
    torch.save({'params': small.state_dict()}, tmp_path / 's.pth')
    fresh = {key: value.clone() for key, value in big.sub_decoders[1].state_dict().items()}
    assert load_stages(big, tmp_path / 's.pth') == 1
    for key, value in small.state_dict().items():
        if key != '_extra_state':
            assert torch.equal(big.state_dict()[key], value)
    assert all(torch.equal(value, fresh[key]) for key, value in big.sub_decoders[1].state_dict().items())
    with pytest.raises(CheckpointError, match='none of the 1 of this network is left'):
        load_stages(tiny(), tmp_path / 's.pth')
    with pytest.raises(CheckpointError, match='width is 8 there and 16 here'):
        load_stages(tiny(num_sub_decoders=2, width=16), tmp_path / 's.pth')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'encoder': 'vgg'}, "encoder='vgg'"),
        ({'encoder_blocks': [1, 1]}, 'expected 4 numbers'),
        ({'num_sub_decoders': 0}, 'num_sub_decoders=0'),
        ({'heads': [1, 2]}, 'expected one number or 4'),
        ({'heads': 3}, 'heads=3 does not divide'),
        ({'num_masks': -1}, 'num_masks=-1'),
        ({'decoupler_groups': 3}, 'decoupler_groups=3'),
        ({'code_noise': True}, 'belongs to the ufpnet'),
    ],
)
def test_a_value_that_makes_no_network_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        AIBNet(**{**TINY, **options})


def test_importing_the_network_imports_neither_basicsr_nor_other_rooms():
    code = (
        'import sys, aibnet_arch; '
        "strangers = {m.split('.')[0] for m in sys.modules} & {'basicsr', 'cv2', 'lmdb', 'yaml', 'torchvision'}; "
        "assert not strangers, strangers; assert 'aibnet_arch.training' not in sys.modules"
    )
    subprocess.run([sys.executable, '-c', code], check=True)
