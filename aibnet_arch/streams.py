"""Standard output and standard error that may go away: what runs outlives its terminal."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class OutlivingStream:
    """A text stream whose failures drop what was to be written: it is for people, and the work is not.

    After `| head -1`, a closed terminal or a full disk the descriptor leads nowhere, also for others who hold it and
    for what is still buffered when the process ends. Characters that the encoding lacks become escapes.

    Args:
        stream: the original; everything but writing is its own.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """The length of the text, written or not."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, 'backslashreplace').decode(encoding))
        except (OSError, ValueError) as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Each as :meth:`write` does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """What cannot be written is dropped."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: Exception) -> None:
        if isinstance(error, ValueError):
            if not self._stream.closed:
                raise error
            return
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # no file of the system, such as a notebook's
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


@contextmanager
def outlived() -> Iterator[None]:
    """Inside, standard output and standard error are :class:`OutlivingStream`."""
    _open_what_is_closed()
    former = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (OutlivingStream(stream) for stream in former)  # type: ignore[assignment]
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, OutlivingStream):
                stream.flush()
        sys.stdout, sys.stderr = former


def _open_what_is_closed() -> None:
    """After `2>&-`, say: the next file of any library would get the descriptor, and messages would go into it."""
    for descriptor, name in enumerate(('stdin', 'stdout', 'stderr')):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, 'r' if descriptor == 0 else 'w', closefd=False))  # noqa: SIM115
