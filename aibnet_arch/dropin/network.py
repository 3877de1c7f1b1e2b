"""AIBNet for trainers that know no stages: what is trained follows from the network's arguments."""

from pathlib import Path
from typing import Any, Optional, Union

from torch import Tensor

from ..modeling import AIBNet
from ..weights.pretrained import load_encoder, load_stages

PathLike = Union[str, Path]


class StagedAIBNet(AIBNet):
    """AIBNet that is set to a stage of its training when it is built.

    A trainer that builds a network and optimizes what requires a gradient then trains sub-decoder `stage`; the next
    stage is another run, which starts from the weights of this one.

    Args:
        stage: k from 1 to s; None: everything runs and trains, or as much as loaded weights say is trained.
        encoder_weights: published checkpoint of the encoder, for stage 1.
        earlier_stages: checkpoint of stage k - 1, for the stages after the first.

    Raises:
        ValueError: a value that makes no network, or a stage without the weights that it builds on.
        CheckpointError: a file of weights does not fit.
    """

    def __init__(
        self,
        *,
        stage: Optional[int] = None,
        encoder_weights: Optional[PathLike] = None,
        earlier_stages: Optional[PathLike] = None,
        **arguments: Any,
    ) -> None:
        self._trained_stage: Optional[int] = None
        super().__init__(**arguments)
        if stage is None and (encoder_weights or earlier_stages):
            raise ValueError('encoder_weights and earlier_stages belong to a stage of training: give stage, too')
        if stage == 1:
            if earlier_stages:
                raise ValueError('stage 1 has no earlier_stages')
            if encoder_weights:
                load_encoder(self, encoder_weights)
            elif self.freeze_encoder:
                raise ValueError(
                    'stage 1 would train on a random frozen encoder: give encoder_weights, or freeze_encoder: false'
                )
        elif stage is not None:
            if encoder_weights or not earlier_stages:
                raise ValueError(
                    f'stage {stage} starts from the weights of stage {stage - 1}, which hold the encoder: give them as '
                    'earlier_stages, and no encoder_weights'
                )
            trained = load_stages(self, earlier_stages)
            if trained != stage - 1:
                found = f'{earlier_stages} has {trained} trained sub-decoders'
                raise ValueError(f'{found}, stage {stage} needs {stage - 1}')
        self._trained_stage = stage
        if stage is not None:
            self.set_stage(stage)

    def set_extra_state(self, state: Tensor) -> None:
        """As AIBNet's, but a stage that was asked for stays: weights of the stage before start it."""
        super().set_extra_state(state)
        if self._trained_stage is not None:
            self.set_stage(self._trained_stage)
