"""Attention between channels: the C x C logits that SFEM (Eq. 2) and HFSBlock (Eq. 5) share."""

import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor, nn

from .position_sums import position_sums


class ChannelLogits(nn.Module):
    """Q T(K) / beta for every head, beta learned and starting at sqrt(C) (Section 3.2.1).

    With `normalize`, the rows of Q and K are L2-normalised along the positions (as in Restormer and
    DRSformer), so that the logits do not grow with the size of the image. The product is divided by
    the norms instead of normalising Q and K themselves: the same value without two large copies. All that
    is needed of Q and K are sums over the positions, which may also be gathered part by part.

    Args:
        heads: number of attention heads.
        head_channels: channels of one head, C of the equations.
        normalize: False reads Eq. (2) literally.
    """

    def __init__(self, *, heads: int, head_channels: int, normalize: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.normalize = normalize
        self.beta = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(head_channels)))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
        pairs = torch.cat((query, key), dim=1).flatten(1, 2)[:, :, None]
        return self.from_sums(*self.sums(pairs))[:, 0]

    def sums(self, pairs: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
        """Products and squared norms of `count` pairs of Q and K: see :class:`.PositionSums`."""
        return position_sums(pairs, count, self.heads)

    def from_sums(self, products: Tensor, squares: Tensor) -> Tensor:
        """The logits from :meth:`sums`, (B, count, heads, C, C)."""
        if self.normalize:
            # The square of torch.nn.functional.normalize's guard against an all-zero row.
            query, key = squares.clamp_min(1e-24).rsqrt().unbind(2)
            products = products * (query[..., :, None] * key[..., None, :])
        return products / self.beta


def as_matrix(attention: Tensor, heads: int, weight: Optional[Tensor] = None) -> Tensor:
    """The maps of all heads, and the 1x1 convolution after them, as one matrix over all channels.

    Args:
        attention: (B, heads, C/heads, C/heads).
        heads: their number, not read from a shape since the network's graph is traced for export.
        weight: of the convolution, (C', C, 1, 1).

    Returns:
        (B, C', C); (B, C, C) without `weight`.
    """
    if weight is None:
        if heads == 1:
            return attention[:, 0]
        weight = torch.eye(heads * attention.shape[2], dtype=attention.dtype, device=attention.device)
    by_head = weight.flatten(1).unflatten(1, (heads, -1)).transpose(0, 1)
    return (by_head @ attention).transpose(1, 2).flatten(2)


def over_windows(attend: Callable[[Tensor], Tensor], context: Tensor, window: Optional[int]) -> Tensor:
    """Attend within windows and average where they overlap (TLC as made for Restormer).

    The windows have equal size and are spread evenly, as few as cover the image.

    Args:
        attend: (B, C', h, w) -> (B, C, h, w).
        context: (B, C', H, W).
        window: height and width of a window; None, or no smaller than the image: one window, the image.

    Returns:
        (B, C, H, W).
    """
    height, width = context.shape[2:]
    if window is None or max(height, width) <= window:
        return attend(context)
    total, count = None, context.new_zeros(1, 1, height, width)
    for top in _starts(height, window):
        for left in _starts(width, window):
            place = (..., slice(top, top + window), slice(left, left + window))
            attended = attend(context[place])
            if total is None:
                total = attended.new_zeros(*attended.shape[:2], height, width)
            total[place] += attended
            count[place] += 1
    return total / count


def _starts(length: int, window: int) -> list[int]:
    steps = max(math.ceil(length / window) - 1, 0)
    return [round(index * (length - window) / steps) for index in range(steps + 1)] if steps else [0]


def head_channels(channels: int, heads: int) -> int:
    """Channels of one head.

    Raises:
        ValueError: if `channels` is not a multiple of `heads`.
    """
    if heads < 1 or channels % heads:
        raise ValueError(f'heads={heads} does not divide the {channels} channels of this level')
    return channels // heads
