"""How a network is trained on its machine: precision, memory layout, compilation. Options below `train:`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional

import torch

from ..inference.matmul_precision import MatmulPrecision
from ..inference.restorer import matmul_problems, precision_problems


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that change what a step costs, and its numbers by rounding alone.

    Attributes:
        amp: 'bf16' or 'fp16' (GPUs alone, with a gradient scaler), see torch.autocast; the loss stays in float32.
        frozen_precision: 'bf16' or 'fp16' for the encoder and the sub-decoders that are frozen, where `amp` is not
            wanted for what trains.
        channels_last: weights in channels-last layout.
        compile: run the network through torch.compile.
        checkpointing: compute the blocks of the trained sub-decoders again in the backward pass instead of
            keeping their results.
        float32_matmul_precision: 'highest', 'high' (TF32) or 'medium', of matrix products on GPUs that `amp` leaves in
            float32 (:func:`.matmul_precision`).
        sync_batch_norm: with several processes, batch norm over the images of all (:class:`.ProcessBatchNorm2d`).
    """

    amp: Optional[str] = None
    frozen_precision: Optional[str] = None
    channels_last: bool = False
    compile: bool = False
    checkpointing: bool = False
    float32_matmul_precision: Optional[MatmulPrecision] = None
    sync_batch_norm: bool = True

    @classmethod
    def from_options(cls, train: Mapping[str, Any]) -> 'TrainingSettings':
        """Take from ``train:`` what is given there."""
        given = {field.name: train.get(field.name) for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def problems(self) -> Iterator[str]:
        """What is wrong with the values, a message each."""
        yield from precision_problems('train.amp', self.amp)
        yield from precision_problems('train.frozen_precision', self.frozen_precision)
        yield from matmul_problems('train.', self.float32_matmul_precision)
        for name in ('channels_last', 'compile', 'checkpointing', 'sync_batch_norm'):
            if not isinstance(getattr(self, name), bool):
                yield f'train.{name}: {getattr(self, name)!r}: expected true or false'

    def scaler(self, device: torch.device) -> Any:
        """The gradient scaler that fp16 needs; one that does nothing for the others."""
        enabled = self.amp == 'fp16'
        if hasattr(torch.amp, 'GradScaler'):  # torch 2.3
            return torch.amp.GradScaler(device.type, enabled=enabled)
        return torch.cuda.amp.GradScaler(enabled=enabled)
