"""SFEM, the spatial feature enhancement module: Eq. (2) and (3), Figure 2 (e)."""

from typing import Optional

import torch
from torch import Tensor, nn

from .channel_attention import ChannelLogits, as_matrix, head_channels, over_windows
from .channel_mix import mix_channels, project
from .layers import is_local
from .strips import Crop, Maps, whole


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
        if is_local(x, self.window):
            context = self.depthwise(self.expand(x))
            return self.project(over_windows(self._attend, context, self.window))
        value, sums = self.gather(x)
        return project(value, self.matrix(*sums))

    def _attend(self, context: Tensor) -> Tensor:
        """(B, 5C, H, W) -> (B, C, H, W)."""
        value, sums = self._split(context)
        return mix_channels(value, as_matrix(self._difference(*sums), self.heads))

    def attention(self, query1: Tensor, key1: Tensor, query2: Tensor, key2: Tensor) -> Tensor:
        """att1 - alpha att2: four (B, heads, C, L) -> (B, heads, C, C)."""
        pairs = torch.cat((query1, key1, query2, key2), dim=1).flatten(1, 2)[:, :, None]
        return self._difference(*self.logits.sums(pairs, 2))

    def _difference(self, *sums: Tensor) -> Tensor:
        first, second = self.logits.from_sums(*sums).softmax(dim=-1).unbind(1)
        return first - self.alpha() * second

    # In two steps: what an image or a strip of it contributes, and what follows from the whole of it.

    def gather(self, x: Tensor, crop: Crop = whole) -> tuple[Tensor, Maps]:
        """The value V of Eq. (2), (B, C, H, W), and the sums over the positions that its attention maps need."""
        return self._split(crop(self.depthwise(self.expand(x))))

    def matrix(self, *sums: Tensor) -> Tensor:
        """Attention and the last 1x1 convolution, (B, C, C): its product with V is the output."""
        return as_matrix(self._difference(*sums), self.heads, self.project.weight)

    def _split(self, context: Tensor) -> tuple[Tensor, Maps]:
        channels = self.expand.in_channels
        pairs, value = context.split((4 * channels, channels), dim=1)
        return value, self.logits.sums(pairs, 2)
