"""Attention between channels: the C x C logits that SFEM (Eq. 2) and HFSBlock (Eq. 5) share."""

import math

import torch
from torch import Tensor, nn


class ChannelLogits(nn.Module):
    """Q T(K) / beta for every head, beta learned and starting at sqrt(C) (Section 3.2.1).

    With `normalize`, the rows of Q and K are L2-normalised along the positions (as in Restormer and
    DRSformer), so that the logits do not grow with the size of the image. The product is divided by
    the norms instead of normalising Q and K themselves: the same value without two large copies.

    Args:
        heads: number of attention heads.
        head_channels: channels of one head, C of the equations.
        normalize: False reads Eq. (2) literally.
    """

    def __init__(self, *, heads: int, head_channels: int, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize
        self.beta = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(head_channels)))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
        logits = query @ key.transpose(-2, -1)
        if self.normalize:
            # 1e-12 is torch.nn.functional.normalize's guard against an all-zero row.
            query_norm = torch.linalg.vector_norm(query, dim=-1).clamp_min(1e-12)
            key_norm = torch.linalg.vector_norm(key, dim=-1).clamp_min(1e-12)
            logits = logits / (query_norm[..., :, None] * key_norm[..., None, :])
        return logits / self.beta


def head_channels(channels: int, heads: int) -> int:
    """Channels of one head.

    Raises:
        ValueError: if `channels` is not a multiple of `heads`.
    """
    if heads < 1 or channels % heads:
        raise ValueError(f'heads={heads} does not divide the {channels} channels of this level')
    return channels // heads
