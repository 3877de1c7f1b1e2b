"""LN: mean, deviation, weight and bias of the channels of a position in one pass."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .requirements import check
from .tiles import here, maps_like, offsets, tile


@triton.jit
def _kernel(
    source, weight, bias, result, channels, width, positions, eps,
    image_stride, channel_stride, row_stride, column_stride,
    at_once: tl.constexpr, padded: tl.constexpr,
):  # fmt: skip
    image, position, channel, inside, there = here(channels, positions, at_once, padded)
    place = offsets(image, position, channel, width, image_stride, channel_stride, row_stride, column_stride)
    x = tl.load(source + place, inside, other=0).to(tl.float32)
    mean = tl.sum(x, axis=1) / channels
    centred = tl.where(inside, x - mean[:, None], 0)
    deviation = tl.sqrt(tl.sum(centred * centred, axis=1) / channels + eps)
    scale = tl.load(weight + channel, channel < channels, other=0).to(tl.float32)
    shift = tl.load(bias + channel, channel < channels, other=0).to(tl.float32)
    normed = centred / deviation[:, None] * scale[None, :] + shift[None, :]
    tl.store(result + there, normed, inside)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, *, eps: float) -> Tensor:
    """Normalise each position over its channels.

    Args:
        x: (B, C, H, W).
        weight, bias: (C,).
        eps: added to the variance.

    Returns:
        (B, C, H, W) of the type of `x`.

    Raises:
        RuntimeError, TypeError: see :func:`.requirements.check`.
    """
    check(x, weight, bias)
    batch, channels, height, width = x.shape
    result = maps_like(x, channels)
    at_once, padded = tile(channels)
    with torch.cuda.device_of(x):  # triton launches on the current one
        _kernel[triton.cdiv(height * width, at_once), batch](
            x, weight, bias, result, channels, width, height * width, eps, *x.stride(), at_once=at_once, padded=padded
        )
    return result
