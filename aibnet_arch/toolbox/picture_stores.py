"""The pictures of one side of a dataset of pairs, as BasicSR finds them: in an LMDB or in a folder."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Optional

import cv2
import numpy as np


class PictureStore(ABC):
    """Pictures by key.

    Attributes:
        folder: where they are.
        sizes: key to (height, width), as far as it is known.

    Raises:
        ValueError: it is no such store; the message says what to do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[str, tuple[int, int]] = {}

    @abstractmethod
    def keys(self) -> set[str]:
        """All keys."""

    def __len__(self) -> int:
        return len(self.keys())

    @abstractmethod
    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Decode these pictures; a line for each that does not decode or is not as it should be."""

    def _decode(self, key: str, content: bytes) -> Optional[str]:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
        if picture is None:
            return f'{key} (does not decode)'
        size = picture.shape[:2]
        if self.sizes.setdefault(key, size) != size:
            return f'{key} ({size}, but {self.sizes[key]} in meta_info.txt)'
        return None


class LmdbStore(PictureStore):
    """An LMDB folder of BasicSR: meta_info.txt lists the keys with their sizes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if folder.suffix != '.lmdb':
            raise ValueError(f'{folder} must end in .lmdb (io_backend.type: lmdb)')
        absent = [name for name in ('data.mdb', 'meta_info.txt') if not (folder / name).is_file()]
        if absent:
            raise ValueError(f'{folder} has no {" and no ".join(absent)}: make it again')
        lines = (folder / 'meta_info.txt').read_text(errors='replace').splitlines()
        for number, line in enumerate(lines, start=1):
            # BasicSR takes the key up to the first dot.
            found = re.fullmatch(r'([^.\s]+)\.[A-Za-z]+ \((\d+),(\d+),\d+\) \d+\s*', line)
            if not found:
                raise ValueError(
                    f'{folder / "meta_info.txt"} is damaged, or a key has a dot (line {number}: {line[:60]!r}): '
                    'make the set again'
                )
            self.sizes[found[1]] = int(found[2]), int(found[3])
        self._listed = set(self.sizes)

    def keys(self) -> set[str]:
        return self._listed

    def damaged(self, keys: Iterable[str]) -> list[str]:
        import lmdb

        # Closed again: LMDB refuses to open a folder twice in one process, and BasicSR opens it later.
        try:
            opened = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            return [f'all of them ({error})']
        wrong = []
        with opened as env, env.begin() as transaction:
            for key in keys:
                content = transaction.get(key.encode())
                told = f'{key} (listed in meta_info.txt, but not stored)'
                wrong.append(told if content is None else self._decode(key, content))
        return [line for line in wrong if line]


class FolderStore(PictureStore):
    """A folder of picture files; subfolders are not looked into. The key is the file's name without its ending."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if not folder.is_dir():
            raise ValueError(f'{folder} is no folder (io_backend.type: disk)')
        self._files = {path.stem: path for path in sorted(folder.iterdir()) if path.is_file()
                       and not path.name.startswith('.')}  # fmt: skip

    def keys(self) -> set[str]:
        return set(self._files)

    def damaged(self, keys: Iterable[str]) -> list[str]:
        return [line for line in (self._decode(key, self._files[key].read_bytes()) for key in keys) if line]


READERS: dict[str, Callable[[Path], PictureStore]] = {'lmdb': LmdbStore, 'disk': FolderStore}
