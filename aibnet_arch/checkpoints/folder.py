"""Checkpoints that are whole or not there at all.

The checkpoint of iteration N is ``models/net_*_N.pth``, ``training_states/N.state`` and its record,
``training_states/N.json``, which holds the checksums of the others and is written last. Each file is
written beside its place, flushed to the disk, read back, and renamed: a run that is killed at any
moment leaves whole files behind, and a checkpoint without a part of it is not taken.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Optional

import torch

from ..errors import CheckpointError, RunError
from ..files import PART, sha256_of, write_whole
from ..weights.plain_file import read_plain

_OWN = 'sha256_of_this'


class CheckpointFolder:
    """The checkpoints of one experiment.

    Args:
        models: folder of the networks.
        states: folder of the training states and the records.
    """

    def __init__(self, *, models: Path, states: Path) -> None:
        self.models = models
        self.states = states
        self._checksums: dict[str, str] = {}

    @classmethod
    def of(cls, opt: Mapping[str, Any]) -> 'CheckpointFolder':
        """The folder that BasicSR's options name."""
        return cls(models=Path(opt['path']['models']), states=Path(opt['path']['training_states']))

    # Writing

    def save_network(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``models/<name>``.

        Args:
            name: e.g. 'net_g_5000.pth'.
            content: parameter key ('params', 'params_ema') to state dict, and plain values beside them.

        Raises:
            RunError: a weight is not finite, or the file cannot be written; what was there stays.
        """
        for key, state in content.items():
            broken = isinstance(state, Mapping) and [entry for entry, value in state.items() if not _finite(value)]
            if broken:
                raise RunError(
                    f'{name} is not written: {len(broken)} entries of {key} are not finite, e.g. {broken[0]}. '
                    'The newest checkpoint before it is whole.'
                )
        self._checksums[name] = _write(self.models / name, lambda file: torch.save(content, file))

    def save_state(self, iteration: int, state: Mapping[str, Any], *, best_metrics: Optional[Mapping] = None) -> None:
        """Write the training state, and with it the record that makes the checkpoint of the iteration complete.

        Args:
            iteration: N.
            state: what BasicSR's resume_training takes, plain containers and tensors.
            best_metrics: best values of the validations before this iteration's own.
        """
        name = f'{iteration}.state'
        self._checksums[name] = _write(self.states / name, lambda file: torch.save(state, file))
        ending = f'_{iteration}.pth'
        files = {key: value for key, value in self._checksums.items() if key == name or key.endswith(ending)}
        self._write_record({'iteration': iteration, 'sha256': files, 'best_metrics': best_metrics, 'validated': False})
        self._checksums = {}
        for leftover in (*self.models.glob(f'*{PART}'), *self.states.glob(f'*{PART}')):
            leftover.unlink()

    def note_validation(self, iteration: int, best_metrics: Optional[Mapping]) -> None:
        """Record that the validation of this iteration is done; nothing if it has no checkpoint."""
        record = self.record(iteration)
        if record:
            self._write_record({**record, 'best_metrics': best_metrics, 'validated': True})

    def _write_record(self, record: Mapping[str, Any]) -> None:
        text = json.dumps({**record, _OWN: _checksum_of(record)}, indent=1).encode()
        _write(self._record_path(record['iteration']), lambda file: file.write(text))

    def _record_path(self, iteration: int) -> Path:
        return self.states / f'{iteration}.json'

    # Reading

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
        path = self._record_path(iteration)
        if not path.is_file():
            return {}
        try:
            record = json.loads(path.read_bytes())
        except (ValueError, RecursionError, OSError) as error:
            raise CheckpointError(f'{path.name} is damaged ({error})') from error
        # What a bit makes of it may still be JSON, and another best value.
        if not isinstance(record, dict) or record.pop(_OWN, None) != _checksum_of(record):
            raise CheckpointError(f'{path.name} is damaged: its checksum does not agree')
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
        state_path = self.states / f'{iteration}.state'
        checksums = self.record(iteration).get('sha256')
        if checksums is None:
            self._verify_without_record(state_path, iteration)
        for name, checksum in (checksums or {}).items():
            path = (self.states if name.endswith('.state') else self.models) / name
            if not path.is_file():
                raise CheckpointError(f'{name} is missing')
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
        skipped = []
        for iteration in self.iterations():
            try:
                return self.read(iteration), skipped
            except CheckpointError as error:
                skipped.append(f'iteration {iteration}: {error}')
        return None, skipped

    # Keeping few

    def prune(self, *, keep: int, best: Collection[int]) -> list[int]:
        """Delete all checkpoints but the newest `keep` and those of the iterations in `best`.

        Returns:
            The iterations whose checkpoints are gone.
        """
        gone = [iteration for iteration in self.iterations()[max(keep, 1) :] if iteration not in best]
        for iteration in gone:
            # The state first: without it nothing takes the rest for a checkpoint.
            paths = (self.states / f'{iteration}.state', *self.networks(iteration), self._record_path(iteration))
            for path in paths:
                path.unlink(missing_ok=True)
        return gone


def best_iterations(best_metrics: Optional[Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> set[int]:
    """Iterations that hold the best value of a metric on a dataset, from BasicSR's best_metric_results."""
    datasets: Iterable = (best_metrics or {}).values()
    return {entry['iter'] for metrics in datasets for entry in metrics.values()}


def _write(path: Path, write: Callable[[BinaryIO], object]) -> str:
    try:
        return write_whole(path, write)
    except RunError as error:
        raise RunError(
            f'{error} Checkpoints written before are whole. Make room on the disk, then go on with --auto_resume.'
        ) from error


def _checksum_of(record: Mapping[str, Any]) -> str:
    """Of a record as it comes out of its file."""
    plain = json.loads(json.dumps(record))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _finite(value: Any) -> bool:
    return not (isinstance(value, torch.Tensor) and value.is_floating_point()) or bool(torch.isfinite(value).all())
