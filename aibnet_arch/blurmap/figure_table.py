"""The figures of a set of pictures: a row each, means and spread, as CSV, JSON and a table to read."""

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from ..files import write_csv, write_text

FIGURES = ('spearman', 'auc', 'sharp_spearman', 'sharp_auc')


@dataclass(frozen=True)
class Row:
    """How well a map of one picture finds the truth.

    Attributes:
        sign: -1 if low values of the map were taken to mean blurred.
        blurred: share of the pixels that are blurred.
        spearman, auc: see :mod:`.figures`; NaN where they are not defined.
        sharp_spearman, sharp_auc: the control, the same figures for the map of the *sharp* picture, which shows no
            blur: so much comes from what the picture shows.
    """

    picture: str
    truth: str
    map: str
    sign: int
    blurred: float
    spearman: float
    auc: float
    sharp_spearman: float
    sharp_auc: float


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over the pictures where a figure is defined, and how many those are.

    None where there are too few: no mean of none, no deviation of one.
    """

    mean: Optional[float]
    deviation: Optional[float]
    pictures: int

    @classmethod
    def of(cls, values: list[float]) -> 'Spread':
        """Of these values; NaN counts as not defined."""
        defined = [value for value in values if not math.isnan(value)]
        mean = statistics.fmean(defined) if defined else None
        return cls(mean, statistics.stdev(defined) if len(defined) > 1 else None, len(defined))

    def __str__(self) -> str:
        if self.mean is None:
            return 'undefined'
        return f'{self.mean:6.3f}' + ('' if self.deviation is None else f' ± {self.deviation:.3f}')


class FigureTable:
    """Collects rows.

    Args:
        thresholds: for each truth the value above which a pixel is blurred, with its unit, for the heading.
    """

    def __init__(self, thresholds: dict[str, tuple[float, str]]) -> None:
        self.thresholds = thresholds
        self.rows: list[Row] = []

    def means(self) -> dict[str, dict[str, dict[str, Spread]]]:
        """Truth -> map -> figure -> spread over the pictures, in the order of the rows."""
        return {
            truth: {
                name: {figure: Spread.of([getattr(row, figure) for row in rows]) for figure in FIGURES}
                for name, rows in maps
            }
            for truth, maps in self._grouped()
        }

    def table(self) -> str:
        """What the command prints."""
        lines = []
        for truth, maps in self._grouped():
            threshold, unit = self.thresholds[truth]
            shares = [row.blurred for row in maps[0][1]]
            lines += [
                f'Against the true {truth}: blurred is above {threshold:g} {unit}, '
                f'{100 * statistics.fmean(shares):.1f} % of the pixels of {len(shares)} picture(s)',
                f'{"":26}{"blurred":>8}  {"rank correlation":>16}  {"area under ROC":>16}'
                f'  {"control: of the sharp picture":>34}',
            ]
            for name, rows in maps:
                spreads = [Spread.of([getattr(row, figure) for row in rows]) for figure in FIGURES]
                cells = '  '.join(f'{spread!s:>16}' for spread in spreads)
                lines.append(f'{name:26}{"high" if rows[0].sign > 0 else "low":>8}  {cells}')
            undefined = sum(math.isnan(row.auc) for row in maps[0][1])
            if undefined:
                lines.append(f'{undefined} picture(s) blurred everywhere or nowhere: no area under ROC')
            lines.append('')
        return '\n'.join(lines)

    def write(self, folder: Path) -> None:
        """Write figures.csv (the rows) and figures.json (means, and the rows; undefined is null)."""
        write_csv(folder / 'figures.csv', [asdict(row) for row in self.rows])
        document = {
            'thresholds': {truth: threshold for truth, (threshold, _) in self.thresholds.items()},
            'means': {
                truth: {
                    name: {figure: asdict(spread) for figure, spread in figures.items()}
                    for name, figures in maps.items()
                }
                for truth, maps in self.means().items()
            },
            'pictures': [
                {key: None if value != value else value for key, value in asdict(row).items()} for row in self.rows
            ],
        }
        write_text(folder / 'figures.json', json.dumps(document, indent=2, allow_nan=False) + '\n')

    def _grouped(self) -> Iterator[tuple[str, list[tuple[str, list[Row]]]]]:
        for truth in dict.fromkeys(row.truth for row in self.rows):
            rows = [row for row in self.rows if row.truth == truth]
            names = dict.fromkeys(row.map for row in rows)
            yield truth, [(name, [row for row in rows if row.map == name]) for name in names]
