"""The Decoupler of Eq. (4): a learned low-pass filter splits the features in two frequency bands.

It is FSNet's (reference [7] of the paper): one 3x3 filter per image and group of channels, its taps
predicted from the globally pooled features.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .layers import GlobalPool, channels_last
from .process_batch_norm import ProcessBatchNorm2d

SIDE = 3  # of a filter
TAPS = SIDE**2


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

    def __init__(self, channels: int, *, groups: int = 8) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f'decoupler_groups={groups} does not divide the {channels} channels of this level')
        self.groups = groups
        self.pool = GlobalPool()
        self.predict = nn.Conv2d(channels, groups * TAPS, 1, bias=False)
        self.norm = ProcessBatchNorm2d(groups * TAPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> its high frequencies, (B, C, H, W)."""
        return x - self.low_pass(x)  # X_h

    def low_pass(self, x: Tensor) -> Tensor:
        """The low-frequency part, (B, C, H, W)."""
        return filtered(x, self.filters(self.pool(x)))

    def filters(self, pooled: Tensor) -> Tensor:
        """Taps of the low-pass, non-negative with sum one: (B, C, h, w) -> (B, groups, 9, h, w)."""
        if self.training and pooled.shape[0] == 1:
            raise ValueError(
                "training with a batch of one is refused: the batch norm of HFSBlock's Decoupler would see one value "
                'per channel. Use two or more images per process (batch_size_per_gpu: 2).'
            )
        taps = self.norm(self.predict(pooled))
        return rearrange(taps, 'b (group tap) h w -> b group tap h w', tap=TAPS).softmax(dim=2)


def filtered(x: Tensor, filters: Tensor) -> Tensor:
    """Filter groups of channels, with reflect padding.

    Args:
        x: (B, C, H, W).
        filters: (B, groups, 9, 1, 1), or (B, groups, 9, H, W): each position its own.

    Returns:
        (B, C, H, W).
    """
    batch, channels, height, width = x.shape
    groups = filters.shape[1]
    padded = F.pad(x, (1, 1, 1, 1), mode='reflect')
    # In a traced graph all filters take the way of local ones: there, weights of a convolution are constants.
    if torch.jit.is_tracing() or filters.shape[-1] > 1:
        padded = rearrange(padded, 'b (group c) h w -> b group c h w', group=groups)
        result = padded.new_zeros(())
        for tap in range(TAPS):
            row, column = divmod(tap, SIDE)
            result = result + filters[:, :, tap, None] * padded[..., row : row + height, column : column + width]
        return rearrange(result, 'b group c h w -> b (group c) h w')
    # One depthwise convolution over the channels of all images, side by side: no unfolded nine-fold copy.
    weight = filters.repeat_interleave(channels // groups, dim=1)
    result = F.conv2d(
        rearrange(padded, 'b c h w -> h w (b c)')[None].permute(0, 3, 1, 2),
        weight.reshape(batch * channels, 1, SIDE, SIDE),
        groups=batch * channels,
    )
    return channels_last(rearrange(result[0], '(b c) h w -> b c h w', b=batch))
