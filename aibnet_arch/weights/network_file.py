"""The network of a file of weights, built from the file alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Union

import torch
from torch import Tensor

from ..modeling import AIBNet
from ..modeling.encoders import CheckpointError, compare_keys, read_state_dict, refuse_lost_weights
from ..modeling.signature import Signature


def read_network(path: Union[str, Path], *, param_key: str = 'params') -> AIBNet:
    """Read a checkpoint of AIBNet; no option file is needed.

    Args:
        path: a file that a training wrote.
        param_key: which entry of the file to take ('params_ema' for the averaged weights).

    Returns:
        The network in evaluation mode, on the CPU. As many of its sub-decoders run as are trained.

    Raises:
        CheckpointError: the file is missing, damaged, or none of AIBNet's.
    """
    return network_of(read_state_dict(path, param_key=param_key), where=path)


def network_of(state: Mapping[str, Tensor], *, where: object = 'the state dict') -> AIBNet:
    """The network that a state dict belongs to, with its weights.

    Raises:
        CheckpointError: it is none of AIBNet's, or its parts do not agree.
    """
    signature = Signature.of(state, where=where)
    _check_size(signature, count=len(state), where=where)
    try:
        with torch.device('meta'):  # no memory: the arguments come from the file, and may be anything
            problems = compare_keys(AIBNet(**signature.arguments).state_dict(), state)
    except (ValueError, TypeError, RuntimeError) as error:  # RuntimeError: more channels than torch can count
        raise CheckpointError(f'{where}: its arguments make no network of this version ({error})') from error
    if problems:
        raise CheckpointError(f'{where}: its weights do not fit its own arguments:\n' + '\n'.join(problems))
    refuse_lost_weights(state, where=where)
    network = AIBNet(**signature.arguments)
    network.load_state_dict(state)
    return network.eval()


def _check_size(signature: Signature, *, count: int, where: object) -> None:
    """Refuse arguments that would build a network of millions of modules to no end."""
    for name in ('encoder_blocks', 'middle_blocks', 'num_sub_decoders', 'blocks_per_level', 'num_masks'):
        value = signature.arguments.get(name, 0)
        numbers = value if isinstance(value, list) else [value]
        if not all(type(number) is int and 0 <= number <= count for number in numbers):
            raise CheckpointError(f'{where}: {name} = {value!r:.80} does not agree with its {count} entries')
