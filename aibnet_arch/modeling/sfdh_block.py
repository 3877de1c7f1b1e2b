"""SFDHBlock, the spatial feature differential handling block: Eq. (1), Figure 2 (d)."""

from typing import Optional

import torch
from torch import Tensor, nn

from .layers import ConvGate, LayerNorm2d
from .level_settings import LevelSettings
from .sca import SCA
from .spatial import SPATIAL_MODULES


class SFDHBlock(nn.Module):
    """Eq. (1): SCA and SFEM side by side on the same normalised input, then a gated feed-forward part.

    The paper prints SCA(X'_{l-1}), which it does not define; Figure 2 (d) has both branches behind one LN: X^n.

    Shape: (B, C, H, W) -> (B, C, H, W). Without gradient: ``lean/sfdh_block.py``.
    """

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.norm1 = LayerNorm2d(channels)
        self.sca = SCA(channels)
        self.sfem: Optional[nn.Module] = None
        if settings.sfem:
            self.sfem = SPATIAL_MODULES[settings.spatial](settings)
            self.sfem_weight = nn.Parameter(torch.ones(channels, 1, 1))  # W
        self.norm2 = LayerNorm2d(channels)
        self.feed_forward = nn.Sequential(ConvGate(channels), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)  # X^n = LN(X)
        x = x + self.sca(normed)
        if self.sfem is not None:
            x = torch.addcmul(x, self.sfem_weight, self.sfem(normed))  # X' = X + SCA(X^n) + W SFEM(X^n)
        return x + self.feed_forward(self.norm2(x))  # X' + f1x1(SG(f3x3(f1x1(LN(X')))))
