"""What SFEM and HFSBlock contribute, pixel by pixel.

Each block adds something to the stream of features that passes it:

  SFEM      W * SFEM(LN(x)), its term of Eq. (1)
  HFSBlock  what Eq. (5) adds to its input

A block's map is the Euclidean norm of that over the channels of every pixel. It is divided by its mean over the
picture, so that a block counts by where it acts and not by how large its numbers are (a block that adds nothing
gives zeros). A level's map is the mean over its blocks; levels and sub-decoders are enlarged to the picture
bilinearly and averaged. So 2 means: twice what the blocks add to this picture on average.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ..modeling import AIBNet
from ..modeling.hfs_block import HFSBlock
from ..modeling.lean.sfdh_block import sfem_term
from ..modeling.sfdh_block import SFDHBlock

SFEM, HFS_BLOCK = 'sfem', 'hfs_block'


class Part(NamedTuple):
    """Where a map comes from: `kind` is 'sfem' or 'hfs_block', sub-decoders count from 1, level 0 is the finest."""

    kind: str
    sub_decoder: int
    level: int


class Contributions:
    """What a network did with a picture.

    Attributes:
        restored: (3, H, W), not clipped.
        levels: for each part the mean map of its blocks at its own resolution, (h, w), of the padded picture.
    """

    def __init__(self, restored: Tensor, levels: dict[Part, Tensor]) -> None:
        self.restored = restored
        self.levels = levels

    def map(self, kind: str, *, sub_decoder: Optional[int] = None, level: Optional[int] = None) -> Tensor:
        """The map of a kind of block, (H, W), mean about 1; all sub-decoders and levels, or one of them."""
        height, width = self.restored.shape[1:]
        chosen = [
            self.levels[part]
            for part in self.levels
            if part.kind == kind and sub_decoder in (None, part.sub_decoder) and level in (None, part.level)
        ]
        if not chosen:
            raise ValueError(f'no map of {kind}, sub-decoder {sub_decoder}, level {level}')
        full = max(tuple(part.shape) for part in self.levels.values())
        total = torch.zeros(full)
        for part in chosen:  # one at a time: enlarged, they take a multiple of the memory
            total += F.interpolate(part[None, None], size=full, mode='bilinear', align_corners=False)[0, 0]
        return total[:height, :width] / len(chosen)


@torch.no_grad()
def observe(network: AIBNet, image: Tensor) -> Contributions:
    """Restore a picture and watch the blocks do it.

    Args:
        network: in evaluation mode; all sub-decoders that are trained run, with the window of its ``lean``.
        image: (1, 3, H, W), RGB in [0, 1].

    Returns:
        The restored picture and the maps, on the CPU.
    """
    totals: dict[Part, Tensor] = {}
    counts: dict[Part, int] = defaultdict(int)

    def add(part: Part, contribution: Tensor) -> None:
        norm = torch.linalg.vector_norm(contribution[0], dim=0)
        mean = norm.mean()
        if mean > 0:
            norm = norm / mean
        totals[part] = totals[part] + norm if part in totals else norm
        counts[part] += 1

    window = network.lean.window if network.lean else None

    def term(part: Part, block: SFDHBlock, x: Tensor) -> None:
        add(part, sfem_term(block, x, window=None if window is None else window >> part.level))

    with ExitStack() as stack:
        for part, block in _blocks(network):
            if part.kind == SFEM:
                handle = block.register_forward_pre_hook(lambda block, inputs, part=part: term(part, block, inputs[0]))
            else:
                handle = block.register_forward_hook(
                    lambda block, inputs, output, part=part: add(part, output - inputs[0])
                )
            stack.callback(handle.remove)
        restored = network(image)
    return Contributions(restored[0].cpu(), {part: (total / counts[part]).cpu() for part, total in totals.items()})


def _blocks(network: AIBNet) -> Iterator[tuple[Part, torch.nn.Module]]:
    for number, sub_decoder in enumerate(network.sub_decoders, start=1):
        levels: Any = sub_decoder.levels
        for depth, level in enumerate(levels):
            for module in level.modules():
                if isinstance(module, SFDHBlock) and module.sfem is not None:
                    yield Part(SFEM, number, depth), module
                elif isinstance(module, HFSBlock):
                    yield Part(HFS_BLOCK, number, depth), module
