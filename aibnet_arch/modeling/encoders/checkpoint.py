"""Load the authors' checkpoints into the encoders, strictly and without executing anything from the file."""

import pickle
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
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'{path} is a folder, not a file' if path.is_dir() else f'no file {path}')
    if path.suffix.lower() == SAFETENSORS:
        return _read_safetensors(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message suggests to switch the protection off; ours must not.
        raise CheckpointError(
            f'{path} is refused: it holds more than tensors and plain containers, or it is damaged. '
            'Nothing in it was executed. Take the file from where it was made again.'
        ) from error
    except Exception as error:  # whatever a damaged file makes torch's reader stumble over
        raise CheckpointError(f'{path} cannot be read as a checkpoint ({error}). It may be truncated.') from error


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
    strangers = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise CheckpointError(f'{path}: these entries are no tensors: {_some(strangers)}')
    return state


def refuse_hollow(state: Mapping[str, Tensor], *, where: object) -> None:
    """Refuse tensors that claim more numbers than the file holds, and those that are no plain arrays.

    Some bytes of a file can stand for a tensor of any shape, with one number repeated; to use it would fill the memory.

    Raises:
        CheckpointError: the message names them.
    """
    hollow = [
        str(key)
        for key, value in state.items()
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_meta or value.is_quantized
        or value.numel() * value.element_size() > value.untyped_storage().nbytes()
    ]  # fmt: skip
    if hollow:
        raise CheckpointError(f'{where}: these are no plain arrays of numbers, or not wholly there: {_some(hollow)}')


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
    if not Path(path).expanduser().is_file():
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
        if key in given and given[key].shape != wanted[key].shape and not key.endswith('_extra_state')
    ]
    found = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshaped))
    return [f'  {len(keys)} {what}: {_some(keys)}' for what, keys in found if keys]


def _some(names: list[str], most: int = 20) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
