"""SFEM without gradient."""

from torch import Tensor

from ..sfem import SFEM
from .channel_mix import as_matrix, mix_channels
from .operations import Operations
from .strips import Crop, Maps, MapsAndSums, whole
from .windows import over_windows


def sfem_in_windows(sfem: SFEM, expanded: Tensor, window: int, operations: Operations) -> Tensor:
    """SFEM after its first convolution, with attention maps of overlapping windows: (B, 5C, H, W) -> (B, C, H, W)."""

    def attend(context: Tensor) -> Tensor:
        (value,), sums = _split(sfem, context, operations)
        return mix_channels(value, as_matrix(_difference(sfem, *sums)))

    return sfem.project(over_windows(attend, sfem.depthwise(expanded), window))


# In two steps: what an image or a strip of it contributes, and what follows from the whole of it.


def gather_sfem(sfem: SFEM, expanded: Tensor, operations: Operations, crop: Crop = whole) -> MapsAndSums:
    """The value V of Eq. (2), (B, C, H, W), and the sums over the positions that its attention maps need.

    `expanded` is what the first convolution gives, (B, 5C, H, W).
    """
    context = crop(sfem.depthwise(expanded))
    del expanded  # the widest map: memory
    return _split(sfem, context, operations)


def sfem_matrix(sfem: SFEM, *sums: Tensor) -> Tensor:
    """Attention and the last 1x1 convolution, (B, C, C): its product with V is the output."""
    return as_matrix(_difference(sfem, *sums), sfem.project.weight)


def _split(sfem: SFEM, context: Tensor, operations: Operations) -> tuple[Maps, Maps]:
    channels = sfem.expand.in_channels
    pairs, value = context.split((4 * channels, channels), dim=1)
    return (value,), operations.position_sums(pairs, heads=sfem.heads, count=2)


def _difference(sfem: SFEM, *sums: Tensor) -> Tensor:
    """att1 - alpha att2, (B, heads, C, C)."""
    att1, att2 = sfem.logits.scale(*sums).softmax(dim=-1).unbind(1)
    return att1 - sfem.alpha() * att2
