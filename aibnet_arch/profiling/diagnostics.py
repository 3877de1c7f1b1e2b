"""Is a part of the network awake? Entropy of its maps, its scales, its share of the stream, its gradient.

A level has these figures, means over its blocks, the heads and the pictures; docs/diagnostics.md tells how to read
them.

  sfem.map1, sfem.map2    mean entropy of the rows of SFEM's two maps (Eq. 2) over log C of a head: 1 is uniform
  sfem.alpha              alpha of Eq. (3)
  sfem.beta               that of its logits (sfem.temperature, where they are multiplied)
  hfs.map                 entropy of the rows of M_1 .. M_n (Eq. 5) over the log of the entries that Mask_i keeps (of C
                          where the others are set to 0), mean over i; a mask that keeps one entry is left out
  hfs.beta                as SFEM's
  hfs.lambda_1, ...       the lambda_i of Eq. (5)
  share.sca, share.sfem   rms of SCA and of W SFEM over that of the X to which Eq. (1) adds them
  share.feed_forward      the same, over that of X'
  share.hfs               rms of what Eq. (5) adds, over that of X_N
  grad.sca, ...           norm of the gradient of all parameters of these parts, if there is one
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ..modeling import AIBNet
from ..modeling.channel_logits import ChannelLogits
from ..modeling.hfs_block import HFSBlock
from ..modeling.lean import Lean
from ..modeling.sfdh_block import SFDHBlock
from ..modeling.sfem import SFEM
from .tables import aligned


@dataclass(frozen=True)
class LevelDiagnosis:
    """One level of a sub-decoder.

    Attributes:
        sub_decoder: from 1.
        level: 1 (full resolution) to 4, as e1 .. e4.
        figures: by the names above.
    """

    sub_decoder: int
    level: int
    figures: dict[str, float]


@torch.no_grad()
def diagnose(network: AIBNet, image: Tensor) -> list[LevelDiagnosis]:
    """Restore pictures by the equations, over the whole of each, and watch the sub-decoders that are trained.

    Gradients are those that the parameters hold from the newest backward pass. The network is left as it was.

    Args:
        network: in whatever mode; it runs in evaluation mode, without the window of its ``lean``.
        image: (B, 3, H, W), RGB in [0, 1].
    """
    training, lean = network.training, network.lean
    found: dict[tuple[int, int], _Sums] = {}
    try:
        network.eval()
        network.lean = Lean()  # blocks with a hook inside run by their equations, all else lean
        with ExitStack() as stack:
            for number, sub_decoder in enumerate(network.sub_decoders[: network.active_sub_decoders], start=1):
                for depth, level in enumerate(sub_decoder.levels, start=1):
                    sums = found[number, depth] = _Sums()
                    for module in level.modules():
                        if isinstance(module, SFDHBlock):
                            _watch_sfdh_block(module, sums, stack)
                        elif isinstance(module, HFSBlock):
                            _watch_hfs_block(module, sums, stack)
            network(image)
    finally:
        network.lean = lean
        network.train(training)
    return [LevelDiagnosis(number, depth, sums.figures()) for (number, depth), sums in found.items()]


def entropy(maps: Tensor, entries: int) -> Optional[float]:
    """Mean entropy of the rows of attention maps over that of `entries` equal weights; None for one entry.

    Args:
        maps: (..., C), rows that add up to 1.
        entries: how many of a row have a weight.
    """
    if entries < 2:
        return None
    return float(torch.special.entr(_full(maps)).sum(dim=-1).mean()) / math.log(entries)


class _Sums:
    """Means of figures over blocks, and norms of gradients over all of them."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)
        self._squares: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: Optional[float]) -> None:
        if value is not None:
            self._values[name].append(value)

    def add_gradient(self, name: str, parameters: Iterable[Optional[nn.Parameter]]) -> None:
        gradients = [each.grad for each in parameters if each is not None and each.grad is not None]
        self._squares[name] += [float(_full(gradient).square().sum()) for gradient in gradients]

    def figures(self) -> dict[str, float]:
        means = {name: sum(values) / len(values) for name, values in self._values.items()}
        norms = {name: math.sqrt(sum(squares)) for name, squares in self._squares.items() if squares}
        return {**dict(sorted(means.items(), key=_place)), **norms}


def _place(item: tuple[str, float]) -> tuple[int, str]:
    return ('sfem', 'hfs', 'share').index(item[0].partition('.')[0]), item[0]


def _watch_sfdh_block(block: SFDHBlock, sums: _Sums, stack: ExitStack) -> None:
    stream: list[float] = []  # rms of X, then of X'

    def share(name: str, scale: Optional[Tensor]) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            sums.add(f'share.{name}', _ratio(_rms(output if scale is None else scale * output), stream[-1]))

        return hook

    def note_stream(module: nn.Module, inputs: tuple[Tensor]) -> None:
        stream.append(_rms(inputs[0]))

    _hook(stack, block.norm1.register_forward_pre_hook(note_stream))
    _hook(stack, block.sca.register_forward_hook(share('sca', block.sca_scale)))
    _hook(stack, block.norm2.register_forward_pre_hook(note_stream))
    _hook(stack, block.feed_forward.register_forward_hook(share('feed_forward', block.feed_forward_scale)))
    sums.add_gradient('grad.sca', [*block.sca.parameters(), block.sca_scale])
    sums.add_gradient('grad.feed_forward', [*block.feed_forward.parameters(), block.feed_forward_scale])
    if block.sfem is None:
        return
    _hook(stack, block.sfem.register_forward_hook(share('sfem', block.sfem_weight)))
    sums.add_gradient('grad.sfem', [*block.sfem.parameters(), block.sfem_weight])
    if isinstance(block.sfem, SFEM):
        _watch_sfem(block.sfem, sums, stack)


def _watch_sfem(sfem: SFEM, sums: _Sums, stack: ExitStack) -> None:
    calls: list[None] = []

    def maps(module: nn.Module, inputs: Any, logits: Tensor) -> None:
        sums.add(f'sfem.map{len(calls) % 2 + 1}', entropy(logits.softmax(dim=-1), logits.shape[-1]))  # att1, then att2
        calls.append(None)

    _hook(stack, sfem.logits.register_forward_hook(maps))
    sums.add('sfem.alpha', float(sfem.alpha()))
    sums.add(*_scale('sfem', sfem.logits))


def _watch_hfs_block(block: HFSBlock, sums: _Sums, stack: ExitStack) -> None:
    attention = block.attention

    def maps(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        length = inputs[0].shape[-1]
        if not attention.kept:
            sums.add('hfs.map', entropy(output, length))
            return
        dropped = math.isinf(attention.masked_to)
        for kept, each in zip(attention.kept, attention.maps(inputs[0])):
            sums.add('hfs.map', entropy(each, kept if dropped else length))

    def selected(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        sums.add('share.hfs', _ratio(_rms(output - inputs[0]), _rms(inputs[0])))

    _hook(stack, attention.register_forward_hook(maps))
    _hook(stack, block.register_forward_hook(selected))
    sums.add(*_scale('hfs', block.logits))
    if attention.kept:
        for number, value in enumerate(attention.lambdas.tolist(), start=1):
            sums.add(f'hfs.lambda_{number}', value)
    sums.add_gradient('grad.hfs', block.parameters())


def _scale(part: str, logits: ChannelLogits) -> tuple[str, float]:
    name = 'temperature' if logits.multiplies else 'beta'
    return f'{part}.{name}', float(getattr(logits, name).mean())


def _hook(stack: ExitStack, handle: Any) -> None:
    stack.callback(handle.remove)


def _full(x: Tensor) -> Tensor:
    """At least float32. (Not float64: Apple's GPUs have none.)"""
    return x.float() if x.dtype.itemsize < 4 else x


def _rms(x: Tensor) -> float:
    return float(_full(x).square().mean().sqrt())


def _ratio(part: float, whole: float) -> Optional[float]:
    return part / whole if whole else None


def columns_of(levels: Iterable[LevelDiagnosis]) -> list[str]:
    """The names of all figures, in their order."""
    return list(dict.fromkeys(name for level in levels for name in level.figures))


def table_lines(levels: list[LevelDiagnosis]) -> list[str]:
    """A table to read: a line for each figure, a column for each level."""
    rows = [['', *(f'{each.sub_decoder}.{each.level}' for each in levels)]]
    rows += [[name, *(_cell(each.figures.get(name)) for each in levels)] for name in columns_of(levels)]
    return [line.rstrip() for line in aligned([tuple(row) for row in rows]).splitlines()]


def _cell(value: Optional[float]) -> str:
    return '' if value is None else f'{value:.4f}' if 1e-3 <= abs(value) < 1e4 or not value else f'{value:.2e}'
