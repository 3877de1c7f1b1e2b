"""What must be known of a network of pictures to run it: the sizes that it takes, and whether it knows a window."""

import math
from dataclasses import dataclass

from torch import nn

from .aibnet import AIBNet
from .lean import SCALE


@dataclass(frozen=True)
class Traits:
    """Of a network (B, 3, H, W) -> (B, 3, H, W) that pads pictures by itself.

    Attributes:
        architecture: its name.
        multiple: sides that it runs at are multiples of this.
        smallest: and no smaller than this.
        square: and equal.
        sub_decoders: how many it has; 0: it is no AIBNet.
        windows: whether it can take statistics over windows (:class:`.Lean`).
        feature_channels: at full resolution, which are kept while it runs; 0 if that is not known.
    """

    architecture: str
    multiple: int = 1
    smallest: int = 1
    square: bool = False
    sub_decoders: int = 0
    windows: bool = False
    feature_channels: int = 0

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The size that it runs at for a picture."""
        sides = [math.ceil(max(side, self.smallest) / self.multiple) * self.multiple for side in (height, width)]
        return (max(sides), max(sides)) if self.square else (sides[0], sides[1])


def traits_of(network: nn.Module) -> Traits:
    """Those of a network: what its attribute ``traits`` says, and AIBNet's."""
    if isinstance(network, AIBNet):
        return Traits(
            architecture='AIBNet',
            multiple=SCALE,
            sub_decoders=len(network.sub_decoders),
            windows=True,
            feature_channels=network.arguments['width'],
        )
    told = getattr(network, 'traits', None)
    return told if isinstance(told, Traits) else Traits(architecture=type(network).__name__)
