"""One LMDB folder from its first byte to its final name, such that a kill at any moment leaves a clear state.

``X.lmdb.partial`` is under construction, ``X.lmdb`` is finished, ``X.lmdb.discarded`` is being deleted. Both of the
first hold ``prepared.json``: the plan (what is being stored), and once finished the counts and the checksum.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from aibnet_arch.files import PART, sync_folder, write_text
from aibnet_arch.locks import Lock

MANIFEST = 'prepared.json'


@dataclass(frozen=True)
class Folder:
    """An LMDB folder to be."""

    final: Path

    @property
    def partial(self) -> Path:
        """Where it is while it is made."""
        return self.final.with_name(self.final.name + '.partial')

    @property
    def discarded(self) -> Path:
        """Where it is while it is deleted."""
        return self.final.with_name(self.final.name + '.discarded')

    def lock(self) -> Lock:
        """Keeps others from making it at the same time."""
        told = f'Another process is preparing {self.final} ({{owner}}): wait for it, or end it.'
        return Lock(self.final.with_name(f'.{self.final.name}.lock'), told=told)

    @property
    def current(self) -> Path:
        """Where it is now: finished, or (perhaps not begun) under construction."""
        return self.final if self.final.exists() else self.partial

    def manifest(self) -> dict | None:
        """That of :attr:`current`, None if it has none of this program's."""
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
    """Write ``prepared.json`` into the folder, whole or not at all."""
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + '\n')


def _is_ours_or_empty(partial: Path) -> bool:
    # A kill right after the folder was made leaves nothing, or the manifest's temporary file, in it.
    return read_manifest(partial) is not None or (
        partial.is_dir() and all(entry.name.endswith(MANIFEST + PART) for entry in partial.iterdir())
    )
