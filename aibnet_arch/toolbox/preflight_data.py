"""Checks of the datasets that options name: there, paired, decodable, large enough."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Optional

from .picture_stores import READERS

# How to make what a dataroot names, by a part of its path.
PREPARATION = {
    'GoPro': (
        'python -m datasets_prep.gopro --input GOPRO_Large --output datasets/GoPro',
        'https://seungjunnah.github.io/Datasets/gopro',
    ),
    'HIDE': (
        'python -m datasets_prep.hide --input HIDE_dataset --output datasets/HIDE',
        'https://github.com/joanshen0508/HA_deblur',
    ),
    'RealBlur-J': (
        'python -m datasets_prep.realblur --subset J --input RealBlur --output datasets/RealBlur-J',
        'https://cg.postech.ac.kr/research/realblur/',
    ),
    'RealBlur-R': (
        'python -m datasets_prep.realblur --subset R --input RealBlur --output datasets/RealBlur-R',
        'https://cg.postech.ac.kr/research/realblur/',
    ),
    'mine': ('python -m datasets_prep.folder_pair --lq BLURRED --gt SHARP --output datasets/mine/train', None),
    'demo': ('python -m datasets_prep.demo', None),
}
SAMPLES = 5  # pictures that are decoded unless all are asked for
SHOWN = 10


def check_dataset(
    phase: str, dataset: Mapping, *, scale: int, batch: Optional[int] = None, decode: str = 'sample'
) -> Iterator[str]:
    """What is wrong with the data of ``datasets.<phase>``, a message each.

    Pairs in LMDBs and in folders are read; of other backends it is checked that what they name exists.

    Args:
        phase: 'train', 'val', 'test_1' and so on.
        dataset: its options.
        scale: size of gt over size of lq.
        batch: images of an iteration over all processes, for training.
        decode: 'none', 'sample' or 'all'.
    """
    place = f'datasets.{phase}'
    roots = {key: dataset[key] for key in ('dataroot_lq', 'dataroot_gt') if dataset.get(key)}
    backend = (dataset.get('io_backend') or {}).get('type')
    missing = [key for key, root in roots.items() if not Path(root).expanduser().exists()]
    for key in missing:
        yield f'{place}.{key}: there is no {roots[key]}.{_how_to_make(roots[key])}'
    if backend not in READERS or missing or len(roots) < 2:
        return
    folders = {key: Path(root).expanduser() for key, root in roots.items()}
    stores = {}
    for key, folder in folders.items():
        try:
            stores[key] = READERS[backend](folder)
        except ValueError as error:
            yield f'{place}.{key}: {error}'
    if len(stores) == 2:
        yield from _check_pair(place, dataset, stores, scale=scale, batch=batch, decode=decode)


def _how_to_make(root: str) -> str:
    for part in reversed(Path(root).parts):
        if part in PREPARATION:
            command, archive = PREPARATION[part]
            return f' Make it with `{command}`' + (f' from the archive of {archive}' if archive else '')
    return ''


def _check_pair(
    place: str, dataset: Mapping, stores: Mapping, *, scale: int, batch: Optional[int], decode: str
) -> Iterator[str]:
    lq, gt = stores['dataroot_lq'], stores['dataroot_gt']
    if not len(gt):
        yield f'{place}.dataroot_gt: {gt.folder} holds no pictures'
        return
    for here, there in ((lq, gt), (gt, lq)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            yield f'{place}: {len(alone)} keys of {here.folder} have no partner: {_some(alone)}'
    both = sorted(lq.keys() & gt.keys())
    chosen = both if decode == 'all' else both[:: max(1, len(both) // SAMPLES)] if decode == 'sample' else []
    for store, key in ((lq, 'dataroot_lq'), (gt, 'dataroot_gt')):
        wrong = store.damaged(chosen)
        if wrong:
            yield f'{place}.{key}: in {store.folder} {len(wrong)} pictures are damaged: {_some(wrong)}'
    # Of an LMDB all sizes are known, of a folder those of the pictures that were decoded.
    sizes = {key: (lq.sizes[key], gt.sizes[key]) for key in both if key in lq.sizes and key in gt.sizes}
    unequal = [key for key, (small, large) in sizes.items() if large != tuple(scale * n for n in small)]
    if unequal:
        examples = [f'{key} (lq {sizes[key][0]}, gt {sizes[key][1]})' for key in unequal]
        yield f'{place}: {len(unequal)} pairs differ in size (scale {scale}): {_some(examples)}'
    if place != 'datasets.train':
        return
    gt_size = dataset.get('gt_size')
    small = [f'{key} {large}' for key, (_, large) in sizes.items() if gt_size and min(large) < gt_size]
    if small:
        yield f'{place}.gt_size: {gt_size}, but {len(small)} pictures are smaller: {_some(small)}'
    ratio = dataset.get('dataset_enlarge_ratio') or 1
    if batch and len(gt) * ratio < batch:
        yield (
            f'{place}.batch_size_per_gpu: an iteration takes {batch} images, but {len(gt)} pictures'
            f'{f" (enlarged {ratio} times)" if ratio != 1 else ""} make less than one batch: lower it, or set '
            f'dataset_enlarge_ratio to {math.ceil(batch / len(gt))} or more'
        )


def _some(names: list[str]) -> str:
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more
