"""Metrics measured in processes of their own, so that the network need not wait for them."""

import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Optional

import cv2
import numpy as np
import torch

from datasets_prep.pool import default_workers, end_with_parent

from ..errors import RunError
from ..signals import ignore_signals
from .measuring import Figures, Metric, measure

WORTH_SECONDS = 20.0  # metrics that take less in all are measured here: processes take seconds to start
MOST = 8
AHEAD = 2  # pictures that wait for each process: each holds megabytes


class MetricProcesses:
    """Measures pictures, in other processes if that pays.

    Args:
        pictures: how many will come.
        processes: how many processes, 0 for none; None: one for each core (8 at most) if the metrics of all pictures
            would take more than 20 seconds, by the first one's.
        share: processes of the run that do the same, and share the cores.
        setup: called first in each process; found by its name there, as pickle does.
        tell: is called with a line about the processes.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        *,
        pictures: int,
        processes: Optional[int],
        share: int,
        setup: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._metrics = list(metrics)
        self._left = pictures
        self._processes = processes
        self._share = share
        self._setup = setup
        self._tell = tell
        self._pool: Optional[ProcessPoolExecutor] = None
        self._decided = False
        self._waiting: list[Future] = []
        self._limit = 0

    def __enter__(self) -> 'MetricProcesses':
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, *pictures: tuple[np.ndarray, Optional[np.ndarray]]) -> 'Future[list[Figures]]':
        """Measure (picture, truth) pairs, in this order. Waits while too many pictures do.

        Raises:
            UserError: see :func:`.measure`; where it is measured elsewhere, the future raises it.
        """
        if not self._decided and self._processes is not None:
            self._start(self._processes)
        self._left -= 1
        if self._pool is None:
            return self._here(pictures)
        self._waiting = [future for future in self._waiting if not future.done()]
        if len(self._waiting) >= self._limit:
            self._waiting[0].exception()  # waits for it; who has the future is told
        try:
            future = self._pool.submit(_measure_all, self._metrics, pictures)
        except BrokenProcessPool as error:
            raise _ended() from error
        self._waiting.append(future)
        return future

    def _here(self, pictures: Sequence[tuple[np.ndarray, Optional[np.ndarray]]]) -> 'Future[list[Figures]]':
        started = time.perf_counter()
        future: Future[list[Figures]] = Future()
        future.set_result(_measure_all(self._metrics, pictures))
        if not self._decided:
            rest = (time.perf_counter() - started) * self._left
            processes = min(max(default_workers() // self._share, 1), MOST)
            self._start(processes if rest > WORTH_SECONDS else 0)
        return future

    def _start(self, processes: int) -> None:
        self._decided = True
        if not processes or not self._metrics:
            return
        unknown = [metric.name for metric in self._metrics if not _travels(metric)]
        if unknown:
            self._tell(f'The metrics are measured in this process: another one cannot import {", ".join(unknown)}.')
            return
        self._limit = processes * AHEAD
        self._pool = ProcessPoolExecutor(
            processes, mp_context=get_context('spawn'), initializer=_begin, initargs=(self._setup,)
        )
        self._tell(f'The metrics are measured in {processes} processes.')


def result_of(future: 'Future[list[Figures]]') -> list[Figures]:
    """What was measured; waits for it.

    Raises:
        RunError: the process ended.
        UserError: see :func:`.measure`.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise _ended() from error


def _ended() -> RunError:
    return RunError(
        'a process that measured metrics ended, perhaps for want of memory: '
        'val.metric_processes: 0 measures in the process of the network'
    )


def _travels(metric: Metric) -> bool:
    """Whether another process finds the function: by its name, in a module that it can import."""
    try:
        pickle.dumps((metric.function, metric.options))
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return getattr(metric.function, '__module__', None) not in (None, '__main__')


def _begin(setup: Callable[[], None]) -> None:
    ignore_signals(0)
    end_with_parent()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    setup()


def _measure_all(metrics: Sequence[Metric], pictures: Sequence[tuple[Any, Any]]) -> list[Figures]:
    return [measure(metrics, img, img2) for img, img2 in pictures]
