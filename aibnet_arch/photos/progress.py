"""How far a batch is, for people: a bar on a terminal, elsewhere a line every half minute."""

import sys
import threading
import time
from typing import Any

from tqdm import tqdm

from ..terminal import is_interactive

EVERY = 30.0  # seconds between lines


class Progress:
    """Counts megapixels, which take about the same time each, while it is open as a context.

    The bar is redrawn and the lines are written by a thread, so that time goes on inside one step, too.

    Args:
        total: megapixels in all.

    Attributes:
        done: megapixels so far.
    """

    def __init__(self, total: float) -> None:
        self._total, self.done = total, 0.0
        self._what = ''
        self._on_terminal = is_interactive()
        self._bar: Any = tqdm(
            total=total,
            unit='MP',
            disable=not self._on_terminal,
            dynamic_ncols=True,
            bar_format='{l_bar}{bar}| {n:.1f}/{total:.1f} megapixels [{elapsed}<{remaining}]',
        )
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._tell, args=(1.0 if self._on_terminal else EVERY,), daemon=True)

    def __enter__(self) -> 'Progress':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._bar.close()

    def begin(self, name: str) -> None:
        """A file begins."""
        self._what = name
        self._bar.set_description(name[-30:], refresh=False)

    def update(self, megapixels: float) -> None:
        """So much more is done."""
        self.done += megapixels
        self._bar.update(megapixels)

    def line(self) -> str:
        """Where it is, in one line; the time left goes by what was done so far."""
        gone = time.monotonic() - self._started
        part = min(self.done / self._total, 1) if self._total else 1.0
        left = f'about {_clock(gone / part - gone)} left' if part > 0.001 else 'time left not known yet'
        return f'{self._what}: {100 * part:.0f}% of {self._total:.1f} megapixels, {_clock(gone)} gone, {left}'

    def _tell(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            if self._on_terminal:
                self._bar.refresh()
            else:
                print(self.line(), file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    return tqdm.format_interval(seconds)
