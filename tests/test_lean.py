"""The lean run without gradient against the equations, the gradients of the equations, and what is saved."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from aibnet_arch.modeling.channel_products import products
from aibnet_arch.modeling.encoders.flow_prior import FlowPrior
from aibnet_arch.modeling.hfs_block import HFSBlock
from aibnet_arch.modeling.lean import Lean, kernel_estimator, strips
from aibnet_arch.modeling.lean.channel_mix import total_of
from aibnet_arch.modeling.lean.flow_prior import flow_prior
from aibnet_arch.modeling.lean.strips import over_strips
from aibnet_arch.modeling.level_settings import LevelSettings
from aibnet_arch.modeling.sfdh_block import SFDHBlock
from aibnet_arch.modeling.sub_decoder import SubDecoder
from tests.test_network import tiny


def shaken(module):
    """The module with random weights and statistics, in double precision: no initial zero or one hides a term."""
    torch.manual_seed(0)
    module.double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            # The flow's constants are part of its definition. Shaken, UFPNet's features would be so large that all
            # kernels were the same.
            fixed = {'kernel_extra', 'flow'} & {*name.split('.')} or name.endswith(('mask', '.alpha', 'normalization'))
            if tensor.is_floating_point() and not fixed:
                tensor.add_(0.1 * torch.randn_like(tensor))
    return module


def features(batch, height, width):
    torch.manual_seed(1)
    return [torch.randn(batch, 8 << i, height >> i, width >> i, dtype=torch.float64) for i in range(5)]


@pytest.fixture
def thin_strips(monkeypatch):
    """Strips of a few rows also for small images."""
    monkeypatch.setattr(strips, 'CPU_BYTES', 1)
    monkeypatch.setattr(strips, 'LEAST_ROWS', 4)
    monkeypatch.setattr(kernel_estimator, 'LEAST_ROWS', 6)


SWITCHES = [
    {},
    {'heads': (1, 2, 1, 4)},
    {'heads': 2, 'normalize_logits': False, 'num_masks': 0},
    {'masked_logits': 'zero', 'alpha_init': 0.2, 'decoupler_groups': 4},
    {'sfem': False},
    {'hfs_block': False},
    {'sfem': False, 'hfs_block': False},
    {'logit_scale': 'beta', 'branch_scale': True, 'sfem_weight': 'scalar', 'heads': (1, 2, 4, 8)},
    {'fusion': 'sam'},
    {'fusion': 'fuse', 'num_masks': 1},
]


@pytest.mark.parametrize(('batch', 'size'), [(1, (96, 32)), (2, (75, 40)), (3, (33, 70)), (2, (3, 5))])
@pytest.mark.parametrize('changes', [*SWITCHES, {'encoder': 'ufpnet'}], ids=str)
def test_the_lean_network_is_its_equations(changes, batch, size, thin_strips):
    net = shaken(tiny(num_sub_decoders=2, **changes)).eval()
    image = torch.rand(batch, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        lean = net.images(image)
        net.lean = None
        for ours, theirs in zip(lean, net.images(image)):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(lean[0], lean[1])


@pytest.mark.parametrize('num_masks', [0, 4])
@pytest.mark.parametrize('batch', [1, 2])
def test_a_lean_sub_decoder_is_its_equations_and_takes_its_list_alone(batch, num_masks, thin_strips):
    settings = [LevelSettings(channels=8 << i, heads=1 + i % 2, blocks=2, num_masks=num_masks) for i in range(4)]
    part = shaken(SubDecoder(settings)).eval()
    *skips, bottom = features(batch, 48, 32)
    with torch.no_grad():
        expected = part(skips, bottom)
        assert len(skips) == 4
        for ours, theirs in zip(Lean().run(part, skips, bottom), expected):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert not skips  # given away: a skip is large


@pytest.mark.parametrize('make', [SFDHBlock, HFSBlock])
@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'heads': 2},
        {'normalize_logits': False},
        {'masked_logits': 'zero'},
        {'logit_scale': 'beta', 'branch_scale': True},
    ],
    ids=str,
)
def test_gradients_of_the_equations(make, changes):
    """Against differences of their values; other tests hold the values against a plain statement."""
    block = shaken(make(LevelSettings(channels=8, **changes))).train()
    names = [name for name, _ in block.named_parameters()]

    def run(x, *parameters):
        for norm in (module for module in block.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.momentum = 0.0
        return torch.func.functional_call(block, dict(zip(names, parameters)), (x,))

    x = torch.randn(2, 8, 3, 4, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    inputs = [x.requires_grad_(), *(parameter.detach().clone().requires_grad_() for parameter in block.parameters())]
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize('batch', [2, 3])
def test_checkpointing_changes_no_gradient_and_counts_a_batch_once(batch):
    plain = shaken(SubDecoder([LevelSettings(channels=8 << i, blocks=2) for i in range(4)])).train()
    saving = copy.deepcopy(plain)
    for level in saving.levels:
        level.checkpointing = True
    inputs = [x.requires_grad_() for x in features(batch, 32, 16)]
    copies = [x.detach().clone().requires_grad_() for x in inputs]
    for part, (*skips, bottom) in ((saving, inputs), (plain, copies)):
        sum((out * out.detach().cos()).sum() for out in part(skips, bottom)).backward()
    for ours, theirs in zip(inputs, copies):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-7)
    others = dict(plain.named_parameters())
    for name, parameter in saving.named_parameters():
        if 'to_residual' not in name:
            torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-7, atol=1e-7, msg=name)
    for name, buffer in saving.named_buffers():
        torch.testing.assert_close(buffer, dict(plain.named_buffers())[name])
        if name.endswith('num_batches_tracked'):
            assert buffer == 1


@pytest.mark.parametrize('heads', [1, 2])
def test_the_product_of_query_and_key_has_its_own_gradient(heads):
    pairs = [torch.randn(2, heads, 4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    product, *squares = products(*pairs)
    torch.testing.assert_close(product, torch.einsum('bhcl,bhdl->bhcd', *pairs))
    for square, rows in zip(squares, pairs):
        torch.testing.assert_close(square, torch.einsum('bhcl,bhcl->bhc', rows, rows))
    assert torch.autograd.gradcheck(products, pairs)


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
        torch.testing.assert_close(flow_prior(flow, code), flow(code), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
@pytest.mark.parametrize('size', [(96, 32), (75, 40)])
def test_strips_leave_no_trace(encoder, size, thin_strips):
    """With a gradient the equations run."""
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


def test_sums_over_positions_keep_their_digits_in_half_precision():
    """bfloat16 has no 90,000."""
    ones = torch.ones(1, 2, 300, 300, dtype=torch.bfloat16)
    assert total_of(ones).flatten().tolist() == [90000, 90000]
    assert total_of(ones.double()).dtype == torch.float64


def test_a_large_gpu_walks_in_higher_strips(monkeypatch):
    """AIBNet's stage 4 at batch 32 of 256x256 is 2.7 GB wide at most."""

    def budget(gigabytes: int) -> int:
        properties = SimpleNamespace(total_memory=gigabytes << 30)
        monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda device: properties)
        strips._gpu_bytes.cache_clear()
        return strips._gpu_bytes(torch.device('cuda'))

    assert budget(80) == strips.GPU_BYTES  # there is none
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert budget(4) == strips.GPU_BYTES
    assert budget(80) > 32 * 256 * 256 * 320 * 4
    strips._gpu_bytes.cache_clear()


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


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_a_map_may_take_the_place_of_an_input_that_strips_still_read(dtype, thin_strips):
    x, given = torch.rand(2, 3, 22, 5), torch.rand(2, 3, 22, 5, dtype=dtype)

    def function(crop, x, given):
        return (crop(x + F.avg_pool2d(given.float(), 3, stride=1, padding=1)),), ()

    (expected,), _ = over_strips(function, [x, given], halo=1, channels=3)
    (out,), _ = over_strips(function, [x, given], halo=1, channels=3, into=given)
    assert torch.equal(out, expected)
    assert (out is given) == (dtype == torch.float32)  # else it does not fit


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


# Hooks


def watched(module):
    """A list that grows by the shape of the output whenever the module runs."""
    seen = []
    module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    return seen


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
def test_hooks_are_met_in_the_lean_run_too(encoder, thin_strips):
    net = tiny(encoder=encoder).eval()
    image = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = net(image)
    level = net.sub_decoders[0].levels[1]
    modules = (level.sfdh_blocks[0], level.hfs_block, net.encoder.encoders[1][0], level.up)
    inside = (level.sfdh_blocks[0].sfem, level.hfs_block.decoupler, net.encoder.encoders[1][0].norm1, level.up[1])
    with torch.no_grad():
        seen = [watched(module) for module in (*modules, *inside)]
        torch.testing.assert_close(net(image), expected, rtol=1e-5, atol=1e-5)
    assert seen == [[(2, 16, 16, 24)]] * 8


def test_a_hook_may_change_what_a_block_takes_and_gives():
    net = tiny().eval()
    image = torch.rand(1, 3, 16, 16)
    block = net.sub_decoders[0].levels[0].hfs_block
    block.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    block.register_forward_hook(lambda module, inputs, output: 2 * output)
    with torch.no_grad():
        lean = net(image)
        net.lean = None
        torch.testing.assert_close(lean, net(image))


def derived(module):
    """The module as a subclass with a ``forward`` of its own: twice what it was."""
    kind = type(module)

    class Derived(kind):
        def forward(self, *inputs):
            output = super().forward(*inputs)
            return 2 * output

    module.__class__ = Derived


@pytest.mark.parametrize(
    'path',
    [
        'sub_decoders.0.levels.1',
        'sub_decoders.0.levels.1.sfdh_blocks.0',
        'sub_decoders.0.levels.1.sfdh_blocks.0.sca',
        'sub_decoders.0.levels.1.sfdh_blocks.0.sca.weigh',
        'sub_decoders.0.levels.1.sfdh_blocks.0.sfem',
        'sub_decoders.0.levels.1.sfdh_blocks.0.sfem.logits',
        'sub_decoders.0.levels.1.sfdh_blocks.0.sfem.project',
        'sub_decoders.0.levels.1.hfs_block',
        'sub_decoders.0.levels.1.hfs_block.decoupler',
        'sub_decoders.0.levels.1.hfs_block.logits',
        'sub_decoders.0.levels.1.hfs_block.attention',
        'encoder.encoders.1.0',
        'encoder.encoders.1.0.conv3',
        'sub_decoders.0.levels.1.up',
        'sub_decoders.0.levels.1.up.1',
        'encoder.kernel_extra.Decoding_Block2',
        'encoder.kernel_extra.Decoding_Block2.ResBlock1',
    ],
)
def test_what_somebody_derives_from_a_part_runs_in_the_lean_run_too(path):
    encoder = 'ufpnet' if 'kernel_extra' in path else 'nafnet'
    net = shaken(tiny(encoder=encoder)).eval()
    derived(net.get_submodule(path))
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        lean = net(image)
        net.lean = None
        torch.testing.assert_close(lean, net(image), rtol=1e-11, atol=1e-11)
        again = tiny(encoder=encoder).double().eval()
        again.load_state_dict(net.state_dict())
        assert not torch.allclose(lean, again(image), rtol=1e-9)


@pytest.mark.parametrize(
    'path', ['encoder', 'sub_decoders.0', 'sub_decoders.0.levels.1', 'sub_decoders.0.levels.0.hfs_block']
)
def test_hooks_with_keywords_are_met(path):
    net = tiny().eval()
    seen = []
    module = net.get_submodule(path)
    module.register_forward_pre_hook(lambda module, inputs, keywords: seen.append(keywords), with_kwargs=True)
    module.register_forward_hook(lambda module, inputs, keywords, output: seen.append(keywords), with_kwargs=True)
    with torch.no_grad():
        net(torch.rand(1, 3, 16, 16))
    assert seen == [{}, {}]


def test_the_precision_of_frozen_parts_is_theirs_alone():
    net = tiny(num_sub_decoders=2)
    net.set_stage(2)
    net.train()
    image = torch.rand(2, 3, 32, 32)
    plain = net(image)
    net.lean = Lean(precision=torch.bfloat16)
    seen = []
    net.sub_decoders[1].register_forward_pre_hook(lambda part, inputs: seen.extend(x.dtype for x in inputs[0]))
    rounded = net(image)
    assert not torch.equal(rounded, plain)
    assert (rounded - plain).abs().max() < 0.05 * (plain - image).abs().max()
    assert seen == [torch.float32] * 4
    with torch.no_grad():  # not while nothing trains
        lean = net.eval()(image)
        net.lean = Lean()
        assert torch.equal(lean, net(image))
