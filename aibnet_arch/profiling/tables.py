"""What was measured of a network, as tables to read."""

from collections.abc import Iterable, Sequence
from typing import Any, Optional

import torch

from .measuring import Part

UNKNOWN = '?'


def device_name(device: torch.device) -> str:
    """The GPU's name, or how many threads the CPU runs."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def parts_table(parts: Iterable[Part]) -> str:
    """Of the parts of a network, the whole last."""
    head: tuple[str, ...] = ('part', 'parameters', 'trainable', 'conv GMACs', 'all GMACs', 'seconds', 'peak MB')
    head += ('x floor', 'GB moved', 'x roofline', 'limited by')
    rows = [
        (
            part.name,
            f'{part.parameters / 1e6:.2f} M',
            f'{part.trainable / 1e6:.2f} M',
            f'{part.conv_macs / 1e9:.2f}',
            f'{part.macs / 1e9:.2f}',
            f'{part.seconds:.3f}',
            _megabytes(part.peak_bytes),
            _times(part.seconds, part.floor_seconds),
            UNKNOWN if part.bytes_moved is None else f'{part.bytes_moved / 1e9:.2f}',
            _times(part.seconds, part.roofline_seconds),
            part.limit or UNKNOWN,
        )
        for part in parts
    ]
    return aligned([head, *rows])


def steps_table(costs: Sequence[dict[str, Any]]) -> str:
    """Of the training steps of :func:`.stage_costs`."""
    head = ('stage', 'trainable', 'seconds', 'x floor', 'peak MB', 'seconds / direct', 'peak / direct')
    direct = costs[-1]
    rows = [
        (
            str(cost['stage']),
            f'{cost["trainable"] / 1e6:.2f} M',
            f'{cost["seconds"]:.2f}',
            _times(cost['seconds'], cost.get('floor_seconds')),
            _megabytes(cost['peak_bytes']),
            f'{cost["seconds"] / direct["seconds"]:.2f}',
            f'{cost["peak_bytes"] / direct["peak_bytes"]:.2f}' if direct['peak_bytes'] else 'not measured',
        )
        for cost in costs
    ]
    return aligned([head, *rows])


def _times(seconds: float, floor: Optional[float]) -> str:
    return f'{seconds / floor:.2f}' if floor else UNKNOWN


def _megabytes(size: Optional[float]) -> str:
    return 'not measured' if size is None else f'{size / 1e6:,.0f}'


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Rows of a table, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = (
        '  '.join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    )
    return '\n'.join(lines)
