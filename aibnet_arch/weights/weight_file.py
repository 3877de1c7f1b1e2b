"""What a file of weights holds, in either format, and how it is written.

A ``.pth`` holds state dicts under their parameter keys ('params', 'params_ema'), or one bare state dict. Training
writes beside them 'iter', the iteration, and 'options', the run's options as YAML. A ``.safetensors`` file holds one
state dict; the rest is text in its metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..files import write_whole
from .state_dicts import SAFETENSORS, read_plain, refuse_hollow

PTH = '.pth'
FORMATS = (PTH, SAFETENSORS)


@dataclass(frozen=True)
class WeightFile:
    """The content of a file.

    Attributes:
        entries: parameter key to state dict. The key is None for a bare state dict.
        iteration: at which the weights were saved, if the file says so.
        options: YAML text of the training's options, if the file holds it.
        others: further entries, of other programs.
    """

    entries: Mapping[Optional[str], Mapping[str, Tensor]]
    iteration: Optional[int] = None
    options: Optional[str] = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, content: object, *, where: object) -> 'WeightFile':
        """Sort what was read.

        Raises:
            CheckpointError: there is no state dict in it.
        """
        if not isinstance(content, Mapping):
            raise CheckpointError(f'{where} holds a {type(content).__name__}, not weights')
        if _is_state_dict(content):
            refuse_hollow(content, where=where)
            return cls(entries={None: content})
        rest = dict(content)
        entries = {key: rest.pop(key) for key, value in content.items() if _is_state_dict(value)}
        if not entries:
            raise CheckpointError(f'{where} holds no state dict; it has: {", ".join(map(str, content)) or "nothing"}')
        for state in entries.values():
            refuse_hollow(state, where=where)
        iteration = rest.pop('iter') if type(rest.get('iter')) is int else None
        options = rest.pop('options') if isinstance(rest.get('options'), str) else None
        return cls(entries=entries, iteration=iteration, options=options, others=rest)

    def about(self) -> dict[str, Any]:
        """What stands beside the weights, under the names of a file."""
        known = {'iter': self.iteration, 'options': self.options}
        return {key: value for key, value in known.items() if value is not None}


def _is_state_dict(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(each, Tensor) for each in value.values())


def read_weight_file(path: Union[str, Path]) -> WeightFile:
    """Read a ``.pth`` or ``.safetensors`` file; nothing in it is executed.

    Raises:
        CheckpointError: it is missing, damaged, or holds no weights.
    """
    return WeightFile.of(read_plain(path), where=path)


def write_weight_file(path: Path, weights: WeightFile, *, architecture: Optional[str] = None) -> None:
    """Write the entries, and what is known about them, in the format that the path's suffix names.

    Args:
        weights: with one entry alone for ``.safetensors``.
        architecture: the network's name, for the metadata of ``.safetensors``.

    Raises:
        CheckpointError: the format cannot hold them.
        RunError: the file cannot be written.
    """
    if path.suffix.lower() == SAFETENSORS:
        content = _safetensors(weights, architecture=architecture, where=path)
        write_whole(path, lambda file: file.write(content))
        return
    entries = weights.entries[None] if None in weights.entries else {**weights.entries, **weights.about()}
    write_whole(path, lambda file: torch.save(dict(entries), file))


def _safetensors(weights: WeightFile, *, architecture: Optional[str], where: Path) -> bytes:
    from safetensors.torch import save

    ((key, state),) = weights.entries.items()
    metadata = {'format': 'pt', 'architecture': architecture, 'param_key': key}
    metadata.update({name: str(value) for name, value in weights.about().items()})
    try:
        # Copies: it refuses tensors that share memory, as tied weights and parts of one tensor do.
        apart = {str(name): value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
        return save(apart, metadata={name: value for name, value in metadata.items() if value is not None})
    except (KeyError, ValueError, RuntimeError) as error:  # e.g. complex numbers of double precision
        raise CheckpointError(f'{where}: safetensors cannot hold these tensors ({error!r})') from error
