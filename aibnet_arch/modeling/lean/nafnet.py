"""NAFNet's encoder without gradient."""

from typing import Any

from torch import Tensor

from ..encoders.nafnet import NAFNetEncoder
from ..layers import channels_last
from .blocks import Runner


def nafnet_encoder(encoder: NAFNetEncoder, image: Tensor, *, run: Runner) -> tuple[Tensor, ...]:
    """``encoder(image)``."""
    features = []
    blocks: Any
    x = encoder.intro(channels_last(image))
    for level, (blocks, down) in enumerate(zip(encoder.encoders, encoder.downs)):
        for block in blocks:
            x = run(block, x, level=level)
        features.append(x)
        x = down(x)
    for block in encoder.middle_blks:
        x = run(block, x, level=len(features))
    return (*features, x)
