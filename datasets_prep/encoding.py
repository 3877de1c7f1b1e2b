"""From one pair of pictures to the entries that LMDB stores: what a worker process does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from datasets_prep.archives import ArchivePath
from datasets_prep.crops import Crop
from datasets_prep.images import encode, load
from datasets_prep.pairs import Pair


@dataclass(frozen=True)
class Encoded:
    """What becomes of one pair.

    Attributes:
        entries: (key, blurred PNG, sharp PNG); none where there are problems.
        fitting: the largest crop that fits, where the pictures are too small for the one that is asked for.
    """

    entries: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    fitting: int | None = None


def encode_pair(pair: Pair, *, crop: Crop | None) -> Encoded:
    """Reads both pictures once, checks them against each other, crops and encodes."""
    loaded, problems = [], []
    for side, source in (('blurred', pair.lq), ('sharp', pair.gt)):
        try:
            loaded.append(load(source))
        except ValueError as error:
            name = source if isinstance(source, (Path, ArchivePath)) else f"the {side} picture of key '{pair.key}'"
            problems.append(f'{name}: {error}')
    if problems:
        return Encoded(problems=problems)

    (lq, lq_png), (gt, gt_png) = loaded
    name = f'{pair.lq} and {pair.gt}' if isinstance(pair.lq, (Path, ArchivePath)) else f"key '{pair.key}'"
    if lq.shape != gt.shape:
        sizes = ' but the sharp one '.join(f'{height}x{width}' for height, width, _ in (lq.shape, gt.shape))
        return Encoded(problems=[f'{name}: the blurred picture is {sizes} (height x width)'])
    if crop is None:
        return Encoded([(pair.key, lq_png or encode(lq), gt_png or encode(gt))])
    try:
        windows = crop.chosen(gt)
    except ValueError as error:
        return Encoded(problems=[f'{name}: {error}'], fitting=min(lq.shape[:2]))
    entries = []
    for index, (row, column) in enumerate(windows):
        here = slice(row, row + crop.size), slice(column, column + crop.size)
        entries.append((crop.key(pair.key, index), encode(lq[here]), encode(gt[here])))
    return Encoded(entries)
