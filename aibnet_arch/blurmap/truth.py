"""The pictures to look at, with the truth about them, from files, folders and LMDB folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import lmdb
import numpy as np

from datasets_prep.images import check_file, decode
from datasets_prep.lmdb_reader import read_keys, reading
from datasets_prep.trees import SUFFIXES, pictures

from ..errors import UserError
from ..messages import some

EXTENT_UNITS = 256  # a pixel of the blur's path, in a picture of extents


@dataclass(frozen=True)
class Source:
    """A picture in a file, or under a key of an LMDB folder."""

    path: Path
    key: Optional[bytes] = None

    def __str__(self) -> str:
        return str(self.path) if self.key is None else f"{self.path}, key '{self.key.decode()}'"

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR; grey becomes colour, alpha is dropped.

        Raises:
            UserError: it cannot be read, is damaged or no picture.
        """
        data = self._bytes()
        try:
            check_file(data)
            return decode(data)
        except ValueError as error:
            raise UserError(f'{self}: {error}') from error

    def extent(self) -> np.ndarray:
        """A grey picture of 16 bit as pixels of blur, (H, W) float32.

        Raises:
            UserError: it is none.
        """
        self.picture()  # the same checks
        values = np.asarray(cv2.imdecode(np.frombuffer(self._bytes(), np.uint8), cv2.IMREAD_UNCHANGED))
        if values.dtype != np.uint16 or values.ndim != 2:
            raise UserError(
                f'{self} is no extent of blur: expected a grey picture of 16 bit, {EXTENT_UNITS} a pixel, '
                f'got {values.dtype} of shape {values.shape}'
            )
        return values.astype(np.float32) / EXTENT_UNITS

    def mask(self) -> np.ndarray:
        """Where a picture is above 0 in some colour, as ReLoBlur's masks mark what is blurred: (H, W) float32, 0 or 1.

        Raises:
            UserError: it cannot be read.
        """
        return self.picture().max(axis=2).clip(0, 1).astype(np.float32)

    def _bytes(self) -> bytes:
        try:
            if self.key is None:
                return self.path.read_bytes()
            with reading(self.path) as stored:
                return bytes(stored.get(self.key) or b'')
        except (OSError, lmdb.Error) as error:
            raise UserError(f'{self} cannot be read: {error}') from error


@dataclass(frozen=True)
class Item:
    """One blurred picture, with its sharp one, the extent of its blur and a mask of it where they are known."""

    name: str
    lq: Source
    gt: Optional[Source] = None
    extent: Optional[Source] = None
    mask: Optional[Source] = None

    def check(self) -> None:
        """Read everything once.

        Raises:
            UserError: something is no picture, or the sizes differ.
        """
        shape = self.lq.picture().shape[:2]
        for source, read in (
            (self.gt, Source.picture),
            (self.extent, Source.extent),
            (self.mask, Source.mask),
        ):
            other = shape if source is None else read(source).shape[:2]
            if other != shape:
                raise UserError(
                    f'{self.lq} has {shape[1]}x{shape[0]} pixels, {source} has {other[1]}x{other[0]}: they are no pair'
                )


def find_items(
    inputs: Sequence[Path], *, gt: Optional[Path], extent: Optional[Path], mask: Optional[Path] = None
) -> list[Item]:
    """The pictures of all inputs, sorted by name; partners are those of the same name without its suffix.

    Args:
        inputs: files, folders of pictures (not those below), or LMDB folders.
        gt, extent, mask: likewise one each. A file goes with a single picture, whatever their names.

    Raises:
        UserError: all that is missing or ambiguous.
    """
    found: dict[str, Source] = {}
    for path in inputs:
        for name, source in _sources(path).items():
            if name in found:
                raise UserError(f'two pictures are called {name!r}: {found[name]} and {source}. Give them one by one.')
            found[name] = source
    truths = (('gt', gt), ('extent', extent), ('mask', mask))
    partners = {option: _partners(found, path, option) for option, path in truths if path}
    return [
        Item(name, found[name], **{option: sources[name] for option, sources in partners.items()})
        for name in sorted(found)
    ]


def parts_of_set(folder: Path) -> dict[str, Path]:
    """'input', and 'target' and 'extent' if they are there, of a set that datasets_prep made; empty if it is none."""
    found: dict[str, Path] = {}
    for name in ('input', 'target', 'extent'):
        for path in (folder / f'{name}.lmdb', folder / name):
            if path.is_dir():
                found.setdefault(name, path)
    return found if 'input' in found else {}


def _sources(path: Path) -> dict[str, Source]:
    if path.is_file():
        return {path.stem: Source(path)}
    if (path / 'data.mdb').is_file():
        try:
            keys = read_keys(path)
        except lmdb.Error as error:
            raise UserError(f'LMDB cannot read {path}: {error}') from error
        found = {key.decode('utf-8', 'replace'): Source(path, key) for key in keys}
    elif path.is_dir():
        found = {}
        for file in pictures(path):
            if file.stem in found:
                raise UserError(f'two pictures are called {file.stem!r}: {found[file.stem]} and {file}. Rename one.')
            found[file.stem] = Source(file)
    else:
        raise UserError(f'there is no {path}')
    if not found:
        raise UserError(f'no pictures in {path}: looked for {", ".join(sorted(SUFFIXES))}, and for an LMDB (data.mdb)')
    return found


def _partners(found: Mapping[str, Source], path: Path, option: str) -> dict[str, Source]:
    there = _sources(path)
    if path.is_file() and len(found) == 1:
        return {name: source for name in found for source in there.values()}
    missing = sorted(found.keys() - there.keys())
    if missing:
        raise UserError(
            f'--{option} {path} has no picture for {len(missing)} of {len(found)}: {some(missing)}. '
            'Partners have the same name.'
        )
    return there
