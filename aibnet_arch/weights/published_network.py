"""NAFNet's and UFPNet's own files of weights as the whole networks that they are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..modeling.encoders import NAFNetEncoder
from ..modeling.published import PublishedNetwork
from .layouts import block_counts, published_kind
from .state_dicts import compare_keys, refuse_lost_weights

_DECODER = NAFNetEncoder.UNUSED_KEYS  # what AIBNet has no use for is the decoder
_MOST_LEVELS = 10


def published_network(state: Mapping[str, Tensor], *, where: object) -> PublishedNetwork:
    """The network of a state dict in NAFNet's or UFPNet's published layout, in evaluation mode.

    Raises:
        CheckpointError: its parts do not agree.
    """
    kind = published_kind(state)
    assert kind is not None
    blocks = {part: block_counts(state, part) for part in ('encoders', 'decoders')}
    middle = sum(1 for key in state if key.startswith('middle_blks.') and key.endswith('.beta'))
    arguments: dict[str, Any] = {'kind': kind, 'width': len(state['intro.weight']), 'middle_blocks': middle}
    arguments.update(encoder_blocks=blocks['encoders'], decoder_blocks=blocks['decoders'])
    try:
        if len(blocks['encoders']) > _MOST_LEVELS:
            raise ValueError(f'{len(blocks["encoders"])} levels')
        with torch.device('meta'):  # no memory: the sizes come from the file
            outline = PublishedNetwork(**arguments)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f'{where} has the names of a {kind} in it, but makes none ({error})') from error
    # What the encoder drops as well, e.g. what UFPNet's flow needs in the other direction alone.
    unused = tuple(key for key in outline.encoder.UNUSED_KEYS if key not in _DECODER)
    own = {_own_name(key): value for key, value in state.items() if not unused or not key.startswith(unused)}
    problems = compare_keys(outline.state_dict(), own)
    if problems:
        raise CheckpointError(f'{where} does not fit {outline.kind.name}:\n' + '\n'.join(problems))
    refuse_lost_weights(state, where=where)
    network = PublishedNetwork(**arguments)
    network.load_state_dict(own)
    return network.eval()


def _own_name(key: str) -> str:
    return f'decoder.{key}' if key.startswith(_DECODER) else f'encoder.{key}'
