"""What a checkpoint holds beside networks, optimizers and schedules, so that a resumed run goes on to the last bit."""

from collections.abc import Mapping
from typing import Any

from basicsr.utils import get_root_logger

from ..distributed import from_all_processes
from ..errors import UserError
from .crafted_state import refuse_unfit
from .history import TrainingClock
from .random_states import random_states, set_random_states
from .step_guard import StepGuard


def run_state(model: Any, *, options: Mapping[str, str], guard: StepGuard, clock: TrainingClock) -> dict[str, Any]:
    """Plain values and tensors, for `extra` of a training state. Every process must call it.

    Args:
        model: what BasicSR's build_model made.
        options: place to value of each option of the run.
        guard: tells how many steps were left out.
        clock: tells the seconds of the training.
    """
    return {
        'random_states': from_all_processes(random_states()),
        'manual_seed': model.opt['manual_seed'],
        'stage': getattr(model, 'stage', None),
        'seconds': clock.seconds,
        'options': options,
        'skipped': (guard.skipped, guard.skipped_in_row),
        'scaler': model.scaler.state_dict() if hasattr(model, 'scaler') else {},
    }


def take_over(resume_state: dict[str, Any], model: Any, *, guard: StepGuard, clock: TrainingClock) -> None:
    """Set the model to a training state: optimizers, schedules, stage, and what :func:`run_state` gave.

    Args:
        resume_state: as it was read.
        model: what BasicSR's build_model made.
        guard, clock: of this run.

    Raises:
        UserError: it does not fit the options.
    """
    iteration = resume_state['iter']
    if not hasattr(model, '_start_stage'):  # such a model does it when its optimizers are those of the stage
        refuse_unfit(resume_state, model)
    try:
        model.resume_training(resume_state)
    except (ValueError, KeyError, AssertionError) as error:  # torch's and BasicSR's words for what does not fit
        raise UserError(
            f'the checkpoint of iteration {iteration} does not fit these options: {error}. Give those of its run, '
            'or set path.pretrain_network_g to its weights and start anew, without --auto_resume.'
        ) from error
    extra = resume_state.get('extra', {})
    guard.skipped, guard.skipped_in_row = extra.get('skipped', (0, 0))
    clock.go_on_from(extra.get('seconds', 0.0))
    if extra.get('scaler'):
        model.scaler.load_state_dict(extra['scaler'])
    states, processes = extra.get('random_states', []), model.opt['world_size']
    if len(states) == processes:
        set_random_states(states[model.opt['rank']])
    else:
        what = f'The checkpoint holds random states of {len(states)} processes, this run has {processes}'
        get_root_logger().warning(f'{what}: it will not go on to the last bit as the former would have.')
