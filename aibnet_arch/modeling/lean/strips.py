"""Walk over feature maps in strips of rows, so that wide intermediate results stay small and in the cache."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Optional

import torch
from torch import Tensor

Maps = tuple[Tensor, ...]
MapsAndSums = tuple[Maps, Maps]
Crop = Callable[[Tensor], Tensor]

# Bytes of the widest intermediate result of a strip. On a CPU a few of them fit in the last cache.
CPU_BYTES = 8 << 20
GPU_BYTES, GPU_SHARE = 512 << 20, 1 / 16  # at least that many; of a large GPU that part of its memory
LEAST_ROWS = 16  # thinner strips would spend their time on the halo


# torch.compiler tells since 2.3.
_is_compiling = getattr(torch.compiler, 'is_compiling', None) or torch._utils.is_compiling


def is_captured() -> bool:
    """Whether a graph is being made of what runs: by torch.compile or torch.export, or traced for ONNX."""
    return _is_compiling() or torch.jit.is_tracing()


def whole(x: Tensor) -> Tensor:
    """The crop of a strip without halo."""
    return x


def over_strips(
    function: Callable[..., MapsAndSums],
    inputs: Sequence[Tensor],
    *,
    halo: int,
    channels: int,
    into: Optional[Tensor] = None,
    least: Optional[int] = None,
) -> MapsAndSums:
    """Apply `function` to strips of maps and put its results together.

    Args:
        function: called with `crop` and one strip of every input, (B, C, h, W); returns maps and sums.
            `crop` takes the halo off a result of h rows. What `function` returns must be free of it:
            maps (B, C', h', W') of the strip's own rows, which are joined, and tensors, which are added up.
        inputs: maps (B, C, H, W) of one height.
        halo: rows that a strip sees of its neighbours: one for each 3x3 convolution in a row.
            The strip's convolutions pad with zeros, which spoils no more than that.
        channels: of the widest intermediate result, to choose the height of the strips (always even).
        into: one of the inputs, given away: where the first map has its shape and type, it is written there.
        least: rows of a strip, even; None: LEAST_ROWS.

    Returns:
        Maps and sums for the whole height. The maps may have a part of the resolution.
    """
    rows = _strip_rows(inputs[0], channels, least)
    if rows is None:
        return function(whole, *inputs)
    height = inputs[0].shape[2]
    joined: Maps = ()
    totals: Maps = ()
    waiting: list[tuple[int, Maps]] = []  # the strip before, while the next one still reads `into` there
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first = max(top - halo, 0)

        def crop(x: Tensor, skip: int = top - first, keep: int = bottom - top) -> Tensor:
            return x[:, :, skip : skip + keep]

        maps, sums = function(crop, *(x[:, :, first : bottom + halo] for x in inputs))
        if top == 0:
            joined = tuple(_tall(part, part.shape[2] * height // rows, into) for part in maps)
            totals = sums
        else:
            totals = tuple(total + part for total, part in zip(totals, sums))
        waiting.append((top, maps))
        if top or into is None:
            _write(*waiting.pop(0), joined, height)
    for late in waiting:
        _write(*late, joined, height)
    return joined, totals


def _write(top: int, maps: Maps, joined: Maps, height: int) -> None:
    for tall, part in zip(joined, maps):
        start = tall.shape[2] * top // height
        tall[:, :, start : start + part.shape[2]] = part


def _strip_rows(x: Tensor, channels: int, least: Optional[int]) -> Optional[int]:
    """Rows of a strip; None: the whole map. A captured graph must not depend on the size of what it was made from."""
    if is_captured() or x.is_meta:
        return None
    batch, _, height, width = x.shape
    budget = CPU_BYTES if x.device.type == 'cpu' else _gpu_bytes(x.device)
    rows = budget // (batch * channels * width * x.element_size())
    rows = max(rows, least or LEAST_ROWS) // 2 * 2
    return rows if rows < height else None


@cache
def _gpu_bytes(device: torch.device) -> int:
    if device.type != 'cuda' or not torch.cuda.is_available():  # a made-up one has no properties
        return GPU_BYTES
    return max(GPU_BYTES, int(GPU_SHARE * torch.cuda.get_device_properties(device).total_memory))


def _tall(part: Tensor, height: int, into: Optional[Tensor]) -> Tensor:
    batch, channels, _, width = part.shape
    if into is not None and into.shape == (batch, channels, height, width) and into.dtype == part.dtype:
        return into
    return part.new_empty(batch, height, width, channels).permute(0, 3, 1, 2)
