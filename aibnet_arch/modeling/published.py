"""NAFNet and UFPNet as they were published: the networks whose encoders AIBNet builds on, with their own decoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import ENCODERS
from .lean import Lean, is_captured
from .naf_decoder import NAFDecoder
from .padding import pad_to_multiple
from .traits import Traits


def _with_zeros(image: Tensor, multiple: int) -> Tensor:
    height, width = image.shape[2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple))


@dataclass(frozen=True)
class Kind:
    """What tells the published networks apart beside their encoders.

    Attributes:
        name: of the network.
        pad: makes height and width of (B, 3, H, W) multiples of a number, below and on the right.
    """

    name: str
    pad: Callable[[Tensor, int], Tensor]


KINDS: Mapping[str, Kind] = {
    'nafnet': Kind('NAFNet', pad=_with_zeros),
    'ufpnet': Kind('UFPNet', pad=pad_to_multiple),
}


class PublishedNetwork(nn.Module):
    """NAFNet (Chen et al., ECCV 2022) or UFPNet (Fang et al., CVPR 2023), to restore pictures with their weights.

    UFPNet draws noise on its kernel codes when it is tested, too; here it does not, so that a picture comes out the
    same each time.

    Args:
        kind: key of ``KINDS``.
        width: w, channels at full resolution.
        encoder_blocks, middle_blocks: see :class:`.NAFNetEncoder`.
        decoder_blocks: see :class:`.NAFDecoder`; as many levels as the encoder has.

    Attributes:
        arguments: those of the constructor.
        traits: what must be known to run it.
        lean: how it runs without gradient, with a window if asked (:class:`.Lean`); None: by its equations.

    Raises:
        ValueError: values that make no network.
    """

    def __init__(
        self,
        *,
        kind: str,
        width: int,
        encoder_blocks: Sequence[int],
        middle_blocks: int,
        decoder_blocks: Sequence[int],
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError(f'{len(encoder_blocks)} levels of the encoder, {len(decoder_blocks)} of the decoder')
        self.arguments: Mapping[str, Any] = {
            'width': width,
            'encoder_blocks': list(encoder_blocks),
            'middle_blocks': middle_blocks,
            'decoder_blocks': list(decoder_blocks),
        }
        self.kind = KINDS[kind]
        self.traits = Traits(
            architecture=self.kind.name,
            multiple=2 ** len(encoder_blocks),
            windows=True,
            feature_channels=width,
        )
        self.lean: Optional[Lean] = Lean()
        self.encoder = ENCODERS[kind](width=width, encoder_blocks=encoder_blocks, middle_blocks=middle_blocks)
        self.decoder = NAFDecoder(width=width, decoder_blocks=decoder_blocks)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W), RGB in [0, 1], H and W from 1 up -> the same, not clipped."""
        height, width = image.shape[2:]
        padded = self.kind.pad(image, self.traits.multiple)
        *features, bottom = self._run(self.encoder, padded)
        (residual,) = self._run(self.decoder, features, bottom)
        return residual[:, :, :height, :width] + image

    def _run(self, part: nn.Module, *inputs: Any) -> tuple[Tensor, ...]:
        if self.lean is None or torch.is_grad_enabled():
            return part(*inputs)
        return self.lean.run(part, *inputs, by_equations=is_captured() and self.lean.window is None)
