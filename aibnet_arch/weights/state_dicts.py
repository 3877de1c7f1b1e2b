"""What a state dict is, what must not be in one, and whether one fits another."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..messages import some
from ..modeling.signature import KEY, is_dense

_MOST_NAMED = 20


def is_state_dict(value: object) -> bool:
    """Whether it holds tensors by name, and nothing else but what a network saves beside its weights."""
    if not isinstance(value, Mapping):
        return False
    tensors = [isinstance(each, Tensor) for each in value.values()]
    return any(tensors) and all(tensor or str(name).endswith(KEY) for name, tensor in zip(value, tensors))


def unwrapped(state: Mapping[Any, Tensor]) -> dict[str, Tensor]:
    """The same without the ``module.`` that DataParallel puts before the names."""
    return {str(name).removeprefix('module.'): value for name, value in state.items()}


def refuse_hollow(state: Mapping[Any, object], *, where: object, key: object = None) -> None:
    """Raise CheckpointError if tensors are no plain arrays of numbers, or not wholly there."""
    hollow = [name for name, value in state.items() if isinstance(value, Tensor) and not is_dense(value)]
    if hollow:
        entry = '' if key is None else f' as {key!r}'
        told = some(hollow, most=_MOST_NAMED)
        raise CheckpointError(
            f'{where} holds no state dict{entry}: these entries are no tensors with numbers in them: {told}'
        )


def refuse_lost_weights(state: Mapping[str, Tensor], *, where: object) -> None:
    """Raise CheckpointError if weights are not finite: what uses them would lose its numbers later, without a name."""
    floating = {k: v for k, v in state.items() if isinstance(v, Tensor) and v.is_floating_point()}
    lost = [key for key, value in floating.items() if not torch.isfinite(value).all()]
    if lost:
        told = some(lost, most=_MOST_NAMED)
        raise CheckpointError(f'{where}: {len(lost)} entries hold numbers that are not finite: {told}')


def compare_keys(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """One line for each way in which `given` does not fit `wanted`; empty if it fits.

    What a network saves beside its weights (``_extra_state``) may be of any length.
    """
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    misshaped = [
        f'{key}: {tuple(given[key].shape)} in the file, {tuple(wanted[key].shape)} in the network'
        for key in wanted
        if key in given and not key.endswith(KEY) and given[key].shape != wanted[key].shape
    ]
    found = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshaped))
    return [f'  {len(keys)} {what}: {some(keys, most=_MOST_NAMED)}' for what, keys in found if keys]
