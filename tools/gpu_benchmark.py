"""Everything that a GPU should be asked about this package, in one call: python -m tools.gpu_benchmark -o gpu.json

Inference of AIBNet-S, B, L and others at 1280x720 in every precision, plain, by the kernels in Triton, and compiled;
training steps with and without half precision, checkpointing, channels-last weights, compilation, another optimizer;
layouts of the depthwise convolutions; each kernel beside torch's operations; a table of the operations that take the
time. Each case is tried by itself: one that does not fit the
memory is told, and the rest goes on. On a CPU it runs, too, with `--tiny` in seconds.
"""

import argparse
import gc
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aibnet_arch import AIBNet
from aibnet_arch.files import write_csv
from aibnet_arch.inference.kernels.requirements import missing
from aibnet_arch.inference.matmul_precision import matmul_precision
from aibnet_arch.inference.restorer import InferenceSettings, Restorer, autocast
from aibnet_arch.losses.aibnet_loss import AIBNetLoss
from aibnet_arch.modeling.layers import LayerNorm2d
from aibnet_arch.modeling.lean import Operations
from aibnet_arch.modeling.traits import traits_of
from aibnet_arch.profiling.measuring import copy_rate, count_macs, matrix_rate, now
from aibnet_arch.profiling.peak_memory import peak_memory
from aibnet_arch.profiling.stage_estimate import step_macs
from aibnet_arch.profiling.tables import aligned, device_name
from aibnet_arch.registries.other_networks import OTHER_NETWORKS

SUB_DECODERS = {'AIBNet-S': 1, 'AIBNet-B': 2, 'AIBNet-L': 4}
# Names to what is set; TF32 of the products beside that of the convolutions, which torch has by default.
PRECISIONS: dict[str, dict[str, Any]] = {
    'fp32': {'tf32': False},
    'tf32': {'tf32': True},
    'fp16': {'tf32': True, 'autocast': 'fp16'},
    'bf16': {'tf32': True, 'autocast': 'bf16'},
}
TRAINING: dict[str, dict[str, Any]] = {
    'fp32': {'tf32': False},
    'tf32': {'tf32': True},
    'bf16': {'tf32': True, 'amp': 'bf16'},
    'bf16, checkpointing': {'tf32': True, 'amp': 'bf16', 'checkpointing': True},
    'bf16, channels-last weights': {'tf32': True, 'amp': 'bf16', 'channels_last': True},
    'bf16, fused Adam': {'tf32': True, 'amp': 'bf16', 'fused': True},
    'bf16, compiled': {'tf32': True, 'amp': 'bf16', 'compile': True},
}
TINY = {'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1}
OTHERS = ('NAFNet', 'Restormer')
Row = dict[str, Any]


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print a table for each kind of case, and write all of them."""
    arguments = _parser().parse_args(argv)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    small: dict[str, Any] = TINY if arguments.tiny else {}
    rates = {'MACs a second': matrix_rate(device), 'bytes a second': copy_rate(device)}
    print(f'{device_name(device)}, torch {torch.__version__}')
    print(', '.join(f'{name}: {rate:.4g}' for name, rate in rates.items()))
    problem = missing(device)
    if problem is not None:
        print(f'without the kernels in Triton: {problem}')
    rows: list[Row] = []
    wanted = set(arguments.only or (*KINDS, 'operations'))
    for kind, cases in KINDS.items():
        if kind in wanted:
            found = list(cases(small, device, arguments))
            rows += [{'kind': kind, **row} for row in found]
            print(f'\n{kind}\n\n{_table(found)}')
    if arguments.output:
        write_csv(Path(arguments.output), rows)
    if 'operations' in wanted:
        print(f'\n{_operations(small, device, arguments)}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m tools.gpu_benchmark', description=__doc__)
    parser.add_argument('-o', '--output', metavar='FILE', help='write all figures there (CSV)')
    parser.add_argument('--only', nargs='+', choices=[*KINDS, 'operations'], help='these kinds of cases')
    parser.add_argument('--size', nargs=2, type=int, default=(720, 1280), metavar=('H', 'W'), help='of inference')
    parser.add_argument('--crop', type=int, default=256, help='side of a picture in training')
    parser.add_argument('--batches', nargs='+', type=int, default=(8, 32), help='of training')
    parser.add_argument('--repeats', type=int, default=10, help='the median is told')
    parser.add_argument('--compile', action='store_true', help='also compiled: minutes for each case')
    parser.add_argument('--tiny', action='store_true', help='small networks, to try the command')
    return parser


def _inference(small: Mapping[str, Any], device: torch.device, arguments: argparse.Namespace) -> Iterator[Row]:
    picture = torch.rand(1, 3, *arguments.size, device=device)
    builds: dict[str, Callable[[], nn.Module]] = {
        name: lambda count=count: AIBNet(num_sub_decoders=count, **small)  # type: ignore[misc]
        for name, count in SUB_DECODERS.items()
    }
    if not arguments.tiny:
        builds.update({name: OTHER_NETWORKS[name].build for name in OTHERS})
    for name, build in builds.items():
        network = build().eval().to(device)
        macs = count_macs(network, [], tuple(picture.shape))['total'][1]
        ways: list[dict[str, Any]] = [{}]
        if missing(device) is None and traits_of(network).windows:
            ways.append({'triton_kernels': True})
        if arguments.compile:
            ways.append({'compile': True})
        for precision, way in itertools.product(PRECISIONS, ways):
            settings = dict(PRECISIONS[precision])
            if settings.get('autocast') == 'fp16' and device.type == 'cpu':
                continue
            tf32 = settings.pop('tf32')
            restorer = Restorer(network, InferenceSettings(**way, **settings))
            row = {'network': name, 'precision': precision, 'by': next(iter(way), 'torch')}
            yield {**row, **_timed(lambda: restorer(picture), device, arguments.repeats, tf32=tf32, macs=macs)}  # noqa: B023


def _training(small: Mapping[str, Any], device: torch.device, arguments: argparse.Namespace) -> Iterator[Row]:
    size = (arguments.crop, arguments.crop)
    for batch, (name, settings) in itertools.product(arguments.batches, TRAINING.items()):
        if settings.get('compile') and not arguments.compile:
            continue
        with ExitStack() as left:  # what one case holds is gone before the next
            left.callback(gc.collect)
            network = AIBNet(**small).to(device).train()
            network.set_stage(1)
            checkpointing = settings.get('checkpointing', False)
            macs = batch * step_macs(network, size, checkpointing=checkpointing)
            network.train()
            network.set_checkpointing(checkpointing)
            step = _step(network, batch, size, device, settings)
            row = {'batch': batch, 'settings': name}
            yield {**row, **_timed(step, device, arguments.repeats, tf32=settings['tf32'], macs=macs)}


def _step(
    network: AIBNet, batch: int, size: Sequence[int], device: torch.device, settings: Mapping[str, Any]
) -> Callable[[], None]:
    if settings.get('channels_last'):
        network.to(memory_format=torch.channels_last)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-6, fused=settings.get('fused', False))
    run: Any = torch.compile(network) if settings.get('compile') else network
    loss = AIBNetLoss()
    lq, gt = torch.rand(2, batch, 3, *size, device=device)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, settings.get('amp')):
            output = run(lq)
        loss(output.float(), gt).backward()
        optimizer.step()

    return step


def _layouts(small: Mapping[str, Any], device: torch.device, arguments: argparse.Namespace) -> Iterator[Row]:
    """A depthwise convolution in both layouts, forward and backward: the maps are channels-last everywhere."""
    width = small.get('width', 64)
    for level, dtype in itertools.product(range(4), (torch.float32, torch.bfloat16)):
        channels, side = 5 * width << level, max(arguments.crop >> level, 4)
        weight = torch.rand(channels, 1, 3, 3, device=device, dtype=dtype, requires_grad=True)
        for layout in (torch.contiguous_format, torch.channels_last):
            maps = torch.rand(2, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=layout)
            maps.requires_grad_()

            def both(maps: Tensor = maps, weight: Tensor = weight, channels: int = channels) -> None:
                F.conv2d(maps, weight, padding=1, groups=channels).sum().backward()

            macs = 3 * 9 * maps.numel()
            row = {'channels': channels, 'side': side, 'dtype': str(dtype)[6:], 'layout': str(layout)[6:]}
            yield {**row, **_timed(both, device, arguments.repeats, tf32=True, macs=macs)}


@torch.no_grad()
def _kernels(small: Mapping[str, Any], device: torch.device, arguments: argparse.Namespace) -> Iterator[Row]:
    """What the kernels in Triton compute, by torch's operations and by them, with the largest difference."""
    by: dict[str, Operations] = {'torch': Operations()}
    if missing(device) is None:
        from aibnet_arch.inference.kernels.operations import TritonOperations

        by['triton'] = TritonOperations()
    levels = range(1 if arguments.tiny else 4)
    for level, dtype in itertools.product(levels, (torch.float32, torch.bfloat16)):
        channels, side = small.get('width', 64) << level, max(arguments.crop >> level, 4)
        maps = torch.randn(1, 4 * channels, side, side, device=device, dtype=dtype)
        maps = maps.contiguous(memory_format=torch.channels_last)
        norm, expand = LayerNorm2d(channels).to(maps), nn.Conv2d(channels, 2 * channels, 1).to(maps)
        # A depthwise 1x1 convolution is the least that a gate can stand behind.
        convolution = nn.Conv2d(2 * channels, 2 * channels, 1, groups=2 * channels).to(maps)
        cases: dict[str, tuple[Callable[[Operations], Any], int]] = {
            'norm': (lambda by: by.norm(norm, maps[:, :channels]), 0),  # noqa: B023
            'norm, then 1x1': (lambda by: expand(by.norm(norm, maps[:, :channels])), 2 * channels**2 * side**2),  # noqa: B023
            'norm with 1x1': (
                lambda by: next(by.norm_convs(norm, maps[:, :channels], [expand])),  # noqa: B023
                2 * channels**2 * side**2,
            ),
            'gate': (lambda by: by.conv_gate(convolution, maps[:, : 2 * channels]), 0),  # noqa: B023
            'sums': (lambda by: by.position_sums(maps, heads=1, count=2)[0], 2 * channels**2 * side**2),  # noqa: B023
        }
        for (name, (run, macs)), (way, operations) in itertools.product(cases.items(), by.items()):
            row = {'operation': name, 'channels': channels, 'side': side, 'dtype': str(dtype)[6:], 'by': way}
            row.update(_timed(lambda: run(operations), device, arguments.repeats, tf32=False, macs=macs))  # noqa: B023
            if 's' in row and way != 'torch':
                row['difference'] = float((run(operations).float() - run(by['torch']).float()).abs().max())
            yield row


KINDS: dict[str, Callable[..., Iterator[Row]]] = {
    'inference': _inference,
    'training': _training,
    'layouts': _layouts,
    'kernels': _kernels,
}


def _cannot() -> tuple[type[Exception], ...]:
    """What torch and triton raise where they cannot do something; out of memory is a RuntimeError."""
    if find_spec('triton') is None:
        return (RuntimeError,)
    from triton.errors import TritonError

    return (RuntimeError, TritonError)


def _timed(run: Callable[[], Any], device: torch.device, repeats: int, *, tf32: bool, macs: float) -> Row:
    """Seconds of the first run and of the others, what they reach, and the memory; or why there are none."""
    try:
        with matmul_precision('high' if tf32 else 'highest'), peak_memory(device) as peak, _convolutions(tf32):
            times = []
            for _ in range(repeats + 1):
                started = now(device)
                run()
                times.append(now(device) - started)
    except _cannot() as error:  # the case does not fit, or this torch or triton cannot do it: it is told
        if device.type == 'cuda':
            torch.cuda.empty_cache()
        return {'told': str(error).splitlines()[0][:80]}
    seconds = statistics.median(times[1:])
    return {
        'first s': round(times[0], 4),
        's': round(seconds, 5),
        'TFLOP/s': round(2e-12 * macs / seconds, 3),
        'peak GB': round(peak[0] / 1e9, 2),
    }


def _convolutions(tf32: bool) -> Any:
    return torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, benchmark=torch.backends.cudnn.benchmark, allow_tf32=tf32
    )


def _operations(small: Mapping[str, Any], device: torch.device, arguments: argparse.Namespace) -> str:
    """Where the time of a training step of AIBNet-S goes, by torch's profiler."""
    network = AIBNet(**small).to(device).train()
    network.set_stage(1)
    step = _step(network, min(arguments.batches), (arguments.crop, arguments.crop), device, {'amp': 'bf16'})
    step()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == 'cuda':
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        step()
        now(device)
    key = f'self_{device.type}_time_total'
    return profiler.key_averages().table(sort_by=key, row_limit=25)


def _table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return aligned([tuple(columns), *(tuple(str(row.get(key, '')) for key in columns) for row in rows)])


if __name__ == '__main__':
    main()
