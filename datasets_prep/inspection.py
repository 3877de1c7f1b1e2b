"""Reading a finished or nearly finished pair of LMDB folders back, entry by entry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from aibnet_arch.messages import some
from datasets_prep.images import check_png, decode
from datasets_prep.lmdb_reader import read_keys, reading
from datasets_prep.pool import ordered_map

ENTRIES_PER_TASK = 64
# Starting a process takes about as long as this many tasks.
TASKS_WORTH_A_PROCESS = 8


@dataclass(frozen=True)
class Entry:
    """What one LMDB holds under one key; `shape` is (height, width, channels), None if the value is unreadable."""

    key: str
    shape: tuple[int, int, int] | None
    digest: str
    problem: str | None


def inspect(path: Path, *, deep: bool, workers: int, progress: bool) -> Iterator[Entry]:
    """Yields every entry of an LMDB folder in the order of keys.

    Args:
        path: the folder; it must not be open in this process.
        deep: also decode every picture. Damaged bytes are found without, by the checksums inside PNG.
        workers: processes. Each opens the LMDB for a few entries at a time: pages that were read stay mapped as
            long as it is open, and would count as memory of the process.
    """
    keys = read_keys(path)
    tasks = [keys[i : i + ENTRIES_PER_TASK] for i in range(0, len(keys), ENTRIES_PER_TASK)]
    bar = tqdm(total=len(keys), desc=f'check {path.name}', unit='entry', disable=None if progress else True)
    workers = min(workers, 1 + len(tasks) // TASKS_WORTH_A_PROCESS)
    with bar, closing(ordered_map(partial(_inspect_some, path, deep=deep), tasks, workers=workers)) as results:
        for entries in results:
            yield from entries
            bar.update(len(entries))


def checksum(entries: Sequence[Entry]) -> str:
    """SHA-256 over all keys and the SHA-256 of their stored bytes, in the order of keys."""
    return hashlib.sha256(''.join(f'{entry.key} {entry.digest}\n' for entry in entries).encode()).hexdigest()


def meta_line(entry: Entry, *, compress_level: int) -> str:
    """The entry's line in BasicSR's ``meta_info.txt``, without the newline."""
    assert entry.shape is not None
    height, width, channels = entry.shape
    return f'{entry.key}.png ({height},{width},{channels}) {compress_level}'


def pair_problems(*, lq: Sequence[Entry], gt: Sequence[Entry]) -> list[str]:
    """What is wrong with two folders as a pair: broken pictures, keys without a partner, unequal sizes."""
    problems = [
        f"{side}, key '{entry.key}': {entry.problem}"
        for side, entries in (('blurred', lq), ('sharp', gt))
        for entry in entries
        if entry.problem
    ]
    shapes, gt_shapes = ({entry.key: entry.shape for entry in entries} for entries in (lq, gt))
    for there, here, missing in ((shapes, gt_shapes, 'sharp'), (gt_shapes, shapes, 'blurred')):
        alone = sorted(there.keys() - here.keys())
        if alone:
            problems.append(f'{len(alone)} key(s) missing on the {missing} side: {some(alone)}')
    problems += [
        f"key '{key}': the blurred picture is {shapes[key]}, the sharp one {gt_shapes[key]} (height, width, channels)"
        for key in sorted(shapes.keys() & gt_shapes.keys())
        if None not in (shapes[key], gt_shapes[key]) and shapes[key] != gt_shapes[key]
    ]
    return problems


def _inspect_some(path: Path, keys: Sequence[bytes], *, deep: bool) -> list[Entry]:
    with reading(path) as transaction:
        return [_inspect_one(key, transaction.get(key, memoryview(b'')), deep=deep) for key in keys]


def _inspect_one(key: bytes, value: memoryview, *, deep: bool) -> Entry:
    shape, problem = None, None
    try:
        header = check_png(value)
        shape = (header.height, header.width, header.channels)
        if deep:
            decode(value)
    except ValueError as error:
        problem = str(error)
    return Entry(key.decode('ascii', 'backslashreplace'), shape, hashlib.sha256(value).hexdigest(), problem)
