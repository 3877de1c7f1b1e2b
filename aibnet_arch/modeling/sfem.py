"""SFEM, the spatial feature enhancement module: Eq. (2) and (3), Figure 2 (e)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from .channel_logits import ChannelLogits
from .channel_products import weighted_sum
from .level_settings import LevelSettings


class DifferenceWeight(nn.Module):
    """The scalar alpha of Eq. (3), by which the second attention map is weighted.

    The four learned vectors start as Gaussian noise: at zero they would have no gradient.

    Args:
        length: length of the vectors (channels of one head).
        alpha_init: the constant of Eq. (3).
        deviation: of the noise; 0.1 in the differential transformer, where the equation comes from.
    """

    def __init__(self, *, length: int, alpha_init: float = 0.8, deviation: float = 0.1) -> None:
        super().__init__()
        self.alpha_init = alpha_init
        self.query1 = _noise(length, deviation)
        self.key1 = _noise(length, deviation)
        self.query2 = _noise(length, deviation)
        self.key2 = _noise(length, deviation)

    def forward(self) -> Tensor:
        """alpha = exp(a_Q1 . a_K1) - exp(a_Q2 . a_K2) + alpha_init, shape ()."""
        first = torch.exp((self.query1 * self.key1).sum())
        second = torch.exp((self.query2 * self.key2).sum())
        return first - second + self.alpha_init


def _noise(length: int, deviation: float) -> nn.Parameter:
    """Gaussian. On the meta device, where weights are read, torch would import its compiler to draw nothing."""
    empty = torch.empty(length)
    return nn.Parameter(empty if empty.is_meta else deviation * torch.randn(length))


class SFEM(nn.Module):
    """Difference of two channel-attention maps, applied to one value (Eq. 2).

    Shape: (B, C, H, W) -> (B, C, H, W). The input is already layer-normalised (Eq. 1).
    Without gradient: ``lean/sfem.py``.
    """

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.heads = settings.heads
        self.expand = nn.Conv2d(channels, 5 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(5 * channels, 5 * channels, 3, padding=1, groups=5 * channels, bias=False)
        self.logits = ChannelLogits(settings)
        self.alpha = DifferenceWeight(
            length=settings.head_channels, alpha_init=settings.alpha_init, deviation=settings.alpha_deviation
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """X^n (B, C, H, W) -> (B, C, H, W), Eq. (2) and (3)."""
        height = x.shape[2]
        context = self.depthwise(self.expand(x))  # X^c = f3x3(f1x1(X^n))
        # Q1, K1, Q2, K2, V = SPLIT(X^c), each (B, heads, C/heads, H W)
        query1, key1, query2, key2, value = (
            rearrange(part, 'b (head c) h w -> b head c (h w)', head=self.heads) for part in context.chunk(5, dim=1)
        )
        att1 = self.logits(query1, key1).softmax(dim=-1)  # SoftMax(Q1 T(K1) / beta)
        att2 = self.logits(query2, key2).softmax(dim=-1)  # SoftMax(Q2 T(K2) / beta)
        attended = weighted_sum(att1 - self.alpha() * att2, value)  # (att1 - alpha att2) V
        # X^e = f1x1(Reshape(...))
        return self.project(rearrange(attended, 'b head c (h w) -> b (head c) h w', h=height))
