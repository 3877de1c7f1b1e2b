"""What happens around each iteration of BasicSR's training loop, for every model class.

A :class:`Supervisor` stands between the loop and a model: it stops at a signal with a checkpoint
written, refuses steps that are not finite, keeps validation from changing what training does, and
restores what BasicSR's resume leaves out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import torch
from basicsr.utils import get_root_logger

from ..checkpoints.folder import CheckpointFolder
from ..data.patch_schedule import PatchSchedule
from ..errors import RunError, StoppedError, UserError
from ..signals import STOP
from .history import History, TrainingClock
from .random_states import random_states, set_random_states
from .step_guard import NonFiniteError, StepGuard

MOST_SKIPPED = 10
_CALLS = (
    'resume_training',
    'update_learning_rate',
    'feed_data',
    'optimize_parameters',
    'save',
    'validation',
    'extra_state',
)


class Supervisor:
    """Takes the place of a model's methods that the loop calls, and calls them.

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
        self.model = model
        self._flat_options = dict(flat_options)
        self._val_loaders = val_loaders
        self._tb_logger = tb_logger
        self._batches_per_epoch = batches_per_epoch
        self._options = options
        train = model.opt['train']
        self._most_skipped = train.get('max_skipped_steps') or MOST_SKIPPED
        self._patches = PatchSchedule.from_options(model.opt)
        self._clock = TrainingClock()
        self._guard = StepGuard(model, max_norm=train.get('grad_clip'))
        self._iteration = 0  # the last one that is complete
        self._saved: Optional[int] = None
        self._skipped_in_row = self._skipped = 0
        self._batch: list[str] = []
        self._validations_left = len(val_loaders)
        self._owes_validation = self._validating = False
        self._validated: set[tuple[int, str]] = set()
        for name in _CALLS:
            setattr(model, name, getattr(self, name))

    def close(self) -> None:
        """Let go of the model and the data."""
        for name in _CALLS:
            delattr(self.model, name)
        self._val_loaders = []

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The model's own method."""
        return getattr(type(self.model), name)(self.model, *args, **kwargs)

    # The loop's calls, in its order

    def resume_training(self, resume_state: dict) -> None:
        """Also: random states, seconds, count of skipped steps, best metrics, and the epoch of the iteration."""
        iteration = self._iteration = self._saved = resume_state['iter']
        resume_state['epoch'] = iteration // self._batches_per_epoch
        try:
            self._call('resume_training', resume_state)
        except (ValueError, KeyError, AssertionError) as error:  # torch's and BasicSR's words for what does not fit
            raise UserError(
                f'the checkpoint of iteration {iteration} does not fit these options: {error}. Give those of its run, '
                'or set path.pretrain_network_g to its weights and start anew, without --auto_resume.'
            ) from error
        extra = resume_state.get('extra', {})
        self._skipped, self._skipped_in_row = extra.get('skipped', (0, 0))
        self._clock.go_on_from(extra.get('seconds', 0.0))
        if extra.get('scaler'):
            self.model.scaler.load_state_dict(extra['scaler'])
        record = CheckpointFolder.of(self.model.opt).record(iteration)
        if record.get('best_metrics'):
            self.model.best_metric_results = record['best_metrics']
        val = self.model.opt.get('val')
        self._owes_validation = bool(val) and iteration % val['val_freq'] == 0 and not record.get('validated')
        states = extra.get('random_states', [])
        if len(states) == self.model.opt['world_size']:
            set_random_states(states[self.model.opt['rank']])
        else:
            get_root_logger().warning(
                f'The checkpoint holds random states of {len(states)} processes, this run has '
                f'{self.model.opt["world_size"]}: it will not go on to the last bit as the former would have.'
            )

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """The first call of an iteration: the moment between two."""
        if self._owes_validation:  # the former run was killed before it had done this one
            self._owes_validation = False
            for loader in self._val_loaders:
                self.validation(loader, self._iteration, self._tb_logger, self.model.opt['val']['save_img'])
        if self._any_process(STOP.name is not None):
            self._stop()
        self._clock.start()
        self._call('update_learning_rate', current_iter, warmup_iter=warmup_iter)
        self._guard.watch()

    def feed_data(self, data: dict) -> None:
        """Also cuts a batch to the schedule of patches, and remembers which samples it has."""
        if not self._validating:  # validation feeds its pictures by this method, too
            if self._patches:
                data = self._patches.cut(data, iteration=self._iteration + 1)
            self._batch = [str(path) for key in ('lq_path', 'gt_path') for path in data.get(key, ())]
        self._call('feed_data', data)

    def optimize_parameters(self, current_iter: int) -> None:
        """One step, or none if it is not finite.

        Raises:
            RunError: too many steps in a row were not finite.
        """
        self._guard.begin()
        try:
            self._call('optimize_parameters', current_iter)
        except NonFiniteError as error:
            self._skip(current_iter, error)
        else:
            self._skipped_in_row = 0
        if hasattr(self.model, 'finish_iteration'):
            self.model.finish_iteration(current_iter)
        self._iteration = current_iter

    def save(self, epoch: int, current_iter: int) -> None:
        """Also remembers that it is done. `provenance` of the model is what its files say of their origin."""
        iteration = self._iteration if current_iter == -1 else current_iter
        self.model.provenance = {'iter': iteration, 'options': self._options}
        with self._clock.paused():
            self._call('save', epoch, current_iter)
        if current_iter != -1:
            self._saved = current_iter

    def validation(self, dataloader, current_iter: int, tb_logger, save_img: bool) -> None:
        """Also leaves the random states as they were, keeps the figures, and stops between pictures at a signal.

        The loop validates once more when it is over: what was validated at this iteration is not done again.
        """
        dataset = dataloader.dataset.opt['name']
        if (current_iter, dataset) in self._validated:
            return
        states = random_states()
        self._validating = True
        try:
            with self._clock.paused():
                self._call('validation', dataloader, current_iter, tb_logger, save_img)
        except StoppedError:
            set_random_states(states)
            self._stop()
        finally:
            self._validating = False
        set_random_states(states)
        self._validated.add((current_iter, dataset))
        metrics = getattr(self.model, 'metric_results', None)
        if metrics and self.model.opt['rank'] == 0:
            History(Path(self.model.opt['path']['experiments_root'])).note(
                iteration=current_iter, dataset=dataset, seconds=self._clock.seconds, metrics=metrics
            )
        self._validations_left -= 1
        if not self._validations_left:
            self._validations_left = len(self._val_loaders)
            if self.model.opt['rank'] == 0 and self._saved == current_iter:
                best = getattr(self.model, 'best_metric_results', None)
                CheckpointFolder.of(self.model.opt).note_validation(current_iter, best)

    # What the calls share

    def extra_state(self) -> dict[str, Any]:
        """What a checkpoint holds beside optimizers and schedules. Every process must call it."""
        states = [random_states()]
        if self.model.opt['dist']:
            states = [None] * self.model.opt['world_size']
            torch.distributed.all_gather_object(states, random_states())
        return {
            'random_states': states,
            'manual_seed': self.model.opt['manual_seed'],
            'stage': getattr(self.model, 'stage', None),
            'seconds': self._clock.seconds,
            'options': self._flat_options,
            'skipped': (self._skipped, self._skipped_in_row),
            'scaler': self.model.scaler.state_dict() if hasattr(self.model, 'scaler') else {},
        }

    def _any_process(self, here: bool) -> bool:
        if not self.model.opt['dist']:
            return here
        flag = torch.tensor(float(here), device=self.model.device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def _stop(self) -> None:
        """Save, and end the run."""
        name = STOP.name or 'a signal to another process'
        if not self._iteration:
            raise StoppedError(f'stopped by {name} before the first iteration: there is nothing to save')
        if self._saved != self._iteration:
            self.save(self._iteration // self._batches_per_epoch, self._iteration)
        raise StoppedError(f'stopped by {name}; iteration {self._iteration} is saved. Go on with --auto_resume.')

    def _skip(self, current_iter: int, error: NonFiniteError) -> None:
        self._skipped += 1
        self._skipped_in_row += 1
        losses = self._guard.losses()
        self._guard.undo()
        count = f'{self._skipped_in_row} in a row, {self._skipped} in all'
        what = f'Iteration {current_iter}: step skipped ({count}): {error}. The batch: {", ".join(self._batch)}'
        if self._skipped_in_row >= self._most_skipped:
            raise RunError(
                f'{what}. That is train.max_skipped_steps. No such step was taken. Look at these pictures, '
                'lower the learning rate or set train.grad_clip, then go on with --auto_resume.'
            )
        get_root_logger().warning(what)
        self.model.log_dict = {**losses, 'skipped_steps': self._skipped}
