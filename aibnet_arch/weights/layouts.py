"""Which network a state dict is of, from the state dict alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from torch import Tensor

from ..errors import CheckpointError
from ..modeling.published import KINDS
from ..modeling.signature import KEY
from .network_file import outline_of
from .state_dicts import unwrapped

# Both published layouts have these; UFPNet's has the estimator of kernels beside them. Others (KBNet) have the same
# names with more in each block.
_NAFNET = ('intro.weight', 'ending.weight', 'middle_blks.0.beta', 'encoders.0.0.norm1.weight', 'decoders.0.0.beta')
_PARTS_OF_A_BLOCK = {'beta', 'gamma', 'norm1', 'norm2', 'sca', *(f'conv{number}' for number in range(1, 6))}
_UFPNET = 'kernel_extra.Conv_mid.body.0.weight'


@dataclass(frozen=True)
class Layout:
    """A network that was recognised.

    Attributes:
        arguments: what it was built with, as far as that is known.
        trained: sub-decoders of an AIBNet that are trained.
        problem: why its weights do not make that network, if they do not.
    """

    architecture: str
    arguments: Mapping[str, Any]
    parameters: Optional[int] = None
    trained: Optional[int] = None
    problem: Optional[str] = None


def recognise(state: Mapping[str, Tensor]) -> Optional[Layout]:
    """AIBNet by its signature, NAFNet and UFPNet by their published keys, None for anything else."""
    state = unwrapped(state)
    if KEY in state:
        return _aibnet(state)
    kind = published_kind(state)
    if kind is None:
        return None
    parts = {part: block_counts(state, part) for part in ('encoders', 'decoders')}
    return Layout(architecture=KINDS[kind].name, arguments={'width': len(state['intro.weight']), **parts})


def published_kind(state: Mapping[str, Tensor]) -> Optional[str]:
    """'nafnet' or 'ufpnet' if the names are those of their published weights (a key of ``KINDS``), else None."""
    start = 'middle_blks.0.'
    parts = {key.removeprefix(start).partition('.')[0] for key in state if key.startswith(start)}
    if parts != _PARTS_OF_A_BLOCK or not all(key in state for key in _NAFNET):
        return None
    return 'ufpnet' if _UFPNET in state else 'nafnet'


def architecture_of(state: Mapping[str, Tensor]) -> Optional[str]:
    """The name alone; None if it is not known."""
    layout = recognise(state)
    return layout.architecture if layout and not layout.problem else None


def _aibnet(state: Mapping[str, Tensor]) -> Layout:
    try:
        signature, network = outline_of(state)
    except CheckpointError as error:
        return Layout(architecture='AIBNet', arguments={}, problem=str(error))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Layout('AIBNet', arguments=network.arguments, parameters=parameters, trained=signature.trained)


def block_counts(state: Mapping[str, Tensor], part: str) -> list[int]:
    """How many blocks each level of the encoder or the decoder has."""
    pattern = re.compile(rf'{part}\.(\d{{1,3}})\.(\d{{1,3}})\.')
    found = {(int(match[1]), int(match[2])) for match in map(pattern.match, state) if match}
    levels = sorted({level for level, _ in found})
    return [sum(1 for level, _ in found if level == wanted) for wanted in levels]
