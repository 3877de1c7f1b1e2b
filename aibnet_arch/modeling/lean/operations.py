"""What the lean run takes several passes over its maps for. Another object of this kind may do it in one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..layers import SimpleGate
from . import channel_mix
from .channel_mix import Sums
from .strips import Crop, whole

_SG = SimpleGate()


@dataclass(frozen=True)
class Operations:
    """By torch's own operations, as the equations have them."""

    def norm(self, norm: nn.Module, x: Tensor) -> Tensor:
        """LN, (B, C, H, W) -> (B, C, H, W)."""
        return norm(x)

    def norm_convs(self, norm: nn.Module, x: Tensor, convolutions: Sequence[nn.Conv2d]) -> Iterator[Tensor]:
        """1x1 convolutions of LN, (B, C, H, W) -> (B, C', H, W), each when it is asked for: one is held at a time."""
        normed = self.norm(norm, x)
        for each in convolutions:
            yield each(normed)

    def gate(self, x: Tensor) -> Tensor:
        """SG, (B, 2C, H, W) -> (B, C, H, W)."""
        return _SG(x)

    def conv_gate(self, convolution: nn.Conv2d, x: Tensor, crop: Crop = whole) -> Tensor:
        """SG after a convolution that gives (B, 2C, H, W), of a strip without its halo: (B, C, h, W)."""
        return _SG(crop(convolution(x)))

    def position_sums(self, pairs: Tensor, *, heads: int, count: int = 1) -> Sums:
        """See :func:`.channel_mix.position_sums`."""
        return channel_mix.position_sums(pairs, heads=heads, count=count)
