"""HFSBlock without gradient."""

from typing import Optional

from torch import Tensor

from ..decoupler import TAPS, filtered
from ..hfs_block import HFSBlock
from .channel_mix import as_matrix, mix_channels
from .operations import Operations
from .strips import Crop, Maps, MapsAndSums, over_strips
from .windows import is_local, local_mean, over_windows


def hfs_block(block: HFSBlock, x: Tensor, *, window: Optional[int], operations: Operations) -> Tensor:
    """``block(x)``."""
    decoupler = block.decoupler
    if window is not None and is_local(x, window):
        high = filtered(x, _high_pass(decoupler.filters(local_mean(x, window))))
        attend = lambda context: _attend(block, context, operations)  # noqa: E731
        return x + over_windows(attend, block.depthwise(block.expand(high)), window)
    filters = _high_pass(decoupler.filters(decoupler.pool(x)))

    def gather(crop: Crop, x: Tensor) -> MapsAndSums:
        return _split(block, crop(block.depthwise(block.expand(filtered(x, filters)))), operations)

    (value,), sums = over_strips(gather, [x], halo=2, channels=3 * x.shape[1])
    matrix = _matrix(block, *sums)

    def finish(crop: Crop, x: Tensor, value: Tensor) -> MapsAndSums:
        return (x + mix_channels(value, matrix),), ()

    (out,), _ = over_strips(finish, [x, value], halo=0, channels=x.shape[1], into=value)
    return out


def _high_pass(filters: Tensor) -> Tensor:
    """Taps of the filters whose result is the features minus their low-pass: (B, groups, 9, h, w)."""
    identity = filters.new_zeros(TAPS, 1, 1)
    identity[TAPS // 2] = 1
    return identity - filters


def _attend(block: HFSBlock, context: Tensor, operations: Operations) -> Tensor:
    """(B, 3C, H, W) -> (B, C, H, W)."""
    (value,), sums = _split(block, context, operations)
    return mix_channels(value, _matrix(block, *sums))


def _split(block: HFSBlock, context: Tensor, operations: Operations) -> tuple[Maps, Maps]:
    """(B, 3C, H, W) -> V, (B, C, H, W), and the sums over the positions that the attention maps need."""
    channels = block.expand.in_channels
    pair, value = context.split((2 * channels, channels), dim=1)
    return (value,), operations.position_sums(pair, heads=block.heads)


def _matrix(block: HFSBlock, *sums: Tensor) -> Tensor:
    """The attention of all heads, (B, C, C)."""
    return as_matrix(block.attention(block.logits.scale(*sums)[:, 0]))
