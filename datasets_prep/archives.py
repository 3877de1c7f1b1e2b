"""Zip and tar archives as trees of files, read where they are: nothing is unpacked to the disk."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Union

from datasets_prep.errors import PrepError

# How files begin whose pictures cannot be read one by one, and what to do about it.
_COMPRESSED = {
    b'\x1f\x8b': 'gzip; `gunzip -k` makes a .tar of it, which can be',
    b'BZh': 'bzip2; `bunzip2 -k` makes a .tar of it, which can be',
    b'\xfd7zXZ': 'xz; `xz -dk` makes a .tar of it, which can be',
    b'Rar!': 'RAR',
    b'7z\xbc\xaf': '7-Zip',
}
_ZIP = (b'PK\x03\x04', b'PK\x05\x06', b'PK\x07\x08')
_TAR = (b'ustar', 257)  # and where it stands
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED = 1  # bit of a zip entry's flags


@dataclass(frozen=True, order=True)
class ArchivePath:
    """A file or folder in an archive, with those methods of `pathlib.Path` that finding pictures takes.

    Attributes:
        inner: the path in it, without a slash at either end; empty for all of it.
    """

    archive: Path
    inner: str = ''

    def __str__(self) -> str:
        return f'{self.archive}/{self.inner}' if self.inner else str(self.archive)

    def __truediv__(self, name: str, /) -> ArchivePath:
        inner = (PurePosixPath(self.inner) / name).as_posix()
        return ArchivePath(self.archive, '' if inner == '.' else inner)

    @property
    def name(self) -> str:
        """The last part of the inner path; of all of it, the archive's name."""
        return PurePosixPath(self.inner).name if self.inner else self.archive.name

    @property
    def stem(self) -> str:
        """The name without its last ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's last ending with its dot, or ''."""
        return PurePosixPath(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """Those of the archive's path, then those of the inner one."""
        return (*self.archive.parts, *PurePosixPath(self.inner).parts)

    @property
    def parent(self) -> FilePath:
        """The folder in the archive; of all of it, the folder that the archive lies in."""
        if not self.inner:
            return self.archive.parent
        parent = PurePosixPath(self.inner).parent.as_posix()
        return ArchivePath(self.archive, '' if parent == '.' else parent)

    def absolute(self) -> ArchivePath:
        """The same with the archive's path from the root on."""
        return ArchivePath(self.archive.absolute(), self.inner)

    def is_file(self) -> bool:
        """Whether the archive has a file of this path."""
        return self.inner in _opened(self.archive).sizes

    def is_dir(self) -> bool:
        """Whether the archive has something below this path."""
        return self.inner in _opened(self.archive).children

    def iterdir(self) -> Iterator[ArchivePath]:
        """What is in the folder, sorted by name."""
        return (self / name for name in sorted(_opened(self.archive).children[self.inner]))

    def rglob(self, pattern: str, /) -> Iterator[ArchivePath]:
        """Everything below; `pattern` is matched against names."""
        for path in self.iterdir():
            if PurePosixPath(path.name).match(pattern):
                yield path
            if path.is_dir():
                yield from path.rglob(pattern)

    def size(self) -> int:
        """Bytes of the file, 0 if there is none."""
        return _opened(self.archive).sizes.get(self.inner, 0)

    def read_bytes(self) -> bytes:
        """Content of the file.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: the archive is damaged here.
        """
        if not self.is_file():
            raise FileNotFoundError(2, 'No such file in the archive', str(self))
        return _opened(self.archive).read(self.inner)

    def read_text(self, encoding: str = 'utf-8') -> str:
        """The whole content, decoded."""
        return self.read_bytes().decode(encoding)


FilePath = Union[Path, ArchivePath]


def archive_kind(path: Path) -> str | None:
    """'zip', 'tar', or None if the file is neither.

    Raises:
        PrepError: an archive that is compressed as a whole, or of a kind that Python does not read.
    """
    with path.open('rb') as file:
        start = file.read(512)
    for magic, what in _COMPRESSED.items():
        if start.startswith(magic):
            raise PrepError(
                f'{path.absolute()} is compressed as a whole ({what}), so that its pictures cannot be read one by '
                'one: unpack it, and give the folder.'
            )
    if start.startswith(_ZIP):
        return 'zip'
    return 'tar' if start[_TAR[1] :].startswith(_TAR[0]) else None


class _Archive:
    """Sizes of the files and names in the folders of an archive.

    Attributes:
        sizes: path of each file to its bytes.
        children: path of each folder to the names in it.
    """

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.children: dict[str, set[str]] = {'': set()}
        self.stored: dict[str, str] = {}  # to the name under which the archive has it

    def add(self, stored: str, size: int) -> None:
        # Backslashes are those of some Windows programs.
        parts = [part for part in stored.replace('\\', '/').split('/') if part not in ('', '.')]
        if not parts:
            return
        folder = ''
        for part in parts[:-1]:
            self.children[folder].add(part)
            folder = f'{folder}/{part}' if folder else part
            self.children.setdefault(folder, set())
        self.children[folder].add(parts[-1])
        path = '/'.join(parts)
        self.sizes[path], self.stored[path] = size, stored

    def read(self, path: str) -> bytes:
        raise NotImplementedError


class _Zip(_Archive):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = zipfile.ZipFile(path)
        for info in self.file.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED or info.compress_type not in _ZIP_METHODS:
                why = 'encrypted' if info.flag_bits & _ENCRYPTED else 'compressed by a method that Python does not know'
                raise PrepError(f'{path.absolute()} is {why} ({info.filename}): unpack it, and give the folder.')
            self.add(info.filename, info.file_size)

    def read(self, path: str) -> bytes:
        try:
            return self.file.read(self.stored[path])
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise ValueError(f'the archive is damaged here ({error})') from error


class _Tar(_Archive):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = tarfile.open(path, 'r:')  # noqa: SIM115 (open as long as the process reads from it)
        for member in self.file.getmembers():
            if member.isfile():
                self.add(member.name, member.size)

    def read(self, path: str) -> bytes:
        content = self.file.extractfile(self.stored[path])
        assert content is not None
        data = content.read()
        if len(data) != self.sizes[path]:
            raise ValueError('the archive ends here')
        return data


@cache  # one index a process and archive
def _opened(path: Path) -> _Archive:
    try:
        return _Zip(path) if archive_kind(path) == 'zip' else _Tar(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise PrepError(
            f'{path.absolute()} is damaged, incomplete or one of several parts ({error}): download it again.'
        ) from error
