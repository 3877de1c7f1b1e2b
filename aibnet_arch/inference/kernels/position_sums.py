"""Q T(K) and the squared norms of the rows of Q and K, sums over the positions, in one pass."""

import torch
import triton
import triton.language as tl
from einops import rearrange
from torch import Tensor

from ...modeling.lean.channel_mix import Sums
from .requirements import check
from .tiles import offsets

SIDE = 64  # of a tile of Q T(K), at most
AT_ONCE = 32  # positions
SHARE = 4096  # positions that a program adds up; the shares are added by torch, in the same order each time


@triton.jit
def _kernel(
    pairs, products, of_queries, of_keys, channels, heads, groups, width, positions, share,
    image_stride, channel_stride, row_stride, column_stride,
    at_once: tl.constexpr, side: tl.constexpr, tensor_cores: tl.constexpr,
):  # fmt: skip
    part, group = tl.program_id(1), tl.program_id(2)  # a group: the head of a pair of an image
    tiles = tl.cdiv(channels, side)
    rows, columns = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    row, column = rows * side + tl.arange(0, side), columns * side + tl.arange(0, side)
    # Q1, K1, Q2, K2, ... side by side, each with its heads.
    image, pair, head = group // groups, group % groups // heads, group % heads
    query = (2 * pair * heads + head) * channels + row
    key = ((2 * pair + 1) * heads + head) * channels + column
    product = tl.zeros((side, side), tl.float32)
    query_squares, key_squares = tl.zeros((side,), tl.float32), tl.zeros((side,), tl.float32)
    for start in range(part * share, part * share + share, at_once):
        position = start + tl.arange(0, at_once)
        inside = (position < positions)[:, None]
        place = offsets(image, position, query, width, image_stride, channel_stride, row_stride, column_stride)
        q = tl.load(pairs + place, inside & (row < channels)[None, :], other=0).to(tl.float32)
        place = offsets(image, position, key, width, image_stride, channel_stride, row_stride, column_stride)
        k = tl.load(pairs + place, inside & (column < channels)[None, :], other=0).to(tl.float32)
        # Float32 loses nothing of half precision in TF32, and triton's interpreter takes no product of bfloat16.
        product = tl.dot(tl.trans(q), k, product, allow_tf32=tensor_cores)
        query_squares += tl.sum(q * q, axis=0)
        key_squares += tl.sum(k * k, axis=0)
    first = (part * tl.num_programs(2) + group).to(tl.int64) * channels
    inside = (row < channels)[:, None] & (column < channels)[None, :]
    tl.store(products + (first + row)[:, None] * channels + column[None, :], product, inside)
    if columns == 0:
        tl.store(of_queries + first + row, query_squares, row < channels)
    if rows == 0:
        tl.store(of_keys + first + column, key_squares, column < channels)


def position_sums(pairs: Tensor, *, heads: int, count: int = 1) -> Sums:
    """What the logits need of an image, in float32: see :func:`.channel_mix.position_sums`.

    Products of float32 run as TF32 where torch.set_float32_matmul_precision lets torch's own.

    Raises:
        RuntimeError, TypeError: see :func:`.requirements.check`.
    """
    check(pairs)
    batch, _, height, width = pairs.shape
    positions, channels, groups = height * width, pairs.shape[1] // (2 * count * heads), count * heads
    side = min(max(triton.next_power_of_2(channels), 16), SIDE)
    parts = triton.cdiv(positions, SHARE)
    sums = [
        torch.empty(parts, batch * groups, *shape, device=pairs.device)
        for shape in ((channels, channels), (channels,), (channels,))
    ]
    tensor_cores = pairs.dtype != torch.float32 or torch.get_float32_matmul_precision() != 'highest'
    with torch.cuda.device_of(pairs):  # triton launches on the current one
        _kernel[triton.cdiv(channels, side) ** 2, parts, batch * groups](
            pairs, *sums, channels, heads, groups, width, positions, min(SHARE, positions), *pairs.stride(),
            at_once=AT_ONCE, side=side, tensor_cores=tensor_cores,
        )  # fmt: skip
    products, queries, keys = (
        rearrange(each.sum(0), '(b pair head) ... -> b pair head ...', pair=count, head=heads) for each in sums
    )
    return products, queries, keys
