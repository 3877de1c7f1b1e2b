"""What is in a file of weights or of a training's state, as plain data."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..files import sha256_of
from .box import weights_path
from .card import Card
from .layouts import Layout, recognise
from .plain_file import STATE, read_plain
from .spandrel_network import architecture_by_spandrel
from .state_dicts import unwrapped
from .wanted import Wanted
from .weight_file import WeightFile


def describe(path: Path) -> dict[str, Any]:
    """Read a file, or `box`; nothing in it is executed.

    Returns:
        Plain data: 'file', 'bytes', 'sha256', 'record' (see :func:`compare_with_record`), 'iteration', and

        - of weights 'entries' (of each: 'tensors', 'numbers' in tensors of floating point, 'types', 'not_finite' with
          the names of tensors, 'network' if it is known), 'options' (YAML text), 'card' (see :class:`.Card`), 'wanted'
          (see :class:`.Wanted`) and 'others' (names);
        - of a training state 'epoch', 'stage', 'optimizers', 'schedulers' and 'others'.

    Raises:
        CheckpointError: it is missing, damaged, or neither of them.
    """
    path = weights_path(path)
    if path.suffix == STATE:
        return {**_file(path), **_training_state(read_plain(path), where=path)}
    weights = WeightFile.read(path)
    weights.refuse_empty()
    card = Card.of(weights)
    return {
        **_file(path),
        'iteration': weights.iteration,
        'entries': {'' if key is None else str(key): _entry(state) for key, state in weights.entries.items()},
        'options': weights.options,
        'card': asdict(card) if card else None,
        'wanted': asdict(Wanted.of(weights)),
        'others': list(map(str, weights.others)),
    }


def _file(path: Path) -> dict[str, Any]:
    digest = sha256_of(path)
    record = compare_with_record(path, digest)
    return {'file': str(path), 'bytes': path.stat().st_size, 'sha256': digest, 'record': record}


def problems(description: Mapping[str, Any]) -> list[str]:
    """What is wrong with a file that could be read."""
    found = ['it differs from what its record says: damaged'] if description['record'] == 'differs' else []
    for key, entry in description.get('entries', {}).items():
        if entry['not_finite']:
            found.append(f'{key}: {len(entry["not_finite"])} tensors are not finite, e.g. {entry["not_finite"][0]}')
        if entry['network'] and entry['network']['problem']:
            found.append(f'{key}: {entry["network"]["problem"]}')
    return found


def compare_with_record(path: Path, digest: str) -> Optional[str]:
    """'agrees' or 'differs': the checksum in ``training_states/N.json``, which training writes; None without one.

    Raises:
        CheckpointError: the record is damaged.
    """
    number = path.stem.rsplit('_', 1)[-1]
    folder = path.parent if path.suffix == STATE else path.parent.parent / 'training_states'
    record = folder / f'{number}.json'
    if not number.isdecimal() or not record.is_file():
        return None
    try:
        expected = json.loads(record.read_bytes())['sha256'].get(path.name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f'{record}, the record of {path.name}, is damaged') from error
    if expected is None:
        return None
    return 'agrees' if expected == digest else 'differs'


def _entry(state: Mapping[str, Tensor]) -> dict[str, Any]:
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    floating = {key: value for key, value in tensors.items() if value.is_floating_point()}
    layout = recognise(state)
    if layout is None:
        name = architecture_by_spandrel(unwrapped(state))
        layout = Layout(architecture=name, arguments={}) if name else None
    return {
        'tensors': len(state),
        'numbers': sum(value.numel() for value in floating.values()),
        'types': sorted({str(value.dtype).removeprefix('torch.') for value in floating.values()}),
        'not_finite': [key for key, value in floating.items() if not _finite(value)],
        'network': vars(layout) if layout else None,
    }


def _finite(value: Tensor) -> bool:
    value = value.float() if value.element_size() == 1 else value  # torch knows little about eight bits
    return bool(torch.isfinite(value).all())


def _training_state(content: object, *, where: Path) -> dict[str, Any]:
    if not isinstance(content, Mapping) or type(content.get('iter')) is not int:
        raise CheckpointError(f'{where} is no training state: it does not say of which iteration')
    extra = content.get('extra')
    if not isinstance(extra, Mapping):
        extra = {}
    return {
        'iteration': content['iter'],
        'epoch': content.get('epoch'),
        'stage': extra.get('stage'),
        'optimizers': [_optimizer(each) for each in content.get('optimizers', ())],
        'schedulers': len(content.get('schedulers', ())),
        'others': sorted(map(str, extra)),
    }


def _optimizer(state: Any) -> dict[str, Any]:
    """Of an optimizer's state dict: its learning rates, and of how many parameters it knows something."""
    try:
        rates = [float(group['lr']) for group in state['param_groups']]
        return {'learning_rates': rates, 'parameters': len(state['state'])}
    except (KeyError, TypeError, ValueError):
        return {'learning_rates': [], 'parameters': None}
