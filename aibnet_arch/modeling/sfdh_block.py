"""SFDHBlock, the spatial feature differential handling block: Eq. (1), Figure 2 (d)."""

from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor, nn

from .layers import ConvGate, LayerNorm2d
from .level_settings import LevelSettings
from .sca import SCA
from .spatial import SPATIAL_MODULES

# How many entries W of Eq. (1) has, for C channels.
SFEM_WEIGHTS: dict[str, Callable[[int], int]] = {'channel': lambda channels: channels, 'scalar': lambda channels: 1}


class SFDHBlock(nn.Module):
    """Eq. (1): SCA and SFEM side by side on the same normalised input, then a gated feed-forward part.

    The paper prints SCA(X'_{l-1}), which it does not define; Figure 2 (d) has both branches behind one LN: X^n.
    With `branch_scale` SCA and the feed-forward part are scaled by learned parameters, one for each channel, that start
    at zero (NAFNet's beta and gamma); Eq. (1) has none.

    Shape: (B, C, H, W) -> (B, C, H, W). Without gradient: ``lean/sfdh_block.py``.
    """

    sca_scale: Optional[nn.Parameter]
    feed_forward_scale: Optional[nn.Parameter]

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.norm1 = LayerNorm2d(channels)
        self.sca = SCA(channels)
        self.register_parameter('sca_scale', _from_zero(settings))
        self.sfem: Optional[nn.Module] = None
        if settings.sfem:
            self.sfem = SPATIAL_MODULES[settings.spatial](settings)
            self.sfem_weight = nn.Parameter(torch.ones(SFEM_WEIGHTS[settings.sfem_weight](channels), 1, 1))  # W
        self.norm2 = LayerNorm2d(channels)
        self.feed_forward = nn.Sequential(ConvGate(channels), nn.Conv2d(channels, channels, 1))
        self.register_parameter('feed_forward_scale', _from_zero(settings))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), Eq. (1)."""
        normed = self.norm1(x)  # X^n = LN(X)
        x = _add(x, self.sca(normed), self.sca_scale)
        if self.sfem is not None:
            x = _add(x, self.sfem(normed), self.sfem_weight)  # X' = X + SCA(X^n) + W SFEM(X^n)
        return _add(x, self.feed_forward(self.norm2(x)), self.feed_forward_scale)  # X' + f1x1(SG(f3x3(f1x1(LN(X')))))


def _from_zero(settings: LevelSettings) -> Optional[nn.Parameter]:
    return nn.Parameter(torch.zeros(settings.channels, 1, 1)) if settings.branch_scale else None


def _add(x: Tensor, branch: Tensor, scale: Optional[Tensor]) -> Tensor:
    return x + branch if scale is None else torch.addcmul(x, scale, branch)
