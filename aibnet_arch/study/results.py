"""What a run found, kept so that it need not be run again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from ..errors import UserError
from ..files import write_text

NAME = 'result.json'


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        digest: of its options, see :class:`~aibnet_arch.study.plan.Run`.
        iterations, seconds: of training (without validation, saving and starting up).
        history: what each validation found, see :class:`~aibnet_arch.training.history.History`.
    """

    entry: str
    seed: int
    digest: str
    iterations: int
    seconds: float
    device: str
    history: Sequence[dict[str, Any]]

    def figures(self) -> list[tuple[str, str]]:
        """(dataset, metric) of everything that was measured."""
        last = [row for row in self.history if row['iteration'] == self.iterations]
        return [(row['dataset'], metric) for row in last for metric in row['metrics']]

    def curve(self, dataset: str, metric: str) -> list[tuple[int, float, float]]:
        """(iteration, seconds, value) of each validation."""
        rows = (row for row in self.history if row['dataset'] == dataset)
        return [(row['iteration'], row['seconds'], row['metrics'][metric]) for row in rows]

    def final(self, dataset: str, metric: str) -> float:
        """The value after the last iteration."""
        return self.curve(dataset, metric)[-1][2]

    def of_input(self, dataset: str, metric: str) -> Optional[float]:
        """The same figure of the dataset's input; None if it was not measured."""
        rows = [row for row in self.history if row['dataset'] == dataset]
        return rows[-1].get('input', {}).get(metric)

    def write(self, folder: Path) -> None:
        """Write `result.json`, whole or not at all."""
        write_text(folder / NAME, json.dumps(asdict(self), indent=1))


def read_result(folder: Path) -> Optional[Result]:
    """The result in the folder of a run, or None if it has not finished.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return Result(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} is damaged ({error}): delete it, and the run is looked at again') from error
