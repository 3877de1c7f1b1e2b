"""One training iteration: what BasicSR's loop asks of a model, in its order, and what happens then.

`train_pipeline` (basicsr/train.py) calls, for each batch, `update_learning_rate`, `feed_data`, `optimize_parameters`,
at times `get_current_learning_rate` and `get_current_log`, `save`, `validation`. It is given a :class:`TrainedModel`,
which hands the calls on to the model of whatever class; what is added to them stands here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from basicsr.utils import get_root_logger

from ..data.patch_schedule import PatchSchedule
from ..distributed import largest_of_processes
from ..errors import StoppedError
from ..signals import SAVE, STOP, STOP_NOW
from .history import TrainingClock
from .progress import TrainingProgress
from .run_state import run_state, take_over
from .step_guard import StepGuard
from .validations import Validations


class TrainedModel:
    """A model as the loop sees it.

    Args:
        model: what BasicSR's build_model made.
        val_loaders: the loaders of the validation sets.
        tb_logger: TensorBoard's writer, or None.
        batches_per_epoch: to tell the epoch of an iteration.
        options: the run's options as YAML, which are saved with its weights.
        flat_options: place to value of each option, which are saved with its states.
    """

    def __init__(
        self,
        model: Any,
        *,
        val_loaders: list,
        tb_logger: Optional[Any],
        batches_per_epoch: int,
        options: str,
        flat_options: Mapping[str, str],
    ) -> None:
        self._model, self._opt = model, model.opt
        self._tb_logger = tb_logger
        self._batches_per_epoch = batches_per_epoch
        self._options, self._flat_options = options, dict(flat_options)
        self._patches = PatchSchedule.from_options(self._opt)
        self._guard = StepGuard(model)
        self._clock = TrainingClock()
        self._progress = TrainingProgress(model, loaders=val_loaders)
        self._validations = Validations(model, loaders=val_loaders, clock=self._clock, progress=self._progress)
        self._iteration = 0  # the last one that is complete
        self._saved: Optional[int] = None
        self._batch: list[str] = []

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Before the first iteration: optimizers, schedules, stage, and all that a checkpoint holds beside them."""
        iteration = self._iteration = self._saved = resume_state['iter']
        resume_state['epoch'] = iteration // self._batches_per_epoch
        take_over(resume_state, self._model, guard=self._guard, clock=self._clock)
        self._validations.resume(iteration)

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """The moment between two iterations: here a signal stops the run, or has it saved. A stage may begin."""
        for loader in self._validations.owed():
            self.validation(loader, self._iteration, self._tb_logger, self._opt['val']['save_img'])
        wish = largest_of_processes(STOP.wish)
        if wish == STOP_NOW:
            self._stop()
        if wish == SAVE:
            self._save_if_new()
            STOP.saved()
            get_root_logger().info(f'SIGUSR1: iteration {self._iteration} is saved, and the run goes on.')
        self._clock.start()
        self._model.update_learning_rate(current_iter, warmup_iter=warmup_iter)
        self._guard.watch()

    def feed_data(self, data: dict[str, Any]) -> None:
        """The batch, cut to the schedule of patches if there is one."""
        if self._patches:
            data = self._patches.cut(data, iteration=self._iteration + 1)
        self._batch = [str(path) for key in ('lq_path', 'gt_path') for path in data.get(key, ())]
        self._model.feed_data(data)

    def optimize_parameters(self, current_iter: int) -> None:
        """One step, or none if a number in it is not finite. A stage may end."""
        self._guard.step(current_iter, batch=self._batch)
        if hasattr(self._model, 'finish_iteration'):
            self._model.finish_iteration(current_iter)
        self._iteration = current_iter
        self._progress.iteration(current_iter)

    def get_current_learning_rate(self) -> list[float]:
        """For the log line; TensorBoard is told, too."""
        rates = self._model.get_current_learning_rate()
        if self._tb_logger:
            for name, rate in _numbered('learning_rate', rates):
                self._tb_logger.add_scalar(name, rate, self._iteration)
        return rates

    def get_current_log(self) -> dict[str, float]:
        """For the log line and TensorBoard: the terms of the loss, and the norm of the gradients before clipping."""
        return {**self._model.get_current_log(), **dict(_numbered('grad_norm', map(float, self._guard.norms)))}

    def save(self, epoch: int, current_iter: int) -> None:
        """A checkpoint, or at last (-1) the networks alone; see basicsr_patches/model_methods.py."""
        latest = current_iter == -1
        self._model.run_provenance = {'iter': self._iteration if latest else current_iter, 'options': self._options}
        if not latest:
            self._model.run_state = run_state(
                self._model, options=self._flat_options, guard=self._guard, clock=self._clock
            )
        with self._clock.paused():
            self._model.save(epoch, current_iter)
        self._saved = self._saved if latest else current_iter

    def validation(self, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool) -> None:
        """Once for each dataset; a signal stops the run between two pictures."""
        is_saved = self._saved == current_iter
        try:
            self._validations.run(dataloader, current_iter, tb_logger, save_img, is_saved=is_saved)
        except StoppedError:
            self._stop()

    def _save_if_new(self) -> None:
        if self._iteration and self._saved != self._iteration:
            self.save(self._iteration // self._batches_per_epoch, self._iteration)

    def _stop(self) -> None:
        """Save, and end the run."""
        name = STOP.name or 'a signal to another process'
        if not self._iteration:
            raise StoppedError(f'stopped by {name} before the first iteration: there is nothing to save')
        self._save_if_new()
        raise StoppedError(f'stopped by {name}; iteration {self._iteration} is saved. Go on with --auto_resume.')


def _numbered(name: str, values: Iterable[float]) -> list[tuple[str, float]]:
    """The values under the name, of several with a number behind it."""
    values = list(values)
    return [(name if len(values) == 1 else f'{name}_{number}', value) for number, value in enumerate(values)]
