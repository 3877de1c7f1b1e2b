"""The folder of a page: made, or cleared of the page that was there, and of nothing else."""

from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..files import PART
from ..messages import printable
from .entry import FILE_NAME, PICTURES

INDEX = 'index.html'
MARK = 'aibnet_arch.page'  # the page's <meta name="generator">


def make_room(folder: Path) -> None:
    """Make the folder of a page, without pictures.

    Raises:
        UserError: it holds something that is no page, or cannot be made.
    """
    try:
        foreign = _foreign(folder)
        if foreign:
            raise UserError(
                f'{printable(folder)} is to become a page, but holds {printable(foreign)}: name another folder, '
                f'or move it away'
            )
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        for path in (*(folder / PICTURES).iterdir(), *folder.glob(f'.*{PART}')):
            path.unlink()
    except OSError as error:
        raise UserError(f'{printable(folder)} cannot become the folder of a page: {error}') from error


def _foreign(folder: Path) -> Optional[str]:
    """The name of something in a folder that no page of ours consists of."""
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if path.name not in (INDEX, PICTURES) and not path.name.endswith(f'.{INDEX}{PART}'):
            return path.name
    pictures, index = folder / PICTURES, folder / INDEX
    for path in sorted(pictures.iterdir()) if pictures.exists() else ():
        if not FILE_NAME.fullmatch(path.name) or path.is_dir():
            return f'{PICTURES}/{path.name}'
    if index.exists() and f'content="{MARK}"' not in index.read_text(encoding='utf-8', errors='replace'):
        return INDEX
    return None
