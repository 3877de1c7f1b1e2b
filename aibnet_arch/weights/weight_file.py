"""What a file of weights holds, in either format, and how it is written.

A ``.pth`` holds state dicts under their parameter keys ('params', 'params_ema'), or one bare state dict. Training
writes beside them 'iter', the iteration, and 'options', the run's options as YAML. Published ones may have a 'card'
(:class:`.Card`). A ``.safetensors`` file holds one state dict; the rest is text in its metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..files import write_whole
from ..messages import printable, some
from .box import weights_path
from .plain_file import SAFETENSORS, read_plain, weights_beside
from .state_dicts import is_state_dict, refuse_hollow, unwrapped

PTH = '.pth'
FORMATS = (PTH, SAFETENSORS)
AVERAGED, TRAINED = 'params_ema', 'params'
# Of weights under other names, e.g. those that MPRNet and Uformer were published with.
ELSEWHERE = ('state_dict', 'model_state_dict', 'model', 'net')


@dataclass(frozen=True)
class WeightFile:
    """The content of a file.

    Attributes:
        entries: parameter key to state dict. The key is None for a bare state dict.
        iteration: at which the weights were saved, if the file says so.
        options: YAML text of the training's options, if the file holds it.
        others: further entries, of other programs.
        where: the file, for messages.
        card: JSON text of a :class:`.Card`, if the file holds one.
    """

    entries: Mapping[Optional[str], Mapping[str, Tensor]]
    iteration: Optional[int] = None
    options: Optional[str] = None
    others: Mapping[str, Any] = field(default_factory=dict)
    where: object = 'the file'
    card: Optional[str] = None

    @classmethod
    def read(cls, path: Union[str, Path]) -> 'WeightFile':
        """Read a ``.pth`` or ``.safetensors`` file; nothing in it is executed.

        Args:
            path: the file, or the word `box` (:func:`.weights_path`).

        Raises:
            CheckpointError: it is missing, damaged, or holds other things than weights.
        """
        path = weights_path(path)
        content, told = read_plain(path), printable(path)
        if not isinstance(content, Mapping):
            raise CheckpointError(f'{told} holds a {type(content).__name__}, not weights')
        if 'optimizers' in content and not {AVERAGED, TRAINED} & set(content):
            raise CheckpointError(f'{told} is the state of a training, not weights{weights_beside(Path(path))}')
        if is_state_dict(content):
            refuse_hollow(content, where=told)
            return cls(entries={None: content}, where=told)
        rest = dict(content)
        entries = {key: rest.pop(key) for key, value in content.items() if is_state_dict(value)}
        for key, state in entries.items():
            refuse_hollow(state, where=told, key=key)
        iteration = rest.pop('iter') if type(rest.get('iter')) is int else None
        options = rest.pop('options') if isinstance(rest.get('options'), str) else None
        card = rest.pop('card') if isinstance(rest.get('card'), str) else None
        return cls(entries, iteration, options, rest, told, card)

    def state_dict(self, param_key: Optional[str] = None) -> dict[str, Tensor]:
        """The weights to use, without the ``module.`` that DataParallel puts before their names.

        Args:
            param_key: which entry. By default the averaged weights if there are some, since a training validates
                those, else 'params', else the first of ``ELSEWHERE``. A bare state dict has no key and serves for all.

        Raises:
            CheckpointError: there is no such entry.
        """
        if param_key is None:
            known = (AVERAGED, TRAINED, *ELSEWHERE)
            param_key = next((key for key in known if key in self.entries), TRAINED)
        return self._taken(None if None in self.entries else param_key)

    def of_options(self, param_key: Optional[str]) -> tuple[Optional[str], dict[str, Tensor]]:
        """The weights that BasicSR's ``path.param_key_*`` means, and the key that they have.

        Args:
            param_key: which entry; 'params' serves where it is not there. None is a bare state dict, and no other.

        Raises:
            CheckpointError: there is no such entry.
        """
        missing = param_key is not None and param_key not in self.entries
        key = TRAINED if missing and TRAINED in self.entries else param_key
        return key, self._taken(key)

    def _taken(self, key: Optional[str]) -> dict[str, Tensor]:
        if key in self.entries:
            return unwrapped(self.entries[key])
        names = [*self.entries.get(None, self.entries), *self.about(), *self.others]
        lacks = 'is no state dict itself' if key is None else f'has no entry {key!r}'
        hint = '. If the file is the state dict itself, set path.param_key_*: ~' if None in self.entries else ''
        raise CheckpointError(f'{self.where} {lacks}; it has: {some(names) or "nothing"}{hint}')

    def about(self) -> dict[str, Any]:
        """What stands beside the weights, under the names of a file."""
        known = {'iter': self.iteration, 'options': self.options, 'card': self.card}
        return {key: value for key, value in known.items() if value is not None}

    def refuse_empty(self) -> None:
        """Raise CheckpointError if there is no state dict in it."""
        if not self.entries:
            raise CheckpointError(f'{self.where} holds no state dict; it has: {some(self.others) or "nothing"}')


def write_weight_file(path: Path, weights: WeightFile, *, architecture: Optional[str] = None) -> None:
    """Write the entries, and what is known about them, in the format that the path's suffix names.

    Args:
        path: of a file that is not there yet.
        weights: with one entry alone for ``.safetensors``.
        architecture: the network's name, for the metadata of ``.safetensors``.

    Raises:
        CheckpointError: the format cannot hold them.
        RunError: the file cannot be written.
        ExistsError: somebody else has written it.
    """
    if path.suffix.lower() == SAFETENSORS:
        encoded = _safetensors(weights, architecture=architecture, where=path)
        write_whole(path, lambda file: file.write(encoded), overwrite=False)
        return
    content: Mapping[Any, Any] = weights.entries.get(None) or {**weights.entries, **weights.about()}
    write_whole(path, lambda file: torch.save(dict(content), file), overwrite=False)


def _safetensors(weights: WeightFile, *, architecture: Optional[str], where: Path) -> bytes:
    from safetensors.torch import save

    ((key, state),) = weights.entries.items()
    metadata = {'format': 'pt', 'architecture': architecture, 'param_key': key}
    metadata.update({name: str(value) for name, value in weights.about().items()})
    try:
        # Copies: it refuses tensors that share memory, as tied weights and parts of one tensor do.
        apart = {str(name): value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
        return save(apart, metadata={name: value for name, value in metadata.items() if value is not None})
    except (AttributeError, KeyError, ValueError, RuntimeError) as error:  # e.g. complex numbers of double precision
        raise CheckpointError(f'{where}: safetensors cannot hold these tensors ({error!r})') from error
