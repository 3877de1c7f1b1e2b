"""NAFNet's encoder and middle part (Chen et al., ECCV 2022), the alternative encoder of Table 5."""

from collections.abc import Sequence

from torch import Tensor, nn

from ..layers import channels_last
from .naf_block import NAFBlock


class NAFNetEncoder(nn.Module):
    """Five features of an image, under the keys of the published NAFNet checkpoints.

    Args:
        width: w, channels at full resolution.
        encoder_blocks: blocks of the four levels ([1, 1, 1, 28] as published).
        middle_blocks: blocks at 1/16 of the resolution.
    """

    # Parts of a published checkpoint that AIBNet has no use for: NAFNet's own decoder.
    UNUSED_KEYS = ('decoders.', 'ups.', 'ending.')

    def __init__(self, *, width: int, encoder_blocks: Sequence[int], middle_blocks: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(len(encoder_blocks) + 1)]
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(
            nn.Sequential(*(NAFBlock(c) for _ in range(blocks))) for c, blocks in zip(channels, encoder_blocks)
        )
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in channels[:-1])
        self.middle_blks = nn.Sequential(*(NAFBlock(channels[-1]) for _ in range(middle_blocks)))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) in [0, 1], H and W multiples of 16 -> e1 .. e5, e_i of (B, w 2^(i-1), H/2^(i-1), W/2^(i-1))."""
        features = []
        x = self.intro(channels_last(image))
        for blocks, down in zip(self.encoders, self.downs):
            x = blocks(x)
            features.append(x)
            x = down(x)
        features.append(self.middle_blks(x))
        return tuple(features)
