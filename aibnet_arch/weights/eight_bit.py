"""Weights in 8 bits, for a file of half the size: the rows of a matrix as whole numbers, each row with its own scale.

In the file a matrix `x` is `x`, int8 of its shape, and `x.int8_scale`, float32 (rows,): row i is scale_i times the
numbers. The rows are the output channels, as usual where weights alone are rounded (PyTorch's "per channel" scheme
without a zero point). Everything else stays as it was. Nothing computes in 8 bits: whoever reads the file gets float32.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError

SCALE = '.int8_scale'
MOST = 127  # of the numbers' size: as far down as up
LEAST_NUMBERS = 16_000  # a smaller matrix saves little, and a filter of few numbers feels each


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with its large matrices in 8 bits.

    Args:
        state: of finite numbers.
    """
    stored: dict[str, Tensor] = {}
    for key, value in state.items():
        if value.is_floating_point() and value.dim() > 1 and value.numel() >= LEAST_NUMBERS:
            stored[key], stored[key + SCALE] = _rounded_rows(value)
        else:
            stored[key] = value
    return stored


def restored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with float32 where 8 bits and their scales were; one without them comes back as it is.

    Raises:
        CheckpointError: scales do not fit their matrix.
    """
    in_8_bits = (key for key, value in state.items() if isinstance(value, Tensor) and value.dtype == torch.int8)
    scales = {key + SCALE for key in in_8_bits} & set(state)
    return {
        key: _restored_rows(key, value, state[key + SCALE]) if key + SCALE in scales else value
        for key, value in state.items()
        if key not in scales
    }


def _rounded_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """int8 of the matrix's shape, and float32 (rows,)."""
    rows = matrix.detach().float().flatten(1)
    scale = rows.abs().amax(1) / MOST
    scale = torch.where(scale > 0, scale, 1.0)  # of a row of zeros any will do
    return (rows / scale[:, None]).round().to(torch.int8).view_as(matrix), scale


def _restored_rows(key: str, matrix: Tensor, scale: Tensor) -> Tensor:
    is_scale = isinstance(scale, Tensor) and scale.is_floating_point()
    if not is_scale or matrix.dim() < 2 or scale.shape != matrix.shape[:1]:
        raise CheckpointError(f'{key}{SCALE} does not fit {tuple(matrix.shape)}: expected a scale for each row')
    return (matrix.flatten(1).float() * scale.float()[:, None]).view(matrix.shape)
