"""Finding picture files in archive trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datasets_prep.errors import PrepError

SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'})


def pictures(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The picture files of a folder, sorted; text files, hidden files and those in hidden folders are left out."""
    found = folder.rglob('*') if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith('.') for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, hidden ones left out; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.'))


def find_root(folder: Path, *, is_root: Callable[[Path], bool], expected: str) -> Path:
    """The archive's root: the folder given, or one right inside it (zips differ in their wrapping folder).

    Args:
        folder: where the archive was unpacked.
        is_root: recognises the root by what lies in it.
        expected: the tree and its source, for the message.

    Raises:
        PrepError: none of them is the root.
    """
    if not folder.is_dir():
        raise PrepError(f'The folder {folder.absolute()} does not exist. {expected}')
    for candidate in (folder, *subfolders(folder)):
        if is_root(candidate):
            return candidate
    names = sorted(entry.name for entry in folder.iterdir())
    holds = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '') if names else 'nothing'
    raise PrepError(
        f'Neither {folder.absolute()} nor a folder right inside it holds the archive ({holds} is there). {expected}'
    )


def count_problems(found: int, *, expected: int, what: str, partial: bool) -> list[str]:
    """A problem where the number of pairs is not the published one, unless a partial set is asked for."""
    if found == expected or (partial and found):
        return []
    return [f'{what}: {found} pairs instead of {expected}; is the download complete? --partial accepts what is there']
