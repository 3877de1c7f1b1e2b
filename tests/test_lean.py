"""The network's shortcuts (layout, strips, merged steps) against the plain re-statement, and what they save."""

import copy

import pytest
import torch

from aibnet_arch.modeling import strips
from aibnet_arch.modeling.encoders.flow_prior import FlowPrior
from aibnet_arch.modeling.position_sums import PositionSums
from aibnet_arch.modeling.strips import over_strips
from aibnet_arch.modeling.sub_decoder import SubDecoder
from tests.plain_network import PlainSubDecoder, plain_kernels
from tests.test_network import tiny

OPTIONS = {'width': 8, 'blocks_per_level': 2, 'heads': (1, 2, 1, 1), 'alpha_init': 0.8, 'num_masks': 4}


def sub_decoders(**changes):
    """A sub-decoder with random weights and the plain one with the same, in double precision."""
    torch.manual_seed(0)
    lean = SubDecoder(**{**OPTIONS, **changes}, decoupler_groups=8, normalize_logits=True).double()
    with torch.no_grad():
        for tensor in lean.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.add_(0.2 * torch.rand_like(tensor))
    plain = PlainSubDecoder(**{**OPTIONS, **changes}, decoupler_groups=8).double()
    plain.load_state_dict(lean.state_dict())
    return lean, plain


def features(batch, height, width):
    torch.manual_seed(1)
    return [torch.randn(batch, 8 << i, height >> i, width >> i, dtype=torch.float64) for i in range(5)]


@pytest.fixture
def thin_strips(monkeypatch):
    """Strips of a few rows also for small images."""
    monkeypatch.setattr(strips, 'CPU_BYTES', 1)
    monkeypatch.setattr(strips, 'LEAST_ROWS', 4)


@pytest.mark.parametrize('num_masks', [0, 4])
@pytest.mark.parametrize('batch', [1, 2])
def test_a_sub_decoder_is_the_plain_one(batch, num_masks, thin_strips):
    lean, plain = (part.eval() for part in sub_decoders(num_masks=num_masks))
    *skips, bottom = features(batch, 48, 32)
    with torch.no_grad():
        expected = plain(skips, bottom)
        for ours, theirs in zip(lean(list(skips), bottom), expected):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('checkpointing', [False, True])
@pytest.mark.parametrize('batch', [2, 3])
def test_gradients_are_those_of_the_plain_sub_decoder(batch, checkpointing):
    lean, plain = (part.train() for part in sub_decoders())
    for level in lean.levels:
        level.checkpointing = checkpointing
    inputs = [x.requires_grad_() for x in features(batch, 32, 16)]
    copies = [x.detach().clone().requires_grad_() for x in inputs]
    for part, (*skips, bottom) in ((lean, inputs), (plain, copies)):
        sum((out * out.detach().cos()).sum() for out in part(list(skips), bottom)).backward()
    for ours, theirs in zip(inputs, copies):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-7)
    others = dict(plain.named_parameters())
    for name, parameter in lean.named_parameters():
        if 'to_residual' not in name:
            torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-7, atol=1e-7, msg=name)
    for name, buffer in lean.named_buffers():  # the batch norms have counted every batch once
        torch.testing.assert_close(buffer, dict(plain.named_buffers())[name])


@pytest.mark.parametrize(('count', 'heads'), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_position_sums_have_their_own_gradient(count, heads):
    pairs = torch.randn(2, 8 * count, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: PositionSums.apply(x, count, heads), pairs)


def test_a_dead_channel_has_a_finite_gradient():
    sfem = tiny().sub_decoders[0].levels[0].sfdh_blocks[0].sfem
    with torch.no_grad():
        sfem.depthwise.weight[0] = 0
    sfem(torch.randn(2, 8, 4, 4)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in sfem.parameters())


def test_the_flow_on_halves_is_the_flow():
    flow = FlowPrior().double()
    torch.manual_seed(0)
    for name, tensor in flow.state_dict().items():
        if not name.endswith(('mask', 'alpha', 'normalization')):
            tensor.normal_(std=0.3)
        if name.endswith('running_var'):
            tensor.abs_().add_(0.1)
    code = torch.randn(2, 361, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(flow(code), plain_kernels(flow, code), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
@pytest.mark.parametrize('size', [(96, 32), (75, 40)])
def test_strips_leave_no_trace(encoder, size, thin_strips):
    """With gradients the whole map is one strip."""
    net = tiny(encoder=encoder, num_sub_decoders=2).eval()
    image = torch.rand(2, 3, *size)
    whole = net(image)
    assert whole.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(net(image), whole.detach(), rtol=1e-5, atol=1e-5)


def test_shortcuts_follow_the_weights():
    """Nothing merged is kept from one forward to the next."""
    net = tiny(encoder='ufpnet').eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        net(image)
        for parameter in net.parameters():
            parameter.mul_(1.1)
        fresh = tiny(encoder='ufpnet').eval()
        fresh.load_state_dict(net.state_dict())
        assert torch.equal(net(image), fresh(image))


def test_over_strips_joins_maps_and_adds_sums(thin_strips):
    x = torch.rand(2, 3, 22, 5)
    seen = []

    def function(crop, strip):
        seen.append(strip.shape[2])
        own = crop(strip)
        return (own + 1, own[:, :, ::2]), (own.sum(),)

    with torch.no_grad():
        (plus, half), (total,) = over_strips(function, [x], halo=1, channels=3)
    assert seen == [5, 6, 6, 6, 6, 3]
    assert torch.equal(plus, x + 1)
    assert torch.equal(half, x[:, :, ::2])
    torch.testing.assert_close(total, x.sum())


def bytes_kept(net):
    """Bytes that a training step keeps from the forward for the backward pass, weights not counted."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        out = net(torch.rand(2, 3, 64, 64))
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in kept}
    assert out.requires_grad
    return sum(storages.values()) - sum(
        storages.get(p.untyped_storage().data_ptr(), 0) for p in {*net.parameters(), *net.buffers()}
    )


def test_checkpointing_saves_memory():
    net = tiny(blocks_per_level=3, freeze_encoder=True).train()
    plain = bytes_kept(net)
    net.set_checkpointing()
    assert bytes_kept(net) < 0.5 * plain
    net.set_checkpointing(False)
    assert bytes_kept(net) == plain


def test_frozen_parts_keep_nothing_for_the_backward_pass():
    """A stage of training keeps as much as the first, and less than half of what all sub-decoders together keep."""
    net = tiny(num_sub_decoders=4, blocks_per_level=2, freeze_encoder=True).train()
    kept = {}
    for stage in (1, 4, None):
        net.set_stage(stage)
        kept[stage] = bytes_kept(net)
    assert kept[4] <= 1.15 * kept[1]
    assert kept[4] <= 0.45 * kept[None]


def test_a_network_is_deep_copied_and_goes_on():
    net = tiny().eval()
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(net)(image), net(image))


def test_bfloat16_autocast_is_near():
    for encoder in ('nafnet', 'ufpnet'):
        net = tiny(encoder=encoder).eval()
        image = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            plain = net(image)
            with torch.autocast('cpu', dtype=torch.bfloat16):
                rounded = net(image)
        assert (rounded - plain).abs().max() < 0.05 * (plain - image).abs().max()


@pytest.mark.skipif(not hasattr(torch.compiler, 'is_compiling'), reason='compilers before 2.3 break it into parts')
def test_a_training_step_is_one_graph_for_the_compiler():
    net = tiny(num_sub_decoders=2).train()
    net.set_stage(2)
    image = torch.rand(2, 3, 16, 16)
    expected = copy.deepcopy(net)(image)
    torch.testing.assert_close(torch.compile(net, backend='eager', fullgraph=True)(image), expected)
