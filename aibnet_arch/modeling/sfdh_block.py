"""SFDHBlock, the spatial feature differential handling block: Eq. (1), Figure 2 (d)."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .channel_mix import project
from .layers import ConvGate, GlobalPool, LayerNorm2d, is_local
from .sfem import SFEM
from .strips import Crop, MapsAndSums, over_strips, whole


class SCA(nn.Module):
    """NAFNet's spatial branch with its simple channel attention, the "SCA" of Eq. (1).

    1x1 C to 2C, depthwise 3x3, SimpleGate, channel attention, 1x1. Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = ConvGate(channels)
        self.pool = GlobalPool()
        self.weigh = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.project(x * self.weigh(self.pool(x)))

    # In two steps: what an image or a strip of it contributes, and what follows from the whole of it.

    def gather(self, x: Tensor, crop: Crop = whole) -> tuple[Tensor, Tensor]:
        """The gated features, (B, C, H, W), and their sum over all positions, (B, C, 1, 1)."""
        gated = self.features(x, crop)
        return gated, gated.sum(dim=(2, 3), keepdim=True)

    def matrix(self, mean: Tensor) -> Tensor:
        """Channel attention and the last 1x1 convolution, (B, C, C): its product with the gated features.

        The convolution's bias comes in addition.
        """
        weighed = F.linear(mean.flatten(1), self.weigh.weight.flatten(1), self.weigh.bias)
        return self.project.weight[:, :, 0, 0] * weighed[:, None, :]


class SFDHBlock(nn.Module):
    """Eq. (1): SCA and SFEM side by side on the same normalised input, then a gated feed-forward part.

    Shape: (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C.
        heads, alpha_init, normalize_logits: see :class:`SFEM`.
        sfem: False leaves SFEM and its W out of Eq. (1) (Table 3).
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 1,
        alpha_init: float = 0.8,
        normalize_logits: bool = True,
        sfem: bool = True,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.sca = SCA(channels)
        self.sfem: Optional[SFEM] = None
        if sfem:
            self.sfem = SFEM(channels, heads=heads, alpha_init=alpha_init, normalize_logits=normalize_logits)
            self.sfem_weight = nn.Parameter(torch.ones(channels, 1, 1))  # W of Eq. (1)
        self.norm2 = LayerNorm2d(channels)
        self.feed_forward = nn.Sequential(ConvGate(channels), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        if is_local(x, self.sca.pool.window):
            normed = self.norm1(x)
            middle = x + self.sca(normed)
            if self.sfem is not None:
                middle = middle + self.sfem_weight * self.sfem(normed)
            (out,), _ = over_strips(self._feed_forward, [middle], halo=1, channels=2 * channels)
            return out
        maps, (total, *sums) = over_strips(self._gather, [x], halo=1, channels=5 * channels)
        sca = self.sca.matrix(total / x[0, 0].numel())
        sfem = self.sfem and self.sfem_weight[:, :, 0] * self.sfem.matrix(*sums)

        def finish(crop: Crop, x: Tensor, gated: Tensor, value: Optional[Tensor] = None) -> MapsAndSums:
            middle = x + project(gated, sca, self.sca.project.bias)
            if value is not None:
                middle = middle + project(value, sfem)
            return self._feed_forward(crop, middle)

        (out,), _ = over_strips(finish, [x, *maps], halo=1, channels=2 * channels)
        return out

    def _gather(self, crop: Crop, x: Tensor) -> MapsAndSums:
        normed = self.norm1(x)
        gated, total = self.sca.gather(normed, crop)
        if self.sfem is None:
            return (gated,), (total,)
        value, sums = self.sfem.gather(normed, crop)
        return (gated, value), (total, *sums)

    def _feed_forward(self, crop: Crop, x: Tensor) -> MapsAndSums:
        gated, last = self.feed_forward
        return (crop(x) + last(gated(self.norm2(x), crop)),), ()
