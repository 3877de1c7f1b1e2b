"""Where a dataset begins in what the user gives: folders and archives, which others have wrapped and nested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from aibnet_arch.messages import some
from datasets_prep.archives import ArchivePath, FilePath, archive_kind
from datasets_prep.errors import PrepError
from datasets_prep.trees import is_hidden, subfolders

Found = TypeVar('Found')

DEPTH = 3  # folders in folders in folders of what is given
_OTHER_PARTS = {'train': {'test', 'val'}, 'test': {'train', 'val', 'Downloads'}}  # Downloads is Restormer's
# Names of pairs of folders (blurred, sharp) in archives that others have made of the authors'.
REPACKED = (('input', 'target'), ('input', 'groundtruth'), ('blurred', 'sharp'), ('blur', 'sharp'))


def open_inputs(inputs: Sequence[Path], *, expected: str) -> list[FilePath]:
    """The folders and archives that are given.

    Args:
        inputs: paths of folders, zip and tar files.
        expected: the tree and its source, for the message.

    Raises:
        PrepError: one is missing, or neither a folder nor an archive that can be read in place.
    """
    opened: list[FilePath] = []
    for path in inputs:
        if path.is_dir():
            opened.append(path)
        elif not path.exists():
            raise PrepError(f'The folder {path.absolute()} does not exist. {expected}')
        elif archive_kind(path) is None:
            raise PrepError(f'{path.absolute()} is a file, and neither a zip nor a tar archive. {expected}')
        else:
            opened.append(ArchivePath(path))
    return opened


def first(
    inputs: Sequence[FilePath], look: Callable[..., Found], *, depth: int = DEPTH, **given: object
) -> Found | None:
    """What ``look(place, **given)`` finds in the first place in which it finds something: inputs, what is inside."""
    return next((found for place in _places(inputs, depth) if (found := look(place, **given))), None)


def nothing_found(inputs: Sequence[FilePath], *, expected: str) -> PrepError:
    """The error where no place holds what is looked for; it tells what is there."""
    given = ', '.join(str(place.absolute()) for place in inputs)
    names = sorted({entry.name for place in inputs for entry in place.iterdir()})
    holds = some(names) if names else 'nothing'
    return PrepError(f'Neither {given} nor a folder inside it holds the archive ({holds} is there). {expected}')


def pair_of_folders(folder: FilePath, names: Sequence[tuple[str, str]] = REPACKED) -> tuple[FilePath, FilePath] | None:
    """The blurred and the sharp folder in `folder`, by the first names that fit; Kaggle's have ``images`` inside."""
    for names_of_pair in names:
        for inner in ('images', '.'):
            lq, gt = (folder / name / inner for name in names_of_pair)
            if lq.is_dir() and gt.is_dir():
                return lq, gt
    return None


def may_be(place: FilePath, part: str) -> bool:
    """Whether a folder without parts may be "train" or "test": its name or its parent's may say that it is not."""
    return not _OTHER_PARTS[part] & {place.stem, place.parent.name}


def _places(inputs: Sequence[FilePath], depth: int) -> Iterator[FilePath]:
    """All that is given, then the folders and archives in it, level by level."""
    level = list(inputs)
    for below in range(depth, -1, -1):
        yield from level
        if below:
            level = [inside for place in level for inside in _inside(place)]


def _inside(place: FilePath) -> list[FilePath]:
    found: list[FilePath] = list(subfolders(place))
    if isinstance(place, Path):
        files = sorted(path for path in place.iterdir() if path.suffix.lower() in ('.zip', '.tar') and path.is_file())
        found += [ArchivePath(path) for path in files if not is_hidden(path.name) and archive_kind(path)]
    return found
