"""Which options of a run have changed since a checkpoint of it was written."""

from collections.abc import Iterator, Mapping
from typing import Any

# Those that decide what training computes. Where data lie and how they are loaded may change at any time.
_SECTIONS = ('train', 'network_')
_KEYS = ('model_type', 'scale', 'manual_seed')
_OF_DATA = ('type', 'gt_size', 'batch_size_per_gpu', 'dataset_enlarge_ratio', 'use_hflip', 'use_vflip', 'use_rot')
# The optimizer goes on with its own settings, and the schedule with the learning rate that it began with.
_KEPT = 'train.optim_'


def flat_options(opt: Mapping[str, Any]) -> dict[str, str]:
    """'train.optim_g.lr' to '0.001' and so on: texts, which any checkpoint can hold."""
    chosen = {key: value for key, value in opt.items() if key in _KEYS or key.startswith(_SECTIONS)}
    train = opt['datasets'].get('train') or {}
    chosen['datasets.train'] = {key: train[key] for key in _OF_DATA if key in train}
    return dict(_flat(chosen, ''))


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
        if then.get(place) != now.get(place):
            hint = "; the checkpoint's counts" if place.startswith(_KEPT) else ''
            yield f'{place} has changed from {then.get(place, "nothing")} to {now.get(place, "nothing")}{hint}'
