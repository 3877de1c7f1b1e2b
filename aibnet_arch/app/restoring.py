"""What the page does with a picture: restore it, and make what is shown of it. Knows nothing of gradio."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datasets_prep.images import reduced

from ..blurmap.maps import coloured
from ..errors import PictureError
from ..files import whole_file
from ..modeling import AIBNet
from ..photos import Deblurrer
from ..photos.picture_file import read_picture, read_shape, write_picture

SHOWN_SIDE = 2000  # pixels: a screen shows no more, a larger picture makes the divider slow


@dataclass(frozen=True)
class Shown:
    """A picture that is restored.

    Attributes:
        result: its file, in full size and depth, of its own kind.
        before, after: PNG files of 8 bits for the screen, at most `SHOWN_SIDE` pixels wide and high.
        maps: title and PNG file of each blur map.
    """

    result: Path
    before: Path
    after: Path
    maps: list[tuple[str, Path]] = field(default_factory=list)
    note: str = ''


class Workshop:
    """Restores the pictures of one page, with the weights that were used last kept in memory.

    Args:
        folder: of the results and of what is shown; each picture gets one of its own in it.
        settings: of :class:`.Deblurrer`.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._folder, self._settings = folder, settings
        self._weights = ''
        self._deblurrer: Any = None
        self._count = 0

    def deblurrer(self, weights: str) -> Deblurrer:
        """The network of a file of weights.

        Raises:
            CheckpointError: it cannot be read.
        """
        if weights != self._weights:
            self._deblurrer, self._weights = None, ''  # two networks at a time may be too many
            self._deblurrer = Deblurrer.from_file(weights, **self._settings)
            self._weights = weights
        return self._deblurrer

    def restore(self, path: Path, weights: str, *, maps: bool, progress: Callable[[float, str], object]) -> Shown:
        """Restore a picture.

        Args:
            maps: make the blur maps, too, if the picture is restored whole.
            progress: called with the part that is done, of 1, and what is done, with the time left.

        Raises:
            PictureError: it cannot be read, restored or written.
            CheckpointError: the weights cannot be read.
        """
        deblurrer, shape = self.deblurrer(weights), read_shape(path)
        tile = deblurrer.choose_tile(shape.height, shape.width, held=shape.held_bytes)
        picture = read_picture(path)
        clock = _Clock(path.name, progress)
        after = deblurrer.restore(picture.pixels, tile, progress=clock)
        self._count += 1
        place = self._folder / str(self._count)
        place.mkdir()
        result = place / path.name
        with whole_file(result) as temporary, open(temporary, 'xb') as file:
            notes = [*picture.notes, *write_picture(file, replace(picture, pixels=after), path.suffix)]
        told = [f'{shape.width}x{shape.height}', deblurrer.tile_note(shape.height, shape.width, tile), *notes]
        made: list[tuple[str, Path]] = []
        network = deblurrer.network
        if maps and not isinstance(network, AIBNet):
            told.append('no blur map: the network is no AIBNet')
        elif maps and tile is not None:
            told.append('no blur map: it was restored in tiles')
        elif maps and isinstance(network, AIBNet):
            progress(1, f'{path.name}: blur map')
            pictures = coloured(network, _for_screen(picture.pixels))
            made = [
                (title, _write(place / f'map{n}.png', pixels)) for n, (title, pixels) in enumerate(pictures.items())
            ]
        return Shown(
            result=result,
            before=_write(place / 'before.png', _for_screen(picture.pixels)),
            after=_write(place / 'after.png', _for_screen(after)),
            maps=made,
            note='; '.join(told),
        )


class _Clock:
    """Adds up the parts of a picture, and reckons the time left from them."""

    def __init__(self, name: str, progress: Callable[[float, str], object]) -> None:
        self._name, self._progress = name, progress
        self._part, self._started = 0.0, time.monotonic()
        progress(0, name)

    def __call__(self, part: float) -> None:
        self._part = min(self._part + part, 1)
        gone = time.monotonic() - self._started
        left = round(gone / self._part - gone)
        self._progress(self._part, f'{self._name}: about {left // 60}:{left % 60:02d} left')


def _for_screen(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) RGB, uint8 or uint16 -> (H, W, 3) BGR, uint8."""
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    return np.dstack([pixels] * 3) if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])


def _write(path: Path, pixels: np.ndarray) -> Path:
    """(H, W, 3) BGR as PNG, reduced to what a screen shows."""
    done, encoded = cv2.imencode('.png', reduced(pixels, SHOWN_SIDE))
    if not done:
        raise PictureError('OpenCV cannot write it as PNG')
    path.write_bytes(encoded.tobytes())
    return path
