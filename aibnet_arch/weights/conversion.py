"""Weights from one format to the other, without losing anything unasked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor

from ..errors import RunError, UserError
from ..files import check_new
from ..messages import printable, some
from .box import weights_path
from .layouts import architecture_of
from .plain_file import SAFETENSORS
from .weight_file import FORMATS, WeightFile, write_weight_file


def convert(source: Path, target: Path, *, param_key: Optional[str] = None) -> tuple[list[Optional[str]], list[str]]:
    """Write the weights of one file to another, of the format that its suffix names, and compare what is read back.

    Args:
        source: a file, or `box`.
        target: a file that does not exist.
        param_key: keep this entry alone; the name for a bare state dict. Without it everything is kept, or the file
            is refused.

    Returns:
        The entries that were kept, and the names of what was dropped.

    Raises:
        UserError: `target` cannot be made, or would lose something that was not given up by `param_key`.
        CheckpointError: `source` cannot be read, or its tensors do not go into that format.
        RunError: the file cannot be written, or is not the same when it is read back.
    """
    source = weights_path(source)
    check_new(target, source=source, suffixes=FORMATS)
    weights = WeightFile.read(source)
    weights.refuse_empty()
    wanted, dropped = (weights, []) if param_key is None else _only(weights, param_key, where=source)
    if param_key is None:
        _refuse_loss(weights, source=source, target=target)
    (_, state), *_ = wanted.entries.items()
    write_weight_file(target, wanted, architecture=architecture_of(state))
    back = WeightFile.read(target)
    same = back.about() == wanted.about() and list(back.entries) == list(wanted.entries)
    if not same or not all(equal_bits(back.entries[key], wanted.entries[key]) for key in wanted.entries):
        target.unlink()
        raise RunError(f'{target} is not what was written when it is read back; it is deleted')
    return list(wanted.entries), dropped


def _only(weights: WeightFile, param_key: str, *, where: Path) -> tuple[WeightFile, list[str]]:
    """One entry, and the names of the others."""
    if None in weights.entries:
        return WeightFile(entries={param_key: weights.entries[None]}), []
    if param_key not in weights.entries:
        keys = ', '.join(named(key) for key in weights.entries)
        raise UserError(f'{printable(where)} has no entry {param_key!r}; it has: {printable(keys)}')
    dropped = [str(key) for key in (*weights.entries, *weights.others) if key != param_key]
    return replace(weights, entries={param_key: weights.entries[param_key]}, others={}), dropped


def _refuse_loss(weights: WeightFile, *, source: Path, target: Path) -> None:
    keys = ' or '.join(printable(key) for key in weights.entries if key is not None)
    if weights.others:
        raise UserError(
            f'{printable(source)} holds more than weights: {some(weights.others)}. To drop that, name the entry '
            f'to keep: --param-key {keys}'
        )
    if target.suffix.lower() == SAFETENSORS and len(weights.entries) > 1:
        raise UserError(
            f'{printable(source)} holds {len(weights.entries)} state dicts, a .safetensors file one. Choose it with '
            f'--param-key {keys} (params_ema are averaged weights); the others are dropped'
        )
    if source.suffix.lower() == target.suffix.lower():
        raise UserError(
            f'{printable(source)} and {printable(target)} have one format: copy the file, or choose an entry '
            'with --param-key'
        )


def equal_bits(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts have the same keys, shapes, types and bits; a NaN equals itself."""
    return set(first) == set(second) and all(
        value == second[key]
        if not isinstance(value, Tensor)  # what a network saves beside its weights may be anything
        else isinstance(second[key], Tensor)
        and value.shape == second[key].shape
        and value.dtype == second[key].dtype
        and torch.equal(_bytes(value), _bytes(second[key]))
        for key, value in first.items()
    )


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def named(key: Optional[str]) -> str:
    """How messages call an entry of a file of weights; None is a file without entries."""
    return 'a bare state dict' if key is None else key
