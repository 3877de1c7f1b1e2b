"""Results of a test, picture by picture and in sum, as CSV and JSON."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path


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
        """
        self._rows.append({'image': image, **metrics, 'seconds': seconds, 'note': note})

    def means(self) -> dict[str, float]:
        """Mean of each metric over all pictures, infinite ones included (as BasicSR logs it)."""
        return {name: sum(row[name] for row in self._rows) / len(self._rows) for name in self._metrics()}

    def _metrics(self) -> list[str]:
        return [key for key in (self._rows[0] if self._rows else {}) if key not in ('image', 'seconds', 'note')]

    def summary(self) -> dict:
        """Means over the pictures. An infinite PSNR (equal pictures) is counted apart and left out of its mean."""
        summary = {'dataset': self.dataset, 'images': len(self._rows), 'metrics': {}}
        for name in self._metrics():
            values = [row[name] for row in self._rows]
            finite = [value for value in values if math.isfinite(value)]
            summary['metrics'][name] = {
                'mean': sum(finite) / len(finite) if finite else None,
                'not_finite': len(values) - len(finite),
            }
        summary['seconds'] = sum(row['seconds'] for row in self._rows)
        summary['notes'] = {row['image']: row['note'] for row in self._rows if row['note']}
        return summary

    def write(self, csv_path: Path, json_path: Path) -> None:
        """Write the table and the summary; neither file is ever half written."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self._rows[0]) if self._rows else ['image', 'seconds', 'note'])
        writer.writeheader()
        writer.writerows(self._rows)
        _write_whole(csv_path, text.getvalue())
        _write_whole(json_path, json.dumps(self.summary(), indent=2, allow_nan=False) + '\n')


def _write_whole(path: Path, text: str) -> None:
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.partial')
    temporary.write_text(text, encoding='utf-8')
    os.replace(temporary, path)
