"""One picture, from its file to arrays and back.

Pillow reads and writes 8 bits and the metadata, OpenCV the pixels of 16 bits (:mod:`.deep`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Optional

import numpy as np
from PIL import Image, ImageOps

from ..errors import PictureError
from . import heif
from .deep import is_deep, read_deep, write_deep_png, write_tiff
from .metadata import Metadata, noting_warnings, orientation_of

FORMATS = {
    '.png': 'PNG',
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
    **heif.FORMATS,
}
# What a picture takes at most while it is read, held twice (before and after) and written, for each of its pixels.
BYTES_PER_PIXEL = {8: 20, 16: 40}
PNG_LEVEL = 4  # of deflate: half the time of Pillow's 6 for photographs, and within 2 % of its size
MANY = ('MPO', 'HEIF')  # of their pictures the main one is restored: the others are previews, depth, or of a burst
ADVICE = {
    'CMYK': 'it has printing colours (CMYK): convert it to RGB first',
    'YCCK': 'it has printing colours (CMYK): convert it to RGB first',
    'F': 'its values are floating-point numbers: save it with 8 or 16 bits first',
    'I': 'it has 32 bits a pixel, or signed ones: save it with 8 or 16 bits first',
}


@dataclass
class Picture:
    """A picture in memory.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16, upright.
        alpha: (H, W) of the same type, or None.
        metadata: what else the file says.
        notes: what is not as in the file, a message each.
    """

    pixels: np.ndarray
    alpha: Optional[np.ndarray] = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    """What a picture's header says; sides as they are stored, before it is turned upright."""

    height: int
    width: int
    bits: int

    @property
    def held_bytes(self) -> int:
        """Memory that the picture takes at most beside the network."""
        return self.height * self.width * BYTES_PER_PIXEL[self.bits]


def read_shape(path: Path) -> Shape:
    """Read a picture's header.

    Raises:
        PictureError: no picture, or one of a kind that is not restored.
    """
    with _opened(path, []) as image:
        return Shape(image.height, image.width, 16 if is_deep(image) else 8)


def read_picture(path: Path) -> Picture:
    """Read a picture.

    Raises:
        PictureError: it cannot be read whole, or is of a kind that is not restored.
    """
    notes: list[str] = []
    with _opened(path, notes) as image:
        deep = is_deep(image)
        image.load()  # all of it, which OpenCV does not ask for
        orientation = orientation_of(image, notes)
        turned = orientation > 1
        if turned:
            # A copy: what Pillow turns in place is no longer a file, whose metadata are read below.
            upright = ImageOps.exif_transpose(image)
            upright.format, upright.text = image.format, getattr(image, 'text', None)  # type: ignore[attr-defined]
        else:
            upright = image
        metadata = Metadata.of(upright, was_oriented=turned, notes=notes)
        if image.format == 'MPO' or getattr(image, 'n_frames', 1) > 1:
            notes.append('only the first of its pictures is kept')
        depth = image.info.get('bit_depth', 8)
        if image.format == 'HEIF' and depth > 8:
            notes.append(f'read with 8 of its {depth} bits')
        pixels = read_deep(path, orientation) if deep else _channels(upright)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1].copy()
        pixels = pixels[..., 0].copy() if pixels.shape[2] == 2 else pixels[..., :3].copy()
    return Picture(pixels, alpha, metadata, notes)


def write_picture(file: BinaryIO, picture: Picture, suffix: str) -> list[str]:
    """Write a picture; JPEG, HEIC and AVIF with quality 95 and full colour resolution, the others without loss.

    Args:
        file: open for writing, at its beginning.
        picture: what is written.
        suffix: of the file's name, a key of `FORMATS`.

    Returns:
        What is not written as it was, a message each.

    Raises:
        PictureError: the format cannot hold it.
    """
    try:
        return _write(file, picture, suffix.lower())
    except PictureError:
        raise
    except Exception as error:  # whatever odd metadata or sizes make the writers stumble over
        if isinstance(error, OSError) and error.errno:  # the disk, not the picture
            raise
        raise PictureError(f'it cannot be written as {suffix} ({error}): choose another --format') from error


def _write(file: BinaryIO, picture: Picture, suffix: str) -> list[str]:
    kind, metadata, notes = FORMATS[suffix], picture.metadata, []
    pixels = picture.pixels
    if picture.alpha is not None:
        if kind == 'JPEG':
            raise PictureError(f'it has transparency, which {suffix} cannot hold: choose --format png')
        pixels = np.dstack([pixels, picture.alpha])
    if pixels.dtype == np.uint16 and kind not in ('PNG', 'TIFF'):
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        notes.append(f'written with 8 bits, {suffix} holds no more')
    if kind == 'TIFF':
        write_tiff(file, pixels, metadata)
    elif pixels.dtype == np.uint16:
        if pixels.ndim == 3 and pixels.shape[2] == 2:
            pixels = pixels[..., [0, 0, 0, 1]]
            notes.append('written as RGB: OpenCV writes no grey of 16 bits with transparency')
        write_deep_png(file, pixels, _options(kind, metadata))
    else:
        Image.fromarray(pixels).save(file, kind, **_options(kind, metadata))
    return notes


def _options(kind: str, metadata: Metadata) -> dict:
    """Arguments of Pillow's writers."""
    if kind == 'BMP':
        return {'dpi': metadata.dpi} if metadata.dpi else {}
    options: dict[str, Any] = {'exif': metadata.exif, 'icc_profile': metadata.icc_profile, 'xmp': metadata.xmp or b''}
    if kind in heif.FORMATS.values():
        options = {name: value for name, value in options.items() if value}
        return {**options, **heif.options(kind)}
    if kind == 'WEBP':
        return {**options, 'lossless': True, 'exact': True, 'icc_profile': metadata.icc_profile or b''}
    if metadata.dpi:
        options['dpi'] = metadata.dpi
    if kind == 'PNG':
        del options['xmp']
        return {**options, 'pnginfo': metadata.png_info(), 'compress_level': PNG_LEVEL}
    return {**options, 'quality': 95, 'subsampling': 0, 'comment': metadata.comment or b''}


@contextmanager
def _opened(path: Path, notes: list[str]) -> Iterator[Image.Image]:
    """Pillow's picture of a file; what it warns of is noted, what it or OpenCV stumble over is raised."""
    most = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # how large a picture may be, the memory limit says
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PictureError('it is no file (but a folder, pipe or device)')
        heif.prepare(path)
        Image.init()
        formats = sorted(set(FORMATS.values()) & set(Image.OPEN))
        with noting_warnings(notes), Image.open(path, formats=formats) as image:
            _refuse_kinds(image)
            yield image
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        raise PictureError('it is no picture that can be read, whatever its name says, or a truncated one') from error
    except FileNotFoundError as error:
        raise PictureError('there is no such file (any more)') from error
    except PermissionError as error:
        raise PictureError('it may not be read: no permission') from error
    except Exception as error:  # whatever damaged files make the libraries stumble over
        raise PictureError(f'it cannot be read: {error}. It may be truncated or damaged') from error
    finally:
        Image.MAX_IMAGE_PIXELS = most


def _refuse_kinds(image: Image.Image) -> None:
    count = getattr(image, 'n_frames', 1)
    if count > 1 and image.format not in MANY:
        raise PictureError(f'it holds {count} pictures (an animation, or pages): save those to restore one by one')
    if image.mode in ADVICE:
        raise PictureError(ADVICE[image.mode])
    if image.format == 'TIFF' and is_deep(image):
        return
    if image.mode not in ('1', 'L', 'LA', 'La', 'P', 'PA', 'RGB', 'RGBA', 'RGBa', 'RGBX', 'YCbCr', 'I;16', 'I;16B'):
        raise PictureError(f'its colours are of a kind ({image.mode}) that is not restored: convert it to RGB first')


def _channels(image: Image.Image) -> np.ndarray:
    """8-bit pixels: (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4); palettes become colours."""
    if image.mode in ('1', 'L', 'LA', 'La'):
        if image.mode == '1' and image.has_transparency_data:
            image = image.convert('RGBA')
            return np.asarray(image)[..., [0, 3]]
        return np.asarray(image.convert('LA' if image.has_transparency_data else 'L'))
    return np.asarray(image.convert('RGBA' if image.has_transparency_data else 'RGB'))
