"""The stages of the progressive training strategy: what trains and what runs (Section 3.4)."""

from typing import Any, Optional

from torch import nn

from .decoder_level import DecoderLevel
from .process_batch_norm import ProcessBatchNorm2d


class StagedModule(nn.Module):
    """An encoder and a chain of sub-decoders of which one trains at a time.

    Attributes:
        stage: see :meth:`set_stage`.
        active_sub_decoders: how many sub-decoders run by default, those that are trained.
    """

    encoder: nn.Module
    sub_decoders: Any
    fusions: Any
    freeze_encoder: bool

    def set_stage(self, stage: Optional[int]) -> None:
        """Choose what trains and what runs (Section 3.4).

        Args:
            stage: k from 1 to s: sub-decoder k trains; the encoder and the sub-decoders before it are
                frozen (no gradient, evaluation mode, also after ``train()``), those after it do not run.
                An encoder that is not `freeze_encoder` trains in stage 1; a fusion with the sub-decoder behind it.
                None: everything runs and trains (direct training, Table 6 a), but a frozen encoder, and the
                residual convolutions that nothing uses because only the last sub-decoder's image is the output.

        Raises:
            ValueError: no such sub-decoder.
        """
        count = len(self.sub_decoders)
        if stage is not None and not 1 <= stage <= count:
            raise ValueError(f'stage {stage}: this network has sub-decoders 1 to {count}')
        self.stage = stage
        self.active_sub_decoders = stage or count
        self.encoder.requires_grad_(not self.freeze_encoder and stage in (None, 1))
        for number, sub_decoder in enumerate(self.sub_decoders, start=1):
            sub_decoder.requires_grad_(stage in (None, number))
            sub_decoder.to_residual.requires_grad_(number == self.active_sub_decoders)
        for number, fusion in enumerate(self.fusions, start=2):
            fusion.requires_grad_(stage in (None, number))
        self.train(self.training)

    def train(self, mode: bool = True) -> 'StagedModule':
        """Training mode for the parts that train; frozen parts stay in evaluation mode.

        Their batch norm statistics would drift otherwise.
        """
        super().train(mode)
        for part in (self.encoder, *self.sub_decoders, *self.fusions):
            part.train(mode and trains(part))
        return self

    @property
    def frozen_before(self) -> Optional[int]:
        """How many sub-decoders are frozen before the one that trains, and the encoder too; None: that trains."""
        return None if trains(self.encoder) else (self.stage or 1) - 1

    def set_checkpointing(self, checkpointing: bool = True) -> None:
        """Train in less memory: the SFDHBlocks' intermediate results are computed again in the backward pass."""
        for module in self.modules():
            if isinstance(module, DecoderLevel):
                module.checkpointing = checkpointing

    def set_process_batch_norm(self, over_processes: bool = True) -> None:
        """Train with batch norm over the images of all processes of a run (:class:`.ProcessBatchNorm2d`)."""
        for module in self.modules():
            if isinstance(module, ProcessBatchNorm2d):
                module.over_processes = over_processes


def trains(part: nn.Module) -> bool:
    """Whether anything in it requires a gradient."""
    return any(parameter.requires_grad for parameter in part.parameters())
