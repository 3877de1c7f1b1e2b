"""How a part of the network runs without gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ..encoders import NAFNetEncoder, UFPNetEncoder
from ..level_settings import LEVELS
from ..naf_decoder import NAFDecoder
from ..sub_decoder import SubDecoder
from .blocks import Runner, called
from .naf_decoder import naf_decoder
from .nafnet import nafnet_encoder
from .operations import Operations
from .sub_decoder import sub_decoder
from .ufpnet import ufpnet_encoder

SCALE = 2**LEVELS  # e5 has 1/16 of the resolution
WALKS: dict[type[nn.Module], Callable[..., tuple[Tensor, ...]]] = {
    NAFNetEncoder: nafnet_encoder,
    UFPNetEncoder: ufpnet_encoder,
    SubDecoder: sub_decoder,
    NAFDecoder: naf_decoder,
}


@dataclass(frozen=True)
class Lean:
    """Runs the encoder, a sub-decoder or a fusion without gradient; what it does not know, by its own ``forward``.

    A network trained on patches has seen statistics of patches. A `window` is TLC (test-time local converter, Chu et
    al., ECCV 2022) for all of them: the pools of channel attention and Decoupler are means over the window around
    each position, the attention maps those of overlapping windows, averaged. NAFNet and UFPNet are tested so, with
    windows of 1.5 times the training patch. An image no larger than the window comes out as without.

    Attributes:
        window: pixels of the image, a multiple of 16 (384 for patches of 256); None: statistics of the whole image.
        precision: torch.bfloat16, say: of the parts that are frozen while others train. None: that of the others.
        operations: what may run as kernels of another kind; by default torch's own.

    Raises:
        ValueError: a window that is no positive multiple of 16.
    """

    window: Optional[int] = None
    precision: Optional[torch.dtype] = None
    operations: Operations = field(default_factory=Operations)

    def __post_init__(self) -> None:
        if self.window is not None and (self.window < SCALE or self.window % SCALE):
            raise ValueError(f'window={self.window}: expected a positive multiple of {SCALE}')

    def run(self, part: nn.Module, *inputs: Any, by_equations: bool = False) -> tuple[Tensor, ...]:
        """What ``part(*inputs)`` gives.

        Args:
            part: of the network.
            inputs: its own, a tensor last. Lists among them are given away: they may be empty afterwards.
            by_equations: call its ``forward`` all the same; for the precision.
        """
        if self.precision is None or not torch.is_grad_enabled():
            with torch.no_grad():
                return self._run(part, inputs, by_equations)
        device, dtype = inputs[-1].device, inputs[-1].dtype
        with torch.no_grad(), torch.autocast(device.type, dtype=self.precision):
            outputs = self._run(part, inputs, by_equations)
        return tuple(output.to(dtype) for output in outputs)

    def _run(self, part: nn.Module, inputs: Sequence[Any], by_equations: bool) -> tuple[Tensor, ...]:
        walk = WALKS.get(type(part))
        if by_equations or walk is None:
            return part(*inputs)
        return called(part, walk, *inputs, run=Runner(self.window, self.operations))
