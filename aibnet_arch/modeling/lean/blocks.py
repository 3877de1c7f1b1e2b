"""Which blocks have a lean form, and how one is called."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from torch import Tensor, nn

from ..channel_logits import ChannelLogits
from ..decoder_level import DecoderLevel
from ..decoupler import Decoupler
from ..encoders.kernel_estimator import DecodingBlock, EncodingBlock, ResBlock
from ..encoders.naf_block import NAFBlock
from ..encoders.ufpnet import ConditionedNAFBlock, KernelAttention
from ..hfs_block import HFSBlock, MaskedAttention
from ..layers import ConvGate, GlobalPool, LayerNorm2d, SimpleGate, Upsampling
from ..process_batch_norm import ProcessBatchNorm2d
from ..sca import SCA
from ..sfdh_block import SFDHBlock
from ..sfem import SFEM, DifferenceWeight
from .hfs_block import hfs_block
from .kernel_estimator import decoding_block, encoding_block
from .naf_block import conditioned_naf_block, naf_block
from .operations import Operations
from .sfdh_block import sfdh_block
from .upsampling import upsampling

BLOCKS: dict[type[nn.Module], Callable[..., Any]] = {
    SFDHBlock: sfdh_block,
    HFSBlock: hfs_block,
    NAFBlock: naf_block,
    ConditionedNAFBlock: conditioned_naf_block,
    Upsampling: upsampling,
    EncodingBlock: encoding_block,
    DecodingBlock: decoding_block,
}


# What blocks are made of. A lean form stands for these alone, not for what somebody derives from them or puts there.
PARTS = {
    *BLOCKS,
    ChannelLogits,
    ConvGate,
    Decoupler,
    DifferenceWeight,
    GlobalPool,
    KernelAttention,
    LayerNorm2d,
    MaskedAttention,
    ProcessBatchNorm2d,
    ResBlock,
    SCA,
    SFEM,
    SimpleGate,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.GELU,
    nn.PixelShuffle,
    nn.ReLU,
    nn.Sequential,
    nn.Sigmoid,
}


@dataclass(frozen=True)
class Runner:
    """Runs blocks; `window` is in pixels of the image."""

    window: Optional[int] = None
    operations: Operations = field(default_factory=Operations)

    def __call__(self, block: nn.Module, *maps: Tensor, level: int) -> Any:
        """What ``block(*maps)`` gives, at 1/2^level of the resolution."""
        lean = BLOCKS.get(type(block))
        if lean is None or not self._is_as_written(block):
            return block(*maps)
        window = None if self.window is None else self.window >> level
        return called(block, lean, *maps, window=window, operations=self.operations)

    def walks(self, level: nn.Module) -> bool:
        """Whether a level's blocks may be run one by one in its place. With a window they must: a hook is not met."""
        return type(level) is DecoderLevel and (self.window is not None or not _has_hooks(level))

    def _is_as_written(self, part: nn.Module, inside: bool = False) -> bool:
        """Whether all in a block is of this package, and without a hook, which the equations alone would meet."""
        if type(part) not in PARTS or (inside and self.window is None and _has_hooks(part)):
            return False
        foreign = part.sfem if isinstance(part, SFDHBlock) and type(part.sfem) is not SFEM else None
        parts = part._modules.values()
        return all(each is None or each is foreign or self._is_as_written(each, inside=True) for each in parts)


def called(module: nn.Module, function: Callable[..., Any], *inputs: Any, **settings: Any) -> Any:
    """`function` in the place of the module's ``forward``: the hooks on the module are met."""
    for key, before in module._forward_pre_hooks.items():
        with_keywords = key in module._forward_pre_hooks_with_kwargs
        changed = before(module, inputs, {}) if with_keywords else before(module, inputs)
        if changed is not None:
            changed = changed[0] if with_keywords else changed
            inputs = changed if isinstance(changed, tuple) else (changed,)
    output = function(module, *inputs, **settings)
    for key, after in module._forward_hooks.items():
        with_keywords = key in module._forward_hooks_with_kwargs
        changed = after(module, inputs, {}, output) if with_keywords else after(module, inputs, output)
        output = output if changed is None else changed
    return output


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
