"""NAFBlock without gradient."""

from typing import Any, Optional

import torch.nn.functional as F
from torch import Tensor

from ..encoders.naf_block import NAFBlock
from ..encoders.ufpnet import ConditionedNAFBlock
from .channel_mix import project, total_of
from .operations import Operations
from .strips import Crop, MapsAndSums, over_strips
from .windows import is_local, local_mean


def naf_block(block: NAFBlock, x: Tensor, *, window: Optional[int], operations: Operations) -> Tensor:
    """``block(x)``."""
    return _naf_block(block, x, window=window, operations=operations, halo=1)


def conditioned_naf_block(
    block: ConditionedNAFBlock, x: Tensor, summary: Tensor, *, window: Optional[int], operations: Operations
) -> Tensor:
    """``block(x, summary)``."""
    # Two 3x3 convolutions of the kernel attention in a row, and the depthwise one.
    return _naf_block(block, x, summary, window=window, operations=operations, halo=3)


def _naf_block(
    block: Any, x: Tensor, *summary: Tensor, window: Optional[int], operations: Operations, halo: int
) -> Tensor:
    channels = x.shape[1]

    def gather(crop: Crop, x: Tensor, *summary: Tensor) -> MapsAndSums:
        """The gated features and, for the channel attention, their sum over the positions."""
        x = block.kernel_atttion(x, *summary) if summary else x
        (expanded,) = operations.norm_convs(block.norm1, x, [block.conv1])
        gated = operations.conv_gate(block.conv2, expanded, crop)
        del expanded  # memory
        return (gated,), (total_of(gated),)

    (gated,), (total,) = over_strips(gather, [x, *summary], halo=halo, channels=2 * channels)
    _, weigh = block.sca
    weight = block.conv3.weight[:, :, 0, 0] * block.beta[0, :, :, 0]
    if window is not None and is_local(x, window):
        gated = gated * weigh(local_mean(gated, window))
        weight = weight.expand(len(x), -1, -1)  # the same for every image: its channels are weighed already
    else:
        mean = total.flatten(1) / x[0, 0].numel()
        weight = weight * F.linear(mean, weigh.weight.flatten(1), weigh.bias)[:, None, :]

    def finish(crop: Crop, x: Tensor, gated: Tensor) -> MapsAndSums:
        x = x + project(gated, weight, block.conv3.bias * block.beta.flatten())
        # gamma in the weights: a pass over the map less.
        gamma = block.gamma.flatten()
        weight5 = block.conv5.weight * gamma[:, None, None, None]
        (expanded,) = operations.norm_convs(block.norm2, x, [block.conv4])
        gated = operations.gate(expanded)
        del expanded  # memory
        return (x + F.conv2d(gated, weight5, block.conv5.bias * gamma),), ()

    (out,), _ = over_strips(finish, [x, gated], halo=0, channels=2 * channels, into=gated)
    return out
