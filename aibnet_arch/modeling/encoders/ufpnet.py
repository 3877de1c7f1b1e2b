"""UFPNet's encoder (Fang et al., CVPR 2023): NAFNet's backbone conditioned on a blur kernel per pixel."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import channels_last
from .flow_prior import FlowPrior
from .kernel_estimator import KERNEL_TAPS, KernelEstimator
from .naf_block import NAFBlock
from .nafnet import NAFNetEncoder


class KernelAttention(nn.Module):
    """z = x + a(x) sigmoid(f[a(x), g(kernel)])."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.GELU())
        self.conv_kernel = nn.Sequential(
            nn.Conv2d(KERNEL_TAPS, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
        )
        self.conv_2 = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.Sigmoid())

    def forward(self, x: Tensor, summary: Tensor) -> Tensor:
        """`summary`: the kernels (B, 361, H, W) after the first convolution of g, (B, C, H, W)."""
        features = self.conv_1(x)
        weights = self.conv_2(torch.cat((features, self.conv_kernel[1:](summary)), dim=1))
        return torch.addcmul(x, features, weights)


class ConditionedNAFBlock(NAFBlock):
    """NAFBlock whose spatial branch sees the features weighted by the blur kernels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.kernel_atttion = KernelAttention(channels)  # the published key, three t's

    def forward(self, x: Tensor, summary: Tensor) -> Tensor:  # type: ignore[override]
        """x, (B, C, H, W), and what :meth:`summary` makes of the kernels -> (B, C, H, W)."""
        x = x + self.beta * self.spatial(self.kernel_atttion(x, summary))
        return x + self.gamma * self.feed_forward(x)

    def summary(self, kernels: Tensor) -> Tensor:
        """The first convolution over the kernels: (B, 361, H, W) -> (B, C, H, W)."""
        return self.kernel_atttion.conv_kernel[0](kernels)


class UFPNetEncoder(nn.Module):
    """Five features of an image, under the keys of the published UFPNet checkpoints.

    The levels that have exactly one block are conditioned on the kernels, the others are plain.
    The kernels come without gradient (as in UFPNet), so their estimator and prior never train here.
    Without gradient: ``lean/ufpnet.py``.

    Args:
        width, encoder_blocks, middle_blocks: as :class:`NAFNetEncoder`.
        code_noise: draw UFPNet's Gaussian noise on the kernel code; evaluation is then random.

    Raises:
        ValueError: if the levels with one block are not the first ones: kernels would not reach them.
    """

    def __init__(
        self, *, width: int, encoder_blocks: Sequence[int], middle_blocks: int, code_noise: bool = False
    ) -> None:
        super().__init__()
        self.code_noise = code_noise
        self.kernel_extra = KernelEstimator()
        self.flow = FlowPrior()
        backbone = NAFNetEncoder(width=width, encoder_blocks=encoder_blocks, middle_blocks=middle_blocks)
        self.intro, self.encoders, self.downs = backbone.intro, backbone.encoders, backbone.downs
        self.middle_blks = backbone.middle_blks
        self.conditioned = tuple(level for level, blocks in enumerate(encoder_blocks) if blocks == 1)
        if not self.conditioned or self.conditioned[-1] >= len(self.conditioned):
            raise ValueError(
                f'encoder_blocks={list(encoder_blocks)}: UFPNet conditions the levels with exactly one block on its '
                'kernels, and they must come first (published: [1, 1, 1, 28])'
            )
        for level in self.conditioned:
            self.encoders[level] = nn.ModuleList([ConditionedNAFBlock(width * 2**level)])
        # Kernels travel down to the last conditioned level and no further.
        self.kernel_down = nn.ModuleDict(
            {str(level): nn.Conv2d(KERNEL_TAPS, KERNEL_TAPS, 2, stride=2) for level in self.conditioned[:-1]}
        )
        unused = (f'kernel_down.{level}.' for level in range(len(encoder_blocks)) if level not in self.conditioned[:-1])
        # What a published checkpoint holds beyond that: UFPNet's own decoder, the downsampling of kernels that
        # nothing reads, and what the flow needs in the other direction alone.
        self.UNUSED_KEYS = (
            *NAFNetEncoder.UNUSED_KEYS,
            *unused,
            'flow.kernel_size',
            'flow.base_dist_mean',
            'flow.base_dist_var',
        )
        self.requires_grad_(True)

    def requires_grad_(self, requires_grad: bool = True) -> 'UFPNetEncoder':
        """As in every module, but the estimator and the prior of the kernels stay without gradient."""
        super().requires_grad_(requires_grad)
        self.kernel_extra.requires_grad_(False)
        self.flow.requires_grad_(False)
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) in [0, 1], H and W multiples of 16 -> e1 .. e5, as :meth:`NAFNetEncoder.forward`."""
        image = channels_last(image)
        kernels = self.kernels(self.kernel_extra.features(image))
        features = []
        x = self.intro(image)
        blocks: Any
        for level, (blocks, down) in enumerate(zip(self.encoders, self.downs)):
            if level in self.conditioned:
                x = blocks[0](x, blocks[0].summary(kernels))
                if str(level) in self.kernel_down:
                    kernels = self.kernel_down[str(level)](kernels)
            else:
                x = blocks(x)
            features.append(x)
            x = down(x)
        features.append(self.middle_blks(x))
        return tuple(features)

    @torch.no_grad()
    def kernels(self, features: Tensor) -> Tensor:
        """A blur kernel for every pixel, from the estimator's features: (B, 64, H, W) -> (B, 361, H, W)."""
        return self.flow(self.kernel_extra.code(features, noise=self.code_noise))
