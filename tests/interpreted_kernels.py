"""The kernels in Triton against torch's operations. tests/test_triton_kernels.py runs this in the interpreter."""

import copy
import csv
import gc
from types import SimpleNamespace

import pytest
import torch

from aibnet_arch.inference.kernels import operations, position_sums
from aibnet_arch.inference.kernels.operations import TritonOperations
from aibnet_arch.inference.restorer import InferenceSettings, Restorer
from aibnet_arch.modeling.layers import LayerNorm2d, SimpleGate
from aibnet_arch.modeling.lean import Operations, channel_mix, strips
from tests.test_network import tiny
from tools import gpu_benchmark

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
KERNELS, TORCH = TritonOperations(), Operations()
DTYPES = pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
LAYOUTS = {
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'channels first': lambda x: x,
    'rows of a strip': lambda x: x.contiguous(memory_format=torch.channels_last)[:, :, 1:-1],
    'window': lambda x: x[:, :, 1:, 2:],
    'every second column': lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
}


@pytest.fixture(autouse=True)
def no_gradient(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(position_sums, 'SHARE', 64)  # several shares also of small maps
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        yield


def shaken(module, dtype=torch.float32):
    """With random numbers that `dtype` can hold."""
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape).to(dtype))
    return module.to(DEVICE)


def maps(*shape, dtype, layout='channels last'):
    return LAYOUTS[layout](torch.randn(shape).add(0.3).to(DEVICE, dtype))


def assert_rounded(found, exact, dtype):
    """1e-5 in float32; otherwise what the last rounding, to `dtype`, may do."""
    assert found.dtype == dtype
    tolerance = max(1e-5, torch.finfo(dtype).eps)
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


@DTYPES
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize(('batch', 'channels', 'size'), [(2, 24, (9, 11)), (1, 1000, (4, 5)), (3, 1, (3, 3))])
def test_norm_and_gate(batch, channels, size, layout, dtype):
    x = maps(batch, 2 * channels, *size, dtype=dtype, layout=layout)
    for half in x.chunk(2, dim=1):
        norm = shaken(LayerNorm2d(channels), dtype)
        found = KERNELS.norm(norm, half)
        assert_rounded(found, TORCH.norm(norm.double(), half.double()), dtype)
        assert found.is_contiguous(memory_format=torch.channels_last)
    for bias in (True, False):
        # Two halves of the map itself: what a convolution rounds is not at issue.
        convolution = torch.nn.Conv2d(2 * channels, 2 * channels, 1, groups=2 * channels, bias=bias).to(DEVICE, dtype)
        shaken(convolution, dtype).weight.fill_(1)
        found = KERNELS.conv_gate(convolution, x)
        assert_rounded(found, TORCH.conv_gate(convolution.double(), x.double()), dtype)


@DTYPES
@pytest.mark.parametrize(
    ('heads', 'count', 'channels', 'size', 'layout'),
    [
        *((1, 2, 8, (9, 11), layout) for layout in LAYOUTS),
        (3, 2, 5, (4, 5), 'window'),
        (1, 1, 130, (3, 5), 'every second column'),
        (2, 1, 1, (3, 3), 'channels first'),
    ],
)
def test_position_sums(heads, count, channels, size, layout, dtype):
    pairs = maps(2, 2 * count * heads * channels, *size, dtype=dtype, layout=layout)
    found = KERNELS.position_sums(pairs, heads=heads, count=count)
    for ours, exact in zip(found, TORCH.position_sums(pairs.double(), heads=heads, count=count)):
        assert ours.shape == exact.shape and ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5 * float(exact.abs().max()))


@DTYPES
@pytest.mark.parametrize(
    ('channels', 'outputs', 'size', 'layout'),
    [*((24, 70, (9, 11), layout) for layout in LAYOUTS), (512, 40, (5, 14), 'window'), (1, 1, (3, 3), 'window')],
)
def test_norm_with_convolutions(channels, outputs, size, layout, dtype):
    x = maps(2, channels, *size, dtype=dtype, layout=layout)
    x[:, :, -1] *= 30
    norm = shaken(LayerNorm2d(channels), dtype)
    convolutions = [
        shaken(torch.nn.Conv2d(channels, count, 1, bias=bias), dtype) for count, bias in ((outputs, True), (3, False))
    ]
    found = list(KERNELS.norm_convs(norm, x, convolutions))
    doubles = [copy.deepcopy(each).double() for each in convolutions]
    for ours, exact in zip(found, TORCH.norm_convs(norm.double(), x.double(), doubles), strict=True):
        scale = exact.abs().mean()
        assert_rounded(ours / scale.to(dtype), exact / scale.to(dtype), dtype)
        assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('first', [0.0, 1e3])
def test_a_norm_with_a_convolution_far_from_zero(first):
    """Nothing is lost where the mean is large against the deviation, or the first channels lie apart from the rest."""
    x = maps(1, 320, 4, 5, dtype=torch.float32) + 1000
    x[:, :64] += first
    x[:, :, 0] = 1e5  # no deviation at all
    norm, convolution = shaken(LayerNorm2d(320)), shaken(torch.nn.Conv2d(320, 16, 1))
    (found,) = KERNELS.norm_convs(norm, x, [convolution])
    (exact,) = TORCH.norm_convs(norm.double(), x.double(), [convolution.double()])
    (expected,) = TORCH.norm_convs(norm.float(), x, [convolution.float()])
    assert (found - exact).abs().max() <= 3 * (expected - exact).abs().max()


def test_one_pixel():
    x = maps(1, 16, 1, 1, dtype=torch.float32)
    norm = shaken(LayerNorm2d(16))
    assert_rounded(KERNELS.norm(norm, x), TORCH.norm(norm.double(), x.double()), torch.float32)
    assert_rounded(KERNELS.gate(x), TORCH.gate(x.double()), torch.float32)
    convolution = shaken(torch.nn.Conv2d(16, 16, 1))
    assert_rounded(KERNELS.conv_gate(convolution, x), TORCH.conv_gate(convolution.double(), x.double()), torch.float32)
    for ours, exact in zip(KERNELS.position_sums(x, heads=2), TORCH.position_sums(x, heads=2)):
        torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-5)


def test_half_precision_is_added_up_in_float32():
    """float16 ends at 65504, bfloat16 has no 90,001."""
    for dtype in (torch.float16, torch.bfloat16):
        ones = torch.ones(1, 2, 1, 90001, dtype=dtype, device=DEVICE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(position_sums, 'SHARE', 1 << 14)
            patch.setattr(position_sums, 'AT_ONCE', 1 << 12)
            assert [each.item() for each in KERNELS.position_sums(ones, heads=1)] == [90001] * 3


def test_what_they_cannot_take_is_refused():
    x = maps(1, 16, 4, 4, dtype=torch.float32)
    for run in (
        lambda x: KERNELS.norm(LayerNorm2d(16).to(x), x),
        lambda x: list(KERNELS.norm_convs(LayerNorm2d(16).to(x), x, [torch.nn.Conv2d(16, 5, 1).to(x)])),
        lambda x: KERNELS.conv_gate(torch.nn.Conv2d(16, 16, 1).to(x), x),
        lambda x: KERNELS.position_sums(x, heads=1),
    ):
        run(x)
        with pytest.raises(TypeError, match='not torch'):
            run(x.double())
        with torch.enable_grad(), pytest.raises(RuntimeError, match='no gradient'):
            run(x.clone().requires_grad_())


def refused(*_, **__):
    raise AssertionError("torch's operation ran")


@pytest.mark.parametrize(
    ('switches', 'settings', 'tolerance'),
    [
        ({'encoder': 'ufpnet', 'heads': (1, 2, 1, 4)}, {}, 1e-5),
        ({}, {'window': 16}, 1e-5),
        ({}, {'autocast': 'bf16'}, 2e-2),
    ],
    ids=str,
)
def test_a_network_with_kernels_is_the_one_without(switches, settings, tolerance, monkeypatch):
    monkeypatch.setattr(strips, 'CPU_BYTES', 1)
    monkeypatch.setattr(position_sums, 'SHARE', 256)
    network = shaken_network(**switches)
    image = torch.rand(1, 3, 20, 30, device=DEVICE)
    lean = network.lean
    expected = Restorer(network, InferenceSettings(**settings))(image)
    with monkeypatch.context() as patch:  # all of them ran as kernels
        patch.setattr(LayerNorm2d, 'forward', refused)
        patch.setattr(operations, 'layer_norm', refused)  # but in one with the convolution
        patch.setattr(SimpleGate, 'forward', refused)
        patch.setattr(channel_mix, 'position_sums', refused)
        found = Restorer(network, InferenceSettings(triton_kernels=True, **settings))(image)
    assert network.lean is lean
    assert (found - expected).abs().max() <= tolerance * (expected - image).abs().max()
    assert (expected - image).abs().max() > 0.01


def shaken_network(**switches):
    network = tiny(**switches)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return network.to(DEVICE)


def test_the_benchmark_times_each_kernel_and_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_benchmark, 'SUB_DECODERS', {'AIBNet-S': 1})
    monkeypatch.setattr(gc, 'collect', lambda: 0)  # before each timing, and the interpreter leaves much to look at
    monkeypatch.setattr(gpu_benchmark, 'matrix_rate', lambda device: 1.0)
    monkeypatch.setattr(gpu_benchmark, 'copy_rate', lambda device: 1.0)
    monkeypatch.setattr(position_sums, 'SHARE', 256)
    monkeypatch.setattr(gpu_benchmark, 'PRECISIONS', {'fp32': {'tf32': False}})
    written = tmp_path / 'gpu.csv'
    sizes = ('--tiny', '--size', '16', '16', '--crop', '16', '--repeats', '1')
    gpu_benchmark.main([*sizes, '--only', 'kernels', 'inference', '-o', str(written)])
    rows = [SimpleNamespace(**row) for row in csv.DictReader(written.read_text().splitlines())]
    assert [row.by for row in rows if row.kind == 'inference'] == ['torch', 'triton_kernels']
    kernels = [row for row in rows if row.kind == 'kernels']
    assert len(kernels) == 2 * 5 * 2 and all(float(row.s) > 0 for row in rows)
    assert all(float(row.difference) < 0.5 for row in kernels if row.by == 'triton')
    assert all(float(row.difference) < 1e-4 for row in kernels if row.by == 'triton' and row.dtype == 'float32')
