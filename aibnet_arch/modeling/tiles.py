"""Restore a large image tile by tile, in memory that does not grow with the image."""

from collections.abc import Callable

import torch
from torch import Tensor


def restore_in_tiles(restore: Callable[[Tensor], Tensor], image: Tensor, *, size: int, overlap: int) -> Tensor:
    """Restore overlapping tiles and blend them.

    The weight of a tile falls off linearly over the overlap, so that no seam shows.

    Args:
        restore: a network, (B, 3, h, w) -> (B, 3, h, w).
        image: (B, 3, H, W).
        size: height and width of a tile; an image that fits is restored whole.
        overlap: pixels that neighbouring tiles share at least, less than half of `size`.

    Returns:
        (B, 3, H, W).

    Raises:
        ValueError: no such tiling.
    """
    if size < 1 or not 0 <= 2 * overlap < size:
        raise ValueError(f'tiles of {size} with an overlap of {overlap}: the overlap must be less than half the size')
    height, width = image.shape[2:]
    if max(height, width) <= size:
        return restore(image)
    rows, row_sum = _bands(height, size=size, overlap=overlap, like=image)
    columns, column_sum = _bands(width, size=size, overlap=overlap, like=image)
    total = torch.zeros_like(image)
    for row, row_weight in rows:
        for column, column_weight in columns:
            place = (..., row, column)
            total[place] += row_weight[:, None] * column_weight * restore(image[place])
    # The tiles form a grid, so that their weights add up to a product; in place, since pictures are large here.
    return total.div_(row_sum[:, None]).div_(column_sum)


def _bands(length: int, *, size: int, overlap: int, like: Tensor) -> tuple[list[tuple[slice, Tensor]], Tensor]:
    """Places and weights of the tiles along one axis, and the sum of the weights at every position."""
    bands, weight_sum = [], like.new_zeros(length)
    for start in _starts(length, size=size, overlap=overlap):
        band = slice(start, min(start + size, length))
        weight = _ramp(band.stop - band.start, overlap, like)
        weight_sum[band] += weight
        bands.append((band, weight))
    return bands, weight_sum


def _starts(length: int, *, size: int, overlap: int) -> list[int]:
    """Where tiles begin: evenly spread, as few as overlap by at least `overlap`."""
    if length <= size:
        return [0]
    steps = -(-(length - size) // (size - overlap))
    return [index * (length - size) // steps for index in range(steps + 1)]


def _ramp(length: int, overlap: int, like: Tensor) -> Tensor:
    """Rises over the first `overlap` entries, falls over the last, 1 between; never 0."""
    positions = torch.arange(1, length + 1, device=like.device, dtype=like.dtype)
    nearest = torch.minimum(positions, length + 1 - positions)
    return (nearest / (overlap + 1)).clamp(max=1)
