"""Matrices over channels that differ from image to image: how attention over channels reaches every pixel."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) with the channels of a pixel side by side in memory, the layout of all maps in this network."""
    return x.contiguous(memory_format=torch.channels_last)


def mix_channels(x: Tensor, matrix: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """`matrix` times the channels of every pixel: (B, C, H, W), (B, C', C), (C',) -> (B, C', H, W).

    One product for each image; `x` in the layout of :func:`channels_last` is not copied.
    """
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    matrix = matrix.transpose(1, 2)
    mixed = torch.bmm(pixels, matrix) if bias is None else torch.baddbmm(bias, pixels, matrix)
    return mixed.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def project(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """:func:`mix_channels` where the matrix contains a 1x1 convolution: for one image it is just that.

    Not in a traced graph: in ONNX the weights of a convolution are constants.
    """
    if not torch.jit.is_tracing() and len(x) == 1:
        return F.conv2d(x, weight[0, :, :, None, None], bias)
    return mix_channels(x, weight, bias)
