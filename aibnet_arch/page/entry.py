"""One picture of a page: its files, written when it is added, and what the page says of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from ..errors import RunError
from ..messages import printable

PICTURES = 'pictures'  # the folder of the files, beside index.html
KINDS = ('before', 'after', 'truth')  # further results are called after2, after3, ...
REQUIRED = ('before', 'after')
# What `_file_name` makes; a page that is written anew deletes nothing else.
FILE_NAME = re.compile(r'\d{4,}-[A-Za-z0-9._-]*_(before|after\d*|truth|map\d+|thumb)\.(png|jpg)')
# Lossless, since people look at single pixels here; level 1 with run lengths is the fastest, and on photographs as
# small as any other level. Heat maps and thumbnails need no such care.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_MAP_QUALITY, _THUMB_QUALITY = 90, 80
_THUMB = 160, 120  # width and height that a thumbnail fits into: twice what the page shows, for dense screens


@dataclass(frozen=True)
class Entry:
    """A picture of a page, whose files are written. Processes hand it to each other.

    Attributes:
        width, height: pixels.
        files: 'before', 'after', perhaps 'after2', 'after3', ... and 'truth', and 'thumb' to the file's name in the
            folder of pictures.
        maps: (name, file's name), in the order in which they are shown.
        note: anything to say about the picture.
        inputs: name to the same metric's value of the picture before.
    """

    name: str
    width: int
    height: int
    files: Mapping[str, str]
    maps: tuple[tuple[str, str], ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    note: str = ''
    inputs: Mapping[str, float] = field(default_factory=dict)


def write_entry(
    folder: Path,
    number: int,
    name: str,
    *,
    pictures: Mapping[str, np.ndarray],
    metrics: Optional[Mapping[str, float]] = None,
    more: Sequence[np.ndarray] = (),
    maps: Optional[Mapping[str, np.ndarray]] = None,
    note: str = '',
    inputs: Optional[Mapping[str, float]] = None,
) -> Entry:
    """Write the files of one picture below ``folder/pictures``.

    Args:
        number: of the picture on the page; no other may have it. File names start with it.
        name: any text; several pictures may have the same.
        pictures: 'before', 'after' and perhaps 'truth', uint8 (H, W, 3) BGR of one size.
        metrics: name to value; infinite ones and NaN are shown as such.
        more: further results beside 'after', in the order of the page's `results`.
        maps: name to picture of the same size, to be laid over the others.
        inputs: name to the same metric's value of the picture before, which the gain is shown against.

    Raises:
        ValueError: pictures are missing, unknown, or not of that form.
        RunError: a file cannot be written.
    """
    pictures, maps = dict(pictures), dict(maps or {})
    wrong = [f'no {kind!r}' for kind in REQUIRED if kind not in pictures]
    wrong += [f'an unknown {kind!r}' for kind in pictures if kind not in KINDS]
    if wrong:
        raise ValueError(f'{name}: among its pictures is {" and ".join(wrong)}; expected before, after, perhaps truth')
    pictures.update({after(number): picture for number, picture in enumerate(more, start=2)})
    for what, picture in (*pictures.items(), *maps.items()):
        dtype, shape = getattr(picture, 'dtype', None), tuple(getattr(picture, 'shape', ()))
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(f'{name}: {what}: expected a uint8 picture (H, W, 3), got {dtype} {shape}')
        if shape != pictures['after'].shape:
            raise ValueError(f'{name}: {what} is {shape}, but after is {pictures["after"].shape}')
    folder = Path(folder) / PICTURES
    files = {kind: _write(folder, number, name, kind, picture) for kind, picture in pictures.items()}
    files['thumb'] = _write(folder, number, name, 'thumb', _thumbnail(pictures['after']), quality=_THUMB_QUALITY)
    overlays = tuple(
        (title, _write(folder, number, name, f'map{count}', picture, quality=_MAP_QUALITY))
        for count, (title, picture) in enumerate(maps.items(), start=1)
    )
    height, width = pictures['after'].shape[:2]
    values = {metric: float(value) for metric, value in (metrics or {}).items()}
    before = {metric: float(value) for metric, value in (inputs or {}).items()}
    return Entry(str(name), width, height, files, overlays, values, str(note), before)


def after(number: int) -> str:
    """The kind of a picture that the first (1), second, ... network gave."""
    return f'after{number}' if number > 1 else 'after'


def _write(
    folder: Path, number: int, name: str, kind: str, picture: np.ndarray, *, quality: Optional[int] = None
) -> str:
    """Write a PNG, or a JPEG of that quality; return the file's name."""
    ending, parameters = ('png', _PNG) if quality is None else ('jpg', (cv2.IMWRITE_JPEG_QUALITY, quality))
    # Letters that need no escape in an URL, on any file system; the number tells apart what they do not.
    plain = re.sub(r'[^A-Za-z0-9._-]+', '-', str(name)).strip('-.')[:60]
    path = folder / f'{number:04d}-{plain}_{kind}.{ending}'
    encoded, data = cv2.imencode(f'.{ending}', picture, parameters)
    if not encoded:
        raise RunError(f'{printable(path)}: OpenCV cannot encode a picture of {picture.shape[1]}x{picture.shape[0]}')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise RunError(f'{printable(path)} cannot be written: {error}') from error
    return path.name


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(_THUMB[0] / width, _THUMB[1] / height, 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
