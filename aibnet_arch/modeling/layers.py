"""Small layers that the encoders and the sub-decoders share (NAFNet's building blocks)."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .strips import Crop, whole


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of every pixel (NAFNet's LayerNorm2d).

    Shape: (B, C, H, W) -> (B, C, H, W), channels last in memory whatever the layout of the input.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f'{self.weight.numel()}, eps={self.eps}'


class SimpleGate(nn.Module):
    """Product of the two halves of the channels (NAFNet). Shape: (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


def is_local(x: Tensor, window: Optional[int]) -> bool:
    """Whether statistics of `x` are taken over windows: the map (B, C, H, W) is larger than the window."""
    return window is not None and max(x.shape[2:]) > window


class GlobalPool(nn.Module):
    """Mean over all positions: (B, C, H, W) -> (B, C, 1, 1). Every global pool of the network is one of these.

    With a `window` (pixels at the resolution of its input, see ``AIBNet.set_window``) it is the mean over
    the window around each position, (B, C, H, W), the means nearest to the border repeated up to it
    (TLC, Chu et al., ECCV 2022). An input no larger than the window is pooled globally.
    """

    window: Optional[int] = None

    def forward(self, x: Tensor) -> Tensor:
        if not is_local(x, self.window):
            return x.mean(dim=(2, 3), keepdim=True)
        height, width = x.shape[2:]
        rows, columns = min(self.window, height), min(self.window, width)
        means = _sliding_mean(_sliding_mean(x, dim=2, length=rows), dim=3, length=columns)
        top, left = (rows - 1) // 2, (columns - 1) // 2
        return F.pad(means, (left, columns - 1 - left, top, rows - 1 - top), mode='replicate')


def _sliding_mean(x: Tensor, *, dim: int, length: int) -> Tensor:
    """Mean of every `length` neighbours along `dim`: size n -> n - length + 1."""
    # Sums to each position, in double precision: their differences would lose the digits of float32.
    sums = F.pad(x.cumsum(dim, dtype=torch.float64), (0, 0, 1, 0) if dim == 2 else (1, 0))
    count = x.shape[dim] - length + 1
    return ((sums.narrow(dim, length, count) - sums.narrow(dim, 0, count)) / length).to(x.dtype)


class ConvGate(nn.Module):
    """1x1 convolution C to 2C, depthwise 3x3, SimpleGate: the first half of SFDHBlock's branches.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()

    def forward(self, x: Tensor, crop: Crop = whole) -> Tensor:
        """`crop` takes the halo off a strip, which the depthwise convolution needs."""
        return self.gate(crop(self.depthwise(self.expand(x))))
