"""Time, memory and multiply-accumulates of a network, part by part."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Optional

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..inference.matmul_precision import convolution_precision, matmul_precision
from .peak_memory import peak, peak_memory, reset_peak


@dataclass
class Part:
    """What was measured of a part of a network.

    Attributes:
        name: of the module, or 'rest' for what happens outside of the others.
        conv_macs: multiply-accumulates in convolutions, as papers count them.
        macs: of everything that was computed in convolutions and matrix products.
        seconds: median over the repeats.
        peak_bytes: highest memory while it ran: resident memory of the process on a CPU, allocated on a GPU.
        floor_seconds: all its MACs at the rate of a large matrix product.
        roofline_seconds, bytes_moved, limit: see :class:`.Roofline`; None where they were not counted.
    """

    name: str
    parameters: int = 0
    trainable: int = 0
    conv_macs: int = 0
    macs: int = 0
    seconds: float = 0.0
    peak_bytes: Optional[int] = None
    floor_seconds: Optional[float] = None
    roofline_seconds: Optional[float] = None
    bytes_moved: Optional[int] = None
    limit: Optional[str] = None

    as_dict = asdict


def parts_of(network: nn.Module) -> dict[str, nn.Module]:
    """The parts of a network: its children, lists of modules taken apart."""
    parts = {}
    for name, child in network.named_children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            parts.update({f'{name}.{key}': module for key, module in child.named_children()})
        else:
            parts[name] = child
    return parts


def measure(
    run: Callable[[], Any], network: nn.Module, *, device: torch.device, repeats: int, size: Sequence[int]
) -> list[Part]:
    """Measure each part of a network, and the whole, while `run` runs it.

    Args:
        run: calls the network once.
        network: its parts are those of :func:`parts_of`; what happens outside of them comes under 'rest', the
            whole as 'total'.
        device: where it runs.
        repeats: of the timing, after one run that is not counted.
        size: shape of the input, (B, 3, H, W), for counting.
    """
    parts = parts_of(network)
    found = {name: _described(name, module) for name, module in (*parts.items(), ('total', network))}
    for name, (conv_macs, macs) in count_macs(network, list(parts), size).items():
        found[name].conv_macs, found[name].macs = conv_macs, macs
    seconds, peaks = _timed(run, parts, device=device, repeats=repeats)
    for name, part in found.items():
        part.seconds, part.peak_bytes = statistics.median(seconds[name]), peaks[name]
    total = found.pop('total')
    rest = Part('rest')
    for field in ('parameters', 'trainable', 'conv_macs', 'macs'):
        setattr(rest, field, getattr(total, field) - sum(getattr(part, field) for part in found.values()))
    outside = zip(seconds['total'], *(seconds[name] for name in found))
    rest.seconds = statistics.median(whole - sum(others) for whole, *others in outside)
    return [*found.values(), rest, total]


def _described(name: str, module: nn.Module) -> Part:
    parameters = list(module.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return Part(name, parameters=sum(p.numel() for p in parameters), trainable=trainable)


@torch.no_grad()
def count_macs(network: nn.Module, parts: Sequence[str], size: Sequence[int]) -> dict[str, tuple[int, int]]:
    """MACs in convolutions and in everything, for each part and 'total'.

    Counted for one picture on the meta device: without memory, and with every map whole.
    """
    counted = copy.deepcopy(network).to('meta')
    result = dict.fromkeys((*parts, 'total'), (0, 0))
    counter = FlopCounterMode(display=False)

    def add(name: str, sign: int) -> None:
        operations = counter.get_flop_counts().get('Global', {})
        convolutions = sum(count for operation, count in operations.items() if 'convolution' in str(operation))
        found = (convolutions, sum(operations.values()))
        conv_macs, macs = (sign * count * size[0] // 2 for count in found)
        result[name] = result[name][0] + conv_macs, result[name][1] + macs

    modules = {name: counted.get_submodule(name) for name in parts}
    with counter, hooked(modules, before=lambda name: add(name, -1), after=lambda name: add(name, 1)):
        counted(torch.empty(1, *size[1:], device='meta'))
        add('total', 1)
    return result


@contextmanager
def hooked(
    parts: Mapping[str, nn.Module], *, before: Callable[[str], None], after: Callable[[str], None]
) -> Iterator[None]:
    """Call `before` and `after` with the name of each part that runs."""
    with ExitStack() as handles:
        for name, module in parts.items():
            handles.callback(module.register_forward_pre_hook(lambda *_, name=name: before(name)).remove)
            handles.callback(module.register_forward_hook(lambda *_, name=name: after(name)).remove)
        yield


def _timed(run: Callable[[], Any], parts: dict[str, nn.Module], *, device: torch.device, repeats: int) -> tuple:
    """Seconds of each repeat and the highest memory, by part and in all."""
    seconds: dict[str, list[float]] = {name: [] for name in (*parts, 'total')}
    peaks: dict[str, Optional[int]] = dict.fromkeys(seconds)
    running: dict[str, float] = {}
    spent: dict[str, float] = {}

    def before(name: str) -> None:
        reset_peak(device)
        running[name] = now(device)

    def after(name: str) -> None:
        spent[name] = spent.get(name, 0.0) + now(device) - running[name]
        peaks[name] = max(filter(None, (peaks[name], peak(device))), default=None)

    with hooked(parts, before=before, after=after):
        for repeat in range(repeats + 1):
            spent.clear()
            started = now(device)
            run()
            spent['total'] = now(device) - started
            if repeat:
                for name in seconds:
                    seconds[name].append(spent.get(name, 0.0))
    with peak_memory(device) as highest:
        run()
    peaks['total'] = highest[0]
    return seconds, peaks


def now(device: torch.device) -> float:
    """Seconds, after everything on the device is done."""
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: torch.device, *, dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """Multiply-accumulates per second of a large matrix product here and now: the floor of all others.

    In the precision of the convolutions, which most of them are: on a GPU torch computes those in TF32 by default, and
    products of float32 not.
    """
    left, right = torch.rand(size, size, device=device).to(dtype), torch.rand(size, size, device=device).to(dtype)
    times = []
    with matmul_precision(convolution_precision() if device.type == 'cuda' else None):
        for _ in range(6):
            started = now(device)
            left @ right
            times.append(now(device) - started)
    return size**3 / statistics.median(times[1:])


def copy_rate(device: torch.device, *, size: int = 128 << 20) -> float:
    """Bytes per second that a large copy reads and writes here and now: what memory allows."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    times = []
    for _ in range(6):
        started = now(device)
        target.copy_(source)
        times.append(now(device) - started)
    return 2 * size / statistics.median(times[1:])
