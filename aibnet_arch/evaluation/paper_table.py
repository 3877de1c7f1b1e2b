"""One table for a paper: networks by datasets and metrics, the best marked; of tests, of a study, of published rows."""

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..messages import did_you_mean, some
from ..page import usual_better
from .result_files import Summary, read_summaries

BEST, SECOND = 'best', 'second'
_TITLES = {
    'calculate_psnr': 'PSNR',
    'calculate_psnr_aligned': 'PSNR',
    'calculate_ssim_3d': 'SSIM',
    'calculate_ssim_aligned': 'SSIM',
    'calculate_ssim': 'SSIM, 2-D',
    'calculate_ssim_2d': 'SSIM, 2-D',
    'calculate_lpips': 'LPIPS',
    'calculate_dists': 'DISTS',
    'calculate_niqe': 'NIQE',
    'parameters': 'parameters (M)',
    'conv_macs': 'GMACs, convolutions',
    'macs': 'GMACs',
    'seconds': 'seconds',
    'seconds_paper': 'Time (s), paper',
    'macs_paper': 'MACs (G), paper',
}
_COSTS = ('parameters', 'conv_macs', 'macs', 'seconds', 'seconds_paper', 'macs_paper')
_LARGE = 10  # from there on two digits are enough


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        dataset: '' for what a network costs.
        metric: its type, such as calculate_psnr, where it is known, else its name.
    """

    dataset: str
    metric: str

    @property
    def title(self) -> str:
        """As papers write it, e.g. 'SSIM, 2-D'; the metric's name where none is known."""
        return _TITLES.get(self.metric, self.metric)

    @property
    def lower_is_better(self) -> bool:
        """Of costs always, else as the metric is usually read."""
        return self.metric in _COSTS or usual_better(self.metric) == 'lower'

    @property
    def arrow(self) -> str:
        """Where better values are: '↓' or '↑'."""
        return '↓' if self.lower_is_better else '↑'


@dataclass
class Cell:
    """Figures of one network in one column, one for each seed.

    Attributes:
        gains: to the input, above 0 is better; none if it was not measured.
        digits: after the point, as it was published; None for measured ones.
    """

    values: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    digits: Optional[int] = None

    @property
    def mean(self) -> float:
        """Over the seeds, of the result."""
        return statistics.fmean(self.values)

    @property
    def gain(self) -> Optional[float]:
        """Over the seeds, of the gain to the input; None if that was not measured."""
        return statistics.fmean(self.gains) if self.gains else None

    @property
    def deviation(self) -> Optional[float]:
        """Of one seed (n - 1 in the denominator); None for less than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass
class Row:
    """One network.

    Attributes:
        cells: by column; a network need not have all of them.
        published: numbers of the paper, not measured here.
        is_input: the blurred pictures themselves, which take no part in the ranking.
    """

    name: str
    cells: dict[Column, Cell] = field(default_factory=dict)
    published: bool = False
    is_input: bool = False


@dataclass
class PaperTable:
    """Rows in their order; columns in the order in which rows have them, those of one dataset together, costs last."""

    rows: list[Row]

    @property
    def columns(self) -> list[Column]:
        """Of all rows: by dataset, in the order in which they first occur, what a network costs last."""
        found = list(dict.fromkeys(column for row in self.rows for column in row.cells))
        datasets = list(dict.fromkeys(column.dataset for column in found))
        return sorted(found, key=lambda column: (column.dataset == '', datasets.index(column.dataset)))

    def digits(self, column: Column) -> int:
        """After the point: those of the published figures if there are any, so that equal rounding decides."""
        cells = [row.cells[column] for row in self.rows if column in row.cells]
        published = [cell.digits for cell in cells if cell.digits is not None]
        if published:
            return max(published)
        if column.metric in _COSTS:
            return 3
        return 2 if max(abs(cell.mean) for cell in cells) >= _LARGE else 4

    def marks(self) -> dict[tuple[int, Column], str]:
        """Number of the row and column to 'best' or 'second'. What is equal as printed shares a mark, as in papers."""
        found: dict[tuple[int, Column], str] = {}
        for column in self.columns:
            digits = self.digits(column)
            shown = {
                number: round(row.cells[column].mean, digits)
                for number, row in enumerate(self.rows)
                if column in row.cells and not row.is_input and math.isfinite(row.cells[column].mean)
            }
            places = sorted(set(shown.values()), reverse=not column.lower_is_better)
            if len(shown) < 2:
                continue
            for number, value in shown.items():
                if value in places[:2]:
                    found[number, column] = (BEST, SECOND)[places.index(value)]
        return found

    def text(self, row: Row, column: Column, *, gains: bool) -> str:
        """A cell as it is printed, without its mark: mean, ± deviation over seeds, (gain)."""
        cell = row.cells.get(column)
        if cell is None:
            return '-'
        digits = self.digits(column)
        text = f'{cell.mean:.{digits}f}'
        if cell.deviation is not None:
            text += f' ± {cell.deviation:.{digits}f}'
        if gains and cell.gain is not None:
            text += f' ({cell.gain:+.{digits}f})'
        return text


def rows_of_tests(
    tests: Iterable[tuple[Optional[str], Path]], *, metrics: Optional[Sequence[str]] = None, costs: bool = False
) -> list[Row]:
    """The rows of folders of tests, the blurred input first.

    Args:
        tests: name of the row and folder, ``results/NAME``. Without a name the folder's, less an end such as
            ``_seed1``. Folders of one name are seeds of one network.
        metrics: names or types; None: all.
        costs: also parameters, MACs and seconds for a picture.

    Raises:
        UserError: a folder holds no test, or no test has one of the metrics.
    """
    read = [(name, read_summaries(folder)) for name, folder in tests]
    _refuse_unknown(metrics or (), [summary for _, summaries in read for summary in summaries])
    blurred = Row('blurred input', is_input=True)
    rows: dict[str, Row] = {}
    for name, summaries in read:
        title = name or re.sub(r'[-_]?seed[-_]?\d+$', '', summaries[0].name) or summaries[0].name
        for summary in summaries:
            _add(summary, rows, title, blurred, metrics)
        if costs and title in rows:
            _add_costs(summaries, rows[title])
    return [*([blurred] if blurred.cells else []), *rows.values()]


def _refuse_unknown(metrics: Iterable[str], summaries: Iterable[Summary]) -> None:
    names = (summary.names_of(metric) for summary in summaries for metric in summary.metrics())
    known = sorted(set().union(*names))
    for metric in metrics:
        if known and metric not in known:
            raise UserError(f'--metrics {metric}: in none of the tests{did_you_mean(metric, known)}: {some(known)}')


def _add(summary: Summary, rows: dict[str, Row], title: str, blurred: Row, metrics: Optional[Sequence[str]]) -> None:
    for metric in summary.metrics():
        kind = summary.type_of(metric)
        name = summary.network_of(metric) or title  # a test of several files of weights is a row for each
        row = rows.setdefault(name, Row(name))
        mean = summary.mean(metric)
        if mean is None or (metrics and not summary.names_of(metric) & set(metrics)):
            continue
        column = Column(summary.dataset, kind)
        cell = row.cells.setdefault(column, Cell())
        cell.values.append(mean)
        before, gain = summary.mean(metric, of='input'), summary.mean(metric, of='gain')
        if gain is not None:
            cell.gains.append(gain)
        if before is not None:
            blurred.cells.setdefault(column, Cell([before]))


def _add_costs(summaries: Sequence[Summary], row: Row) -> None:
    content = summaries[0].content
    network = content.get('network') or {}
    for key, unit in (('parameters', 1e6), ('conv_macs', 1e9), ('macs', 1e9)):
        if network.get(key) is not None:
            row.cells.setdefault(Column('', key), Cell([network[key] / unit]))
    if content.get('mean_seconds') is not None:
        row.cells.setdefault(Column('', 'seconds'), Cell()).values.append(content['mean_seconds'])
