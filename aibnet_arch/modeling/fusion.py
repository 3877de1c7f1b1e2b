"""What may stand between two sub-decoders: the alternatives to progressive training that Table 6 compares.

A fusion takes the features that a sub-decoder has refined, finest first, (B, w 2^i, H/2^i, W/2^i), and makes of them
the skips of the next sub-decoder, in the same order and shapes. The paper names two modules of other papers and says
neither where they stand nor how large they are; both are read here as one such module at each of the four levels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import LayerNorm2d
from .level_settings import LEVELS


class SAM(nn.Module):
    """MPRNet's attention module: features are weighted by what they make of the image.

    Shape: (B, C, H, W) and the image at that size, (B, 3, H, W) -> (B, C, H, W).

    There the restored image in the middle is supervised ("supervised attention module"). Here the loss sees the last
    image alone (Eq. 7).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_residual = nn.Conv2d(channels, 3, 1, bias=False)
        self.weigh = nn.Conv2d(3, channels, 1, bias=False)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """(B, C, H, W) and the image at that size, (B, 3, H, W) -> (B, C, H, W)."""
        return x + self.features(x) * torch.sigmoid(self.weigh(self.to_residual(x) + image))


class SAMFusion(nn.Module):
    """:class:`SAM` at each level, the image reduced to its size by averaging.

    Args:
        width: w, channels of the finest level.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(SAM(width * 2**level) for level in range(LEVELS))

    def forward(self, features: Sequence[Tensor], image: Tensor) -> tuple[Tensor, ...]:
        """Four levels, finest first, and the image at full size, (B, 3, H, W) -> levels of the same shapes."""
        reduced = (F.avg_pool2d(image, 2**level) if level else image for level in range(LEVELS))
        return tuple(sam(x, small) for sam, x, small in zip(self.levels, features, reduced))


class FuseFusion(nn.Module):
    """AdaRevD's fuse layer: a level also receives the next finer one, by a strided convolution and layer norm.

    Args:
        width: w, channels of the finest level, which stays as it is.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(finer, coarser, 2, stride=2), LayerNorm2d(coarser))
            for finer, coarser in zip(widths, widths[1:])
        )

    def forward(self, features: Sequence[Tensor], image: Tensor) -> tuple[Tensor, ...]:
        """Four levels, finest first -> levels of the same shapes; the image is not looked at."""
        finest, *others = features
        return (finest, *(x + down(finer) for x, down, finer in zip(others, self.down, features)))


FUSIONS = {'sam': SAMFusion, 'fuse': FuseFusion}
