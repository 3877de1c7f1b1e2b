"""NAFNet's own decoder without gradient."""

from typing import Any

from torch import Tensor

from ..naf_decoder import NAFDecoder
from .blocks import Runner


def naf_decoder(decoder: NAFDecoder, features: list[Tensor], bottom: Tensor, *, run: Runner) -> tuple[Tensor]:
    """``decoder(features, bottom)``. `features` is empty afterwards: once it has been added, a skip is of no use."""
    x = bottom
    blocks: Any
    for up, blocks in zip(decoder.ups, decoder.decoders):
        level = len(features) - 1
        x = run(up, x, level=level).add_(features.pop())
        for block in blocks:
            x = run(block, x, level=level)
    return (decoder.ending(x),)
