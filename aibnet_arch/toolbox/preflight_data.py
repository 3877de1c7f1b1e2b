"""Checks of the datasets that options name: there, paired, decodable, large enough."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Optional

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


def check_dataset(phase: str, dataset: Mapping, *, scale: int, decode: str = 'sample') -> Iterator[str]:
    """What is wrong with the data of ``datasets.<phase>``, a message each.

    LMDB pairs are read; of other backends it is checked that the folders exist.

    Args:
        phase: 'train', 'val', 'test_1' and so on.
        dataset: its options.
        scale: size of gt over size of lq.
        decode: 'none', 'sample' or 'all'.
    """
    place = f'datasets.{phase}'
    roots = {key: dataset.get(key) for key in ('dataroot_lq', 'dataroot_gt') if dataset.get(key)}
    backend = (dataset.get('io_backend') or {}).get('type')
    missing = [key for key, root in roots.items() if not Path(root).expanduser().exists()]
    for key in missing:
        yield f'{place}.{key}: there is no {roots[key]}.{_how_to_make(roots[key])}'
    if backend != 'lmdb' or missing or len(roots) < 2:
        return
    keys = {}
    for key, root in roots.items():
        folder = Path(root).expanduser()
        wrong = _check_lmdb_folder(folder)
        if wrong:
            yield f'{place}.{key}: {wrong}'
            continue
        try:
            keys[key] = _listed_sizes(folder)
        except ValueError as error:
            yield f'{place}.{key}: {folder / "meta_info.txt"} is damaged ({error}): make the set again'
    if len(keys) == 2:
        yield from _check_pair(place, dataset, roots, keys, scale=scale, decode=decode)


def _how_to_make(root: str) -> str:
    for part in reversed(Path(root).parts):
        if part in PREPARATION:
            command, archive = PREPARATION[part]
            return f' Make it with `{command}`' + (f' from the archive of {archive}' if archive else '')
    return ''


def _check_lmdb_folder(folder: Path) -> Optional[str]:
    if folder.suffix != '.lmdb':
        return f'{folder} must end in .lmdb (io_backend.type: lmdb)'
    absent = [name for name in ('data.mdb', 'meta_info.txt') if not (folder / name).is_file()]
    return f'{folder} has no {" and no ".join(absent)}: make it again' if absent else None


def _listed_sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Key to (height, width) from meta_info.txt, with BasicSR's reading of it: the key ends at the first dot.

    Raises:
        ValueError: a line is not of the form ``key.png (720,1280,3) 1``.
    """
    sizes = {}
    for number, line in enumerate((folder / 'meta_info.txt').read_text().splitlines(), start=1):
        found = re.fullmatch(r'([^.\s]+)\.\S+ \((\d+),(\d+),\d+\) \d+\s*', line)
        if not found:
            raise ValueError(f'line {number}: {line[:60]!r}')
        sizes[found[1]] = int(found[2]), int(found[3])
    return sizes


def _check_pair(
    place: str, dataset: Mapping, roots: Mapping, keys: Mapping, *, scale: int, decode: str
) -> Iterator[str]:
    lq, gt = keys['dataroot_lq'], keys['dataroot_gt']
    if not gt:
        yield f'{place}.dataroot_gt: {roots["dataroot_gt"]} lists no pictures'
        return
    for here, there, key in ((lq, gt, 'dataroot_lq'), (gt, lq, 'dataroot_gt')):
        alone = sorted(here.keys() - there.keys())
        if alone:
            yield f'{place}: {len(alone)} keys of {roots[key]} have no partner: {_some(alone)}'
    both = sorted(lq.keys() & gt.keys())
    unequal = [key for key in both if gt[key] != tuple(scale * n for n in lq[key])]
    if unequal:
        examples = [f'{key} (lq {lq[key]}, gt {gt[key]})' for key in unequal]
        yield f'{place}: {len(unequal)} pairs differ in size (scale {scale}): {_some(examples)}'
    gt_size = dataset.get('gt_size')
    if gt_size and place == 'datasets.train':
        small = [f'{key} {gt[key]}' for key in both if min(gt[key]) < gt_size]
        if small:
            yield f'{place}.gt_size: {gt_size}, but {len(small)} pictures are smaller: {_some(small)}'
    if decode != 'none' and both:
        step = 1 if decode == 'all' else max(1, len(both) // SAMPLES)
        for key, sizes in (('dataroot_lq', lq), ('dataroot_gt', gt)):
            wrong = _undecodable(Path(roots[key]).expanduser(), both[::step], sizes)
            if wrong:
                yield f'{place}.{key}: in {roots[key]} {len(wrong)} pictures are damaged: {_some(wrong)}'


def _undecodable(folder: Path, keys: list[str], sizes: Mapping[str, tuple[int, int]]) -> list[str]:
    import cv2
    import lmdb
    import numpy as np

    wrong = []
    # Closed again: LMDB refuses to open a folder twice in one process, and BasicSR opens it later.
    try:
        opened = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        return [f'all of them ({error})']
    with opened as env, env.begin() as transaction:
        for key in keys:
            value = transaction.get(key.encode())
            if value is None:
                wrong.append(f'{key} (listed in meta_info.txt, but not stored)')
                continue
            picture = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                wrong.append(f'{key} (does not decode)')
            elif picture.shape[:2] != sizes[key]:
                wrong.append(f'{key} ({picture.shape[:2]}, but {sizes[key]} in meta_info.txt)')
    return wrong


def _some(names: list[str]) -> str:
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more
