"""SFEM, the spatial feature enhancement module: Eq. (2) and (3), Figure 2 (e)."""

from typing import Optional

import torch
from einops import rearrange
from torch import Tensor, nn

from .channel_attention import ChannelLogits, head_channels, over_windows


class DifferenceWeight(nn.Module):
    """The scalar alpha of Eq. (3), by which the second attention map is weighted.

    alpha = exp(a_Q1 . a_K1) - exp(a_Q2 . a_K2) + alpha_init. The four learned vectors start as
    Gaussian noise of deviation 0.1, as in the differential transformer where the equation comes
    from: at zero they would have no gradient.

    Args:
        length: length of the vectors (channels of one head).
        alpha_init: the constant of Eq. (3).
    """

    def __init__(self, *, length: int, alpha_init: float = 0.8) -> None:
        super().__init__()
        self.alpha_init = alpha_init
        self.query1 = nn.Parameter(0.1 * torch.randn(length))
        self.key1 = nn.Parameter(0.1 * torch.randn(length))
        self.query2 = nn.Parameter(0.1 * torch.randn(length))
        self.key2 = nn.Parameter(0.1 * torch.randn(length))

    def forward(self) -> Tensor:
        """The scalar alpha, shape ()."""
        first = torch.exp((self.query1 * self.key1).sum())
        second = torch.exp((self.query2 * self.key2).sum())
        return first - second + self.alpha_init


class SFEM(nn.Module):
    """Difference of two channel-attention maps, applied to one value (Eq. 2).

    Shape: (B, C, H, W) -> (B, C, H, W). The input is already layer-normalised (Eq. 1).

    Args:
        channels: C, a multiple of `heads`.
        heads: attention heads; the maps are C/heads x C/heads.
        alpha_init: constant of Eq. (3).
        normalize_logits: see :class:`ChannelLogits`.

    `window` restricts each attention map to a part of the image, see ``AIBNet.set_window``.
    """

    window: Optional[int] = None

    def __init__(
        self, channels: int, *, heads: int = 1, alpha_init: float = 0.8, normalize_logits: bool = True
    ) -> None:
        super().__init__()
        length = head_channels(channels, heads)
        self.heads = heads
        self.expand = nn.Conv2d(channels, 5 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(5 * channels, 5 * channels, 3, padding=1, groups=5 * channels, bias=False)
        self.logits = ChannelLogits(heads=heads, head_channels=length, normalize=normalize_logits)
        self.alpha = DifferenceWeight(length=length, alpha_init=alpha_init)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(over_windows(self._attend, self.depthwise(self.expand(x)), self.window))

    def _attend(self, context: Tensor) -> Tensor:
        """(B, 5C, H, W) -> (B, C, H, W)."""
        query1, key1, query2, key2, value = (
            rearrange(part, 'b (n c) h w -> b n c (h w)', n=self.heads) for part in context.chunk(5, dim=1)
        )
        enhanced = self.attention(query1, key1, query2, key2) @ value
        return rearrange(enhanced, 'b n c (h w) -> b (n c) h w', h=context.shape[2])

    def attention(self, query1: Tensor, key1: Tensor, query2: Tensor, key2: Tensor) -> Tensor:
        """att1 - alpha att2: four (B, heads, C, L) -> (B, heads, C, C)."""
        first = self.logits(query1, key1).softmax(dim=-1)
        second = self.logits(query2, key2).softmax(dim=-1)
        return first - self.alpha() * second
