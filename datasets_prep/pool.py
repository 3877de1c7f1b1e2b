"""Several processes over a long list, in order and with bounded memory."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

import cv2

from datasets_prep.errors import PrepError

Item = TypeVar('Item')
Result = TypeVar('Result')

# Tasks in flight a process: enough to keep it busy while the parent writes, few enough to bound the memory.
TASKS_PER_WORKER = 3


def default_workers() -> int:
    """The CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result, None, None]:
    """Yields ``function(item)`` in the order of the items, at most three tasks a worker ahead of the consumer.

    With one worker everything happens in this process. With more they are spawned, since forking a process that
    has threads (torch, OpenCV) can hang; a script that calls this needs the usual
    ``if __name__ == "__main__":`` guard, and `function` must be importable.

    Raises:
        PrepError: a worker process died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context('spawn'), initializer=_start_worker)
    pending: deque = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= TASKS_PER_WORKER * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise PrepError('A worker process died, perhaps for want of memory: try again with fewer --workers.') from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # A killed parent cannot tell its workers to end, and they would wait for tasks forever.
    end_with_parent()


def end_with_parent() -> None:
    """Have this process end when the one has that started it, however that ended."""

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
