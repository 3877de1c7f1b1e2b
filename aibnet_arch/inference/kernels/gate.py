"""SG, NAFNet's simple gate, and the bias of the convolution before it in one pass."""

from typing import Optional

import torch
import triton
import triton.language as tl
from torch import Tensor

from .requirements import check
from .tiles import here, maps_like, offsets, tile


@triton.jit
def _kernel(
    source, bias, result, channels, width, positions,
    image_stride, channel_stride, row_stride, column_stride,
    at_once: tl.constexpr, padded: tl.constexpr, has_bias: tl.constexpr,
):  # fmt: skip
    image, position, channel, inside, there = here(channels, positions, at_once, padded)
    place = offsets(image, position, channel, width, image_stride, channel_stride, row_stride, column_stride)
    first = tl.load(source + place, inside, other=0).to(tl.float32)
    place = offsets(image, position, channel + channels, width, image_stride, channel_stride, row_stride, column_stride)
    second = tl.load(source + place, inside, other=0).to(tl.float32)
    if has_bias:
        first += tl.load(bias + channel, channel < channels, other=0).to(tl.float32)[None, :]
        second += tl.load(bias + channels + channel, channel < channels, other=0).to(tl.float32)[None, :]
    tl.store(result + there, first * second, inside)


def gate(x: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Product of the two halves of the channels, after the bias.

    Args:
        x: (B, 2C, H, W).
        bias: (2C,), or None.

    Returns:
        (B, C, H, W) of the type of `x`.

    Raises:
        RuntimeError, TypeError: see :func:`.requirements.check`.
    """
    check(x, bias)
    batch, doubled, height, width = x.shape
    channels = doubled // 2
    result = maps_like(x, channels)
    at_once, padded = tile(channels)
    with torch.cuda.device_of(x):  # triton launches on the current one
        _kernel[triton.cdiv(height * width, at_once), batch](
            x, x if bias is None else bias, result, channels, width, height * width, *x.stride(),
            at_once=at_once, padded=padded, has_bias=bias is not None,
        )  # fmt: skip
    return result
