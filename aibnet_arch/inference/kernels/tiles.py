"""How kernels walk over maps (B, C, H, W), whatever their layout: some positions and channels at a time."""

from typing import Optional

import torch
import triton
import triton.language as tl
from torch import Tensor

NUMBERS = 4096  # of a map that a program of a kernel holds


@triton.jit
def offsets(image, position, channel, width, image_stride, channel_stride, row_stride, column_stride):
    """Where channels of positions (counted row by row) lie in memory, positions x channels; in 64 bits."""
    row, column = (position // width).to(tl.int64) * row_stride, (position % width).to(tl.int64) * column_stride
    first = image.to(tl.int64) * image_stride + row + column
    return first[:, None] + channel.to(tl.int64)[None, :] * channel_stride


@triton.jit
def here(channels, positions, at_once: tl.constexpr, padded: tl.constexpr):
    """Image, positions and channels of a program, which of them exist, and where they lie in `maps_like`'s maps."""
    image = tl.program_id(1)
    position = tl.program_id(0) * at_once + tl.arange(0, at_once)
    channel = tl.arange(0, padded)
    inside = (position < positions)[:, None] & (channel < channels)[None, :]
    there = (image.to(tl.int64) * positions + position)[:, None] * channels + channel[None, :]
    return image, position, channel, inside, there


def tile(channels: int) -> tuple[int, int]:
    """Positions and channels, powers of two, of the tile of a kernel that takes all channels of a position."""
    padded = triton.next_power_of_2(channels)
    return max(NUMBERS // padded, 1), padded


def maps_like(x: Tensor, channels: int, dtype: Optional[torch.dtype] = None) -> Tensor:
    """Empty maps (B, channels, H, W), channels last in memory, as all maps of the network are."""
    batch, _, height, width = x.shape
    return torch.empty(batch, height, width, channels, dtype=dtype or x.dtype, device=x.device).permute(0, 3, 1, 2)
