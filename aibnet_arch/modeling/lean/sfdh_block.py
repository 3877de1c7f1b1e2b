"""SFDHBlock without gradient."""

from typing import Any, Optional

import torch.nn.functional as F
from torch import Tensor

from ..sca import SCA
from ..sfdh_block import SFDHBlock
from ..sfem import SFEM
from .channel_mix import project, total_of
from .operations import Operations
from .sfem import gather_sfem, sfem_in_windows, sfem_matrix
from .strips import Crop, MapsAndSums, over_strips
from .windows import is_local, local_mean


def sfdh_block(block: SFDHBlock, x: Tensor, *, window: Optional[int], operations: Operations) -> Tensor:
    """``block(x)``. What somebody put in SFEM's place runs by its own ``forward``, and sees the whole map."""
    channels, spatial = x.shape[1], block.sfem
    if window is not None and is_local(x, window):
        expanded = operations.norm_convs(block.norm1, x, _first_convolutions(block))
        sca_in_windows = _sca_in_windows(block.sca, next(expanded), window, operations)
        middle = x + (sca_in_windows if block.sca_scale is None else block.sca_scale * sca_in_windows)
        if spatial is not None:
            if type(spatial) is SFEM:
                local = sfem_in_windows(spatial, next(expanded), window, operations)
            else:
                local = spatial(operations.norm(block.norm1, x))
            middle = middle + block.sfem_weight * local
        feed_forward = lambda crop, x: _feed_forward(block, crop, x, operations)  # noqa: E731
        (out,), _ = over_strips(feed_forward, [middle], halo=1, channels=2 * channels)
        return out

    def gather(crop: Crop, x: Tensor) -> MapsAndSums:
        expanded = operations.norm_convs(block.norm1, x, _first_convolutions(block))
        gated = operations.conv_gate(block.sca.features.depthwise, next(expanded), crop)
        value, sums = gather_sfem(spatial, next(expanded), operations, crop) if type(spatial) is SFEM else ((), ())
        return (gated, *value), (total_of(gated), *sums)

    (gated, *added), (total, *sums) = over_strips(gather, [x], halo=1, channels=5 * channels)
    sca: Tensor = _sca_matrix(block.sca, total / x[0, 0].numel())
    sca_bias: Any = block.sca.project.bias
    if block.sca_scale is not None:
        sca, sca_bias = block.sca_scale[:, :, 0] * sca, block.sca_scale.flatten() * sca_bias
    sfem: Optional[Tensor] = None
    if type(spatial) is SFEM:
        sfem = block.sfem_weight[:, :, 0] * sfem_matrix(spatial, *sums)
    elif spatial is not None:
        added = [block.sfem_weight * spatial(block.norm1(x))]

    def finish(crop: Crop, x: Tensor, gated: Tensor, *added: Tensor) -> MapsAndSums:
        middle = x + project(gated, sca, sca_bias)
        for part in added:
            middle = middle + (part if sfem is None else project(part, sfem))
        return _feed_forward(block, crop, middle, operations)

    (out,), _ = over_strips(finish, [x, gated, *added], halo=1, channels=2 * channels, into=gated)
    return out


def sfem_term(block: SFDHBlock, x: Tensor, *, window: Optional[int] = None) -> Tensor:
    """The block's W SFEM(LN(x)), (B, C, H, W), which :func:`sfdh_block` never has apart from the rest."""
    spatial, operations = block.sfem, Operations()
    if type(spatial) is SFEM and window is not None and is_local(x, window):
        return block.sfem_weight * sfem_in_windows(spatial, spatial.expand(block.norm1(x)), window, operations)
    if type(spatial) is SFEM:
        gather = lambda crop, x: gather_sfem(spatial, spatial.expand(block.norm1(x)), operations, crop)  # noqa: E731
        (value,), sums = over_strips(gather, [x], halo=1, channels=5 * x.shape[1])
        return project(value, block.sfem_weight[:, :, 0] * sfem_matrix(spatial, *sums))
    if spatial is None:
        raise ValueError('this block has no SFEM')
    return block.sfem_weight * spatial(block.norm1(x))


def _first_convolutions(block: SFDHBlock) -> list[Any]:
    """Those of the normed map."""
    return [block.sca.features.expand, *([block.sfem.expand] if type(block.sfem) is SFEM else [])]


def _sca_matrix(sca: SCA, mean: Tensor) -> Tensor:
    """Channel attention and the last 1x1 convolution, (B, C, C): its product with the gated features.

    The convolution's bias comes in addition.
    """
    weighed = F.linear(mean.flatten(1), sca.weigh.weight.flatten(1), sca.weigh.bias)
    return sca.project.weight[:, :, 0, 0] * weighed[:, None, :]


def _sca_in_windows(sca: SCA, expanded: Tensor, window: int, operations: Operations) -> Tensor:
    x = operations.conv_gate(sca.features.depthwise, expanded)
    return sca.project(x * sca.weigh(local_mean(x, window)))


def _feed_forward(block: SFDHBlock, crop: Crop, x: Tensor, operations: Operations) -> MapsAndSums:
    gated: Any
    last: Any
    gated, last = block.feed_forward
    (expanded,) = operations.norm_convs(block.norm2, x, [gated.expand])
    x, branch = crop(x), operations.conv_gate(gated.depthwise, expanded, crop)
    del expanded  # memory
    if block.feed_forward_scale is None:
        return (x + last(branch),), ()
    # In the weights: a pass over the map less.
    weight = block.feed_forward_scale[..., None] * last.weight
    return (x + F.conv2d(branch, weight, block.feed_forward_scale.flatten() * last.bias),), ()
