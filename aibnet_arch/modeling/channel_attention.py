"""Attention between channels: the C x C logits that SFEM (Eq. 2) and HFSBlock (Eq. 5) share."""

import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor, nn


class ChannelLogits(nn.Module):
    """Q T(K) / beta for every head, beta learned and starting at sqrt(C) (Section 3.2.1).

    With `normalize`, the rows of Q and K are L2-normalised along the positions (as in Restormer and
    DRSformer), so that the logits do not grow with the size of the image. The product is divided by
    the norms instead of normalising Q and K themselves: the same value without two large copies.

    Args:
        heads: number of attention heads.
        head_channels: channels of one head, C of the equations.
        normalize: False reads Eq. (2) literally.
    """

    def __init__(self, *, heads: int, head_channels: int, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize
        self.beta = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(head_channels)))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
        logits = query @ key.transpose(-2, -1)
        if self.normalize:
            # 1e-12 is torch.nn.functional.normalize's guard against an all-zero row.
            query_norm = torch.linalg.vector_norm(query, dim=-1).clamp_min(1e-12)
            key_norm = torch.linalg.vector_norm(key, dim=-1).clamp_min(1e-12)
            logits = logits / (query_norm[..., :, None] * key_norm[..., None, :])
        return logits / self.beta


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
