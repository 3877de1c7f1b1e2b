"""Curves of a study: what validations found against iterations and against seconds of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import write_csv
from .results import Result
from .table import figures_of

AXES = {'iterations': 'iterations', 'seconds': 'seconds of training'}
STYLES = ('-', '--', ':', '-.')  # the next ten curves have the same colours again


def require_matplotlib() -> None:
    """Raise UserError if it is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("the study's plots need matplotlib: pip install matplotlib") from error


def curve_rows(group: Sequence[Result], dataset: str, metric: str) -> list[dict[str, object]]:
    """Means over the runs of an entry at each validation, and the deviation (0 for one run)."""
    curves = np.array([result.curve(dataset, metric) for result in group])  # runs x validations x 3
    mean = curves.mean(axis=0)
    deviation = curves[..., 2].std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(mean))
    return [
        {'iterations': int(point[0]), 'seconds': point[1], 'runs': len(curves), 'mean': point[2], 'deviation': spread}
        for point, spread in zip(mean.tolist(), deviation.tolist())
    ]


def _plain(label: str) -> str:
    """The text as it is: `$` begins no formula, and a name with `_` in front is not left out."""
    label = label.replace('$', r'\$')
    return f' {label}' if label.startswith('_') else label


def write_plots(folder: Path, results: Mapping[str, Sequence[Result]]) -> list[Path]:
    """For each figure one CSV of the curves, and a PNG against iterations and one against time.

    Returns:
        The pictures.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures = []
    for dataset, metric in figures_of(results):
        curves = {name: curve_rows(group, dataset, metric) for name, group in results.items()}
        base = folder / f'{dataset}_{metric}'.replace('/', '_')
        points = [{'name': name, **row} for name, rows in curves.items() for row in rows]
        write_csv(base.with_name(f'{base.name}.csv'), points)
        for axis, label in AXES.items():
            figure = Figure(figsize=(9, 5.5), layout='constrained')
            axes = figure.add_subplot()
            for number, (name, rows) in enumerate(curves.items()):
                x, mean, spread = (np.array([row[key] for row in rows]) for key in (axis, 'mean', 'deviation'))
                line = axes.plot(
                    x,
                    mean,
                    f'C{number % 10}',
                    marker='.',
                    linestyle=STYLES[number // 10 % len(STYLES)],
                    label=_plain(f'{name} ({rows[0]["runs"]})'),
                )[0]
                axes.fill_between(x, mean - spread, mean + spread, alpha=0.15, color=line.get_color(), linewidth=0)
            axes.set(xlabel=label, ylabel=_plain(f'{metric} on {dataset}'))
            axes.grid(alpha=0.3)
            figure.legend(loc='outside right upper', fontsize='small', title='runs in brackets')
            pictures.append(base.with_name(f'{base.name}_{axis}.png'))
            FigureCanvasAgg(figure).print_png(str(pictures[-1]))
    return pictures
