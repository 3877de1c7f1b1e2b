"""Attention between channels: the C x C logits that SFEM (Eq. 2) and HFSBlock (Eq. 5) share."""

import math

import torch
from torch import Tensor, nn

from .channel_products import products
from .level_settings import LevelSettings

LOGIT_SCALES = ('beta', 'temperature')


class ChannelLogits(nn.Module):
    """Q T(K) / beta for every head (Eq. 2 and 5), the scale learned, one a head, starting at sqrt(C/heads).

    With `normalize_logits`, the rows of Q and K are L2-normalised along the positions (as in Restormer and
    DRSformer), so that the logits do not grow with the size of the image. They then lie within -1 and 1, and
    `logit_scale` 'temperature' multiplies them, as in Restormer and in MHNet by the paper's first author: 1 / beta is
    what is learned. Divided ('beta', as printed) they stay within 1/sqrt(C/heads), and the maps uniform, in training,
    too (docs/ablations.md). `logit_scale_init` is what either starts at; None: sqrt(C/heads).

    Without `normalize_logits`, and with 'beta', Eq. (2) is read literally.
    """

    beta: nn.Parameter  # one of the two
    temperature: nn.Parameter

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        self.normalize = settings.normalize_logits
        init = settings.logit_scale_init
        init = math.sqrt(settings.head_channels) if init is None else init
        self.register_parameter(settings.logit_scale, nn.Parameter(torch.full((settings.heads, 1, 1), float(init))))
        self.multiplies = settings.logit_scale == 'temperature'

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, heads, C, L), (B, heads, C, L) -> (B, heads, C, C)."""
        return self.scale(*products(query, key))

    def scale(self, products: Tensor, query_squares: Tensor, key_squares: Tensor) -> Tensor:
        """The logits from Q T(K), (..., heads, C, C), and the squared norms of the rows of Q and K, (..., heads, C).

        The product is divided by the norms instead of normalising Q and K: the same without two large copies.
        """
        if self.normalize:
            # The square of torch.nn.functional.normalize's guard against an all-zero row.
            query, key = query_squares.clamp_min(1e-24).rsqrt(), key_squares.clamp_min(1e-24).rsqrt()
            products = products * (query[..., :, None] * key[..., None, :])
        return products * self.temperature if self.multiplies else products / self.beta
