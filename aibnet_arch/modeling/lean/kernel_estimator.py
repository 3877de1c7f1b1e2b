"""UFPNet's U-Net of blur kernels without gradient: its maps of 64 channels at full resolution are its largest."""

from typing import Optional

from torch import Tensor

from ..encoders.kernel_estimator import DecodingBlock, EncodingBlock
from .operations import Operations
from .strips import Crop, MapsAndSums, over_strips

HALO = 5  # rows that the five 3x3 convolutions of a block see
LEAST_ROWS = 64  # with five rows on either side


def encoding_block(
    block: EncodingBlock, x: Tensor, *, window: Optional[int], operations: Operations
) -> tuple[Tensor, Tensor]:
    """``block(x)``."""

    def encode(crop: Crop, x: Tensor) -> MapsAndSums:
        return (crop(block.skip(x)),), ()

    (skip,), _ = over_strips(encode, [x], halo=HALO, channels=block.downsample.in_channels, least=LEAST_ROWS)
    return skip, block.downsample(skip)


def decoding_block(
    block: DecodingBlock, x: Tensor, skip: Tensor, *, window: Optional[int], operations: Operations
) -> Tensor:
    """``block(x, skip)``."""

    def decode(crop: Crop, x: Tensor, skip: Tensor) -> MapsAndSums:
        return (crop(block.merge(x, skip)),), ()

    x = block.Conv_t(x)
    channels = block.Conv_head.in_channels
    (out,), _ = over_strips(decode, [x, skip], halo=HALO, channels=channels, into=x, least=LEAST_ROWS)
    return out
