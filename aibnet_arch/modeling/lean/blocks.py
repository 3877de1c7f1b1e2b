"""Which blocks have a lean form, and how one is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from torch import Tensor, nn

from ..encoders.naf_block import NAFBlock
from ..encoders.ufpnet import ConditionedNAFBlock
from ..hfs_block import HFSBlock
from ..sfdh_block import SFDHBlock
from .hfs_block import hfs_block
from .naf_block import conditioned_naf_block, naf_block
from .sfdh_block import sfdh_block

BLOCKS: dict[type[nn.Module], Callable[..., Tensor]] = {
    SFDHBlock: sfdh_block,
    HFSBlock: hfs_block,
    NAFBlock: naf_block,
    ConditionedNAFBlock: conditioned_naf_block,
}


@dataclass(frozen=True)
class Runner:
    """Runs blocks; `window` is in pixels of the image."""

    window: Optional[int] = None

    def __call__(self, block: nn.Module, *maps: Tensor, level: int) -> Tensor:
        """What ``block(*maps)`` gives, at 1/2^level of the resolution."""
        lean = BLOCKS.get(type(block))
        if lean is None or (self.window is None and _is_watched_inside(block)):
            return block(*maps)
        return called(block, lean, *maps, window=None if self.window is None else self.window >> level)


def called(module: nn.Module, function: Callable[..., Any], *inputs: Any, **settings: Any) -> Any:
    """`function` in the place of the module's ``forward``: the hooks on the module are met."""
    for before in module._forward_pre_hooks.values():
        changed = before(module, inputs)
        if changed is not None:
            inputs = changed if isinstance(changed, tuple) else (changed,)
    output = function(module, *inputs, **settings)
    for after in module._forward_hooks.values():
        changed = after(module, inputs, output)
        output = output if changed is None else changed
    return output


def _is_watched_inside(block: nn.Module) -> bool:
    """Whether something in the block has a hook, which its equations alone would meet."""
    return any(part is not block and (part._forward_hooks or part._forward_pre_hooks) for part in block.modules())
