"""Results of a test, picture by picture and in sum, beside the figures of the input, as CSV and JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from ..files import write_csv, write_text

_RESERVED = ('image', 'seconds', 'note')
_INPUT, _GAIN = '_input', '_gain'


def gain_of(value: float, before: float, *, lower_is_better: bool) -> float:
    """How much better a figure is than that of the input: above 0 is better, whichever way the metric goes.

    0 where the two are equal, also where both are infinite.
    """
    if value == before:
        return 0.0
    return before - value if lower_is_better else value - before


class EvaluationTable:
    """Collects what was measured of each picture.

    Args:
        dataset: name of the dataset, for the summary.
        lower_is_better: metrics whose lower values are the better ones.
        types: metric to its type, such as calculate_psnr, for the summary.
        networks: metric to the network that it is of, where there are several.
        about: what else the summary says, such as what the network costs.
    """

    def __init__(
        self,
        *,
        dataset: str,
        lower_is_better: Sequence[str] = (),
        types: Optional[Mapping[str, str]] = None,
        networks: Optional[Mapping[str, str]] = None,
        about: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.dataset = dataset
        self._lower = frozenset(lower_is_better)
        self._types = dict(types or {})
        self._networks = dict(networks or {})
        self._about = dict(about or {})
        self._rows: list[dict] = []
        self._names: Optional[list[str]] = None
        self._with_input: set[str] = set()

    def add(
        self,
        *,
        image: str,
        metrics: Mapping[str, Optional[float]],
        seconds: float,
        note: str = '',
        before: Optional[Mapping[str, Optional[float]]] = None,
    ) -> None:
        """Add a picture.

        Args:
            metrics: name to value; the same names for all pictures. None: it could not be measured.
            seconds: time of the network for it.
            note: anything that limits the figures, e.g. that an alignment failed.
            before: the same figures of the picture that the network was given, where they were measured.

        Raises:
            ValueError: the names differ from the first picture's, or a column of the table has one already.
        """
        taken = sorted(set(metrics) & {*_RESERVED, *(name + end for name in metrics for end in (_INPUT, _GAIN))})
        if taken:
            raise ValueError(f'a metric cannot be called {taken[0]!r}: a column of the table has that name')
        if self._names is not None and list(metrics) != self._names:
            raise ValueError(f'{image}: expected the metrics {self._names}, got {list(metrics)}')
        self._names = list(metrics)
        self._with_input.update(before or ())
        row: dict[str, Any] = {'image': image}
        if self._networks:  # those of several networks beside each other
            row.update(dict.fromkeys(metrics))
        for name, value in metrics.items():
            row[name] = _float(value)
            if before is not None and name in before:
                row[name + _INPUT] = _float(before[name])
                both = row[name] is not None and row[name + _INPUT] is not None
                lower = name in self._lower
                row[name + _GAIN] = gain_of(row[name], row[name + _INPUT], lower_is_better=lower) if both else None
        self._rows.append({**row, 'seconds': float(seconds), 'note': note})

    def means(self) -> dict[str, float]:
        """Mean of each metric over all pictures where it was measured, infinite ones included (as BasicSR logs it)."""
        return self._means(self._names or (), '')

    def means_of_input(self) -> dict[str, float]:
        """The same of the pictures that the network was given; empty if they were not measured."""
        return self._means([name for name in self._names or () if name in self._with_input], _INPUT)

    def _means(self, names: Sequence[str], end: str) -> dict[str, float]:
        columns = {name: self._measured(name + end) for name in names}
        return {name: sum(values) / len(values) if values else math.nan for name, values in columns.items()}

    def _measured(self, column: str) -> list[float]:
        return [row[column] for row in self._rows if row.get(column) is not None]

    def summary(self) -> dict:
        """Means over the pictures, and the pictures.

        An infinite PSNR (equal pictures) is counted apart and left out of its mean, and so is a picture of which a
        metric could not be computed. Not a number is a fault, not a result: it makes the mean None instead of
        flattering it. Values of pictures that are not finite are the strings 'inf', '-inf' and 'nan', since JSON has
        no literals for them. Where the input was measured, `input` is its mean, and `gain` the mean of what each
        picture gained: above 0 is better, also for a metric whose `better` is 'lower'.
        """
        summary: dict[str, Any] = {'dataset': self.dataset, 'images': len(self._rows), 'metrics': {}}
        for name in self._names or ():
            values = self._measured(name)
            found: dict[str, Any] = {
                'mean': _finite_mean(values),
                'not_finite': sum(not math.isfinite(value) for value in values),
            }
            if name in self._types:
                found['type'] = self._types[name]
            if len(values) < len(self._rows):
                found['not_measured'] = len(self._rows) - len(values)
            if name in self._lower:
                found['better'] = 'lower'
            if name in self._networks:
                found['network'] = self._networks[name]
            if name in self._with_input:
                found['input'] = _finite_mean(self._measured(name + _INPUT))
                found['gain'] = _finite_mean(self._measured(name + _GAIN))
            summary['metrics'][name] = found
        summary['seconds'] = sum(row['seconds'] for row in self._rows)
        summary['mean_seconds'] = summary['seconds'] / len(self._rows) if self._rows else None
        summary.update(self._about)
        summary['notes'] = {row['image']: row['note'] for row in self._rows if row['note']}
        summary['pictures'] = [{key: _json_value(value) for key, value in row.items()} for row in self._rows]
        return summary

    def told(self) -> str:
        """A line for each metric: the figure, that of the input and the gain; '' if the input was not measured."""
        summary = {name: found for name, found in self.summary()['metrics'].items() if 'input' in found}
        return '\n'.join(
            f'\t {name}: {_text(found["mean"])}, input {_text(found["input"])}, gain {_text(found["gain"], sign="+")}'
            + (f' (not measured: {found["not_measured"]})' if 'not_measured' in found else '')
            for name, found in summary.items()
        )

    def write(self, csv_path: Path, json_path: Path) -> None:
        """Write the table and the summary; neither file is ever half written."""
        write_csv(csv_path, self._rows, columns=() if self._rows else _RESERVED)
        write_text(json_path, json.dumps(self.summary(), indent=2, allow_nan=False) + '\n')


def _float(value: Optional[float]) -> Optional[float]:
    return None if value is None else float(value)  # numpy's float32 has no JSON form


def _finite_mean(values: Sequence[float]) -> Optional[float]:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite and not any(map(math.isnan, values)) else None


def _text(value: Optional[float], *, sign: str = '') -> str:
    return 'none' if value is None else f'{value:{sign}.4f}'


def _json_value(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
