"""Statistics over windows instead of over the whole image: TLC (Chu et al., ECCV 2022)."""

import math
from collections.abc import Callable
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_local(x: Tensor, window: Optional[int]) -> bool:
    """Whether statistics of `x` are taken over windows: the map (B, C, H, W) is larger than the window."""
    return window is not None and max(x.shape[2:]) > window


def local_mean(x: Tensor, window: int) -> Tensor:
    """Mean over the window around each position, (B, C, H, W), those nearest to the border repeated up to it."""
    height, width = x.shape[2:]
    rows, columns = min(window, height), min(window, width)
    means = _sliding_mean(_sliding_mean(x, dim=2, length=rows), dim=3, length=columns)
    top, left = (rows - 1) // 2, (columns - 1) // 2
    return F.pad(means, (left, columns - 1 - left, top, rows - 1 - top), mode='replicate')


class LocalPool(nn.Module):
    """Mean over all positions, (B, C, H, W) -> (B, C, 1, 1), of a map larger than the window :func:`local_mean`.

    Args:
        window: pixels at the resolution of its input.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1), or (B, C, H, W) of a map larger than the window."""
        return local_mean(x, self.window) if is_local(x, self.window) else x.mean(dim=(2, 3), keepdim=True)


def _sliding_mean(x: Tensor, *, dim: int, length: int) -> Tensor:
    """Mean of every `length` neighbours along `dim`: size n -> n - length + 1."""
    # Sums to each position, in double precision: their differences would lose the digits of float32.
    sums = F.pad(x.cumsum(dim, dtype=torch.float64), (0, 0, 1, 0) if dim == 2 else (1, 0))
    count = x.shape[dim] - length + 1
    return ((sums.narrow(dim, length, count) - sums.narrow(dim, 0, count)) / length).to(x.dtype)


def over_windows(attend: Callable[[Tensor], Tensor], context: Tensor, window: int) -> Tensor:
    """Attend within windows and average where they overlap (TLC as made for Restormer).

    The windows have equal size and are spread evenly, as few as cover the image.

    Args:
        attend: (B, C', h, w) -> (B, C, h, w).
        context: (B, C', H, W).
        window: height and width of a window.

    Returns:
        (B, C, H, W).
    """
    height, width = context.shape[2:]
    total: Optional[Tensor] = None
    count = context.new_zeros(1, 1, height, width)
    for top in _starts(height, window):
        for left in _starts(width, window):
            place = (..., slice(top, top + window), slice(left, left + window))
            attended = attend(context[place])
            if total is None:
                total = attended.new_zeros(*attended.shape[:2], height, width)
            total[place] += attended
            count[place] += 1
    assert total is not None  # there is a window
    return total / count


def _starts(length: int, window: int) -> list[int]:
    steps = max(math.ceil(length / window) - 1, 0)
    return [round(index * (length - window) / steps) for index in range(steps + 1)] if steps else [0]
