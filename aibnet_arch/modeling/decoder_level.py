"""A level of a sub-decoder: the "decoder" of Figure 2 (b)."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .hfs_block import HFSBlock
from .layers import Upsampling
from .level_settings import LevelSettings
from .sfdh_block import SFDHBlock


class DecoderLevel(nn.Module):
    """Upsampling, plus the skip, N SFDHBlocks, one HFSBlock (unless the settings leave it out).

    Shape: (B, 2C, H/2, W/2) and skip (B, C, H, W) -> (B, C, H, W).

    `checkpointing` keeps no intermediate results of the SFDHBlocks for the backward pass, which computes
    them again, see ``AIBNet.set_checkpointing``.
    """

    checkpointing = False

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.up = Upsampling(channels)
        self.sfdh_blocks = nn.Sequential(*(SFDHBlock(settings) for _ in range(settings.blocks)))
        self.hfs_block = HFSBlock(settings) if settings.hfs_block else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, 2C, H/2, W/2) of the coarser level and its skip (B, C, H, W) -> (B, C, H, W)."""
        x = self.up(x) + skip
        for block in self.sfdh_blocks:
            recompute = self.checkpointing and torch.is_grad_enabled()
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return self.hfs_block(x)  # not checkpointed: its batch norm would count every batch twice
