"""Small layers that the encoders and the sub-decoders share (NAFNet's building blocks)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """LN: layer normalisation over the channels of every pixel (NAFNet's LayerNorm2d).

    Shape: (B, C, H, W) -> (B, C, H, W), channels last in memory whatever the layout of the input.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> each position normalised over its channels, (B, C, H, W)."""
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """Channels and eps, for print(network)."""
        return f'{self.weight.numel()}, eps={self.eps}'


class SimpleGate(nn.Module):
    """SG: product of the two halves of the channels (NAFNet). Shape: (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2C, H, W) -> (B, C, H, W)."""
        first, second = x.chunk(2, dim=1)
        return first * second


class GlobalPool(nn.Module):
    """Mean over all positions: (B, C, H, W) -> (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1)."""
        return x.mean(dim=(2, 3), keepdim=True)


class ConvGate(nn.Module):
    """SG(f3x3(f1x1(x))) of Eq. (1): 1x1 convolution C to 2C, depthwise 3x3, SimpleGate.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.gate(self.depthwise(self.expand(x)))


class Upsampling(nn.Sequential):
    """1x1 convolution to four times the channels, which are put beside each other: (B, 2C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(2 * channels, 4 * channels, 1, bias=False), nn.PixelShuffle(2))


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) with the channels of a pixel side by side in memory, the layout of all maps in this network."""
    return x.contiguous(memory_format=torch.channels_last)
