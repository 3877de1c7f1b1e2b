"""Where a checkpoint is written: its networks, its training state, and last the record that makes it complete."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Optional

import torch

from ..errors import RunError
from ..files import PART, write_whole
from .folder import CheckpointFolder, sealed

# BasicSR's best_metric_results: dataset to metric to {'better', 'val', 'iter'}.
BestMetrics = Mapping[str, Mapping[str, Mapping[str, Any]]]


class CheckpointWriter:
    """Writes the checkpoints of one experiment."""

    def __init__(self, folder: CheckpointFolder) -> None:
        self.folder = folder
        self._checksums: dict[str, str] = {}  # of the networks that are written, until their record is

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
        self._checksums[name] = _write(self.folder.models / name, lambda file: torch.save(content, file))

    def save_state(
        self, iteration: int, state: Mapping[str, Any], *, best_metrics: Optional[BestMetrics] = None
    ) -> None:
        """Write the training state, and with it the record that makes the checkpoint of the iteration complete.

        Args:
            iteration: N.
            state: what BasicSR's resume_training takes, plain containers and tensors.
            best_metrics: best values of the validations before this iteration's own.

        Raises:
            RunError: it cannot be written; what was there stays.
        """
        name = f'{iteration}.state'
        self._checksums[name] = _write(self.folder.state_path(iteration), lambda file: torch.save(state, file))
        ending = f'_{iteration}.pth'
        files = {key: value for key, value in self._checksums.items() if key == name or key.endswith(ending)}
        self._write_record({'iteration': iteration, 'sha256': files, 'best_metrics': best_metrics, 'validated': False})
        self._checksums = {}
        for folder in (self.folder.models, self.folder.states):
            for leftover in folder.glob(f'*{PART}'):
                leftover.unlink()

    def note_validation(self, iteration: int, best_metrics: Optional[BestMetrics]) -> None:
        """Record that the validation of this iteration is done; nothing if it has no checkpoint."""
        record = self.folder.record(iteration)
        if record:
            self._write_record({**record, 'best_metrics': best_metrics, 'validated': True})

    def prune(self, *, keep: int, others: Collection[int]) -> list[int]:
        """Delete all checkpoints but the newest `keep` and those of the iterations in `others`.

        Returns:
            The iterations whose checkpoints are gone.
        """
        folder = self.folder
        gone = [iteration for iteration in folder.iterations()[max(keep, 1) :] if iteration not in others]
        for iteration in gone:
            # The state first: without it nothing takes the rest for a checkpoint.
            for path in (folder.state_path(iteration), *folder.networks(iteration), folder.record_path(iteration)):
                path.unlink(missing_ok=True)
        return gone

    def _write_record(self, record: Mapping[str, Any]) -> None:
        text = sealed(record)
        _write(self.folder.record_path(record['iteration']), lambda file: file.write(text))


def _write(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Whole or not at all: beside its place, flushed to the disk, read back, renamed; its SHA-256."""
    try:
        return write_whole(path, write)
    except RunError as error:
        raise RunError(
            f'{error} Checkpoints written before are whole. Make room on the disk, then go on with --auto_resume.'
        ) from error


def best_iterations(best_metrics: Optional[BestMetrics]) -> set[int]:
    """Iterations that hold the best value of a metric on a dataset."""
    datasets: Iterable = (best_metrics or {}).values()
    return {entry['iter'] for metrics in datasets for entry in metrics.values()}


def _finite(value: Any) -> bool:
    return not (isinstance(value, torch.Tensor) and value.is_floating_point()) or bool(torch.isfinite(value).all())
