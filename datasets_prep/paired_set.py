"""One pair of LMDB folders to be made, and how it agrees with what lies there already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets_prep.archives import ArchivePath
from datasets_prep.crops import Crop
from datasets_prep.images import COMPRESS_LEVEL
from datasets_prep.inspection import read_keys
from datasets_prep.pairs import Made, Pair, Source, key_problems
from datasets_prep.storage import Folder


@dataclass(frozen=True)
class PairedSet:
    """One pair of LMDB folders and what belongs into it.

    Args:
        lq, gt: paths of the two folders, ending in ``.lmdb``.
        crop: None stores whole pictures.
        source: what the pictures are, such as "GoPro train, blur". Kept in the manifest: a set from another source
            is never taken for this one.
    """

    pairs: Sequence[Pair]
    lq: Path
    gt: Path
    crop: Crop | None
    source: str

    @property
    def folders(self) -> tuple[Folder, Folder]:
        """Of the blurred and of the sharp pictures."""
        return Folder(self.lq), Folder(self.gt)

    def plan(self) -> dict:
        """What identifies the set: the same plan gives the same entries (files are known by their keys alone)."""
        digest = hashlib.sha256()
        for pair in sorted(self.pairs, key=lambda pair: pair.key):
            digest.update(pair.key.encode() + b'\n')
            for picture in (pair.lq, pair.gt):
                if isinstance(picture, np.ndarray):
                    digest.update(f'{picture.shape} {picture.dtype}\n'.encode() + picture.tobytes())
        return {
            'source': self.source,
            'crop': None if self.crop is None else {'size': self.crop.size, 'step': self.crop.step},
            'pictures': len(self.pairs),
            'pictures_digest': digest.hexdigest()[:16],
            'compress_level': COMPRESS_LEVEL,
        }

    def source_bytes(self) -> int:
        """Size of all source files together; it tells replaced files from the ones a finished set was made of."""
        return sum(_source_bytes(source) for pair in self.pairs for source in (pair.lq, pair.gt))

    def input_problems(self) -> list[str]:
        """What forbids to store it, before any picture is read; a text each."""
        problems = key_problems(self.pairs)
        problems += [
            f"key '{pair.key}': a picture must be a Path or a numpy array, not {type(picture).__name__}"
            for pair in self.pairs
            for picture in (pair.lq, pair.gt)
            if not isinstance(picture, (Path, ArchivePath, Made, np.ndarray))
        ]
        problems += [f'{path} must end in .lmdb' for path in (self.lq, self.gt) if path.suffix != '.lmdb']
        if self.lq.absolute() == self.gt.absolute():
            problems.append(f'{self.lq} is given for both sides')
        return problems

    def is_finished(self) -> bool:
        """Whether both folders are complete; perhaps they still need their final names."""
        manifests = [folder.manifest() for folder in self.folders]
        return all(manifest is not None and manifest['complete'] for manifest in manifests)

    def conflicts(self) -> list[str]:
        """What forbids to go on with what lies at the output, apart from what this program did not make."""
        plan, problems = self.plan(), []
        for folder in self.folders:
            manifest = folder.manifest()
            if manifest is None or _is_empty(folder):
                continue
            differing = [name for name in plan if manifest['plan'].get(name) != plan[name]]
            if differing:
                made = 'was prepared' if manifest['complete'] else 'was begun'
                details = '; '.join(f'{name} {manifest["plan"].get(name)}, now {plan[name]}' for name in differing)
                problems.append(f'{folder.current} {made} with other options ({details})')
            elif self.is_finished():
                data = folder.current / 'data.mdb'
                if not data.is_file() or data.stat().st_size != manifest['data_bytes']:
                    problems.append(f'{data} is missing or was changed since it was prepared')
                if manifest['source_bytes'] != self.source_bytes():
                    problems.append(f'the source files have changed since {folder.current} was prepared from them')
            elif folder.final.exists():
                problems.append(f'{folder.final} is finished, but its partner is not')
        return problems

    def discard_old(self) -> None:
        """Deletes what is finished, and what was begun with other options."""
        plan, finished = self.plan(), self.is_finished()
        for folder in self.folders:
            if folder.final.exists():
                folder.discard(folder.final)
            begun = folder.manifest()
            if begun is not None and (finished or begun['plan'] != plan):
                folder.discard(folder.partial)


def _is_empty(folder: Folder) -> bool:
    """Whether a set was begun and nothing stored, so that it may as well be begun with other options."""
    return not folder.final.exists() and not ((folder.partial / 'data.mdb').is_file() and read_keys(folder.partial))


def _source_bytes(source: Source) -> int:
    if isinstance(source, Path):
        return source.stat().st_size if source.is_file() else 0
    if isinstance(source, ArchivePath):
        return source.size()
    return source.source_bytes() if isinstance(source, Made) else 0
