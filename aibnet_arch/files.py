"""Files that are there whole or not at all: written beside their place and put into it in one step."""

import csv
import hashlib
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Optional

from .errors import ExistsError, RunError, UserError
from .messages import printable

PART = '.part'


def check_new(path: Path, *, source: Path, suffixes: Collection[str]) -> None:
    """Whether a file can be made there, before the work starts.

    Args:
        path: where it is to be.
        source: the file that it is made from, which it must not be.

    Raises:
        UserError: it cannot.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f'{printable(path)}: the name must end in {" or ".join(suffixes)}')
    if path.exists() and source.exists() and path.samefile(source):
        raise UserError(f'{printable(path)} would be written over itself: give another name')
    _refuse_existing(path)
    if not path.parent.is_dir():
        raise UserError(f'{printable(path)}: there is no folder {printable(path.parent)}')
    if not os.access(path.parent, os.W_OK):
        raise UserError(f'{printable(path)}: nothing may be written in {printable(path.parent)}')


@contextmanager
def whole_file(path: Path, *, overwrite: bool = True, ending: Optional[str] = None) -> Iterator[Path]:
    """Gives the name of a temporary file beside `path`, which takes its place, on the disk, if the body ends well.

    Nobody else has that name, and the body makes the file itself (mode 'x': no link is followed). Of several
    processes that make one file without `overwrite`, one succeeds.

    Args:
        path: in a folder that exists.
        overwrite: a file that is there is replaced. Otherwise it stays, whenever it appeared.
        ending: of the temporary file's name; by default the file's own and :data:`PART`.

    Raises:
        ExistsError: a file is there, and is not to be overwritten.
    """
    if not overwrite:
        _refuse_existing(path)
    temporary = path.with_name(f'.{secrets.token_hex(8)}{ending or f".{path.name}{PART}"}')
    try:
        yield temporary
        _sync_file(temporary)
        if not overwrite:
            _claim(temporary, path)
        temporary.replace(path)  # of two names for one file, which a claim may have made them, it leaves both
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise _exists(path)


def _exists(path: Path) -> ExistsError:
    return ExistsError(f'{printable(path)} exists already, and nothing is written over: give another name or delete it')


def _claim(temporary: Path, path: Path) -> None:
    """Take a name that nobody has, in one step: by a second name for the file, or by an empty one."""
    try:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as FAT
            path.open('xb').close()
    except FileExistsError as error:
        raise _exists(path) from error


def write_whole(path: Path, write: Callable[[BinaryIO], object], *, overwrite: bool = True) -> str:
    """Write a file so that it is there whole, on the disk and read back, or not at all; return its SHA-256.

    Args:
        path: in a folder that exists.

    Raises:
        RunError: it cannot be written; what stood in its place is untouched.
        ExistsError: a file is there, and is not to be overwritten.
    """
    try:
        with whole_file(path, overwrite=overwrite) as temporary:
            with temporary.open('xb') as file:
                hashing = _HashingFile(file)
                write(hashing)  # type: ignore[arg-type]  # as much of a file as writers need
                file.flush()
                os.fsync(file.fileno())
            if sha256_of(temporary) != hashing.hexdigest():
                raise OSError('what was read back differs from what was written')
    except (OSError, RuntimeError) as error:  # torch turns a failed write into RuntimeError
        raise RunError(f'{printable(path)} cannot be written: {_reason(error)}. Nothing of it is left.') from error
    return hashing.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, as :func:`write_whole` does."""
    # Names of files may be no text; what they hold instead has no UTF-8.
    write_bytes(path, text.encode('utf-8', 'backslashreplace'))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of this content, as :func:`write_whole` does."""
    write_whole(path, lambda file: file.write(content))


def write_picture(path: Path, pixels: Any) -> None:
    """Write a picture, in the format of its suffix, as :func:`write_whole` does; its folder is made if need be.

    OpenCV encodes it and never sees the name: not all names are text to it.

    Args:
        path: ending in .png or another suffix that OpenCV knows.
        pixels: (H, W) or (H, W, 3) BGR, uint8 or uint16.
    """
    import cv2

    encoded, content = cv2.imencode(path.suffix, pixels)
    if not encoded:
        raise RunError(f'{printable(path)}: OpenCV cannot write this picture')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f'{printable(path)} cannot be written: {_reason(error)}.') from error
    write_bytes(path, content.tobytes())


@contextmanager
def ascii_path(path: Path) -> Iterator[Path]:
    """Another name of what is there, for libraries that crash on names that are no UTF-8, or follow the locale.

    It is a link, and there as long as the body runs, whose name ends as before if that is ASCII; the path itself where
    it is ASCII.
    """
    if os.name != 'posix' or _is_plain(path):
        yield path
        return
    root = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(dir=root if root.isascii() else '/tmp') as made:
        link = Path(made, f'file{path.suffix if path.suffix.isascii() else ""}')
        link.symlink_to(path.absolute())
        yield link


def _is_plain(path: Path) -> bool:
    """Whether any library can open it, and print its name in a message."""
    text = str(path.absolute())
    return text.isascii() and text.isprintable()


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], *, columns: Sequence[str] = ()) -> None:
    """Write a table (RFC 4180: lines end in CR LF) as :func:`write_whole` does.

    Args:
        path: in a folder that exists.
        rows: a row may lack columns.
        columns: that come first, and are there without rows, too.
    """
    text = io.StringIO()
    names = dict.fromkeys((*columns, *(column for row in rows for column in row)))
    writer = csv.DictWriter(text, list(names))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _reason(error: BaseException) -> str:
    """The operating system's words, where torch has covered them with its own."""
    cause: Optional[BaseException] = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if cause is None or cause.errno is None:
        return str(cause or error)
    return f'[Errno {cause.errno}] {cause.strerror}'  # without the temporary file's name


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


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is; Windows has no such call."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
