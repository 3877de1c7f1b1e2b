"""What attention over channels needs of an image: sums over its positions, and a C x C matrix back to them."""

from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class PositionSums(torch.autograd.Function):
    """Q T(K) and the squared norms of the rows of Q and K, for pairs of Q and K side by side.

    ``PositionSums.apply(pairs, count, heads)`` takes `pairs`, (B, 2 count C, H, W), with the channels of
    Q1, K1, Q2, K2, ... and returns the products, (B, count, heads, C/heads, C/heads), and the squares,
    (B, count, 2, heads, C/heads). Sums over parts of an image add up to those of the image.

    As a function with its own gradient, since autograd would make the gradient of every part in another layout
    of memory, to be copied together afterwards.
    """

    @staticmethod
    def forward(ctx: Any, pairs: Tensor, count: int, heads: int) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(pairs)
        ctx.count, ctx.heads = count, heads
        return _sums(pairs, count, heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, products: Tensor, squares: Tensor) -> tuple[Optional[Tensor], ...]:
        (pairs,) = ctx.saved_tensors
        rows = _rows(pairs, ctx.count, ctx.heads)
        gradient = torch.empty_like(rows, memory_format=torch.contiguous_format)
        for pair in range(ctx.count):
            query, key = rows[:, :, pair].transpose(1, 3).unbind(2)
            product = products[:, pair].to(rows.dtype)
            query_gradient, key_gradient = gradient[:, :, pair].transpose(1, 3).unbind(2)
            query_gradient.copy_(key @ product.transpose(-2, -1))
            key_gradient.copy_(query @ product)
        gradient.addcmul_(rows, squares.to(rows.dtype)[:, None], value=2)
        return gradient.flatten(2).unflatten(1, pairs.shape[2:]).permute(0, 3, 1, 2), None, None


def position_sums(pairs: Tensor, count: int, heads: int) -> tuple[Tensor, Tensor]:
    """What :class:`PositionSums` computes; in a traced graph without its gradient, which no ONNX graph can hold."""
    return (_sums if torch.jit.is_tracing() else PositionSums.apply)(pairs, count, heads)


def _sums(pairs: Tensor, count: int, heads: int) -> tuple[Tensor, Tensor]:
    rows = _rows(pairs, count, heads)
    products = [_product(*rows[:, :, pair].transpose(1, 3).unbind(2)) for pair in range(count)]
    squares = rows.to(torch.promote_types(rows.dtype, torch.float32)).square().sum(dim=1)
    return torch.stack(products, dim=1), squares


def _rows(pairs: Tensor, count: int, heads: int) -> Tensor:
    """(B, 2 count C, H, W) -> (B, H W, count, 2, heads, C/heads), a view of a map with channels last."""
    return pairs.permute(0, 2, 3, 1).flatten(1, 2).unflatten(2, (count, 2, heads, -1))


def _product(query: Tensor, key: Tensor) -> Tensor:
    """(B, heads, L, C), (B, heads, L, C) -> (B, heads, C, C)."""
    if query.dtype != torch.float16:
        return query.transpose(-2, -1) @ key
    # The sum over all positions may leave the range of half precision.
    return 2**16 * ((query / 2**8).transpose(-2, -1) @ (key / 2**8)).float()
