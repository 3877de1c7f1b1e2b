"""LN and the 1x1 convolution after it in one pass: what is normed is never written."""

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from .requirements import check
from .tiles import maps_like, offsets

SIDE = 64  # positions, outputs and channels at a time, at most


@triton.jit
def _kernel(
    source, scale, shift, weight, bias, result, channels, outputs, width, positions, eps,
    image_stride, channel_stride, row_stride, column_stride,
    at_once: tl.constexpr, side: tl.constexpr, step: tl.constexpr, has_bias: tl.constexpr, tensor_cores: tl.constexpr,
):  # fmt: skip
    image, tiles = tl.program_id(1), tl.cdiv(outputs, side)  # neighbours take the same positions, which are cached
    position = tl.program_id(0) // tiles * at_once + tl.arange(0, at_once)
    output = tl.program_id(0) % tiles * side + tl.arange(0, side)
    # Each position around the mean of its first channels, which differs from that of all by at most
    # sqrt(channels / step) deviations: little is cancelled when the rest is taken off at the end.
    around, total, squares = (tl.zeros((at_once,), tl.float32),) * 3
    product = tl.zeros((at_once, side), tl.float32)
    of_scale, of_shift = tl.zeros((side,), tl.float32), tl.zeros((side,), tl.float32)
    for start in range(0, channels, step):
        channel = start + tl.arange(0, step)
        inside = (position < positions)[:, None] & (channel < channels)[None, :]
        place = offsets(image, position, channel, width, image_stride, channel_stride, row_stride, column_stride)
        x = tl.load(source + place, inside, other=0).to(tl.float32)
        if start == 0:
            around = tl.sum(x, axis=1) / tl.minimum(channels, step)
        x = tl.where(inside, x - around[:, None], 0)
        total += tl.sum(x, axis=1)
        squares += tl.sum(x * x, axis=1)
        place = channel[:, None] + output[None, :] * channels
        w = tl.load(weight + place, (channel < channels)[:, None] & (output < outputs)[None, :], other=0).to(tl.float32)
        of_shift += tl.sum(w * tl.load(shift + channel, channel < channels, other=0).to(tl.float32)[:, None], axis=0)
        w *= tl.load(scale + channel, channel < channels, other=0).to(tl.float32)[:, None]
        of_scale += tl.sum(w, axis=0)
        product = tl.dot(x, w, product, allow_tf32=tensor_cores)  # of float32: see position_sums.py
    if has_bias:
        of_shift += tl.load(bias + output, output < outputs, other=0).to(tl.float32)
    rest = total / channels
    deviation = tl.sqrt(tl.maximum(squares / channels - rest * rest, 0) + eps)
    product = (product - rest[:, None] * of_scale[None, :]) / deviation[:, None] + of_shift[None, :]
    there = (image.to(tl.int64) * positions + position)[:, None] * outputs + output[None, :]
    tl.store(result + there, product, (position < positions)[:, None] & (output < outputs)[None, :])


def norm_conv(x: Tensor, scale: Tensor, shift: Tensor, convolution: nn.Conv2d, *, eps: float) -> Tensor:
    """Normalise each position over its channels, and convolve.

    Products of float32 run as TF32 where torch.backends.cudnn.allow_tf32 lets torch's own convolutions.

    Args:
        x: (B, C, H, W).
        scale, shift: of the norm, (C,).
        convolution: 1x1, C to C'.
        eps: added to the variance.

    Returns:
        (B, C', H, W) of autocast's type, or without autocast of that of `x`.

    Raises:
        RuntimeError, TypeError: see :func:`.requirements.check`.
    """
    weight, bias = convolution.weight.flatten(1).contiguous(), convolution.bias
    check(x, scale, shift, weight, bias)
    batch, channels, height, width = x.shape
    outputs = len(weight)
    dtype = (x.new_empty(0, 1) @ x.new_empty(1, 0)).dtype  # torch knows whether there is autocast
    result = maps_like(x, outputs, dtype)
    at_once, side, step = (
        min(max(triton.next_power_of_2(count), 16), SIDE) for count in (height * width, outputs, channels)
    )
    tensor_cores = dtype != torch.float32 or torch.backends.cudnn.allow_tf32
    with torch.cuda.device_of(x):  # triton launches on the current one
        _kernel[triton.cdiv(height * width, at_once) * triton.cdiv(outputs, side), batch](
            x, scale, shift, weight, weight if bias is None else bias, result, channels, outputs, width, height * width,
            eps, *x.stride(), at_once=at_once, side=side, step=step, has_bias=bias is not None,
            tensor_cores=tensor_cores, num_warps=8,
        )  # fmt: skip
    return result
