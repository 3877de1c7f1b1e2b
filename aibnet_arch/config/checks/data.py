"""Checks of the datasets that options name: there, paired, decodable, large enough."""

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional

from ...data.order import seeded
from ...messages import printable, some
from ..problems import Problem, Report, problem
from .picture_stores import open_pair

# How to make what a dataroot names, by a part of its path: script and flags, and where the archive is published.
_ARCHIVES = {
    'GoPro': ('gopro --input GOPRO_Large', 'https://seungjunnah.github.io/Datasets/gopro'),
    'HIDE': ('hide --input HIDE_dataset', 'https://github.com/joanshen0508/HA_deblur'),
    'RealBlur-J': ('realblur --subset J --input RealBlur', 'https://cg.postech.ac.kr/research/realblur/'),
    'RealBlur-R': ('realblur --subset R --input RealBlur', 'https://cg.postech.ac.kr/research/realblur/'),
    'RSBlur': ('rsblur --input RSBlur --lists datalist/RSBlur', 'https://github.com/rimchang/RSBlur'),
    'ReLoBlur': ('reloblur --input ReLoBlur', 'https://github.com/LeiaLi/ReLoBlur'),
    'REDS': ('reds --input REDS', 'https://seungjunnah.github.io/Datasets/reds'),
    'BSD-3ms24ms': ('bsd --exposure 3ms24ms --input BSD', 'https://github.com/zzh-tech/ESTRNN'),
}
PREPARATION: dict[str, tuple[str, Optional[str]]] = {
    **{
        name: (f'python -m datasets_prep.{script} --output datasets/{name}', archive)
        for name, (script, archive) in _ARCHIVES.items()
    },
    'mine': ('python -m datasets_prep.folder_pair --lq BLURRED --gt SHARP --output datasets/mine/train', None),
    'demo': ('python -m datasets_prep.demo', None),
}
SAMPLES = 5  # pictures that are decoded unless all are asked for
KEYS_OF_PAIRS = ('dataroot_lq', 'dataroot_gt', 'io_backend', 'filename_tmpl', 'meta_info_file')
LONGEST_EPOCH = 1e8  # samples


def check_dataset(
    phase: str,
    dataset: Mapping[str, Any],
    cls: Optional[type],
    report: Report,
    opt: Mapping[str, Any],
    *,
    batch: Optional[tuple[int, int]] = None,
    border: int = 0,
    decode: str = 'sample',
) -> Iterator[Problem]:
    """What is wrong with the data of ``datasets.<phase>``.

    Of BasicSR's pairs, in LMDBs and in folders, keys, pictures and sizes are compared. Every dataset is made as the
    run would make it, and asked for its first sample.

    Args:
        phase: 'train', 'val', 'test_1' and so on.
        dataset: its options without what is wrong by itself.
        cls: its class; None if it is not registered.
        opt: all options; `scale` is the size of gt over the size of lq.
        batch: processes of the run, and images of an iteration of each of them; for training.
        border: what metrics cut from each side of a picture of gt.
        decode: 'none', 'sample' or 'all'.
    """
    place, scale = f'datasets.{phase}', opt.get('scale') or 1
    roots = {key: root for key, root in dataset.items() if key.startswith('dataroot_') and isinstance(root, str)}
    absent = [key for key, root in roots.items() if not os.path.exists(os.path.expanduser(root))]
    for key in absent:
        yield problem(f'{place}.{key}', f'there is no {printable(roots[key])}.', _how_to_make(roots[key]))
    if absent or cls is None:
        return
    stores: dict = {}
    if is_pairs(cls) and report.is_sound('scale', *(f'{place}.{key}' for key in KEYS_OF_PAIRS)):
        stores, found = open_pair(dataset)
        problems = [problem(f'{place}.{key}', text) for key, text in found]
        if not problems:
            problems = list(_check_pair(place, dataset, stores, scale=scale, border=border, decode=decode))
        yield from problems
        if problems:
            return
    if not report.is_sound('scale', place):
        return
    text: Optional[str] = None
    count = len(stores['dataroot_gt']) if stores else None
    if count != 0:
        count, text = _tried(dataset, cls, phase=phase, scale=scale, with_sample=decode != 'none')
    if text:
        yield problem(place, text)
    elif not count:
        root = roots.get('dataroot_gt') or next(iter(roots.values()), cls.__name__)
        yield problem(place, f'{printable(root)} holds no pictures')
    elif batch:
        yield from _check_batch(place, dataset, count, batch)


def is_pairs(cls: type) -> bool:
    """Whether a dataset finds its pictures as BasicSR's PairedImageDataset does."""
    from basicsr.data.paired_image_dataset import PairedImageDataset

    return getattr(cls, '__init__', None) is PairedImageDataset.__init__


def _tried(dataset: Mapping, cls: type, *, phase: str, scale: int, with_sample: bool) -> tuple[int, Optional[str]]:
    """Samples of a dataset, or why there is none, or why the first of them cannot be loaded."""
    options = {**deepcopy(dict(dataset)), 'phase': phase.split('_')[0], 'scale': scale}
    if 'cache_data' in options:
        options['cache_data'] = False  # BasicSR's video datasets would read all pictures
    for key, value in options.items():
        if key.startswith('dataroot_') and isinstance(value, str):
            options[key] = os.path.expanduser(value)
    made = None
    try:
        with no_log(), seeded(0):
            made = cls(options)
            count = len(made)
            if count and with_sample:
                made[0]
            return count, None
    except Exception as error:  # whatever somebody's dataset raises: it is told, not hidden
        what = 'cannot load its first sample' if made is not None else 'cannot be made'
        return 0, f'{cls.__name__} {what} with these options: {type(error).__name__}: {error}'


def check_together(datasets: Mapping[str, Mapping]) -> Iterator[Problem]:
    """What is wrong with datasets only since there are others: names and LMDBs that two of them have."""
    names: dict[str, str] = {}
    opened: dict[str, str] = {}
    for phase, dataset in datasets.items():
        name, backend = dataset.get('name'), dataset.get('io_backend')
        if phase != 'train' and isinstance(name, str) and names.setdefault(name, phase) != phase:
            text = f'{name!r} is that of datasets.{names[name]}, too: their figures would mix'
            yield problem(f'datasets.{phase}.name', text, spoils=())
        in_workers = phase == 'train' and dataset.get('num_worker_per_gpu')
        if in_workers or not isinstance(backend, Mapping) or backend.get('type') != 'lmdb':
            continue
        for key, root in dataset.items():
            if key.startswith('dataroot_') and isinstance(root, str) and os.path.exists(os.path.expanduser(root)):
                place = f'datasets.{phase}.{key}'
                first = opened.setdefault(os.path.realpath(os.path.expanduser(root)), place)
                if first != place:
                    hint = ', or set datasets.train.num_worker_per_gpu: 1' if 'datasets.train' in first else ''
                    told = f'{printable(root)} is read by {first}, too, and one process cannot open it twice'
                    yield problem(place, told, f': copy it{hint}', spoils=())


@contextmanager
def no_log() -> Iterator[None]:
    """BasicSR opens its log once in a process; who asks for it too early leaves it without a file for good."""
    from basicsr.utils.logger import initialized_logger

    logger = logging.getLogger('basicsr')
    opened, handlers, level = dict(initialized_logger), list(logger.handlers), logger.level
    try:
        yield
    finally:
        initialized_logger.clear()
        initialized_logger.update(opened)
        logger.handlers[:] = handlers
        logger.setLevel(level)


def _how_to_make(root: str) -> str:
    for part in reversed(Path(root).parts):
        if part in PREPARATION:
            command, archive = PREPARATION[part]
            return f' Make it with `{command}`' + (f' from the archive of {archive}' if archive else '')
    return ''


def _check_pair(
    place: str, dataset: Mapping, stores: Mapping, *, scale: int, border: int, decode: str
) -> Iterator[Problem]:
    lq, gt = stores['dataroot_lq'], stores['dataroot_gt']
    if not len(gt):
        return  # told by the caller
    for here, there in ((lq, gt), (gt, lq)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            yield problem(place, f'{len(alone)} keys of {here.folder} have no partner: {some(alone)}')
    both = sorted(lq.keys() & gt.keys())
    chosen = both if decode == 'all' else both[:: max(1, len(both) // SAMPLES)] if decode == 'sample' else []
    for store, key in ((lq, 'dataroot_lq'), (gt, 'dataroot_gt')):
        wrong = store.damaged(chosen)
        if wrong:
            yield problem(
                f'{place}.{key}', f'in {printable(store.folder)} {len(wrong)} pictures are damaged: {some(wrong)}'
            )
    # Of an LMDB all sizes are known, of a folder those of the pictures that were decoded.
    sizes = {key: (lq.sizes[key], gt.sizes[key]) for key in both if key in lq.sizes and key in gt.sizes}
    # BasicSR cuts what is left over from the right and the bottom of gt, except in training.
    left_over = 0 if place == 'datasets.train' else scale - 1
    unequal = [
        key
        for key, (small, large) in sizes.items()
        if not all(scale * n <= m <= scale * n + left_over for n, m in zip(small, large))
    ]
    if unequal:
        examples = [f'{key} (lq {sizes[key][0]}, gt {sizes[key][1]})' for key in unequal]
        yield problem(place, f'{len(unequal)} pairs differ in size (scale {scale}): {some(examples)}')
    if place != 'datasets.train':
        small = [f'{key} {large}' for key, (_, large) in sizes.items() if min(large) <= 2 * border]
        if small:
            yield problem(place, f'the crop_border of val.metrics, {border}, leaves nothing of {some(small)}')
        return
    gt_size = dataset.get('gt_size')
    small = [f'{key} {large}' for key, (_, large) in sizes.items() if gt_size and min(large) < gt_size]
    if small:
        yield problem(f'{place}.gt_size', f'{gt_size}, but {len(small)} pictures are smaller: {some(small)}')
    if gt_size and gt_size % scale:
        yield problem(f'{place}.gt_size', f'{gt_size} is no multiple of scale ({scale})')


def _check_batch(place: str, dataset: Mapping, count: int, batch: tuple[int, int]) -> Iterator[Problem]:
    processes, images = batch
    fixed, ratio = dataset.get('fixed_crops'), dataset.get('dataset_enlarge_ratio') or 1
    if fixed:
        if not processes * images <= fixed <= LONGEST_EPOCH:
            text = f'{fixed}: expected from {processes * images} (the images of an iteration) to {LONGEST_EPOCH:.0g}'
            yield problem(f'{place}.fixed_crops', text)
    elif count * ratio > LONGEST_EPOCH:
        yield problem(
            f'{place}.dataset_enlarge_ratio',
            f'{ratio} makes {count} pictures an epoch of {count * ratio:.3g} samples, more than {LONGEST_EPOCH:.0g}: '
            'their order would not fit in memory',
        )
    elif math.ceil(count * ratio / processes) < images:  # as the sampler deals them out
        enlarged = f' (enlarged {ratio} times)' if ratio != 1 else ''
        yield problem(
            f'{place}.batch_size_per_gpu',
            f'an iteration takes {processes * images} images, but {count} pictures{enlarged} make less than one batch',
            f': lower it, or set dataset_enlarge_ratio to {math.ceil(processes * images / count)} or more',
        )
