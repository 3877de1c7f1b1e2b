"""What a person at the terminal reads while a run goes on: a few lines that stay, and one line of progress.

All else is in the log file. The run outlives its terminal: what can no longer be written is dropped.
"""

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Optional, Protocol, TextIO, TypeVar

from .messages import LAYOUT, printable
from .streams import OutlivingStream

REDRAW_SECONDS = 0.2
NAME_WIDTH = 12
# Where the terminal is a file or a pipe, each line stays: at first one in half a minute, later one in ten minutes.
FIRST_SECONDS, LAST_SECONDS, SHARE_OF_RUN = 30.0, 600.0, 0.1

Sample = TypeVar('Sample', covariant=True)


class SizedLoader(Iterable[Sample], Sized, Protocol[Sample]):
    """What can be looped over and counted."""


class Terminal:
    """Standard output for the lines that stay, standard error for progress and warnings.

    Attributes:
        verbose: the log is shown here, too, and no line of progress.
        before: stands before the progress of pictures, e.g. where the training is that validates them.
    """

    def __init__(self) -> None:
        self.verbose = False
        self.before = ''
        self._is_drawn = False
        self._started = self._last = 0.0
        self._shown = True

    def begin(self, *, verbose: bool, shown: bool) -> None:
        """A run begins.

        Args:
            shown: whether anything is said at all: the first process of several speaks.
        """
        self.verbose, self._shown = verbose, shown
        self.before = ''
        self._started = self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Lines that stay."""
        if self._shown:
            self.clear()
            _write(sys.stdout, f'{printable(text, keep=LAYOUT)}\n')

    def tell(self, name: str, text: str) -> None:
        """An indented line that stays: a name and what belongs to it."""
        self.say(f'  {name:{NAME_WIDTH}}{text}')

    def warn(self, text: str) -> None:
        """The same on standard error."""
        self.clear()
        _write(sys.stderr, f'{printable(text, keep=LAYOUT)}\n')

    def is_due(self) -> bool:
        """Whether :meth:`progress` would write something now."""
        if self.verbose or not self._shown:
            return False
        now = time.monotonic()
        if is_interactive():
            return now - self._last >= REDRAW_SECONDS
        return now - self._last >= min(max(SHARE_OF_RUN * (now - self._started), FIRST_SECONDS), LAST_SECONDS)

    def progress(self, text: str) -> None:
        """The line of progress, if it :meth:`is_due`."""
        if not self.is_due():
            return
        self._last = time.monotonic()
        text = printable(text)
        if not is_interactive():
            _write(sys.stderr, f'{text}\n')
            return
        width = shutil.get_terminal_size().columns - 1
        _write(sys.stderr, f'\r\x1b[K{text[:width]}')
        self._is_drawn = True

    def clear(self) -> None:
        """Take the line of progress away."""
        if self._is_drawn:
            self._is_drawn = False
            _write(sys.stderr, '\r\x1b[K')

    def pictures(self, loader: SizedLoader[Sample], dataset: str) -> Iterator[Sample]:
        """The samples of a loader, with progress."""
        count, started = len(loader), time.monotonic()
        try:
            for number, sample in enumerate(loader, start=1):
                if self.is_due():
                    seconds = time.monotonic() - started
                    left = f', {duration(seconds / (number - 1) * (count - number + 1))} left' if number > 1 else ''
                    self.progress(f'{self.before}{dataset}: picture {number} of {count}{left}')
                yield sample
        finally:
            self.clear()

    def take_over(self, logger: logging.Logger) -> None:
        """From now on warnings and errors of a logger come here, the rest goes to its file alone; not if verbose."""
        if self.verbose:
            return
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
        logger.addHandler(_Warnings(self))


class _Warnings(logging.Handler):
    """Shows warnings and errors, except those that say that they were `told` already."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if not getattr(record, 'told', False):
            self._terminal.warn(f'{record.levelname.lower()}: {record.getMessage()}')


TOLD = {'told': True}  # `extra` of a log line that the terminal has shown already


def is_interactive() -> bool:
    """Whether progress is seen by a person, on one line that is written over."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _write(stream: Optional[TextIO], text: str) -> None:
    if stream is not None:  # the command's outlives its reader already; not that of who calls a run from Python
        outliving = OutlivingStream(stream)
        outliving.write(text)
        outliving.flush()


def duration(seconds: float) -> str:
    """'0:42', '12:03', '3:04:05', '2 days 03:04'."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f'{days} day{"s" if days > 1 else ""} {hour:02d}:{minute:02d}'
    return f'{hour}:{minute:02d}:{second:02d}' if hours else f'{minute}:{second:02d}'


def figures(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """'psnr 25.23 -> 26.47, ssim 0.8147 -> 0.8397': of the input, where it is known, and of the output."""
    told = []
    for name, value in after.items():
        start = f'{_figure(before[name])} -> ' if name in before else ''
        told.append(f'{name} {start}{_figure(value)}')
    return ', '.join(told)


def _figure(value: float) -> str:
    """As papers have it: two decimals of what is in dB, four of what is at most one."""
    return f'{value:.2f}' if abs(value) >= 2 else f'{value:.4f}'


def short_path(path: Any) -> str:
    """A path as a person would type it: relative to the current directory if it is below it."""
    return os.path.abspath(path).removeprefix(f'{os.getcwd()}{os.sep}')


def command() -> str:
    """`basicsr` as a person has to type it here: also where no environment is activated."""
    beside = os.path.join(os.path.dirname(sys.executable), 'basicsr')
    if shutil.which('basicsr') == beside:
        return 'basicsr'
    return short_path(beside) if os.path.isfile(beside) else f'{short_path(sys.executable)} -m aibnet_arch'


TERMINAL = Terminal()
