"""Pictures and videos: damaged, of odd kinds, under names that are no text."""

import os
import random
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.hostile_case import Case, Sandbox, hostile_text

SUFFIXES = ('.png', '.jpg', '.webp', '.bmp', '.tif', '.mp4', '.avi', '.mkv', '.PNG')


def picture_case(sandbox: Sandbox, rng: random.Random) -> Case:
    """A folder for `deblur`, or a dataset of files for `test`."""
    folder = Path('pictures')
    folder.mkdir()
    told = [_picture(folder, rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.25:
        opt = sandbox.test_options()
        data = {'dataroot_lq': 'pictures', 'dataroot_gt': 'pictures', 'io_backend': {'type': 'disk'}}
        opt['datasets']['test'].update(data)
        sandbox.write_options(opt)
        return Case(['test', '-opt', 'opt.yml'], ('test', told))
    flags = rng.choice(([], ['--page', 'page'], ['--format', 'png'], ['--tile', '70'], ['--format', 'jpg']))
    return Case(['deblur', 'pictures', '-o', 'out', '--weights', 'sound.pth', *flags], ('deblur', flags, told))


def _picture(folder: Path, rng: random.Random) -> tuple[str, str]:
    suffix = rng.choice(SUFFIXES)
    stem = os.fsencode(hostile_text(rng).replace('/', '_').replace('\x00', '')[:40])[:200]
    if rng.random() < 0.3:
        stem = bytes(rng.choice(range(128, 256)) for _ in range(3))
    path = folder / os.fsdecode(stem + suffix.encode())
    kind = rng.choice(('sound', 'cut', 'bytes', 'empty', 'tiny', 'deep', 'grey', 'other', 'folder'))
    if kind == 'folder':
        path.mkdir(exist_ok=True)
        return kind, path.name
    content = bytearray() if kind == 'empty' else bytearray(_content(suffix, kind, rng))
    if kind == 'cut':
        content = content[: rng.randrange(len(content))]
    elif kind == 'bytes':
        for _ in range(rng.choice((1, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
    if not path.is_dir():
        path.write_bytes(bytes(content))
    return kind, path.name


def _content(suffix: str, kind: str, rng: random.Random) -> bytes:
    height, width = (1, 1) if kind == 'tiny' else (rng.randint(8, 40), rng.randint(8, 40))
    values = np.random.default_rng(rng.randrange(1000)).integers(0, 256, (height, width, 3), np.uint8)
    if kind == 'deep':
        values = values.astype(np.uint16) * 257
    if kind == 'grey':
        values = values[..., 0]
    if kind == 'other':
        suffix = rng.choice(('.png', '.jpg'))
    made = Path(f'made{suffix.lower()}')
    if suffix.lower() in ('.mp4', '.avi', '.mkv'):
        if values.ndim == 2 or values.dtype != np.uint8:
            values = np.zeros((16, 16, 3), np.uint8)
        frame = np.ascontiguousarray(np.resize(values, (16, 16, 3)))
        code = 'MJPG' if suffix == '.avi' else 'mp4v'
        writer = cv2.VideoWriter(str(made), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 5, (16, 16))
        for _ in range(2):
            writer.write(frame)
        writer.release()
    elif kind == 'grey' and rng.random() < 0.5:
        Image.fromarray(values).convert(rng.choice(('P', '1', 'L'))).save(made)
    else:
        cv2.imwrite(str(made), values if suffix.lower() in ('.png', '.tif') else values.astype(np.uint8))
    return made.read_bytes()
