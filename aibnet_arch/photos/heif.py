"""HEIC and AVIF, the pictures of phones: Pillow reads AVIF by itself, HEIC with the package pillow-heif."""

from pathlib import Path
from typing import Any

from PIL import features

from ..errors import PictureError

FORMATS = {'.heic': 'HEIF', '.heif': 'HEIF', '.hif': 'HEIF', '.avif': 'AVIF'}
# Of a file's `ftyp` box (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6). mif1 and msf1 are of either
# codec, and pillow-heif tells which.
HEIC_BRANDS = {b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'}
AVIF_BRANDS = {b'avif', b'avis'}
QUALITY = 95  # of what is written, as for JPEG, with full colour resolution


def prepare(path: Path) -> None:
    """Have Pillow read the file, if it is HEIC or AVIF by what it holds: phones name it .jpg, too.

    Raises:
        PictureError: what is needed is not installed.
    """
    with path.open('rb') as file:
        beginning = file.read(64)
    if beginning[4:8] != b'ftyp':
        return
    brands = {beginning[8:12], *(beginning[at : at + 4] for at in range(16, len(beginning), 4))}
    if beginning[8:12] in AVIF_BRANDS or AVIF_BRANDS & brands:
        if not features.check('avif'):
            raise PictureError('it is AVIF, which this Pillow does not read: pip install --upgrade "pillow>=11.3"')
    elif beginning[8:12] in HEIC_BRANDS:
        _register()


def options(kind: str) -> dict[str, Any]:
    """Arguments of Pillow's writer of 'HEIF' or 'AVIF', beside the metadata.

    Raises:
        PictureError: what is needed is not installed.
    """
    if kind == 'HEIF':
        _register()
        return {'quality': QUALITY, 'chroma': 444}
    return {'quality': QUALITY, 'subsampling': '4:4:4'}


def _register() -> None:
    try:
        import pillow_heif
    except ModuleNotFoundError as error:
        raise PictureError('it is HEIC, which needs a package: pip install pillow-heif') from error
    pillow_heif.register_heif_opener(thumbnails=False)
