"""Read state dicts from files: nothing but tensors and plain containers, and nothing in a file is executed."""

import os
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..modeling.signature import is_dense

SAFETENSORS = '.safetensors'


def read_plain(path: Union[str, Path]) -> object:
    """Read a file that ``torch.save`` wrote: tensors and plain containers, on the CPU; nothing in it is executed.

    A ``.safetensors`` file gives what the ``.pth`` file would that it was made of: its one state dict under the key
    that its metadata name as ``param_key``, 'iter' and 'options' beside it; without that metadata the bare state dict.

    Raises:
        CheckpointError: the file does not exist, is damaged, or holds anything else.
    """
    text = os.path.expanduser(path)
    if not os.path.isfile(text):
        raise CheckpointError(f'{path} is a folder, not a file' if os.path.isdir(text) else f'no file {path}')
    path = Path(text)
    if path.suffix.lower() == SAFETENSORS:
        return _read_safetensors(path)
    refuse_old_archive(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch's reader stumble over
        # Torch's own messages suggest to switch the protection off; ours must not.
        if isinstance(error, pickle.UnpicklingError) or 'weights_only' in str(error):
            raise CheckpointError(_refused(path)) from error
        if not path.stat().st_size:
            raise CheckpointError(f'{path} is empty') from error
        why = f'{type(error).__name__}: {error}'
        raise CheckpointError(f'{path} cannot be read as a checkpoint ({why}). It may be cut off.') from error


def refuse_old_archive(path: Union[str, Path]) -> None:
    """Raise CheckpointError if the file is of torch's format before 0.1.10, a tar archive.

    Versions before 2.6 unpack it with all that is in it, weights_only or not (CVE-2025-32434).
    """
    if os.path.isfile(path) and tarfile.is_tarfile(path):
        raise CheckpointError(_refused(path))


def _refused(path: Union[str, Path]) -> str:
    return (
        f'{path} is refused: it holds more than tensors and plain containers, or it is damaged. '
        'Nothing in it was executed. Take the file from where it was made again.'
    )


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise CheckpointError(f'{path} needs the package safetensors: pip install safetensors') from error
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
    except Exception as error:  # its reader's own errors, the system's, and torch's for types that it does not know
        raise CheckpointError(
            f'{path} cannot be read as a safetensors file ({error}). It may be truncated, or another kind of file.'
        ) from error
    if 'param_key' not in metadata:
        return state
    content = {metadata['param_key']: state, **{key: metadata[key] for key in ('options',) if key in metadata}}
    if 'iter' in metadata:
        if not metadata['iter'].isdecimal():
            raise CheckpointError(f'{path}: its metadata are damaged: iter is {metadata["iter"]!r:.80}')
        content['iter'] = int(metadata['iter'])
    return content


def read_state_dict(path: Union[str, Path], *, param_key: str = 'params') -> dict[str, Tensor]:
    """Read the tensors of a checkpoint.

    Args:
        path: a ``.pth`` or ``.safetensors`` file holding ``{param_key: state dict}`` or a bare state dict; a
            ``module.`` prefix (DataParallel) is removed from the keys.
        param_key: which entry to take.

    Raises:
        CheckpointError: see :func:`read_plain`; also if there is no such entry.
    """
    content = read_plain(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, not a state dict')
    if not all(isinstance(value, Tensor) for value in content.values()):
        if not isinstance(content.get(param_key), Mapping):
            entries = ', '.join(map(str, content)) or 'none'
            raise CheckpointError(f'{path} has no entry {param_key!r}; it has: {entries}')
        content = content[param_key]
    state = {str(key).removeprefix('module.'): value for key, value in content.items()}
    strangers = [key for key, value in state.items() if not is_dense(value)]
    if strangers:
        raise CheckpointError(f'{path}: these entries are no tensors with numbers in them: {_some(strangers)}')
    return state


def refuse_hollow(state: Mapping[str, object], *, where: object) -> None:
    """Raise CheckpointError if entries are no plain arrays of numbers, or not wholly there."""
    hollow = [str(key) for key, value in state.items() if not is_dense(value)]
    if hollow:
        raise CheckpointError(f'{where}: these are no plain arrays of numbers, or not wholly there: {_some(hollow)}')


def refuse_lost_weights(state: Mapping[str, Tensor], *, where: object) -> None:
    """Raise CheckpointError if weights are not finite: what uses them would lose its numbers later, without a name."""
    lost = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if lost:
        raise CheckpointError(f'{where}: {len(lost)} entries hold numbers that are not finite: {_some(lost)}')


def compare_keys(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """One line for each way in which `given` does not fit `wanted`; empty if it fits.

    What a network saves beside its weights (``_extra_state``) may be of any length.
    """
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    misshaped = [
        f'{key}: {tuple(given[key].shape)} in the file, {tuple(wanted[key].shape)} in the network'
        for key in wanted
        if key in given and not key.endswith('_extra_state') and given[key].shape != wanted[key].shape
    ]
    found = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshaped))
    return [f'  {len(keys)} {what}: {_some(keys)}' for what, keys in found if keys]


def _some(names: list[str], most: int = 20) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
