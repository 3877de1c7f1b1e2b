"""The lean run with kernels in Triton."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...modeling.lean import Operations
from ...modeling.lean.channel_mix import Sums
from ...modeling.lean.strips import Crop, whole
from .gate import gate
from .layer_norm import layer_norm
from .norm_conv import norm_conv
from .position_sums import position_sums


@dataclass(frozen=True)
class TritonOperations(Operations):
    """The same as by torch's operations, but for rounding; for inference alone."""

    def norm(self, norm: Any, x: Tensor) -> Tensor:
        """LN, (B, C, H, W) -> (B, C, H, W)."""
        return layer_norm(x, norm.weight, norm.bias, eps=norm.eps)

    def norm_convs(self, norm: Any, x: Tensor, convolutions: Sequence[nn.Conv2d]) -> Iterator[Tensor]:
        """LN and a 1x1 convolution of it in one pass, for each when it is asked for."""
        for each in convolutions:
            yield norm_conv(x, norm.weight, norm.bias, each, eps=norm.eps)

    def gate(self, x: Tensor) -> Tensor:
        """SG, (B, 2C, H, W) -> (B, C, H, W)."""
        return gate(x, None)

    def conv_gate(self, convolution: nn.Conv2d, x: Tensor, crop: Crop = whole) -> Tensor:
        """SG after a convolution, whose bias the kernel adds."""
        return gate(crop(convolution._conv_forward(x, convolution.weight, None)), convolution.bias)

    def position_sums(self, pairs: Tensor, *, heads: int, count: int = 1) -> Sums:
        """See :func:`.channel_mix.position_sums`."""
        return position_sums(pairs, heads=heads, count=count)
