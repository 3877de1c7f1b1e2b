"""Loaders whose workers no signal ends, and that fetch batches in a thread, ahead of the one who uses them."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

from ..signals import held_back, ignore_signals

Item = TypeVar('Item')
_END = object()


def prefetched(items: Iterable[Item], *, ahead: int) -> Iterator[Item]:
    """The same items, up to `ahead` of them fetched in advance by a thread.

    The thread starts with the first item that is asked for; an error in it is raised here.
    """
    fetched: queue.Queue = queue.Queue(ahead)

    def fetch() -> None:
        try:
            for item in items:
                fetched.put((item, None))
        except BaseException as error:  # handed over, not swallowed: it is raised below
            fetched.put((_END, error))
        else:
            fetched.put((_END, None))

    threading.Thread(target=fetch, daemon=True).start()
    while True:
        item, error = fetched.get()
        if error is not None:
            raise error
        if item is _END:
            return
        yield item


class SteadyLoader(DataLoader):
    """A loader whose workers no signal ends, not even while they start."""

    def __init__(self, dataset: Dataset, **arguments: Any) -> None:
        super().__init__(dataset, worker_init_fn=ignore_signals, **arguments)

    def __iter__(self) -> Any:
        with held_back():  # it starts the workers
            return super().__iter__()


class PrefetchingLoader(SteadyLoader):
    """A loader whose batches are fetched in advance.

    In the place of BasicSR's PrefetchDataLoader, which hangs without workers, and with them when a sample fails.
    """

    def __init__(self, dataset: Dataset, *, ahead: int, **arguments: Any) -> None:
        super().__init__(dataset, **arguments)
        self.ahead = ahead

    def __iter__(self) -> Any:
        batches = super().__iter__()
        # Without workers the thread would only compete with training for the same random numbers.
        return prefetched(batches, ahead=self.ahead) if self.num_workers else batches
