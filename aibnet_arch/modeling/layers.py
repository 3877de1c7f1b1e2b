"""Small layers that the encoders and the sub-decoders share (NAFNet's building blocks)."""

import torch
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of every pixel (NAFNet's LayerNorm2d).

    Written with plain reductions, so that it also exports.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        normed = centred * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], normed, self.weight[:, None, None])

    def extra_repr(self) -> str:
        return f'{self.weight.numel()}, eps={self.eps}'


class SimpleGate(nn.Module):
    """Product of the two halves of the channels (NAFNet). Shape: (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class GlobalPool(nn.Module):
    """Mean over all positions. Shape: (B, C, H, W) -> (B, C, 1, 1).

    Every global pool of the network is an instance of this class.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


class ConvGate(nn.Module):
    """1x1 convolution C to 2C, depthwise 3x3, SimpleGate: the first half of SFDHBlock's branches.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.depthwise(self.expand(x)))
