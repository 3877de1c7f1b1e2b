"""What a picture's file says beside its pixels, and is kept in the restored one."""

import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

ORIENTATION = 274
# Tags of the TIFF directory that say how its pixels are stored (or hold copies of them): the written file has its own.
# ICC profile (34675) and XMP (700) are kept apart from the others.
_STORAGE_RANGES = (
    (254, 259),
    (262, 266),
    (277, 281),
    (288, 293),
    (317, 325),
    (332, 334),
    (336, 343),
    (512, 515),
    (517, 521),
    (529, 532),
)
STORAGE_TAGS = frozenset(
    {273, 284, 330, 347, 700, 33723, 34377, 34675}.union(*(range(first, last + 1) for first, last in _STORAGE_RANGES))
)
# PNG texts that hold what is kept in a place of its own.
TEXTS_KEPT_ELSEWHERE = ('XML:com.adobe.xmp', 'Raw profile type exif', 'Raw profile type APP1')


@dataclass
class Metadata:
    """Kept from a picture.

    Attributes:
        exif: EXIF data as in a JPEG file, without preview picture, its orientation (if it has one) 1; empty: none.
        icc_profile: colour profile.
        xmp: Adobe's XML.
        dpi: resolution, across and down.
        comment: of a JPEG file.
        texts: of a PNG file.
        chunks: of a PNG file: gamma and colour space.
    """

    exif: bytes = b''
    icc_profile: Optional[bytes] = None
    xmp: Optional[bytes] = None
    dpi: Optional[tuple[float, float]] = None
    comment: Optional[bytes] = None
    texts: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, image: Image.Image, *, was_oriented: bool, notes: list[str]) -> 'Metadata':
        """Take it from a picture that Pillow has read, and turned upright if `was_oriented`; damage goes to `notes`."""
        info = image.info
        metadata = cls(icc_profile=info.get('icc_profile') or None, comment=_bytes(info.get('comment')))
        metadata.xmp = _bytes(info.get('xmp') or info.get('XML:com.adobe.xmp'))
        dpi = info.get('dpi')
        if dpi and all(0 < float(value) < 1e6 for value in dpi):
            metadata.dpi = (float(dpi[0]), float(dpi[1]))
        texts = getattr(image, 'text', None) or {}
        metadata.texts = {key: text for key, text in texts.items() if key not in TEXTS_KEPT_ELSEWHERE}
        if image.format == 'PNG':
            metadata.chunks = list(_colour_chunks(info))
        with noting_damage(notes):
            metadata.exif = _exif(image, was_oriented=was_oriented)
        return metadata

    def png_info(self) -> PngInfo:
        """What Pillow writes into a PNG file beside EXIF, profile and resolution."""
        png_info = PngInfo()
        for name, content in self.chunks:
            png_info.add(name, content)
        for key, text in self.texts.items():
            png_info.add_text(key, text) if _is_latin(text) else png_info.add_itxt(key, text)
        if self.xmp:
            png_info.add_itxt('XML:com.adobe.xmp', self.xmp.decode('utf-8', 'replace'))
        return png_info


def orientation_of(image: Image.Image, notes: list[str]) -> int:
    """EXIF's orientation, 1 to 8; 1 where it does not say. Damage is added to `notes`."""
    value = 1
    with noting_damage(notes):
        value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


@contextmanager
def noting_warnings(notes: list[str]) -> Iterator[None]:
    """What Pillow warns of, damaged EXIF data, as a note."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always', UserWarning)
        yield
    if found:
        _note_damage(notes, str(found[0].message))


@contextmanager
def noting_damage(notes: list[str]) -> Iterator[None]:
    """What Pillow stumbles over in a damaged EXIF directory as a note."""
    try:
        yield
    except Exception as error:  # there is no end of ways
        _note_damage(notes, str(error))


def _note_damage(notes: list[str], reason: str) -> None:
    notes.append(f'its EXIF data is damaged, what cannot be read is left out ({reason.strip()})')


def load_exif(content: bytes) -> Image.Exif:
    """The directory of :attr:`Metadata.exif`."""
    exif = Image.Exif()
    exif.load(content)
    _keep_letters(exif)
    return exif


def _exif(image: Image.Image, *, was_oriented: bool) -> bytes:
    exif = image.getexif()
    for tag in STORAGE_TAGS.intersection(exif):
        del exif[tag]
    if was_oriented or ORIENTATION in exif:
        exif[ORIENTATION] = 1
    _keep_letters(exif)
    return exif.tobytes() if len(exif) else b''


def _keep_letters(exif: Image.Exif) -> None:
    """Texts that are not ASCII as the bytes that they were: Pillow reads them as Latin-1, but writes '?' for them."""
    below = (exif.get_ifd(tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if tag in exif)
    for directory in (exif, *below):
        for tag, value in list(directory.items()):
            if isinstance(value, str) and not value.isascii():
                directory[tag] = value.encode('latin-1')


def _colour_chunks(info: Mapping[Any, Any]) -> Iterator[tuple[bytes, bytes]]:
    """gAMA, cHRM and sRGB as PNG files hold them."""
    if 'chromaticity' in info:
        yield b'cHRM', struct.pack('>8I', *(round(value * 100000) for value in info['chromaticity']))
    if 'gamma' in info:
        yield b'gAMA', struct.pack('>I', round(info['gamma'] * 100000))
    if 'srgb' in info:
        yield b'sRGB', bytes([info['srgb']])


def _bytes(value: Any) -> Optional[bytes]:
    return (value.encode() if isinstance(value, str) else bytes(value)) if value else None


def _is_latin(text: str) -> bool:
    return re.fullmatch(r'[\x00-\xff]*', text) is not None
