"""Attention over channels: sums over the positions of an image, and a C x C matrix back to them."""

from typing import Optional

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..channel_products import product

Sums = tuple[Tensor, Tensor, Tensor]


def position_sums(pairs: Tensor, *, heads: int, count: int = 1) -> Sums:
    """What the logits need of an image. Sums over parts of an image add up to those of the image.

    Args:
        pairs: Q1, K1, Q2, K2, ... side by side, (B, 2 count C, H, W).
        heads: of each.
        count: how many pairs.

    Returns:
        Q T(K), (B, count, heads, C/heads, C/heads), and the squared norms of the rows of Q and of K,
        (B, count, heads, C/heads).
    """
    rows = rearrange(pairs, 'b (pair qk head c) h w -> b pair qk head c (h w)', pair=count, qk=2, head=heads)
    # A product for each pair: batched over the pairs they would be copied together.
    products = [product(*rows[:, pair].unbind(1)) for pair in range(count)]
    squares = pairs.to(torch.promote_types(pairs.dtype, torch.float32)).square().sum(dim=(2, 3))
    squares = rearrange(squares, 'b (pair qk head c) -> qk b pair head c', pair=count, qk=2, head=heads)
    return torch.stack(products, dim=1), squares[0], squares[1]


def total_of(x: Tensor) -> Tensor:
    """Sum over all positions, in float32 at least: (B, C, H, W) -> (B, C, 1, 1)."""
    return x.sum(dim=(2, 3), keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))


def as_matrix(attention: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """The maps of all heads, and the 1x1 convolution after them, as one matrix over all channels.

    Args:
        attention: (B, heads, C/heads, C/heads).
        weight: of the convolution, (C', C, 1, 1).

    Returns:
        (B, C', C); (B, C, C) without `weight`.
    """
    heads = attention.shape[1]
    if weight is None:
        if heads == 1:
            return attention[:, 0]
        weight = torch.eye(heads * attention.shape[2], dtype=attention.dtype, device=attention.device)
    by_head = rearrange(weight.flatten(1), 'out (head c) -> head out c', head=heads)
    return rearrange(by_head @ attention, 'b head out c -> b out (head c)')


def mix_channels(x: Tensor, matrix: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """`matrix` times the channels of every pixel: (B, C, H, W), (B, C', C), (C',) -> (B, C', H, W).

    One product for each image; `x` with channels last is not copied.
    """
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    matrix = matrix.transpose(1, 2)
    mixed = torch.bmm(pixels, matrix) if bias is None else torch.baddbmm(bias, pixels, matrix)
    return mixed.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def project(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """:func:`mix_channels` where the matrix contains a 1x1 convolution: for one image it is just that."""
    if len(x) == 1:
        return F.conv2d(x, weight[0, :, :, None, None], bias)
    return mix_channels(x, weight, bias)
