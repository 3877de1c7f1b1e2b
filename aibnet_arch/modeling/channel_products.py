"""The two matrix products of attention over channels, Q T(K) and att V, with channels last in memory.

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


class _Product(torch.autograd.Function):
    """Q T(K) of :func:`product`."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor) -> Tensor:
        ctx.save_for_backward(query, key)
        return _product(query, key)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        query, key = ctx.saved_tensors
        gradient = gradient.to(query.dtype)
        return T(T(key) @ T(gradient)), T(T(query) @ gradient)


def _product(query: Tensor, key: Tensor) -> Tensor:
    if query.dtype != torch.float16:
        return query @ T(key)
    # The sum over all positions may leave the range of half precision.
    return 2**16 * ((query / 2**8) @ T(key / 2**8)).float()


def product(query: Tensor, key: Tensor) -> Tensor:
    """Q T(K): (B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
    # No ONNX graph can hold a gradient.
    return (_product if torch.jit.is_tracing() else _Product.apply)(query, key)


def weighted_sum(attention: Tensor, value: Tensor) -> Tensor:
    """att V: (B, heads, C, C), (B, heads, C, L) -> (B, heads, C, L)."""
    return T(T(value) @ T(attention))
