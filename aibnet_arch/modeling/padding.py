"""Reflect padding that also works for images smaller than the padding."""

import torch
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad the bottom and the right by reflection up to the next multiple of `multiple`.

    Equals ``F.pad(..., mode='reflect')`` where that is defined; smaller images are reflected again
    and again (a single row or column is repeated).

    Args:
        x: (B, C, H, W), H and W from 1 up.
        multiple: positive whole number.

    Returns:
        (B, C, H', W') with H' and W' multiples of `multiple`; `x` itself if it already fits.
    """
    for dim in (2, 3):
        size = x.shape[dim]
        missing = -size % multiple
        if torch.jit.is_tracing() or missing:  # a traced graph pads whatever size it will meet
            x = x.index_select(dim, _reflected_positions(size, size + missing, x.device))
    return x


def _reflected_positions(size: int, padded: int, device: torch.device) -> Tensor:
    """Positions 0, 1, ..., size-1, size-2, ..., 1, 0, 1, ... of a triangle wave, `padded` of them."""
    period = 2 * (size - 1) + (size == 1)  # a single position is repeated
    positions = torch.arange(padded, device=device) % period
    return torch.minimum(positions, period - positions)
