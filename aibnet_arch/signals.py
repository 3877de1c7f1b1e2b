"""Signals as a request that training looks at when it can stop without losing anything."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Optional

# SIGHUP: the terminal or the connection is closed. SIGQUIT: Ctrl-\. SIGUSR1: a cluster's warning before the limit of
# time. Windows has the first two alone.
_NAMES = ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1')
SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))
# Ignored by who started us (nohup, `&` of a script): then they are to stay without effect.
_MAY_BE_IGNORED = ('SIGHUP', 'SIGQUIT')
NOTHING, SAVE, STOP_NOW = range(3)  # what is wished, the stronger the larger


class StoppedEarly(KeyboardInterrupt):
    """A signal before training began. No Exception: no check of a pre-flight may take it for what it looks for."""


class StopRequest:
    """Set by the first signal. A second Ctrl-C ends the process at once, as it would without this.

    Attributes:
        saves_at_usr1: SIGUSR1 asks to save and go on, not to stop.
    """

    def __init__(self) -> None:
        self.saves_at_usr1 = False
        self._name: Optional[str] = None
        self._save = False
        self._launcher: Optional[int] = None
        self._former: dict[int, Any] = {}

    @property
    def name(self) -> Optional[str]:
        """Name of the signal that came, or None. A launcher that has ended is one, too: see :meth:`follow_launcher`."""
        if self._name is None and self._launcher not in (None, os.getppid()):
            self._name = 'the end of its launcher'
        return self._name

    @property
    def wish(self) -> int:
        """NOTHING, SAVE or STOP_NOW."""
        if self.name is not None:
            return STOP_NOW
        return SAVE if self._save else NOTHING

    def saved(self) -> None:
        """What :data:`SAVE` asked for is done."""
        self._save = False

    def listen_early(self) -> None:
        """Until :meth:`listen`, raise StoppedEarly at a signal: there is nothing to save yet."""
        self._take(self._interrupt)

    def listen(self) -> None:
        """Take the signals from now on; only the main thread of a process can."""
        self._take(self._note)

    def follow_launcher(self) -> None:
        """Take the end of this process's parent for a signal.

        Processes of torchrun have sessions of their own: after a kill -9 of it nothing else ends them, and they would
        hold GPUs and the run's folder until the run is over.
        """
        self._launcher = os.getppid()

    def _take(self, handler: Callable) -> None:
        for number in SIGNALS:
            if number.name in _MAY_BE_IGNORED and signal.getsignal(number) is signal.SIG_IGN:
                continue
            former = signal.signal(number, handler)
            self._former.setdefault(number, former)

    def _interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        name = signal.Signals(number).name
        if not (self.saves_at_usr1 and name == 'SIGUSR1'):
            raise StoppedEarly(name)

    def close(self) -> None:
        """Forget, and give the signals back to who had them."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self.__init__()  # type: ignore[misc]  # as new

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        name = signal.Signals(number).name
        if self.saves_at_usr1 and name == 'SIGUSR1':
            self._save = True
        elif self._name is None:
            self._name = name
        elif number == signal.SIGINT:
            raise KeyboardInterrupt


STOP = StopRequest()


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait, also those to processes that are started meanwhile: each of them until :func:`ignore_signals`.

    A signal to the whole group (Ctrl-C, torchrun, a cluster) would otherwise end a worker that has just started: torch
    gives it handlers of its own before the worker_init_fn is called.
    """
    if not hasattr(signal, 'pthread_sigmask'):  # Windows
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def ignore_signals(worker: int) -> None:
    """A worker_init_fn of data loaders: the worker ends with the process that it works for, and by no signal.

    Ctrl-C in a terminal and the cancelling of a cluster's job reach the workers, too; if they died, the
    iteration that is to be finished could not be.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
