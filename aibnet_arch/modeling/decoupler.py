"""The Decoupler of Eq. (4): a learned low-pass filter splits the features in two frequency bands.

It is FSNet's (reference [7] of the paper): one 3x3 filter per image and group of channels, its taps
predicted from the globally pooled features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .channel_mix import channels_last
from .layers import GlobalPool


class Decoupler(nn.Module):
    """High-frequency part of the features: features minus their low-pass.

    Shape: (B, C, H, W) -> (B, C, H, W), H and W at least 2.

    Args:
        channels: C, a multiple of `groups`.
        groups: groups of channels that share a filter.

    Raises:
        ValueError: if `groups` does not divide `channels`, or in training with a batch of one: the
            batch norm over the pooled features would then have a single value per channel.
    """

    KERNEL = 3

    def __init__(self, channels: int, *, groups: int = 8) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f'decoupler_groups={groups} does not divide the {channels} channels of this level')
        self.groups = groups
        taps = groups * self.KERNEL**2
        self.pool = GlobalPool()
        self.predict = nn.Conv2d(channels, taps, 1, bias=False)
        self.norm = nn.BatchNorm2d(taps)

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_filters(x, self.high_pass(x))

    def low_pass(self, x: Tensor) -> Tensor:
        """The low-frequency part, (B, C, H, W)."""
        return self.apply_filters(x, self.filters(x))

    def high_pass(self, x: Tensor) -> Tensor:
        """Taps of the filters whose result is the features minus their low-pass; shaped as :meth:`filters`."""
        identity = x.new_zeros(self.KERNEL**2, 1, 1)
        identity[self.KERNEL**2 // 2] = 1
        return identity - self.filters(x)

    def apply_filters(self, x: Tensor, filters: Tensor) -> Tensor:
        """Filter the features: (B, C, H, W), (B, groups, 9, 1, 1) or (B, groups, 9, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        padded = F.pad(x, (1, 1, 1, 1), mode='reflect')
        # In a traced graph all filters take the way of local ones: there, weights of a convolution are constants.
        if torch.jit.is_tracing() or filters.shape[-1] > 1:
            return self._filtered_locally(padded, filters, height=height, width=width)
        # One depthwise convolution over the channels of all images, side by side: no unfolded nine-fold copy.
        weight = filters.repeat_interleave(channels // self.groups, dim=1)
        filtered = F.conv2d(
            padded.permute(2, 3, 0, 1).reshape(1, height + 2, width + 2, batch * channels).permute(0, 3, 1, 2),
            weight.reshape(batch * channels, 1, self.KERNEL, self.KERNEL),
            groups=batch * channels,
        )
        return channels_last(filtered.unflatten(1, (batch, channels))[0])

    def _filtered_locally(self, padded: Tensor, filters: Tensor, *, height: int, width: int) -> Tensor:
        """Each position with its own filter: (B, C, H+2, W+2), (B, groups, 9, H, W) -> (B, C, H, W)."""
        groups = padded.unflatten(1, (self.groups, -1))
        low = 0
        for tap in range(self.KERNEL**2):
            row, column = divmod(tap, self.KERNEL)
            shifted = groups[..., row : row + height, column : column + width]
            low = low + filters[:, :, tap, None] * shifted
        return low.flatten(1, 2)

    def filters(self, x: Tensor) -> Tensor:
        """Taps of the low-pass, non-negative with sum one.

        (B, C, H, W) -> (B, groups, 9, 1, 1), or (B, groups, 9, H, W) where the pool is local.
        """
        if self.training and x.shape[0] == 1:
            raise ValueError(
                "training with a batch of one is refused: the batch norm of HFSBlock's Decoupler would see one value "
                'per channel. Use two or more images per process (batch_size_per_gpu: 2).'
            )
        taps = self.norm(self.predict(self.pool(x)))
        return taps.unflatten(1, (self.groups, self.KERNEL**2)).softmax(dim=2)
