"""Names of a dataset's pictures for files and tables: no two pictures have one."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from os import path as osp
from typing import Any


def picture_names(dataset: Any) -> dict[str, str]:
    """Path of each degraded picture (its ``lq_path``) to its name.

    It is the file's without folder and ending, as in BasicSR. Where several have that, as the keys ``a/x`` and ``b/x``
    of an LMDB, it is the path below the folder that all share, with ``-`` for the slashes.

    Args:
        dataset: of BasicSR. One that keeps no list of its ``paths`` gives nothing.
    """
    paths = list(dict.fromkeys(_lq_paths(getattr(dataset, 'paths', ()))))
    short = {path: plain_name(path) for path in paths}
    count = Counter(short.values())
    names = {path: name for path, name in short.items() if count[name] == 1}
    taken = set(names.values())
    shared = osp.commonpath([osp.dirname(path) for path in paths]) if paths else ''  # the folder that holds all
    for path in paths:
        if path not in names:
            names[path] = _free(path[len(shared) :].strip('/').replace('/', '-'), taken)
            taken.add(names[path])
    return names


def plain_name(path: str) -> str:
    """A file's name without folder and ending."""
    return osp.splitext(osp.basename(path))[0]


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f'{name}-{number}'
    return free


def _lq_paths(paths: Sequence[Any]) -> Iterator[str]:
    for path in paths:
        found = path.get('lq_path') if isinstance(path, Mapping) else path
        if isinstance(found, str):
            yield found
