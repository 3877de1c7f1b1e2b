"""Small archives that mimic the published trees, and readers for what is prepared from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import lmdb
import numpy as np

HEIGHT, WIDTH = 48, 64


def picture(seed: int, *, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A uint8 (H, W, 3) picture of noise, another one for each seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)
    return array


def save_pair(lq: Path, gt: Path, *, seed: int, **size: int) -> tuple[np.ndarray, np.ndarray]:
    return save(lq, picture(2 * seed, **size)), save(gt, picture(2 * seed + 1, **size))


def gopro_tree(root: Path, *, train: int = 3, test: int = 4, scenes: int = 2, **size: int) -> dict:
    """GOPRO_Large: base names repeat across scenes, and text files lie about. Returns {part: {key: (lq, gt)}}."""
    content: dict[str, dict] = {'train': {}, 'test': {}}
    seed = 0
    for part, count in (('train', train), ('test', test)):
        for scene_number in range(scenes):
            scene = f'GOPR03{72 + scene_number}_07_0{scene_number}'
            for frame in range(47, 47 + count):
                folder = root / part / scene
                name = f'{frame:06d}.png'
                seed += 1
                pair = save_pair(folder / 'blur' / name, folder / 'sharp' / name, seed=seed, **size)
                save(folder / 'blur_gamma' / name, picture(10_000 + seed, **size))
                content[part][f'{scene}-{frame:06d}'] = pair
            (folder / 'frames 11 offset 0.txt').write_text('11 0')
            (folder / 'blur' / 'notes.txt').write_text('not a picture')
            (folder / 'blur' / '._000047.png').write_bytes(b'left by a file manager')
    return content


def hide_tree(root: Path, *, count: int = 3) -> dict:
    """HIDE_dataset: dots in the names, a flat GT folder that serves the training pictures, too."""
    content = {}
    for group_number, group in enumerate(('test-close-ups', 'test-long-shot')):
        for number in range(count):
            stem = f'{number + 10 * group_number}fromGOPR1096.MP4'
            seed = 100 + number + 10 * group_number
            pair = save_pair(root / 'test' / group / f'{stem}.png', root / 'GT' / f'{stem}.png', seed=seed)
            content[stem.replace('.', '_')] = pair
    save_pair(root / 'train' / '99fromGOPR0950.png', root / 'GT' / '99fromGOPR0950.png', seed=199)
    (root / 'readme.txt').write_text('HIDE')
    return content


def realblur_tree(root: Path, *, subset: str = 'J', train: int = 2, test: int = 2, newline: str = '\n') -> dict:
    """RealBlur: sizes vary; list lines end in a space, the last one without a newline."""
    top = {'J': 'RealBlur-J_ECC_IMCORR_centroid_itensity_ref', 'R': 'RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref'}
    content: dict[str, dict] = {'train': {}, 'test': {}}
    for part, count, first in (('train', train, 1), ('test', test, 230)):
        lines = []
        for scene in (f'scene{first:03d}', f'scene{first + 1:03d}'):
            for number in range(1, count + 1):
                gt, lq = (f'{top[subset]}/{scene}/{kind}/{kind}_{number}.png' for kind in ('gt', 'blur'))
                seed = 200 + 10 * len(lines) + first
                content[part][f'{scene}_{number}'] = save_pair(root / lq, root / gt, seed=seed, height=40 + number)
                lines.append(f'{gt} {lq} ')
        (root / f'RealBlur_{subset}_{part}_list.txt').write_bytes(newline.join(lines).encode())
    save_pair(root / top[subset] / 'scene001/blur/blur_77.png', root / top[subset] / 'scene001/gt/gt_77.png', seed=999)
    return content


def read_lmdb(path: Path) -> dict[str, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return {key.decode('ascii'): bytes(value) for key, value in transaction.cursor()}


def decode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def assert_holds(lq: Path, gt: Path, content: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Both LMDB folders hold exactly these pictures, each beside its own partner, and list them as BasicSR does."""
    for side, path in enumerate((lq, gt)):
        stored = read_lmdb(path)
        assert sorted(stored) == sorted(content)
        for key, pair in content.items():
            np.testing.assert_array_equal(decode(stored[key]), pair[side])
        shapes = {key: ','.join(map(str, pair[side].shape)) for key, pair in content.items()}
        expected = [f'{key}.png ({shapes[key]}) 1' for key in sorted(content)]
        assert (path / 'meta_info.txt').read_text() == '\n'.join(expected) + '\n'
        assert {entry.name for entry in path.iterdir()} == {'data.mdb', 'lock.mdb', 'meta_info.txt', 'prepared.json'}


def crops_of(content: dict, *, size: int, starts: Iterable[tuple[int, int]]) -> dict:
    """What `content` becomes when windows at `starts` (row, column) are cut."""
    starts = list(starts)
    return {
        f'{key}_s{number:03d}': tuple(side[row : row + size, column : column + size] for side in pair)
        for key, pair in content.items()
        for number, (row, column) in enumerate(starts, start=1)
    }


def centre(content, *, size):
    row, column = (48 - size) // 2, (64 - size) // 2
    return {key: tuple(a[row : row + size, column : column + size] for a in pair) for key, pair in content.items()}


def snapshot(*paths: Path) -> list[tuple[dict[str, bytes], str]]:
    """Entries and list of LMDB folders, to compare."""
    return [(read_lmdb(path), (path / 'meta_info.txt').read_text()) for path in paths]


def rsblur_tree(root: Path, *, lists: Path, count: int = 2, **size: int) -> dict:
    """RSBlur: the lists alone tell the parts, which are mixed within the scenes; pictures that no list names."""
    content: dict[str, dict] = {'train': {}, 'val': {}, 'test': {}}
    seed = 300
    for part_number, part in enumerate(content):
        lines = []
        for scene in ('0001', '0019'):
            for number in range(count):
                shot = f'{22 + 10 * part_number + number:06d}'
                folder = root / 'RSBlur' / scene / shot
                seed += 1
                content[part][f'{scene}_{shot}'] = save_pair(
                    folder / 'real_blur/real_blur.png', folder / 'gt/gt_sharp.png', seed=seed, **size
                )
                save(folder / 'avg65_img/avg_blur.png', picture(20_000 + seed))
                save(folder / 'avg65_mask_100/avg_blur.png', np.zeros((HEIGHT, WIDTH, 3), np.uint8))
                lines.append(f'RSBlur/{scene}/{shot}/gt/gt_sharp.png RSBlur/{scene}/{shot}/real_blur/real_blur.png\n')
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f'RSBlur_real_{part}.txt').write_text(''.join(lines))
    folder = root / 'RSBlur/0001/009999'
    save_pair(folder / 'real_blur/real_blur.png', folder / 'gt/gt_sharp.png', seed=399)
    return content


def reloblur_tree(root: Path, *, masks: Path | None = None, count: int = 2) -> tuple[dict, dict]:
    """ReLoBlur: the test scenes lie deeper than README shows. Returns {part: {key: (lq, gt)}} and {key: mask}."""
    content: dict[str, dict] = {'train': {}, 'test': {}}
    truth = {}
    for part, scene in (('train', 's01/00'), ('train', 's02/00'), ('test', 'scene1/00')):
        for number in range(count):
            key = f'{scene.replace("/", "-")}-{number:02d}'
            folder = root / 'dataset' / part / scene
            seed = 400 + len(truth)
            content[part][key] = save_pair(
                folder / f'{number:02d}_blur.png', folder / f'{number:02d}_sharp.png', seed=seed
            )
            truth[key] = np.zeros((HEIGHT, WIDTH), bool)
            truth[key][10 : 20 + number, 5:40] = True
            if masks is not None:
                # Some are grey, some colour, and blurred is what is above 0.
                mask = np.where(truth[key], 255 if number else 1, 0).astype(np.uint8)
                save(masks / 'masks' / part / scene / f'{number:02d}.png', np.dstack([mask] * 3) if number else mask)
    return content, truth


def reds_tree(root: Path, *, variant: str = 'blur', clips: int = 2, frames: int = 20, suffix: str = '.png') -> dict:
    """REDS: equal names of frames in all clips; of val every tenth frame counts."""
    content: dict[str, dict] = {'train': {}, 'val': {}}
    for part in content:
        for clip in range(clips):
            for frame in range(frames):
                name, seed = f'{clip:03d}/{frame:08d}', 500 + 100 * clip + frame + 1000 * (part == 'val')
                lq = save(root / part / f'{part}_{variant}' / f'{name}{suffix}', picture(2 * seed, height=16, width=20))
                gt = save(root / part / f'{part}_sharp' / f'{name}.png', picture(2 * seed + 1, height=16, width=20))
                if part == 'train' or frame % 10 == 9:
                    content[part][name.replace('/', '_')] = lq, gt
    return content


def bsd_tree(root: Path, *, exposure: str = '2ms16ms', frames: int = 3) -> dict:
    """BSD: 16-bit frames of RAW beside those of RGB, clips with equal names in all parts."""
    content: dict[str, dict] = {'train': {}, 'val': {}, 'test': {}}
    for number, (part, folder) in enumerate((('train', 'train'), ('val', 'valid'), ('test', 'test'))):
        for clip in ('000', '117'):
            for frame in range(frames):
                place = root / f'BSD_{exposure}' / folder / clip
                name = f'{frame:08d}'
                seed = 900 + 100 * number + 10 * int(clip[0] + clip[2]) + frame
                content[part][f'{clip}_{name}'] = save_pair(
                    place / f'Blur/RGB/{name}.png', place / f'Sharp/RGB/{name}.png', seed=seed
                )
                save(place / f'Blur/RAW/{name}.tiff', np.zeros((8, 8), np.uint16))
    return content
