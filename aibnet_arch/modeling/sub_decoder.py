"""One sub-decoder: four levels from 1/8 of the resolution up to the full one, Figure 2 (a)."""

from collections.abc import Sequence

from torch import Tensor, nn

from .decoder_level import DecoderLevel
from .level_settings import LevelSettings


class SubDecoder(nn.Module):
    """Refines the features of four scales; a 3x3 convolution turns the finest into a residual image.

    Args:
        levels: settings of the levels, finest first; they have w, 2w, 4w and 8w channels.
    """

    def __init__(self, levels: Sequence[LevelSettings]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(DecoderLevel(settings) for settings in levels)
        self.to_residual = nn.Conv2d(levels[0].channels, 3, 3, padding=1)
        # A fresh sub-decoder gives the image back instead of adding noise to it.
        for parameter in self.to_residual.parameters():
            nn.init.zeros_(parameter)

    def forward(self, skips: Sequence[Tensor], bottom: Tensor) -> tuple[Tensor, ...]:
        """Refine the features.

        Args:
            skips: four features, finest first: (B, w 2^i, H/2^i, W/2^i). They are e1 .. e4 for the
                first sub-decoder and the previous sub-decoder's output for the others.
            bottom: e5, (B, 16w, H/16, W/16).

        Returns:
            The refined features d1 .. d4, in the order and shapes of `skips`. ``to_residual`` makes the
            residual image (B, 3, H, W) of the first of them.
        """
        refined = []
        x = bottom
        for level, skip in zip(reversed(self.levels), reversed(skips)):
            x = level(x, skip)
            refined.append(x)
        return tuple(reversed(refined))
