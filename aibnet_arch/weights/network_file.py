"""The network of a file of weights, built from the file alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..modeling import AIBNet
from ..modeling.signature import Signature
from .state_dicts import compare_keys, refuse_hollow, refuse_lost_weights
from .weight_file import WeightFile


def read_network(path: Union[str, Path], *, param_key: Optional[str] = 'params') -> AIBNet:
    """Read a checkpoint of AIBNet; no option file is needed.

    Args:
        path: a file that a training wrote.
        param_key: which entry of the file to take ('params_ema' for the averaged weights); None: 'params_ema' if
            there is one, else 'params'.

    Returns:
        The network in evaluation mode, on the CPU. As many of its sub-decoders run as are trained.

    Raises:
        CheckpointError: the file is missing, damaged, or none of AIBNet's.
    """
    return network_of(WeightFile.read(path).state_dict(param_key), where=path)


def network_of(state: Mapping[str, Tensor], *, where: object = 'the state dict') -> AIBNet:
    """The network that a state dict belongs to, with its weights.

    Raises:
        CheckpointError: it is none of AIBNet's, or its parts do not agree.
    """
    network = AIBNet(**outline_of(state, where=where)[0].arguments)
    refuse_lost_weights(state, where=where)
    network.load_state_dict(state)
    return network.eval()


def outline_of(state: Mapping[str, Tensor], *, where: object = 'the state dict') -> tuple[Signature, AIBNet]:
    """What a state dict says of its network, and that network without memory, checked against each other.

    Raises:
        CheckpointError: it is none of AIBNet's, or its parts do not agree.
    """
    signature = Signature.of(state, where=where)
    try:
        with torch.device('meta'):  # no memory: the arguments come from the file, and may be anything
            network = AIBNet(**signature.arguments)
    except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        told = '; '.join(str(error).splitlines())
        raise CheckpointError(f'{where}: its arguments make no network of this version ({told})') from error
    refuse_hollow(state, where=where)
    wanted = network.state_dict()
    problems = compare_keys(wanted, state)
    if not problems:
        kinds = [key for key in wanted if wanted[key].is_floating_point() != state[key].is_floating_point()]
        problems = [f'  {key} holds {state[key].dtype}' for key in kinds[:20]]
    if problems:
        raise CheckpointError(f'{where}: its weights do not fit its own arguments:\n' + '\n'.join(problems))
    if signature.trained > len(network.sub_decoders):
        raise CheckpointError(
            f'{where}: {signature.trained} sub-decoders are trained, it says, of {len(network.sub_decoders)}'
        )
    return signature, network
