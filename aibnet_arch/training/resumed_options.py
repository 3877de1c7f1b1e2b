"""Which options of a run have changed since a checkpoint of it was written."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..data.set_identity import set_identity

# Those that decide what training computes. Where data lie and how they are loaded may change at any time.
_SECTIONS = ('train', 'network_')
_KEYS = ('model_type', 'scale', 'manual_seed')
_OF_DATA = (
    'type',
    'gt_size',
    'batch_size_per_gpu',
    'dataset_enlarge_ratio',
    'fixed_crops',
    'use_hflip',
    'use_vflip',
    'use_rot',
)
# The optimizer goes on with its own settings, and the schedule with the learning rate that it began with.
_KEPT = 'train.optim_'
_SET = 'set of datasets.train.'


def flat_options(opt: Mapping[str, Any]) -> dict[str, str]:
    """'train.optim_g.lr' to '0.001' and so on, and which pictures are trained on: texts that any state can hold."""
    chosen = {key: value for key, value in opt.items() if key in _KEYS or key.startswith(_SECTIONS)}
    train = opt['datasets'].get('train') or {}
    chosen['datasets.train'] = {key: train[key] for key in _OF_DATA if key in train}
    of_set = {f'{_SET}{key}': value for key, value in set_identity(train).items()}
    return {**dict(_flat(chosen, '')), **of_set}


def _flat(options: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{before}{key}.')
        else:
            yield f'{before}{key}', repr(value)


def changed_options(then: Any, now: Mapping[str, str]) -> Iterator[str]:
    """A line for each option that differs.

    Args:
        then: what a checkpoint holds; those of BasicSR by itself hold nothing.
        now: of this run.
    """
    if not isinstance(then, Mapping):
        return
    for place in sorted({*then, *now}):
        if place.startswith(_SET):
            yield from _changed_set(place.removeprefix(_SET), then, now)
        elif then.get(place) != now.get(place):
            hint = "; the checkpoint's counts" if place.startswith(_KEPT) else ''
            yield f'{place} has changed from {then.get(place, "nothing")} to {now.get(place, "nothing")}{hint}'


def _changed_set(what: str, then: Mapping[str, Any], now: Mapping[str, str]) -> Iterator[str]:
    """Of older checkpoints, and of sets that are no folders, nothing is known."""
    before, here = then.get(f'{_SET}{what}'), now.get(f'{_SET}{what}')
    root, _, kind = what.rpartition('.')
    if before is None or here is None or before == here:
        return
    if kind == 'pictures':
        yield f'datasets.train.{root} has changed from {before} pictures to {here}; epochs have another length'
    elif then.get(f'{_SET}{root}.pictures') == now.get(f'{_SET}{root}.pictures'):
        yield f'the pictures of datasets.train.{root} have been exchanged, or made anew'
