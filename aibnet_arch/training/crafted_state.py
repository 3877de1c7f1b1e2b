"""What a training state must be like, before anything of it is used: it may come from anywhere."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..messages import printable
from .random_states import random_states, set_random_states

_NUMBERS = (int, float)


def refuse_unfit(state: Mapping[str, Any], model: Any) -> None:
    """Raise UserError if a model cannot go on from a state; see :func:`state_problems`."""
    problems = list(state_problems(state, model))
    if problems:
        raise UserError(
            f'the checkpoint of iteration {state["iter"]} does not fit these options: {"; ".join(problems)}. Give '
            'those of its run, or set path.pretrain_network_g to its weights and start anew, without --auto_resume.'
        )


def state_problems(state: Mapping[str, Any], model: Any) -> Iterator[str]:
    """Why a model cannot go on from a state, a message each.

    Args:
        state: as it was read: plain containers and tensors.
        model: of BasicSR, with the optimizers and schedules of the iteration.
    """
    if type(state.get('epoch')) is not int:
        yield 'epoch is no whole number'
    for name in ('optimizers', 'schedulers'):
        ours, theirs = getattr(model, name), state.get(name)
        if not isinstance(theirs, list) or len(theirs) != len(ours):
            yield f'it has no list of {len(ours)} {name}'
            continue
        check = _optimizer if name == 'optimizers' else _schedule
        for own, given in zip(ours, theirs):
            yield from check(own, given)
    yield from _extra(state.get('extra', {}))


def _optimizer(own: Any, given: Any) -> Iterator[str]:
    if not isinstance(given, Mapping) or not isinstance(given.get('state'), Mapping):
        yield 'the state of an optimizer is damaged'
        return
    fresh, groups = own.state_dict()['param_groups'], given.get('param_groups')
    if not isinstance(groups, list) or [_count(group) for group in groups] != [len(each['params']) for each in fresh]:
        yield 'its optimizer trains other parameters'
        return
    for group, expected in zip(groups, fresh):
        for key, value in expected.items():
            if key not in group or not _alike(value, group[key]):
                yield f"its optimizer's {printable(key)} is missing or damaged: another optimizer?"
    parameters = [parameter for group in own.param_groups for parameter in group['params']]
    for number, values in given['state'].items():
        if type(number) is not int or not 0 <= number < len(parameters) or not isinstance(values, Mapping):
            yield 'its optimizer knows of parameters that are not there'
            return
        shape = parameters[number].shape
        for key, value in values.items():
            fits = (
                value.shape in (shape, ()) if isinstance(value, Tensor) else isinstance(value, (*_NUMBERS, type(None)))
            )
            if not isinstance(key, str) or not fits:
                yield f"its optimizer's {printable(key)} does not fit parameter {number}"
                return


def _schedule(own: Any, given: Any) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield 'the state of a schedule is damaged'
        return
    for key, value in own.state_dict().items():
        if key in given and not _alike(value, given[key]):
            yield f"its schedule's {printable(key)} is damaged"


def _extra(extra: Any) -> Iterator[str]:
    if not isinstance(extra, Mapping):
        yield 'what it holds beside optimizers is damaged'
        return
    expected = {
        'random_states': lambda value: isinstance(value, (list, tuple)) and all(map(_are_random_states, value)),
        'manual_seed': lambda value: type(value) is int and 0 <= value < 2**31,
        'stage': lambda value: value is None or type(value) is int,
        'seconds': lambda value: type(value) in _NUMBERS and 0 <= value < 1e12,
        'options': lambda value: isinstance(value, Mapping) and all(isinstance(k, str) for k in value),
        'skipped': lambda value: isinstance(value, Sequence) and [type(v) for v in value] == [int, int],
        'scaler': lambda value: isinstance(value, Mapping),
    }
    for key, is_right in expected.items():
        if key in extra and not is_right(extra[key]):
            yield f'extra.{key} is damaged'


def _are_random_states(states: Any) -> bool:
    """Whether the generators take them; those of this process stay."""
    former = random_states()
    try:
        set_random_states(states)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError, OverflowError):
        return False
    finally:
        set_random_states(former)
    return True


def _count(group: Any) -> Any:
    return len(group['params']) if isinstance(group, Mapping) and isinstance(group.get('params'), list) else None


def _alike(expected: Any, given: Any) -> bool:
    """Whether it is of the same kind: numbers for numbers, as many of them in a list."""
    if isinstance(expected, bool) or expected is None or given is None:
        return isinstance(given, (bool, *_NUMBERS, type(None)))
    if isinstance(expected, _NUMBERS):
        return isinstance(given, _NUMBERS)
    if isinstance(expected, (list, tuple)):
        return isinstance(given, (list, tuple)) and len(given) == len(expected) and all(map(_alike, expected, given))
    return isinstance(given, type(expected))
