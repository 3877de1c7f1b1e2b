"""The pictures of one side of a dataset of pairs, as BasicSR finds them: in an LMDB or in a folder."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from datasets_prep.lmdb_reader import reading

from ...messages import printable

MISSING_TOLD = 5


class PictureStore(ABC):
    """Pictures by key.

    Attributes:
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
            return f'{printable(key)} (does not decode)'
        size = picture.shape[:2]
        if self.sizes.setdefault(key, size) != size:
            return f'{printable(key)} ({size}, but {self.sizes[key]} in meta_info.txt)'
        return None


class LmdbStore(PictureStore):
    """An LMDB folder of BasicSR: meta_info.txt lists the keys with their sizes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if folder.suffix != '.lmdb':
            raise ValueError(f'{printable(folder)} must end in .lmdb (io_backend.type: lmdb)')
        absent = [name for name in ('data.mdb', 'meta_info.txt') if not (folder / name).is_file()]
        if absent:
            raise ValueError(f'{printable(folder)} has no {" and no ".join(absent)}: make it again')
        lines = (folder / 'meta_info.txt').read_text(errors='replace').splitlines()
        for number, line in enumerate(lines, start=1):
            # BasicSR takes the key up to the first dot, and encodes it as ASCII.
            found = re.fullmatch(r'([^.]+)\.[A-Za-z]+ \((\d+),(\d+),\d+\) \d+\s*', line, flags=re.ASCII)
            if not found or not found[1].isascii():
                raise ValueError(
                    f'{folder / "meta_info.txt"} is damaged, or a key has a dot or is not ASCII '
                    f'(line {number}: {line[:60]!r}): make the set again'
                )
            self.sizes[found[1]] = int(found[2]), int(found[3])
        self._listed = set(self.sizes)

    def keys(self) -> set[str]:
        """Those that `meta_info.txt` lists."""
        return self._listed

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Of these keys, those whose pictures cannot be decoded, each with the reason."""
        import lmdb

        wrong = []
        try:
            with reading(self.folder) as stored:  # closed again before BasicSR opens it
                for key in keys:
                    content = stored.get(key.encode())
                    told = f'{printable(key)} (listed in meta_info.txt, but not stored)'
                    wrong.append(told if content is None else self._decode(key, bytes(content)))
        except lmdb.Error as error:
            return [f'all of them ({error})']
        return [line for line in wrong if line]


class FolderStore(PictureStore):
    """A folder of picture files; subfolders are not looked into, as BasicSR does not.

    Args:
        files: key to file, relative to the folder; by default each file is a picture, and its name the key.
    """

    def __init__(self, folder: Path, files: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(folder)
        if not folder.is_dir():
            raise ValueError(f'{printable(folder)} is no folder (io_backend.type: disk)')
        self.files = {name: name for name in _names(folder)} if files is None else dict(files)

    def keys(self) -> set[str]:
        """Names of the files, or the keys that were given for them."""
        return set(self.files)

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Of these keys, the files that cannot be decoded, each with the reason."""
        wrong = []
        for key in keys:
            try:
                content = (self.folder / self.files[key]).read_bytes()
            except OSError as error:
                wrong.append(f'{self.files[key]} ({error.strerror})')
                continue
            line = self._decode(key, content)
            wrong += [line] if line else []
        return wrong


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith('.'))


def open_pair(dataset: Mapping[str, Any]) -> tuple[dict[str, PictureStore], list[tuple[str, str]]]:
    """Both sides of a dataset of pairs, with common keys for what BasicSR takes for a pair.

    Args:
        dataset: its options; both folders exist.

    Returns:
        'dataroot_lq' and 'dataroot_gt' to their stores, as far as there are any; and the problems: the option, what is
        wrong with it.
    """
    folders = {key: Path(os.path.expanduser(dataset[key])) for key in ('dataroot_lq', 'dataroot_gt')}
    stores: dict[str, PictureStore] = {}
    problems: list[tuple[str, str]] = []
    for key, folder in folders.items():
        try:
            stores[key] = LmdbStore(folder) if dataset['io_backend']['type'] == 'lmdb' else FolderStore(folder)
        except ValueError as error:
            problems.append((key, str(error)))
    if problems or isinstance(stores['dataroot_gt'], LmdbStore):
        return stores, problems
    template, listed = dataset.get('filename_tmpl') or '{}', dataset.get('meta_info_file')
    try:
        template.format('name')
    except (IndexError, KeyError, ValueError) as error:
        return stores, [('filename_tmpl', f'{template!r}: expected a name with {{}} in it, e.g. {{}}x4 ({error})')]
    lq, gt = folders['dataroot_lq'], folders['dataroot_gt']
    if listed:
        try:
            lines = Path(os.path.expanduser(listed)).read_text().splitlines()
        except (OSError, ValueError) as error:  # ValueError: no text
            return stores, [('meta_info_file', f'{listed} cannot be read: {error}')]
        names = [line.strip().split(' ')[0] for line in lines]
        if '' in names:
            text = f'line {names.index("") + 1} of {printable(listed)} is empty: no file can be meant'
            return stores, [('meta_info_file', text)]
        there = {name: name for name in names if (gt / name).is_file()}
        missing = sorted(set(names) - set(there))
        problems += [
            ('dataroot_gt', f'{printable(gt)} has no {printable(name)}, which {printable(listed)} lists')
            for name in missing[:MISSING_TOLD]
        ]
    else:
        names = _names(gt)
        there = {name: name for name in names}
    # BasicSR looks for NAME.png of gt as TEMPLATE.png of lq.
    expected = {name: f'{template.format(Path(name).stem)}{Path(name).suffix}' for name in names}
    partners = {name: file for name, file in expected.items() if (lq / file).is_file()}
    alone = [] if listed else sorted(set(_names(lq)) - set(partners.values()))
    stores['dataroot_gt'] = FolderStore(gt, there)
    # A file of lq may have the name of one of gt, and yet be no partner.
    stores['dataroot_lq'] = FolderStore(lq, {**partners, **{f'./{n}' if n in names else n: n for n in alone}})
    return stores, problems
