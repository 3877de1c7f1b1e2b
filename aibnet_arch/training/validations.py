"""Each validation of a run happens once, changes nothing in training, and leaves its figures behind."""

from pathlib import Path
from typing import Any

from torch import nn

from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.writing import CheckpointWriter
from ..distributed import take_buffers_of_first
from .history import History, TrainingClock
from .part_diagnostics import note_diagnostics
from .progress import TrainingProgress
from .random_states import random_states, set_random_states


class Validations:
    """The validations of a training run.

    Args:
        model: what BasicSR's build_model made.
        loaders: of the validation sets.
        clock: stands still meanwhile.
        progress: is told of them.
    """

    def __init__(self, model: Any, *, loaders: list, clock: TrainingClock, progress: TrainingProgress) -> None:
        self._model = model
        self._loaders = loaders
        self._clock = clock
        self._progress = progress
        self._done: set[tuple[int, str]] = set()
        self._owed = False

    def resume(self, iteration: int) -> None:
        """Take over from the record of a checkpoint: best metrics, and whether its validation is still to be done."""
        record = CheckpointFolder.of(self._model.opt).record(iteration)
        if record.get('best_metrics'):
            self._model.best_metric_results = record['best_metrics']
        val = self._model.opt.get('val')
        self._owed = bool(val) and iteration % val['val_freq'] == 0 and not record.get('validated')

    def owed(self) -> list:
        """The loaders, once, if the former run was killed before it had validated its newest checkpoint."""
        owed, self._owed = self._owed, False
        return self._loaders if owed else []

    def run(self, loader: Any, iteration: int, tb_logger: Any, save_img: bool, *, is_saved: bool) -> None:
        """Validate, if this was not done at this iteration: the loop validates once more when it is over.

        Args:
            loader, iteration, tb_logger, save_img: of BasicSR's ``model.validation``.
            is_saved: the run has written a checkpoint of this iteration, whose record then tells of the validation.

        Raises:
            StoppedError: a signal came between two pictures.
        """
        dataset = loader.dataset.opt['name']
        if (iteration, dataset) in self._done:
            return
        states = random_states()
        self._agree()
        try:
            with self._clock.paused(), self._progress.validation(dataset):
                self._diagnose(iteration, tb_logger)  # the validation drops the batch
                self._model.validation(loader, iteration, tb_logger, save_img)
        finally:
            set_random_states(states)
        self._done.add((iteration, dataset))
        if self._model.opt['rank'] == 0:
            self._note(dataset, iteration, is_saved)

    def _diagnose(self, iteration: int, tb_logger: Any) -> None:
        first = not any(at == iteration for at, _ in self._done)
        if first and self._model.opt['rank'] == 0 and self._model.opt['logger'].get('diagnostics', True):
            note_diagnostics(self._model, iteration, tb_logger)

    def _agree(self) -> None:
        """All processes validate the networks of the first, which are those that it saves."""
        for name, network in vars(self._model).items():
            if name.startswith('net_') and isinstance(network, nn.Module):
                take_buffers_of_first(network)

    def _note(self, dataset: str, iteration: int, is_saved: bool) -> None:
        """In the run's history, and, after the last dataset, in the checkpoint's record."""
        opt, metrics = self._model.opt, getattr(self._model, 'metric_results', None)
        if metrics:
            History(Path(opt['path']['experiments_root'])).note(
                iteration=iteration,
                dataset=dataset,
                seconds=self._clock.seconds,
                metrics=metrics,
                of_input=getattr(self._model, 'input_results', None),
            )
        if is_saved and sum(at == iteration for at, _ in self._done) == len(self._loaders):
            best = getattr(self._model, 'best_metric_results', None)
            CheckpointWriter(CheckpointFolder.of(opt)).note_validation(iteration, best)
