"""Files that are there whole or not at all: written beside their place, flushed, read back, and renamed."""

import hashlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO

from .errors import RunError, UserError

PART = '.part'


def check_new(path: Path, *, source: Path, suffixes: Collection[str]) -> None:
    """Whether a file can be made there, before the work starts.

    Args:
        path: where it is to be.
        source: the file that it is made from, which it must not be.
        suffixes: that its name may have.

    Raises:
        UserError: it cannot.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f'{path}: the name must end in {" or ".join(suffixes)}')
    if path.exists() and source.exists() and path.samefile(source):
        raise UserError(f'{path} would be written over itself: give another name')
    if path.exists() or path.is_symlink():
        raise UserError(f'{path} exists already, and nothing is written over: give another name or delete it')
    if not path.parent.is_dir():
        raise UserError(f'{path}: there is no folder {path.parent}')
    if not os.access(path.parent, os.W_OK):
        raise UserError(f'{path}: nothing may be written in {path.parent}')


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Write a file so that it is there whole or not at all; return its SHA-256.

    Raises:
        RunError: it cannot be written; what stood in its place is untouched.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open('wb') as file:
            hashing = _HashingFile(file)
            write(hashing)
            file.flush()
            os.fsync(file.fileno())
        if sha256_of(part) != hashing.hexdigest():
            raise OSError('what was read back differs from what was written')
        part.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch turns a failed write into RuntimeError
        part.unlink(missing_ok=True)
        raise RunError(f'{path} cannot be written: {_reason(error)}. Nothing of it is left.') from error
    except BaseException:  # Ctrl-C
        part.unlink(missing_ok=True)
        raise
    return hashing.hexdigest()


def _reason(error: BaseException) -> str:
    """The operating system's words, where torch has covered them with its own."""
    cause = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return str(cause or error)


class _HashingFile:
    """A binary file that can be written only, from start to end, and knows the SHA-256 of what went through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.hexdigest = self._hash.hexdigest
        self.flush = file.flush

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._file.write(data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
