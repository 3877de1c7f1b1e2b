"""NAFNet's own decoder, which UFPNet has, too. AIBNet has sub-decoders in its place."""

from collections.abc import Sequence

from torch import Tensor, nn

from .encoders.naf_block import NAFBlock
from .layers import Upsampling


class NAFDecoder(nn.Module):
    """From an encoder's features to the residual image, under the keys of the published checkpoints.

    Args:
        width: w, channels at full resolution.
        decoder_blocks: blocks of the levels, coarsest first ([1, 1, 1, 1] as published).
    """

    def __init__(self, *, width: int, decoder_blocks: Sequence[int]) -> None:
        super().__init__()
        channels = [width * 2**level for level in reversed(range(len(decoder_blocks)))]
        self.ups = nn.ModuleList(Upsampling(c) for c in channels)
        self.decoders = nn.ModuleList(
            nn.Sequential(*(NAFBlock(c) for _ in range(blocks))) for c, blocks in zip(channels, decoder_blocks)
        )
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, features: Sequence[Tensor], bottom: Tensor) -> tuple[Tensor]:
        """e1, e2, ... (B, w 2^(i-1), H/2^(i-1), W/2^(i-1)), and the one below them -> (B, 3, H, W)."""
        x = bottom
        for up, blocks, skip in zip(self.ups, self.decoders, reversed(features)):
            x = blocks(up(x) + skip)
        return (self.ending(x),)
