"""How far the parts of a network are from what the machine allows: in their table, and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..errors import UserError
from ..files import write_whole
from .measuring import Part, parts_of
from .operations import count_operations, roofline

LIMITS = (
    'x roofline: each operation at that rate, or reading and writing the maps at the {bandwidth:,.1f} GB/s of a large '
    'copy, whichever takes longer; what limits most of it'
)


def add_limits(
    parts: Sequence[Part],
    network: nn.Module,
    size: Sequence[int],
    *,
    rate: float,
    bandwidth: float,
    float32: bool = True,
) -> None:
    """Note floor and roofline in the parts of :func:`.measure`.

    Args:
        parts: of the network, 'rest' and 'total' last.
        network: what was measured.
        size: of its input, (B, 3, H, W).
        rate: MACs a second, see :func:`.matrix_rate`.
        bandwidth: bytes a second, see :func:`.copy_rate`.
        float32: whether its maps are; the traffic of others is not counted.
    """
    for part in parts:
        part.floor_seconds = part.macs / rate
    if not float32:
        return
    operations = count_operations(network, parts_of(network), size)
    for part in parts:
        found = roofline(operations[part.name], rate=rate, bandwidth=bandwidth)
        part.roofline_seconds, part.bytes_moved, part.limit = found.seconds, found.bytes_moved, found.limit


def check_picture(path: Path) -> None:
    """Whether a picture can be drawn, before the work starts.

    Raises:
        UserError: matplotlib is not there, or the name is not one of a PNG in a folder that exists.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError('--picture needs matplotlib: pip install matplotlib') from error
    if path.suffix != '.png' or not path.parent.is_dir():
        raise UserError(f'--picture: {path}: expected the name of a .png in a folder that exists')


def write_roofline(path: Path, results: Sequence[Mapping[str, Any]], *, device: str) -> None:
    """Draw each part: what it reached, against what it computes for a byte that it moves.

    Args:
        path: the picture, a PNG.
        results: for each network 'network', 'rate', 'bandwidth', 'parts' with their limits.

    Raises:
        RunError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout='constrained')
    axes = figure.add_subplot()
    for number, result in enumerate(results):
        for part in result['parts']:
            if part.macs and part.bytes_moved and part.seconds:
                whole = part.name == 'total'
                axes.plot(
                    2 * part.macs / part.bytes_moved,
                    2e-9 * part.macs / part.seconds,
                    f'C{number}{"*" if whole else "o"}',
                    markersize=12 if whole else 6,
                    label=f'{result["network"]}, {part.seconds:.3f} s' if whole else None,
                )
                where = (2 * part.macs / part.bytes_moved, 2e-9 * part.macs / part.seconds)
                axes.annotate(part.name, where, xytext=(5, 5), textcoords='offset points', fontsize='small')
    rate, bandwidth = results[0]['rate'], results[0]['bandwidth']
    intensity = np.logspace(-1, 3, 100)
    axes.plot(intensity, np.minimum(2e-9 * rate, 1e-9 * bandwidth * intensity), 'k-', label='roofline')
    axes.set(xscale='log', yscale='log', title=device)
    axes.set(xlabel='FLOP of a byte read or written', ylabel='GFLOP/s')
    axes.grid(alpha=0.3, which='both')
    axes.legend(loc='lower right', fontsize='small')
    write_whole(path, lambda file: FigureCanvasAgg(figure).print_png(file))
