"""Reading an LMDB folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb


@contextmanager
def reading(folder: Path) -> Iterator[lmdb.Transaction[memoryview]]:
    """Opens an LMDB folder to read, and closes it again: LMDB refuses to open one twice in a process.

    Keys and values come as memoryviews, which are valid within.

    Raises:
        lmdb.Error: LMDB cannot read it.
    """
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin(buffers=True) as transaction:
        yield transaction


def read_keys(folder: Path) -> list[bytes]:
    """All keys, sorted as LMDB sorts: by bytes."""
    with reading(folder) as transaction:
        return [bytes(key) for key in transaction.cursor().iternext(values=False)]
