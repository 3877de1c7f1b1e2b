"""Pictures of 16 bits: pixels by OpenCV (Pillow has 8 bits for colour), files with what Pillow knows of metadata."""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, TiffTags
from PIL.PngImagePlugin import PngImageFile

from ..errors import PictureError
from .metadata import Metadata, load_exif

PHOTOMETRIC, PLANAR, SAMPLE_FORMAT, BITS = 262, 284, 339, 258
STRIP_BYTES = 1 << 20
IDAT, PNG_HEADER_BYTES = b'IDAT', 33  # signature and IHDR


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that Pillow has opened holds 16 bits a channel.

    Raises:
        PictureError: it does, in a way that OpenCV does not read.
    """
    if isinstance(image, PngImageFile):
        return str(image.tile[0][3]).endswith('16B')
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    bits = tags.get(BITS, (1,))
    if max(bits) <= 8:
        return False
    plain = (
        set(bits) == {16}
        and tags.get(PHOTOMETRIC) in (1, 2)
        and tags.get(PLANAR, 1) == 1
        and set(tags.get(SAMPLE_FORMAT, (1,))) == {1}
    )
    if not plain:
        raise PictureError(
            'a TIFF of more than 8 bits is read when it is grey or RGB, unsigned 16 bits, its channels interleaved; '
            'save it as 16-bit PNG or so'
        )
    return True


def read_deep(path: Path, orientation: int) -> np.ndarray:
    """Pixels of a picture of 16 bits, turned upright.

    Returns:
        (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint16.
    """
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise PictureError('OpenCV cannot read its 16 bits; save it as 16-bit PNG')
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return np.ascontiguousarray(_upright(pixels, orientation))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: 5 to 8 are transposed, then rows or columns may run backwards."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def write_deep_png(file: BinaryIO, pixels: np.ndarray, options: dict) -> None:
    """Write (H, W), (H, W, 3) or (H, W, 4), uint16.

    OpenCV's file gets the metadata that Pillow writes, with `options`, into a PNG of one pixel.
    """
    file_of_one = io.BytesIO()
    Image.new('L', (1, 1)).save(file_of_one, 'PNG', **options)
    small = file_of_one.getvalue()
    ancillary = small[PNG_HEADER_BYTES : small.index(IDAT) - 4]
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, encoded = cv2.imencode('.png', pixels)
    if not done:
        raise PictureError('OpenCV cannot write it as PNG')
    content = encoded.data.cast('B')
    file.write(content[:PNG_HEADER_BYTES])
    file.write(ancillary)
    file.write(content[PNG_HEADER_BYTES:])


def write_tiff(file: BinaryIO, pixels: np.ndarray, metadata: Metadata) -> None:
    """Write (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), uint8 or uint16: grey, RGB, alpha last; deflated.

    Pillow writes the directory alone: it has no RGB of 16 bits, and no EXIF below a compressed picture.
    """
    height, width, channels = (*pixels.shape, 1)[:3]
    rows = max(STRIP_BYTES // (width * channels * pixels.itemsize), 1)
    strips = [zlib.compress(np.ascontiguousarray(pixels[top : top + rows]).data) for top in range(0, height, rows)]
    sizes = tuple(map(len, strips))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if metadata.dpi:
        tags[282], tags[283], tags[296] = *metadata.dpi, 2
    exif = load_exif(metadata.exif)
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TiffTags.TAGS_V2_GROUPS else exif[tag]
    if metadata.icc_profile:
        tags[34675] = metadata.icc_profile
    if metadata.xmp:
        tags[700] = metadata.xmp
    alpha = channels % 2 == 0
    tags[256], tags[257], tags[277] = width, height, channels
    tags[258] = (8 * pixels.itemsize,) * channels
    tags[259] = 8  # deflate
    tags[262] = 2 if channels >= 3 else 1
    tags[278], tags[279] = rows, sizes
    tags[284] = 1
    if alpha:
        tags[338] = 2  # not premultiplied
    for tag in (273, 279):
        tags.tagtype[tag] = TiffTags.LONG
    tags[273] = tuple(np.cumsum((0, *sizes[:-1])).tolist())  # the directory adds where they begin
    tags.save(file)
    file.writelines(strips)
