"""Weights to start from: published ones into the encoder, trained stages into an AIBNet with more of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Union, cast

from torch import nn

from ..errors import CheckpointError
from ..messages import printable
from ..modeling import AIBNet
from ..modeling.signature import Signature
from .state_dicts import compare_keys, refuse_lost_weights
from .weight_file import WeightFile


@dataclass(frozen=True)
class Published:
    """Where the authors of an encoder publish its weights."""

    paper: str
    where: str
    files: str

    def missing(self, *, kind: str, path: Union[str, Path]) -> str:
        """The message for a user who lacks the file at `path`."""
        return (
            f'the weights of the {kind} encoder are not at {printable(path)}. They are those of {self.paper}: download '
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


def load_encoder(network: AIBNet, path: Union[str, Path], *, param_key: str = 'params') -> list[str]:
    """Load a published UFPNet or NAFNet checkpoint into the encoder of a network: see :func:`load_published`."""
    return load_published(network.encoder, path, kind=network.encoder_kind, param_key=param_key)


def load_published(encoder: nn.Module, path: Union[str, Path], *, kind: str, param_key: str = 'params') -> list[str]:
    """Load a published UFPNet or NAFNet checkpoint into `encoder`.

    What AIBNet does not use (``encoder.UNUSED_KEYS``) is dropped by name; everything else must fit.

    Args:
        encoder: one of ``ENCODERS``.
        path, param_key: see :class:`.WeightFile`.
        kind: key of ``PUBLISHED``, for the messages.

    Returns:
        The keys that were dropped.

    Raises:
        CheckpointError: nothing has been loaded then.
    """
    if not os.path.isfile(os.path.expanduser(path)):
        raise CheckpointError(PUBLISHED[kind].missing(kind=kind, path=path))
    state = WeightFile.read(path).state_dict(param_key)
    unused = cast('tuple[str, ...]', encoder.UNUSED_KEYS)
    dropped = [key for key in state if key.startswith(unused)]
    for key in dropped:
        del state[key]
    problems = compare_keys(encoder.state_dict(), state)
    if problems:
        raise CheckpointError(
            f'{printable(path)} does not fit the {kind} encoder of network_g (width, encoder_blocks and middle_blocks '
            f'must be those of the checkpoint, and encoder its kind):\n' + '\n'.join(problems)
        )
    refuse_lost_weights(state, where=path)
    encoder.load_state_dict(state)
    return dropped


def load_stages(network: AIBNet, path: Union[str, Path], *, param_key: str = 'params') -> int:
    """Load the encoder and the trained sub-decoders of an AIBNet that has fewer of them.

    Args:
        path: a checkpoint of an AIBNet, e.g. S for a network B.

    Returns:
        How many sub-decoders were loaded. The others keep their weights.

    Raises:
        CheckpointError: the file is none of such a network; nothing has been loaded then.
    """
    state = WeightFile.read(path).state_dict(param_key)
    signature = Signature.of(state, where=path)
    signature.check_arguments(network.arguments)
    trained = signature.trained
    if trained >= len(network.sub_decoders):
        raise CheckpointError(
            f'{printable(path)} has {trained} trained sub-decoders: none of the {len(network.sub_decoders)} of this '
            'network is left to train. To go on with all of its weights, set path.pretrain_network_g.'
        )
    parts = (
        'encoder.',
        *(f'sub_decoders.{index}.' for index in range(trained)),
        *(f'fusions.{index}.' for index in range(trained - 1)),
    )
    state = {key: value for key, value in state.items() if key.startswith(parts)}
    own = network.state_dict()
    problems = compare_keys({key: value for key, value in own.items() if key.startswith(parts)}, state)
    if problems:
        raise CheckpointError(f'{printable(path)} does not fit network_g:\n' + '\n'.join(problems))
    refuse_lost_weights(state, where=path)
    network.load_state_dict({**own, **state})
    return trained
