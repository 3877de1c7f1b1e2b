"""Files that are whole or not there, and their names in messages."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ResultExistsError


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Gives the name of a temporary file beside `path`, which takes its place if the body ends well.

    Raises:
        ResultExistsError: a file is there, before or after the body, and is not to be overwritten.
    """
    _refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{secrets.token_hex(8)}.partial{path.suffix}')  # the suffix chooses a video's format
    try:
        yield temporary
        _refuse_existing(path, overwrite)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):
        raise ResultExistsError(f'{shown(path)} is there already: --overwrite replaces it')


def shown(name: object) -> str:
    """A file's name as the terminal can print it, in one line."""
    text = ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return text.encode(sys.stdout.encoding or 'utf-8', 'backslashreplace').decode(sys.stdout.encoding or 'utf-8')
