"""Checkpoints that are whole or not there at all.

The checkpoint of iteration N is ``models/net_*_N.pth``, ``training_states/N.state`` and its record,
``training_states/N.json``, which holds the checksums of the others and is written last. Each file is
written beside its place, flushed to the disk, read back, and renamed: a run that is killed at any
moment leaves whole files behind, and a checkpoint without a part of it is not taken.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..errors import CheckpointError
from ..files import sha256_of
from ..messages import printable
from ..weights.plain_file import read_plain

_OWN = 'sha256_of_this'


class CheckpointFolder:
    """The checkpoints of one experiment."""

    def __init__(self, *, models: Path, states: Path) -> None:
        self.models = models
        self.states = states

    @classmethod
    def of(cls, opt: Mapping[str, Any]) -> 'CheckpointFolder':
        """The folder that BasicSR's options name."""
        return cls(models=Path(opt['path']['models']), states=Path(opt['path']['training_states']))

    def state_path(self, iteration: int) -> Path:
        """Where the training state of an iteration is, or would be."""
        return self.states / f'{iteration}.state'

    def record_path(self, iteration: int) -> Path:
        """Where the record of an iteration is, or would be."""
        return self.states / f'{iteration}.json'

    def iterations(self) -> list[int]:
        """Iterations that have a training state, whole or not, newest first."""
        return sorted((int(path.stem) for path in self.states.glob('*.state') if path.stem.isdecimal()), reverse=True)

    def networks(self, iteration: int) -> list[Path]:
        """The networks that were saved at an iteration."""
        return sorted(self.models.glob(f'net_*_{iteration}.pth'))

    def record(self, iteration: int) -> dict[str, Any]:
        """The record of a checkpoint; empty if it has none (BasicSR by itself writes none).

        Raises:
            CheckpointError: it is damaged.
        """
        path = self.record_path(iteration)
        if not path.is_file():
            return {}
        try:
            record = json.loads(path.read_bytes())
        except (ValueError, RecursionError, OSError) as error:
            raise CheckpointError(f'{path.name} is damaged ({error})') from error
        # What a bit makes of it may still be JSON, and another best value.
        if not isinstance(record, dict) or record.pop(_OWN, None) != _checksum_of(record):
            raise CheckpointError(f'{path.name} is damaged: its checksum does not agree')
        problem = _problem_of(record)
        if problem:
            raise CheckpointError(f'{path.name} is damaged: {problem}')
        if record['iteration'] != iteration:
            raise CheckpointError(f'{path.name} is the record of iteration {record["iteration"]}')
        return record

    def read(self, iteration: int) -> dict[str, Any]:
        """The training state of a checkpoint, after all its files have been verified.

        Raises:
            CheckpointError: it is not whole; the message says what is wrong.
        """
        try:
            return self._read(iteration)
        except OSError as error:
            raise CheckpointError(f'{error.filename} cannot be read: {error.strerror}') from error

    def _read(self, iteration: int) -> dict[str, Any]:
        state_path = self.state_path(iteration)
        checksums = self.record(iteration).get('sha256')
        if checksums is None:
            self._verify_without_record(state_path, iteration)
        for name, checksum in (checksums or {}).items():
            path = (self.states if name.endswith('.state') else self.models) / name
            if not path.is_file():
                raise CheckpointError(f'{printable(name)} is missing')
            if sha256_of(path) != checksum:
                raise CheckpointError(f'{name} ({path.stat().st_size} bytes) differs from what was saved: damaged')
        state = read_plain(state_path)
        if not isinstance(state, Mapping) or state.get('iter') != iteration:
            raise CheckpointError(f'{state_path.name} is no training state of iteration {iteration}')
        return dict(state)

    def _verify_without_record(self, state_path: Path, iteration: int) -> None:
        """By the checksums inside the files: torch's format is a zip archive."""
        networks = self.networks(iteration)
        if not networks:
            raise CheckpointError(f'net_*_{iteration}.pth is missing')
        for path in (state_path, *networks):
            try:
                with zipfile.ZipFile(path) as archive:
                    damaged = archive.testzip()
            except (zipfile.BadZipFile, OSError, ValueError) as error:
                raise CheckpointError(f'{path.name} ({path.stat().st_size} bytes) is damaged: {error}') from error
            if damaged:
                raise CheckpointError(f'{path.name} is damaged in {damaged}')

    def newest_whole(self) -> tuple[Optional[dict[str, Any]], list[str]]:
        """The newest training state whose checkpoint is whole, or None, and a line for each newer one that is not."""
        skipped: list[str] = []
        for iteration in self.iterations():
            try:
                return self.read(iteration), skipped
            except CheckpointError as error:
                skipped.append(f'iteration {iteration}: {error}')
        return None, skipped


def _problem_of(record: Mapping[str, Any]) -> str:
    """What a record of the right checksum does not say as it should; somebody may have crafted it."""
    if type(record.get('iteration')) is not int:
        return 'it is of no iteration'
    checksums, best = record.get('sha256'), record.get('best_metrics')
    if not isinstance(checksums, dict) or not all(
        Path(name).name == name and isinstance(value, str) for name, value in checksums.items()
    ):
        return 'it names no files with their checksums'
    if best is not None and not _are_best_metrics(best):
        return 'its best metrics are none'
    return ''


def _are_best_metrics(best: Any) -> bool:
    datasets = best.values() if isinstance(best, dict) else [None]
    entries = [entry for metrics in datasets for entry in (metrics.values() if isinstance(metrics, dict) else [None])]
    return all(
        isinstance(entry, dict)
        and entry.get('better') in ('higher', 'lower')
        and type(entry.get('val')) in (int, float)
        and type(entry.get('iter')) in (int, float)
        for entry in entries
    )


def sealed(record: Mapping[str, Any]) -> bytes:
    """The text of a record, with a checksum of itself."""
    return json.dumps({**record, _OWN: _checksum_of(record)}, indent=1).encode()


def _checksum_of(record: Mapping[str, Any]) -> str:
    """Of a record as it comes out of its file."""
    plain = json.loads(json.dumps(record))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
