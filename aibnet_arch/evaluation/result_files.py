"""The summaries that `basicsr test` has written, read again: ``results/<name>/<dataset>.json``."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..errors import UserError
from ..messages import some
from ..page import usual_better


@dataclass(frozen=True)
class Summary:
    """What a test found on one dataset.

    Attributes:
        name: of the test: its folder's.
        content: what :meth:`.EvaluationTable.summary` made.
    """

    name: str
    path: Path
    dataset: str
    content: Mapping[str, Any]

    def metrics(self) -> list[str]:
        """Names, as the test's options give them."""
        return list(self.content['metrics'])

    def mean(self, metric: str, *, of: str = 'mean') -> Optional[float]:
        """The mean of the result, of the 'input', or of the 'gain'; None if it was not measured, or is no number."""
        return self.content['metrics'].get(metric, {}).get(of)

    def type_of(self, metric: str) -> str:
        """Its type, such as calculate_psnr; the name, in summaries of before types were written."""
        return self.content['metrics'][metric].get('type', metric)

    def network_of(self, metric: str) -> Optional[str]:
        """Whose figure it is, of a test of several files of weights; None of a test of one."""
        return self.content['metrics'][metric].get('network')

    def names_of(self, metric: str) -> set[str]:
        """What it may be called: name (of several files of weights also without the network) and type."""
        return {metric, metric.removesuffix(f' {self.network_of(metric)}'), self.type_of(metric)}

    def lower_is_better(self, metric: str) -> bool:
        """As the summary says, or as the metric is usually read."""
        return (self.content['metrics'][metric].get('better') or usual_better(metric)) == 'lower'

    def values(self, metric: str) -> dict[str, float]:
        """Picture to figure, of those that have a finite one.

        Raises:
            UserError: two pictures have one name.
        """
        found: dict[str, float] = {}
        names = [row['image'] for row in self.content['pictures']]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise UserError(f'{self.path}: several pictures are called {some(twice)}: they cannot be paired')
        for row in self.content['pictures']:
            value = row.get(metric)
            if isinstance(value, (int, float)) and math.isfinite(value):
                found[row['image']] = float(value)
        return found


def read_summaries(folder: Path) -> list[Summary]:
    """Those of one test, sorted by dataset.

    Args:
        folder: ``results/<name>``, or one file of it.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    if folder.is_file():
        files = [folder]
    elif folder.is_dir():
        files = sorted(folder.glob('*.json'))
    else:
        raise UserError(f'there is no {folder}: expected the folder of a test, results/NAME')
    found = [summary for summary in map(_read, files) if summary is not None]
    if not found:
        raise UserError(
            f'{folder} has no summary of a test: expected <dataset>.json, which `basicsr test` writes into results/NAME'
        )
    return found


def _read(path: Path) -> Optional[Summary]:
    """None if it is some other file."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    wanted: dict[str, type] = {'dataset': str, 'metrics': dict, 'pictures': list}
    if not isinstance(content, dict) or not all(isinstance(content.get(key), kind) for key, kind in wanted.items()):
        return None
    sound = all(isinstance(figures, dict) for figures in content['metrics'].values())
    if not sound or not all(isinstance(row, dict) and 'image' in row for row in content['pictures']):
        raise UserError(f'{path} is damaged: its metrics or pictures are not as `basicsr test` writes them')
    return Summary(path.resolve().parent.name, path, content['dataset'], content)


def of_one_dataset(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Dataset to its summaries, in the order in which they first appear."""
    found: dict[str, list[Summary]] = {}
    for summary in summaries:
        found.setdefault(summary.dataset, []).append(summary)
    return found
