"""Results of a test, picture by picture and in sum, as CSV and JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_csv, write_text

_RESERVED = ('image', 'seconds', 'note')


class EvaluationTable:
    """Collects what was measured of each picture.

    Args:
        dataset: name of the dataset, for the summary.
    """

    def __init__(self, *, dataset: str) -> None:
        self.dataset = dataset
        self._rows: list[dict] = []

    def add(self, *, image: str, metrics: Mapping[str, float], seconds: float, note: str = '') -> None:
        """Add a picture.

        Args:
            image: its name.
            metrics: name to value; the same names for all pictures.
            seconds: time of the network for it.
            note: anything that limits the figures, e.g. that an alignment failed.

        Raises:
            ValueError: the names differ from the first picture's, or one is 'image', 'seconds' or 'note'.
        """
        taken = sorted(set(metrics) & set(_RESERVED))
        if taken:
            raise ValueError(f'a metric cannot be called {taken[0]!r}: a column of the table has that name')
        if self._rows and list(metrics) != self._metrics():
            raise ValueError(f'{image}: expected the metrics {self._metrics()}, got {list(metrics)}')
        # Python floats: numpy's float32 has no JSON form.
        values = {name: float(value) for name, value in metrics.items()}
        self._rows.append({'image': image, **values, 'seconds': float(seconds), 'note': note})

    def means(self) -> dict[str, float]:
        """Mean of each metric over all pictures, infinite ones included (as BasicSR logs it)."""
        return {name: sum(row[name] for row in self._rows) / len(self._rows) for name in self._metrics()}

    def _metrics(self) -> list[str]:
        return [key for key in (self._rows[0] if self._rows else {}) if key not in _RESERVED]

    def summary(self) -> dict:
        """Means over the pictures, and the pictures.

        An infinite PSNR (equal pictures) is counted apart and left out of its mean. Not a number is a
        fault, not a result: it makes the mean None instead of flattering it. Values of pictures that are
        not finite are the strings 'inf', '-inf' and 'nan', since JSON has no literals for them.
        """
        summary: dict[str, Any] = {'dataset': self.dataset, 'images': len(self._rows), 'metrics': {}}
        for name in self._metrics():
            values = [row[name] for row in self._rows]
            finite = [value for value in values if math.isfinite(value)]
            summary['metrics'][name] = {
                'mean': sum(finite) / len(finite) if finite and not any(map(math.isnan, values)) else None,
                'not_finite': len(values) - len(finite),
            }
        summary['seconds'] = sum(row['seconds'] for row in self._rows)
        summary['mean_seconds'] = summary['seconds'] / len(self._rows) if self._rows else None
        summary['notes'] = {row['image']: row['note'] for row in self._rows if row['note']}
        summary['pictures'] = [{key: _json_value(value) for key, value in row.items()} for row in self._rows]
        return summary

    def write(self, csv_path: Path, json_path: Path) -> None:
        """Write the table and the summary; neither file is ever half written."""
        write_csv(csv_path, self._rows, columns=() if self._rows else _RESERVED)
        write_text(json_path, json.dumps(self.summary(), indent=2, allow_nan=False) + '\n')


def _json_value(value):
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
