"""Restore a large image tile by tile, in memory that does not grow with the image."""

from collections.abc import Callable, Iterator
from typing import Optional

import torch
from torch import Tensor


def restore_in_tiles(restore: Callable[[Tensor], Tensor], image: Tensor, *, size: int, overlap: int) -> Tensor:
    """Restore overlapping tiles and blend them.

    Args:
        restore: a network, (B, 3, h, w) -> (B, 3, h, w).
        image: (B, 3, H, W).
        size, overlap: see :func:`restored_bands`; an image that fits into a tile is restored whole.

    Returns:
        (B, 3, H, W).

    Raises:
        ValueError: no such tiling.
    """
    height, width = image.shape[2:]
    if max(height, width) <= size:
        _check(size, overlap)
        return restore(image)
    result = torch.empty_like(image)
    tile = lambda rows, columns: restore(image[..., rows, columns])  # noqa: E731
    for rows, band in restored_bands(tile, height, width, size=size, overlap=overlap):
        result[..., rows, :] = band
    return result


def restored_bands(
    restore: Callable[[slice, slice], Tensor], height: int, width: int, *, size: int, overlap: int
) -> Iterator[tuple[slice, Tensor]]:
    """Restore overlapping tiles and blend them, a band of finished rows at a time, from top to bottom.

    The weight of a tile falls off linearly over the overlap, so that no seam shows. Only the tiles of one
    row are held at a time.

    Args:
        restore: gives the restored tile at these rows and columns, (B, C, h, w).
        height, width: of the image.
        size: height and width of a tile.
        overlap: pixels that neighbouring tiles share at least, less than half of `size`.

    Yields:
        Rows, and what belongs there, (B, C, rows, W).

    Raises:
        ValueError: no such tiling.
    """
    _check(size, overlap)
    starts = _starts(height, size=size, overlap=overlap)
    carried: Optional[Tensor] = None  # weighted sums of rows that the next tiles also cover
    row_sums = _weight_sum(height, size=size, overlap=overlap)
    column_sums = _weight_sum(width, size=size, overlap=overlap)
    for start, end in zip(starts, [*starts[1:], height]):
        rows = slice(start, min(start + size, height))
        total: Optional[Tensor] = None
        for left in _starts(width, size=size, overlap=overlap):
            columns = slice(left, min(left + size, width))
            tile = restore(rows, columns)
            if total is None:
                total = tile.new_zeros(*tile.shape[:2], rows.stop - rows.start, width)
                if carried is not None:
                    total[..., : carried.shape[2], :] = carried
            weight = _ramp(tile.shape[2], overlap)[:, None] * _ramp(tile.shape[3], overlap)
            total[..., columns] += weight.to(tile) * tile
        assert total is not None  # there is a tile
        carried = total[..., end - start :, :].clone()
        # The tiles form a grid, so that their weights add up to a product.
        finished = total[..., : end - start, :].div_(row_sums[start:end, None].to(total))
        yield slice(start, end), finished.div_(column_sums.to(total))


def tile_count(height: int, width: int, *, size: int, overlap: int) -> int:
    """How many tiles an image is restored in."""
    return len(_starts(height, size=size, overlap=overlap)) * len(_starts(width, size=size, overlap=overlap))


def _check(size: int, overlap: int) -> None:
    if size < 1 or not 0 <= 2 * overlap < size:
        raise ValueError(f'tiles of {size} with an overlap of {overlap}: the overlap must be less than half the size')


def _starts(length: int, *, size: int, overlap: int) -> list[int]:
    """Where tiles begin: evenly spread, as few as overlap by at least `overlap`."""
    if length <= size:
        return [0]
    steps = -(-(length - size) // (size - overlap))
    return [index * (length - size) // steps for index in range(steps + 1)]


def _weight_sum(length: int, *, size: int, overlap: int) -> Tensor:
    """The sum of the tiles' weights at every position along one axis."""
    weight_sum = torch.zeros(length, dtype=torch.float64)
    for start in _starts(length, size=size, overlap=overlap):
        stop = min(start + size, length)
        weight_sum[start:stop] += _ramp(stop - start, overlap)
    return weight_sum


def _ramp(length: int, overlap: int) -> Tensor:
    """Rises over the first `overlap` entries, falls over the last, 1 between; never 0."""
    positions = torch.arange(1, length + 1, dtype=torch.float64)
    nearest = torch.minimum(positions, length + 1 - positions)
    return (nearest / (overlap + 1)).clamp(max=1)
