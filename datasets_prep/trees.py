"""Finding picture files in archive trees."""

from __future__ import annotations

from typing import Any, TypeVar

from datasets_prep.archives import FilePath

Tree = TypeVar('Tree', bound=FilePath)
SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'})


def is_hidden(name: str) -> bool:
    """Whether a file manager has left the file or folder: ``._000047.png``, ``__MACOSX``."""
    return name.startswith('.') or name == '__MACOSX'


def pictures(folder: Tree, *, recursive: bool = False) -> list[Tree]:
    """The picture files of a folder, sorted; text files, hidden files and those in hidden folders are left out."""
    found: Any = folder.rglob('*') if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and not any(is_hidden(part) for part in path.parts[len(folder.parts) :])
        and path.is_file()
    )


def subfolders(folder: FilePath) -> list[FilePath]:
    """The folders in a folder, sorted, hidden ones left out; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    found: list[FilePath] = [path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)]
    return sorted(found, key=lambda path: path.parts)


def count_problems(found: int, *, expected: int, what: str, partial: bool) -> list[str]:
    """A problem where the number of pairs is not the published one, unless a partial set is asked for."""
    if found == expected or (partial and found):
        return []
    if not found:
        return [f'{what}: no pairs, where {expected} are expected; is it the folder of this dataset?']
    return [f'{what}: {found} pairs instead of {expected}; is the download complete? --partial accepts what is there']
