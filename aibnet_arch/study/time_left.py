"""How long a study will still take, from what its runs have taken."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..training.history import History
from .plan import Run


class TimeLeft:
    """Seconds that are left, by the seconds of an iteration (validation and saving among them) of each entry.

    They come from finished runs, and before those from the validations of the running ones. An entry of which nothing
    is known takes the mean of the others.

    Args:
        places: how many runs there are at a time.
    """

    def __init__(self, *, places: int, now: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._now = now
        self._started: dict[str, tuple[float, int]] = {}  # run to when, and the iteration that it went on from
        self._rates: dict[str, list[float]] = {}  # entry to seconds of an iteration

    def start(self, run: Run) -> None:
        """A run starts now, or goes on."""
        self._started[run.name] = self._now(), _reached(run)

    def finish(self, run: Run) -> None:
        """A run has finished now; nothing is learned from one that another start of the study has begun."""
        if run.name in self._started:
            began, iteration = self._started.pop(run.name)
            done = _total(run) - iteration
            if done > 0:
                self._rates.setdefault(run.entry, []).append((self._now() - began) / done)

    def seconds(self, *, active: Sequence[Run], waiting: Sequence[Run]) -> Optional[float]:
        """Until all are done; None as long as nothing is known."""
        rates = {entry: statistics.fmean(found) for entry, found in self._rates.items()}
        for run in active:
            began, iteration = self._started.get(run.name, (self._now(), 0))
            done = _reached(run) - iteration
            if done > 0:
                rates.setdefault(run.entry, (self._now() - began) / done)
        if not rates:
            return None
        usual = statistics.fmean(rates.values())

        def all_of(run: Run) -> float:
            return _total(run) * rates.get(run.entry, usual)

        left = [all_of(run) for run in waiting]
        for run in active:
            began, iteration = self._started.get(run.name, (self._now(), 0))
            rest = (_total(run) - iteration) * rates.get(run.entry, usual) - (self._now() - began)
            left.append(max(rest, 0.0))
        # Places stay empty only at the end: no less than the longest run, and no less than all of them shared.
        return max(sum(left) / self._places, max(left, default=0.0))


def in_words(seconds: float) -> str:
    """'about 40 s', 'about 12 min', 'about 3 h 20 min'."""
    if seconds < 90:
        return f'about {round(seconds)} s'
    minutes = round(seconds / 60)
    return f'about {minutes} min' if minutes < 100 else f'about {minutes // 60} h {minutes % 60} min'


def _total(run: Run) -> int:
    return int(run.options.get('train', {}).get('total_iter', 0))


def _reached(run: Run) -> int:
    """The iteration of the newest validation."""
    root = run.options.get('path', {}).get('experiments_root')
    if root is None:
        return 0
    try:
        rows = History(Path(root) / run.name).rows()
    except UserError:  # the run itself tells that its history is damaged
        return 0
    return int(rows[-1]['iteration']) if rows else 0
