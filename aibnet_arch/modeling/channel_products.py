"""The matrix products of attention over channels, Q T(K) and att V, with channels last in memory.

All maps of the network lie channels last: (B, heads, C, L) is then a view in which the C channels of a position are
neighbours. torch's own products give results and gradients in which the L positions are, to be copied together for
the convolutions before and after them. Here both come in the layout of the maps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def T(matrix: Tensor) -> Tensor:  # noqa: N802 the paper's name
    """The transpose."""
    return matrix.transpose(-2, -1)


class _Products(torch.autograd.Function):
    """:func:`products`, with the gradients of Q and K made in one place, each in one map."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(query, key)
        return _products(query, key)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, product: Tensor, query_squares: Tensor, key_squares: Tensor) -> tuple[Tensor, Tensor]:
        query, key = ctx.saved_tensors
        product = product.to(query.dtype)
        of_query, of_key = T(T(key) @ T(product)), T(T(query) @ product)
        of_query.addcmul_(query, query_squares.to(query.dtype)[..., None], value=2)
        of_key.addcmul_(key, key_squares.to(key.dtype)[..., None], value=2)
        return of_query, of_key


def _products(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    wide = torch.promote_types(query.dtype, torch.float32)
    return product(query, key), query.to(wide).square().sum(dim=-1), key.to(wide).square().sum(dim=-1)


def product(query: Tensor, key: Tensor) -> Tensor:
    """Q T(K): (B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
    if query.dtype != torch.float16:
        return query @ T(key)
    # The sum over all positions may leave the range of half precision.
    return 2**16 * ((query / 2**8) @ T(key / 2**8)).float()


def products(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q T(K) and the squared norms of the rows of Q and of K.

    (B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C), (B, heads, C), (B, heads, C).
    """
    # No ONNX graph can hold a gradient.
    return (_products if torch.jit.is_tracing() else _Products.apply)(query, key)


def weighted_sum(attention: Tensor, value: Tensor) -> Tensor:
    """att V: (B, heads, C, C), (B, heads, C, L) -> (B, heads, C, L)."""
    return T(T(value) @ T(attention))
