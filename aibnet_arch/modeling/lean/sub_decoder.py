"""A sub-decoder without gradient."""

from typing import Any

from torch import Tensor

from ..sub_decoder import SubDecoder
from .blocks import Runner


def sub_decoder(part: SubDecoder, skips: list[Tensor], bottom: Tensor, *, run: Runner) -> tuple[Tensor, ...]:
    """``part(skips, bottom)``. `skips` is empty afterwards: once it has been added, a skip is large and of no use."""
    refined = []
    x = bottom
    for number in reversed(range(len(part.levels))):
        level: Any = part.levels[number]
        if run.walks(level):
            x = run(level.up, x, level=number) + skips.pop()
            for block in (*level.sfdh_blocks, level.hfs_block):
                x = run(block, x, level=number)
        else:
            x = level(x, skips.pop())
        refined.append(x)
    return tuple(reversed(refined))
