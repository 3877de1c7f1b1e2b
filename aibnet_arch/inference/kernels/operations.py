"""The lean run with kernels in Triton."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...modeling.lean import Operations
from ...modeling.lean.channel_mix import Sums
from ...modeling.lean.strips import Crop, whole
from .gate import gate
from .layer_norm import layer_norm
from .position_sums import position_sums


@dataclass(frozen=True)
class TritonOperations(Operations):
    """The same as by torch's operations, but for rounding; for inference alone."""

    def norm(self, norm: Any, x: Tensor) -> Tensor:
        """LN, (B, C, H, W) -> (B, C, H, W)."""
        return layer_norm(x, norm.weight, norm.bias, eps=norm.eps)

    def conv_gate(self, convolution: nn.Conv2d, x: Tensor, crop: Crop = whole) -> Tensor:
        """SG after a convolution, whose bias the kernel adds."""
        return gate(crop(convolution._conv_forward(x, convolution.weight, None)), convolution.bias)

    def position_sums(self, pairs: Tensor, *, heads: int, count: int = 1) -> Sums:
        """See :func:`.channel_mix.position_sums`."""
        return position_sums(pairs, heads=heads, count=count)
