"""Files out of Debian packages, which are archives that anyone can read: nothing is installed."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets_prep.errors import PrepError
from datasets_prep.qt_resources import SUFFIX, resource_files

_MAGIC = b'!<arch>\n'
_ARCHITECTURE = re.compile(r'(?<=^usr/lib/)[^/]+-linux-gnu[^/]*(?=/)')  # x86_64-linux-gnu, arm-linux-gnueabihf, ...
_HEADER = 60  # bytes in front of each member: name (16), times and owners (32), size (10), end mark (2)


def get_packages(names: Collection[str], folder: Path, *, download: bool) -> dict[str, Path]:
    """The `.deb` file of each package in a folder; those that are not there are fetched with apt-get.

    Args:
        download: whether to fetch; without it a missing package is an error.

    Raises:
        PrepError: a package cannot be had, or lies there in several versions; the message says what to do.
    """
    found = {name: sorted(folder.glob(f'{name}_*.deb')) for name in names}
    several = [str(path) for paths in found.values() if len(paths) > 1 for path in paths]
    if several:
        raise PrepError(f'several versions of a package: {", ".join(several)}. Leave one of each.')
    missing = [name for name, paths in found.items() if not paths]
    if missing and not download:
        raise PrepError(f'{folder} has no {", ".join(f"{name}_*.deb" for name in missing)}: {_advice(missing)}')
    if missing:
        _download(missing, folder)
        return get_packages(names, folder, download=False)
    return {name: paths[0] for name, paths in found.items()}


def _download(names: list[str], folder: Path) -> None:
    if shutil.which('apt-get') is None:
        raise PrepError(f'there is no apt-get on this machine: {_advice(names)}')
    folder.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own first: an interrupted download must not look like a package.
    with _emptied(folder / 'partial') as partial:
        result = subprocess.run(
            ['apt-get', 'download', *names], cwd=partial, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if result.returncode:
            said = result.stdout.strip()
            raise PrepError(f'apt-get download failed:\n{said}\nRun `apt-get update`, or {_advice(names)}')
        for path in partial.glob('*.deb'):
            path.rename(folder / path.name)


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _advice(names: list[str]) -> str:
    return (
        f'on a machine with Debian 12 (bookworm; a container will do) run `apt-get download {" ".join(names)}`, '
        'bring the files here and name their folder with --debs'
    )


def read_files(package: Path, paths: Collection[str]) -> dict[str, bytes]:
    """Content of the files of a package that have these paths (without a leading slash); others are left out.

    A path below usr/lib that names the architecture has `*` there: apt-get fetches the machine's own package. What lies
    in a Qt resource has its path there behind the resource's own: usr/share/game/pictures.rcc/game/dog.webp.

    Raises:
        PrepError: no Debian package, or a damaged one.
    """
    contents = {}
    resources = {path.split(f'{SUFFIX}/')[0] + SUFFIX for path in paths if f'{SUFFIX}/' in path}
    try:
        with package.open('rb') as file:
            _seek_data(file)
            # Not 'r|*': it copies all that is unpacked ahead at each header, minutes for packages of many files.
            with tarfile.open(fileobj=file, mode='r:*') as archive:
                for member in archive:
                    path = _ARCHITECTURE.sub('*', member.name.lstrip('./'))
                    wanted = path in paths or path in resources
                    file_in_it = archive.extractfile(member) if wanted and member.isfile() else None
                    if file_in_it is not None:
                        contents[path] = file_in_it.read()
        for path in resources & contents.keys():
            contents |= {f'{path}/{inner}': found for inner, found in resource_files(contents[path])}
    except (OSError, ValueError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
        raise PrepError(f'{package} cannot be read as a Debian package ({error}): download it again') from error
    return {path: content for path, content in contents.items() if path in paths}


def _seek_data(file: BinaryIO) -> None:
    """Go to the first byte of the archive with the package's files."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError('it does not begin as one')
    while len(header := file.read(_HEADER)) == _HEADER:
        if header[:16].strip().rstrip(b'/').startswith(b'data.tar'):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, 1)  # members begin at even positions
    raise ValueError('it has no data.tar')
