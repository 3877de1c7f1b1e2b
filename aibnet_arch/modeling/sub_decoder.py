"""One sub-decoder: four levels from 1/8 of the resolution up to the full one, Figure 2 (a) and (b)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .hfs_block import HFSBlock
from .sfdh_block import SFDHBlock

LEVELS = 4


class DecoderLevel(nn.Module):
    """Upsampling, plus the skip, N SFDHBlocks, one HFSBlock (unless `hfs_block` is False).

    Shape: (B, 2C, H/2, W/2) and skip (B, C, H, W) -> (B, C, H, W).

    `checkpointing` keeps no intermediate results of the SFDHBlocks for the backward pass, which computes
    them again, see ``AIBNet.set_checkpointing``.
    """

    checkpointing = False

    def __init__(
        self,
        channels: int,
        *,
        blocks: int,
        heads: int,
        alpha_init: float,
        num_masks: int,
        decoupler_groups: int,
        normalize_logits: bool,
        sfem: bool,
        hfs_block: bool,
        masked_logits: str,
    ) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Conv2d(2 * channels, 4 * channels, 1, bias=False), nn.PixelShuffle(2))
        self.sfdh_blocks = nn.Sequential(
            *(
                SFDHBlock(channels, heads=heads, alpha_init=alpha_init, normalize_logits=normalize_logits, sfem=sfem)
                for _ in range(blocks)
            )
        )
        self.hfs_block: nn.Module = nn.Identity()
        if hfs_block:
            self.hfs_block = HFSBlock(
                channels,
                heads=heads,
                num_masks=num_masks,
                decoupler_groups=decoupler_groups,
                normalize_logits=normalize_logits,
                masked_logits=masked_logits,
            )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.refine(self.join(x, skip))

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.up(x) + skip

    def refine(self, x: Tensor) -> Tensor:
        """The blocks: (B, C, H, W) -> (B, C, H, W)."""
        for block in self.sfdh_blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        # Not the HFSBlock: its batch norm would count every batch twice.
        return self.hfs_block(x)


class SubDecoder(nn.Module):
    """Refines the features of four scales; a 3x3 convolution turns the finest into a residual image.

    Args:
        width: w, channels at full resolution; the levels have w, 2w, 4w and 8w.
        blocks_per_level: N, SFDHBlocks of a level.
        heads: attention heads of the levels, finest first.
        alpha_init, num_masks, decoupler_groups, normalize_logits, sfem, masked_logits: see the blocks.
        hfs_block: False leaves out the HFSBlocks (Table 3).
    """

    def __init__(
        self,
        *,
        width: int,
        blocks_per_level: int,
        heads: Sequence[int],
        alpha_init: float,
        num_masks: int,
        decoupler_groups: int,
        normalize_logits: bool,
        sfem: bool = True,
        hfs_block: bool = True,
        masked_logits: str = 'dropped',
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            DecoderLevel(
                width * 2**level,
                blocks=blocks_per_level,
                heads=heads[level],
                alpha_init=alpha_init,
                num_masks=num_masks,
                decoupler_groups=decoupler_groups,
                normalize_logits=normalize_logits,
                sfem=sfem,
                hfs_block=hfs_block,
                masked_logits=masked_logits,
            )
            for level in range(LEVELS)
        )
        self.to_residual = nn.Conv2d(width, 3, 3, padding=1)
        # A fresh sub-decoder gives the image back instead of adding noise to it.
        nn.init.zeros_(self.to_residual.weight)
        nn.init.zeros_(self.to_residual.bias)

    def forward(self, skips: Sequence[Tensor], bottom: Tensor) -> tuple[Tensor, ...]:
        """Refine the features.

        Args:
            skips: four features, finest first: (B, w 2^i, H/2^i, W/2^i). They are e1 .. e4 for the
                first sub-decoder and the previous sub-decoder's output for the others. A list of them
                is empty afterwards: a skip is of no use once it has been added, and large.
            bottom: e5, (B, 16w, H/16, W/16).

        Returns:
            The refined features, in the order and shapes of `skips`. ``to_residual`` makes the
            residual image (B, 3, H, W) of the first of them.
        """
        skips = skips if isinstance(skips, list) else list(skips)
        refined = []
        x = bottom
        for level in reversed(self.levels):
            x = level.refine(level.join(x, skips.pop()))
            refined.append(x)
        return tuple(reversed(refined))
