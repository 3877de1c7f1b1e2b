"""What tells one training set from another without reading all of it: how many pictures, and samples of the bytes."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

SAMPLES, SAMPLE_BYTES = 64, 4096


def set_identity(dataset: Mapping[str, Any]) -> dict[str, str]:
    """'pictures' and 'content' of each dataroot that is there, as 'dataroot_gt.pictures' and so on: texts.

    An LMDB counts the lines of its meta_info.txt. The content is a checksum of the names and sizes, and of samples of
    the bytes: who exchanges pictures, shortens the set or makes it anew changes it. Where the set lies does not matter.
    """
    found = {}
    for key, value in dataset.items():
        root = Path(os.path.expanduser(value)) if key.startswith('dataroot_') and isinstance(value, str) else None
        if root is not None and root.is_dir():
            files = sorted(path for path in root.iterdir() if path.is_file() and path.name != 'lock.mdb')
            meta = root / 'meta_info.txt'
            count = len(meta.read_bytes().splitlines()) if meta.is_file() else len(files)
            found[f'{key}.pictures'] = str(count)
            found[f'{key}.content'] = _checksum(files)
    return found


def _checksum(files: list[Path]) -> str:
    """Of all names and sizes, and of samples: spread over one file, or the beginnings of some of many."""
    checksum = hashlib.sha256()
    sizes = [path.stat().st_size for path in files]
    for path, size in zip(files, sizes):
        checksum.update(f'{path.name} {size}\n'.encode(errors='surrogateescape'))
    chosen = range(0, len(files), max(1, len(files) // SAMPLES))
    per_file = max(1, SAMPLES // max(1, len(chosen)))
    for number in chosen:
        for content in _samples(files[number], sizes[number], count=per_file):
            checksum.update(content)
    return checksum.hexdigest()[:16]


def _samples(path: Path, size: int, *, count: int) -> Iterator[bytes]:
    places: Iterable[int] = {size * number // count for number in range(count)}
    with path.open('rb') as file:
        for place in sorted(places):
            file.seek(place)
            yield file.read(SAMPLE_BYTES)
