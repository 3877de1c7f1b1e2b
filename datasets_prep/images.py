"""Reading pictures with strict checks, and PNG as it is stored in the LMDB folders."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from datasets_prep.pairs import Made, Source

# BasicSR's level, written to meta_info.txt.
COMPRESS_LEVEL = 1
# Run-length matches only: on photographs a tenth smaller and a fifth faster than the level's full match search,
# which finds next to nothing in them. It is OpenCV's own default where no level is asked for.
_ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, COMPRESS_LEVEL, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}  # colour type to the channels OpenCV decodes it to
_JPEG_START, _JPEG_SCAN, _JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'


@dataclass(frozen=True)
class PngHeader:
    """What a PNG's first chunk says: pixels, the channels that OpenCV decodes, whether it is RGB of 8 bits."""

    height: int
    width: int
    channels: int
    is_rgb8: bool


def check_png(data: bytes | memoryview) -> PngHeader:
    """Walks all chunks of a PNG and checks their CRC-32, which finds any damaged byte without decoding.

    OpenCV by itself decodes the rest of a truncated file to grey or black and reports success.

    Raises:
        ValueError: not a PNG, truncated, or damaged.
    """
    view = memoryview(data)
    if bytes(view[:8]) != _PNG_SIGNATURE:
        raise ValueError('not a PNG')
    header: PngHeader | None = None
    position, kind = 8, b''
    while kind != b'IEND':
        if position + 12 > len(view):
            raise ValueError('a truncated PNG')
        length, kind = struct.unpack('>I4s', view[position : position + 8])
        end = position + 12 + length
        if end > len(view):
            raise ValueError('a truncated PNG')
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], 'big'):
            raise ValueError('a damaged PNG (checksum of its chunk differs)')
        if header is None:
            if kind != b'IHDR' or length != 13:
                raise ValueError('a damaged PNG (does not begin with its header)')
            width, height, depth, colour = struct.unpack('>IIBB', view[position + 8 : position + 18])
            if colour not in _PNG_CHANNELS:
                raise ValueError('a damaged PNG (unknown colour type)')
            header = PngHeader(height, width, _PNG_CHANNELS[colour], is_rgb8=(depth, colour) == (8, 2))
        position = end
    assert header is not None
    return header


def check_file(data: bytes) -> PngHeader | None:
    """Finds damage in a picture file that OpenCV would pass over; returns the header of a PNG, else None.

    Raises:
        ValueError: empty, or a damaged PNG or truncated JPEG.
    """
    if not data:
        raise ValueError('an empty file')
    if data.startswith(_PNG_SIGNATURE):
        return check_png(data)
    if data.startswith(_JPEG_START) and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        raise ValueError('a truncated JPEG')
    return None


def decode(data: bytes | memoryview) -> np.ndarray:
    """Decodes a picture file the way BasicSR does.

    Args:
        data: the file's bytes, in any format OpenCV reads; not empty.

    Returns:
        uint8, (H, W, 3), BGR, 0..255. Grey becomes three equal channels, alpha is dropped, 16 bits become 8.

    Raises:
        ValueError: OpenCV cannot decode it.
    """
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f'not decodable ({error.err})') from error
    if picture is None:
        raise ValueError('not decodable as a picture')
    return picture


def load(source: Source) -> tuple[np.ndarray, bytes | None]:
    """Reads one side of a pair.

    Returns:
        The picture (uint8, (H, W, 3), BGR) and, where the source is an 8-bit RGB PNG file, its bytes, which can be
        stored as they are.

    Raises:
        ValueError: the file cannot be read or decoded, or the array is not uint8 of shape (H, W, 3).
    """
    if isinstance(source, Made):
        source = source.make()
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or source.size == 0:
            raise ValueError(f'an array must be uint8 of shape (H, W, 3), got {source.dtype} {source.shape}')
        return source, None
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ValueError(f'not readable ({error.strerror})') from error
    header = check_file(data)
    return decode(data), data if header is not None and header.is_rgb8 else None


def reduced(picture: np.ndarray, largest_side: int) -> np.ndarray:
    """The picture with its larger side at most so many pixels long."""
    scale = largest_side / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def encode(picture: np.ndarray) -> bytes:
    """PNG bytes of a uint8 (H, W, 3) BGR picture."""
    return cv2.imencode('.png', picture, _ENCODING)[1].tobytes()
