"""SFDHBlock, the spatial feature differential handling block: Eq. (1), Figure 2 (d)."""

import torch
from torch import Tensor, nn

from .layers import ConvGate, GlobalPool, LayerNorm2d
from .sfem import SFEM


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


class SFDHBlock(nn.Module):
    """Eq. (1): SCA and SFEM side by side on the same normalised input, then a gated feed-forward part.

    Shape: (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C.
        heads, alpha_init, normalize_logits: see :class:`SFEM`.
    """

    def __init__(
        self, channels: int, *, heads: int = 1, alpha_init: float = 0.8, normalize_logits: bool = True
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.sca = SCA(channels)
        self.sfem = SFEM(channels, heads=heads, alpha_init=alpha_init, normalize_logits=normalize_logits)
        self.sfem_weight = nn.Parameter(torch.ones(channels, 1, 1))  # W of Eq. (1)
        self.norm2 = LayerNorm2d(channels)
        self.feed_forward = nn.Sequential(ConvGate(channels), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.sca(normed) + self.sfem_weight * self.sfem(normed)
        return x + self.feed_forward(self.norm2(x))
