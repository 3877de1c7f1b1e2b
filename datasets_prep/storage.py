"""One LMDB folder from its first byte to its final name, such that a kill at any moment leaves a clear state.

``X.lmdb.partial`` is under construction, ``X.lmdb`` is finished, ``X.lmdb.discarded`` is being deleted. Both of the
first hold ``prepared.json``: the plan (what is being stored), and once finished the counts and the checksum.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets_prep.errors import PrepError

try:
    import fcntl
except ImportError:  # Windows: nothing guards against two preparations of one set at a time
    fcntl = None

MANIFEST = 'prepared.json'


@dataclass(frozen=True)
class Folder:
    """An LMDB folder to be."""

    final: Path

    @property
    def partial(self) -> Path:
        return self.final.with_name(self.final.name + '.partial')

    @property
    def discarded(self) -> Path:
        return self.final.with_name(self.final.name + '.discarded')

    @property
    def current(self) -> Path:
        return self.final if self.final.exists() else self.partial

    def manifest(self) -> dict | None:
        return read_manifest(self.current)

    def foreign(self) -> list[str]:
        """Problems where something lies that this program did not make; such is never deleted nor written to."""
        is_ours = {self.final: read_manifest(self.final) is not None, self.partial: _is_ours_or_empty(self.partial)}
        return [
            f'{path} exists and was not made by this program: move it away, or choose another --output'
            for path, ours in is_ours.items()
            if path.exists() and not ours
        ]

    def finish(self) -> None:
        """Gives the folder its final name, unless it has it."""
        if not self.final.exists():
            sync_folder(self.partial)
            self.partial.rename(self.final)
            sync_folder(self.final.parent)

    def discard(self, path: Path) -> None:
        """Deletes `path`, the final or the partial folder; renamed first, so that no half of it looks whole."""
        self.remove_discarded()
        path.rename(self.discarded)
        self.remove_discarded()

    def remove_discarded(self) -> None:
        """Finishes a deletion that was interrupted."""
        if self.discarded.exists():
            shutil.rmtree(self.discarded)


def read_manifest(folder: Path) -> dict | None:
    """The content of the folder's ``prepared.json``, None if it has none or not one of this program's."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and 'plan' in manifest else None


def write_manifest(folder: Path, manifest: dict) -> None:
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=2) + '\n')


def write_durably(path: Path, text: str) -> None:
    """Writes a text file that is either whole, on the disk, or not there."""
    temporary = path.with_name(path.name + '.tmp')
    with open(temporary, 'w', encoding='utf-8', newline='\n') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames within a folder durable; Windows has no such call."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds a lock on the folder, which the system lifts when the process ends, however it ends."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PrepError(f'Another process is preparing {folder}: wait for it, or end it.') from error
        yield
    finally:
        os.close(descriptor)


def _is_ours_or_empty(partial: Path) -> bool:
    # A kill right after the folder was made leaves nothing, or the manifest's temporary file, in it.
    return read_manifest(partial) is not None or (
        partial.is_dir() and all(entry.name == MANIFEST + '.tmp' for entry in partial.iterdir())
    )
