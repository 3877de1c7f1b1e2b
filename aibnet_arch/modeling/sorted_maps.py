"""sum_i lambda_i M_i of Eq. (5) and (6) without making the n_m maps M_i.

In the order of its logits, a row of every map is the same powers exp(q k), cut off after the floor(C i / (i + 1))
largest and divided by their sum. So a row is sorted once; between two cuts the weights of all maps add up to one
factor, and the sums to all cuts are running ones.
"""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def sum_of_maps(logits: Tensor, lambdas: Tensor, *, kept: Sequence[int], masked_to_zero: bool) -> Tensor:
    """What :class:`.MaskedAttention` gives by its equations, (B, heads, C, C).

    Args:
        logits: (B, heads, C, C).
        lambdas: (n_m,).
        kept: how many logits of a row each mask keeps, rising.
        masked_to_zero: the others are 0 before the softmax instead of dropped.
    """
    total: Tensor = _SumOfMaps.apply(logits, lambdas, tuple(kept), masked_to_zero)
    return total


class _SumOfMaps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, lambdas: Tensor, kept: tuple[int, ...], masked_to_zero: bool) -> Tensor:
        ordered, order = logits.sort(dim=-1, descending=True)
        ordered = ordered.to(torch.promote_types(logits.dtype, torch.float32))
        highest = ordered[..., :1]
        highest = highest.clamp_min(0) if masked_to_zero else highest
        powers = (ordered - highest).exp_()
        sums = _to_each_cut(powers, kept)
        masked: Optional[Tensor] = None
        if masked_to_zero:
            masked = (-highest).exp_()  # the power of each logit that is 0
            sums = sums + masked * (logits.shape[-1] - torch.tensor(kept, device=logits.device))
        factors = lambdas / sums  # a kept power's weight in lambda_i M_i
        total = powers * _spread(_from_each_cut(factors), kept, logits.shape[-1])
        if masked is not None:
            before = torch.cat([torch.zeros_like(masked), factors.cumsum(dim=-1)], dim=-1)
            total += masked * _repeated(before, kept, logits.shape[-1])
        ctx.kept = kept
        ctx.save_for_backward(powers, order, lambdas, sums, *([] if masked is None else [masked]))
        return torch.empty_like(total).scatter_(-1, order, total).to(logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], ...]:
        powers, order, lambdas, sums, *masked = ctx.saved_tensors
        kept, size = ctx.kept, order.shape[-1]
        ordered = gradient.to(powers.dtype).gather(-1, order)
        products = powers * ordered
        means = _to_each_cut(products, kept)  # of the gradient, with M_i's weights
        for power in masked:
            means = means + power * (ordered.sum(dim=-1, keepdim=True) - _to_each_cut(ordered, kept))
        means = means / sums
        factors = lambdas / sums
        # Of the softmax M_i: M_i (gradient - its mean).
        result = products.mul_(_spread(_from_each_cut(factors), kept, size))
        result.addcmul_(powers, _spread(_from_each_cut(factors * means), kept, size), value=-1)
        of_lambdas = means.sum(dim=tuple(range(means.dim() - 1))).to(lambdas.dtype)
        return torch.empty_like(result).scatter_(-1, order, result).to(gradient.dtype), of_lambdas, None, None


def _to_each_cut(x: Tensor, kept: Sequence[int]) -> Tensor:
    """Sums over the first entries of each row up to each cut: (..., C) -> (..., n_m)."""
    parts = [x[..., first:last].sum(dim=-1) for first, last in zip((0, *kept), kept)]
    return torch.stack(parts, dim=-1).cumsum(dim=-1)


def _from_each_cut(x: Tensor) -> Tensor:
    """Sums over the maps that keep what lies before each cut: (..., n_m) -> (..., n_m)."""
    return x.flip(-1).cumsum(dim=-1).flip(-1)


def _spread(x: Tensor, kept: Sequence[int], size: int) -> Tensor:
    """A value for what lies before each cut, and nothing after the last: (..., n_m) -> (..., C)."""
    return _repeated(torch.cat([x, torch.zeros_like(x[..., :1])], dim=-1), kept, size)


def _repeated(x: Tensor, kept: Sequence[int], size: int) -> Tensor:
    """(..., n_m + 1) -> (..., C)."""
    lengths = [last - first for first, last in zip((0, *kept), (*kept, size))]
    return torch.cat([x[..., i, None].expand(*x.shape[:-1], length) for i, length in enumerate(lengths)], dim=-1)
