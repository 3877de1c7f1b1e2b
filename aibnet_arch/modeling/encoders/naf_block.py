"""NAFNet's block, under the names that the published checkpoints use."""

import torch
from torch import Tensor, nn

from ..layers import GlobalPool, LayerNorm2d, SimpleGate


class NAFBlock(nn.Module):
    """NAFNet's block. Shape: (B, C, H, W) -> (B, C, H, W). Without gradient: ``lean/naf_block.py``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()
        self.sca = nn.Sequential(GlobalPool(), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        # Zero: a fresh block is the identity.
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.beta * self.spatial(x)
        return x + self.gamma * self.feed_forward(x)

    def spatial(self, x: Tensor) -> Tensor:
        """The first half: depthwise convolution, gate and simple channel attention."""
        x = self.gate(self.conv2(self.conv1(self.norm1(x))))
        return self.conv3(x * self.sca(x))

    def feed_forward(self, x: Tensor) -> Tensor:
        """The second half, pixel by pixel."""
        return self.conv5(self.gate(self.conv4(self.norm2(x))))
