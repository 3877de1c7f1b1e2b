"""NAFNet's block, under the names that the published checkpoints use."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..channel_mix import project
from ..layers import GlobalPool, LayerNorm2d, SimpleGate, is_local
from ..strips import Crop, MapsAndSums, over_strips


class NAFBlock(nn.Module):
    """NAFNet's block. Shape: (B, C, H, W) -> (B, C, H, W)."""

    HALO = 1  # rows that the first half sees around a position

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()
        self.sca = nn.Sequential(GlobalPool(), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        # Zero: a fresh block is the identity.
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        """`condition`: maps beside x that :meth:`_spatial_input` takes."""
        channels = x.shape[1]
        (gated,), (total,) = over_strips(self._gather, [x, *condition], halo=self.HALO, channels=2 * channels)
        pool, weigh = self.sca
        weight = self.conv3.weight[:, :, 0, 0] * self.beta[0, :, :, 0]
        if is_local(x, pool.window):
            gated = gated * self.sca(gated)
            weight = weight.expand(len(x), -1, -1)  # the same for every image: its channels are weighed already
        else:
            mean = total.flatten(1) / x[0, 0].numel()
            weight = weight * F.linear(mean, weigh.weight.flatten(1), weigh.bias)[:, None, :]

        def finish(crop: Crop, x: Tensor, gated: Tensor) -> MapsAndSums:
            x = x + project(gated, weight, self.conv3.bias * self.beta.flatten())
            return (x + self._feed_forward(self.norm2(x)),), ()

        (out,), _ = over_strips(finish, [x, gated], halo=0, channels=2 * channels)
        return out

    def _gather(self, crop: Crop, x: Tensor, *condition: Tensor) -> MapsAndSums:
        """The gated features of the first half and, for the channel attention, their sum over the positions."""
        normed = self.norm1(self._spatial_input(x, *condition))
        gated = self.gate(crop(self.conv2(self.conv1(normed))))
        return (gated,), (gated.sum(dim=(2, 3), keepdim=True),)

    def _spatial_input(self, x: Tensor) -> Tensor:
        return x

    def _feed_forward(self, x: Tensor) -> Tensor:
        # gamma in the weights: a pass over the map less.
        gamma = self.gamma.flatten()
        weight = self.conv5.weight * gamma[:, None, None, None]
        return F.conv2d(self.gate(self.conv4(x)), weight, self.conv5.bias * gamma)
