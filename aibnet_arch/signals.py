"""SIGTERM and Ctrl-C as a request that training looks at when it can stop without losing anything."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Optional

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedEarly(KeyboardInterrupt):
    """A signal before training began. No Exception: no check of a pre-flight may take it for what it looks for."""


class StopRequest:
    """Set by the first signal. A second Ctrl-C ends the process at once, as it would without this."""

    def __init__(self) -> None:
        self._name: Optional[str] = None
        self._former: dict[int, Any] = {}

    @property
    def name(self) -> Optional[str]:
        """Name of the signal that came, or None."""
        return self._name

    def listen_early(self) -> None:
        """Until :meth:`listen`, raise StoppedEarly at a signal: there is nothing to save yet."""
        self._take(self._interrupt)

    def listen(self) -> None:
        """Take the signals from now on; only the main thread of a process can."""
        self._take(self._note)

    def _take(self, handler: Callable) -> None:
        for number in SIGNALS:
            former = signal.signal(number, handler)
            self._former.setdefault(number, former)

    @staticmethod
    def _interrupt(number: int, frame: Optional[FrameType]) -> None:
        raise StoppedEarly(signal.Signals(number).name)

    def close(self) -> None:
        """Forget, and give the signals back to who had them."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
        self._name = None

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        if self._name is None:
            self._name = signal.Signals(number).name
        elif number == signal.SIGINT:
            raise KeyboardInterrupt


STOP = StopRequest()


def ignore_signals(worker: int) -> None:
    """A worker_init_fn of data loaders: the worker ends with the process that it works for, and by no signal.

    Ctrl-C in a terminal and the cancelling of a cluster's job reach the workers, too; if they died, the
    iteration that is to be finished could not be.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
