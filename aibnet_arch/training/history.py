"""What each validation of a training run found, and after how many seconds of training."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from ..errors import UserError
from ..files import write_text

NAME = 'history.jsonl'


class TrainingClock:
    """Seconds of training, without starting up, validating and saving; a resumed run goes on counting.

    Attributes:
        seconds: until now.
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since: Optional[float] = None

    @property
    def seconds(self) -> float:
        """Until now, earlier parts of the run included."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    def start(self) -> None:
        """Count from now on; nothing if it counts already."""
        if self._since is None:
            self._since = time.perf_counter()

    def go_on_from(self, seconds: float) -> None:
        """Begin with what an earlier part of the run took."""
        self._before = seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count within."""
        counted, self._before = self._since is not None, self.seconds
        self._since = None
        try:
            yield
        finally:
            if counted:
                self.start()


class History:
    """The file `history.jsonl` of an experiment: one line for each validation of a dataset, in order.

    A line holds 'iteration', 'dataset', 'seconds' (see :class:`TrainingClock`), 'metrics' (means by name) and, where
    it was measured, 'input' (those of the dataset's input). The file is written anew as a whole each time, so that a
    kill leaves it with or without the newest line.

    Args:
        folder: of the experiment.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def rows(self) -> list[dict[str, Any]]:
        """All lines; none if there is no file.

        Raises:
            UserError: the file is damaged.
        """
        if not self._path.is_file():
            return []
        try:
            rows = [json.loads(line) for line in self._path.read_text().splitlines()]
            for row in rows:
                if (
                    not isinstance(row, dict)
                    or type(row.get('iteration')) is not int
                    or not {'dataset', 'metrics'} <= set(row)
                ):
                    raise ValueError('a line is of no validation')
            return rows
        except (ValueError, RecursionError) as error:
            raise UserError(f'{self._path} is damaged ({error}): delete it, or bring a whole one back') from error

    def note(
        self,
        *,
        iteration: int,
        dataset: str,
        seconds: float,
        metrics: Mapping[str, float],
        of_input: Optional[Mapping[str, float]] = None,
    ) -> None:
        """Add a line. A resumed run repeats iterations: it replaces what a former one said about them.

        Raises:
            RunError: it cannot be written.
            UserError: see :meth:`rows`.
        """
        before = [
            row
            for row in self.rows()
            if row['iteration'] < iteration or (row['iteration'] == iteration and row['dataset'] != dataset)
        ]
        row = {'iteration': iteration, 'dataset': dataset, 'seconds': round(seconds, 3), 'metrics': dict(metrics)}
        if of_input:
            row['input'] = dict(of_input)
        text = ''.join(json.dumps(each) + '\n' for each in (*before, row))
        write_text(self._path, text)
