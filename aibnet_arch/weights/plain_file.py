"""Files as plain data: tensors, plain containers, and nothing that is executed."""

import os
import pickle
import re
import tarfile
from pathlib import Path
from typing import Any, Union

import torch
from safetensors import safe_open

from ..errors import CheckpointError
from ..messages import printable, some
from .eight_bit import restored

SAFETENSORS = '.safetensors'
STATE = '.state'  # of a training's state
_BEGINNINGS = (b'PK', b'\x80')  # of what torch.save writes: a zip archive, until torch 1.6 a pickle
_TAR_HEADER = 512  # bytes


def read_plain(path: Union[str, Path]) -> object:
    """Read a file that ``torch.save`` wrote: tensors and plain containers, on the CPU; nothing in it is executed.

    A ``.safetensors`` file gives what the ``.pth`` file would that it was made of: its one state dict under the key
    that its metadata name as ``param_key``, 'iter', 'options' and 'card' beside it; without that metadata the bare
    state dict. Weights in 8 bits (:mod:`.eight_bit`) come as float32.

    Raises:
        CheckpointError: the file does not exist, is damaged, or holds anything else.
    """
    text = os.path.expanduser(path)
    if not os.path.isfile(text):
        told = printable(path)
        what = f'{told} is a folder, not a file' if os.path.isdir(text) else f'no file {told}'
        raise CheckpointError(what + weights_beside(Path(text)))
    path = Path(text)
    if path.suffix.lower() == SAFETENSORS:
        return _read_safetensors(path)
    if not path.stat().st_size:
        raise CheckpointError(f'{printable(path)} is empty')
    refuse_old_archive(path)
    with path.open('rb') as file:
        if not file.read(2).startswith(_BEGINNINGS):
            raise CheckpointError(_refused(path))
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch's reader stumble over
        # Torch's own messages suggest to switch the protection off; ours must not.
        if isinstance(error, pickle.UnpicklingError) or 'weights_only' in str(error):
            raise CheckpointError(_refused(path)) from error
        why = f'{type(error).__name__}: {error}'
        raise CheckpointError(
            f'{printable(path)} cannot be read as a checkpoint ({printable(why)}). It may be cut off.'
        ) from error


def weights_beside(path: Path) -> str:
    """Which file of weights is meant by a folder, or by a training state; empty if there is none.

    Of a folder that is no training's, the files of weights in it.
    """
    models, name = path / 'models', 'net_g_latest.pth'
    if path.suffix == STATE:
        models, name = path.parent.parent / 'models', f'net_g_{path.stem}.pth'
    found = next((file for file in (path / name, models / name, models / 'net_g_latest.pth') if file.is_file()), None)
    if found:
        return f'; the weights are in {printable(found)}'
    suffixes = ('.pth', SAFETENSORS)
    files = sorted(file.name for file in path.iterdir() if file.suffix.lower() in suffixes) if path.is_dir() else []
    return f'; there are {some(files)} in it' if files else ''


def refuse_old_archive(path: Union[str, Path]) -> None:
    """Raise CheckpointError if the file is of torch's format before 0.1.10, a tar archive.

    Versions before 2.6 unpack it with all that is in it, weights_only or not (CVE-2025-32434).
    """
    if not os.path.isfile(path):
        return
    with open(path, 'rb') as file:
        beginning = file.read(_TAR_HEADER)
    try:
        tarfile.TarInfo.frombuf(beginning, 'utf-8', 'surrogateescape')
    except tarfile.TarError:
        return
    raise CheckpointError(_refused(path))


def _refused(path: Union[str, Path]) -> str:
    return (
        f'{printable(path)} is refused: it holds more than tensors and plain containers, or it is damaged. '
        'Nothing in it was executed. Take the file from where it was made again.'
    )


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            state = restored({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118  not a mapping
    except Exception as error:  # its reader's own errors, the system's, torch's for types that it does not know, ours
        raise CheckpointError(
            f'{printable(path)} cannot be read as a safetensors file ({printable(error)}). It may be truncated, or '
            'another kind of file.'
        ) from error
    if 'param_key' not in metadata:
        return state
    content: dict[str, Any] = {metadata['param_key']: state}
    content.update({name: metadata[name] for name in ('options', 'card') if name in metadata})
    if 'iter' in metadata:
        if not re.fullmatch(r'[0-9]{1,18}', metadata['iter']):
            raise CheckpointError(f'{printable(path)}: its metadata are damaged: iter is {metadata["iter"]!r:.80}')
        content['iter'] = int(metadata['iter'])
    return content
