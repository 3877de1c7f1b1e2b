"""Load the authors' checkpoints into the encoders, strictly and without executing anything from the file."""

import os
import pickle
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import torch
from torch import Tensor, nn

SAFETENSORS = '.safetensors'


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, unreadable or of another network. The message says what to do."""


@dataclass(frozen=True)
class Published:
    """Where the authors of an encoder publish its weights."""

    paper: str
    where: str
    files: str

    def missing(self, *, kind: str, path: Union[str, Path]) -> str:
        """The message for a user who lacks the file at `path`."""
        return (
            f'the weights of the {kind} encoder are not at {path}. They are those of {self.paper}: download '
            f'{self.files} from {self.where} and set path.pretrain_network_encoder to the file. Without them an '
            'encoder can train from scratch: leave path.pretrain_network_encoder out and set network_g.freeze_encoder: '
            'false.'
        )


PUBLISHED = {
    'ufpnet': Published(
        paper='UFPNet (Fang et al., CVPR 2023)',
        where='https://github.com/Fangzhenxuan/UFPDeblur (its README links the folder)',
        files='train_on_GoPro, train_on_RealBlurJ or train_on_RealBlurR',
    ),
    'nafnet': Published(
        paper='NAFNet (Chen et al., ECCV 2022)',
        where='https://github.com/megvii-research/NAFNet (table "Results and Pre-trained Models")',
        files='NAFNet-GoPro-width64.pth',
    ),
}


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


def is_dense(value: object) -> bool:
    """Whether it is a tensor with a number for each entry.

    A file may also hold sparse ones, shapes alone, and tensors of any shape that repeat the few numbers which are
    there; to use one of those would fill the memory.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_quantized)
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


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


def load_published(
    encoder: nn.Module, path: Union[str, Path], *, kind: str, param_key: str = 'params'
) -> list[str]:
    """Load a published UFPNet or NAFNet checkpoint into `encoder`.

    What AIBNet does not use (``encoder.UNUSED_KEYS``) is dropped by name; everything else must fit.

    Args:
        encoder: one of ``ENCODERS``.
        path, param_key: see :func:`read_state_dict`.
        kind: key of ``PUBLISHED``, for the messages.

    Returns:
        The keys that were dropped.

    Raises:
        CheckpointError: nothing has been loaded then.
    """
    if not os.path.isfile(os.path.expanduser(path)):
        raise CheckpointError(PUBLISHED[kind].missing(kind=kind, path=path))
    state = read_state_dict(path, param_key=param_key)
    dropped = [key for key in state if key.startswith(encoder.UNUSED_KEYS)]
    for key in dropped:
        del state[key]
    problems = compare_keys(encoder.state_dict(), state)
    if problems:
        raise CheckpointError(
            f'{path} does not fit the {kind} encoder of network_g (width, encoder_blocks and middle_blocks must be '
            f'those of the checkpoint, and encoder its kind):\n' + '\n'.join(problems)
        )
    refuse_lost_weights(state, where=path)
    encoder.load_state_dict(state)
    return dropped


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
