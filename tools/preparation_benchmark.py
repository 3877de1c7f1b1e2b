"""Times this preparation against BasicSR's two steps, from pictures on the disk to cropped LMDB folders.

Both make the same entries from the same GoPro-like pairs (1280x720, scikit-image's photographs resampled, with blur
and noise), on the same cores, in turns, each run in a process of its own:

  here      datasets_prep: read once, crop, encode (PNG level 1), store; read back and checked
  BasicSR   crops as PNG files (level 3, one pool of processes a folder, as its extract_subimages script does), then
            its own make_lmdb_from_imgs on both folders (PNG level 1; with its defaults one process, or with
            --multiprocessing-read as many as there are workers)

Times are wall clock from starting the process to its end. Memory is the greatest sum of the resident sizes of the
process and its children, sampled every 50 ms; shared libraries count once a process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Pool, get_context, set_start_method
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import psutil

from datasets_prep.cli import add_workers_argument, new_parser, positive, run
from datasets_prep.crops import Crop
from datasets_prep.errors import PrepError
from datasets_prep.folder_pair import find_pairs
from datasets_prep.images import decode
from datasets_prep.lmdb_reader import reading
from datasets_prep.lmdb_writer import META_INFO, write_pairs
from datasets_prep.pool import ordered_map

CROP = Crop(512, 256)
HEIGHT, WIDTH = 720, 1280
PHOTOGRAPHS = (
    *('astronaut.png', 'coffee.png', 'chelsea.png', 'motorcycle_left.png', 'rocket.jpg'),
    'hubble_deep_field.jpg',
)
BASICSR_CROP_LEVEL = 3
SAMPLE_SECONDS = 0.05


def make_pictures(folder: Path, *, pairs: int, workers: int) -> None:
    """Writes `pairs` pairs into the folder's ``blur`` and ``sharp``."""
    for name in ('blur', 'sharp'):
        (folder / name).mkdir(parents=True)
    for _ in ordered_map(_make_pair, [(folder, number) for number in range(pairs)], workers=workers):
        pass


def prepare_here(folder: Path, workers: int) -> None:
    pairs = find_pairs(lq=folder / 'blur', gt=folder / 'sharp', recursive=False, problems=[])
    out = folder / 'here'
    write_pairs(pairs, out / 'blur.lmdb', out / 'sharp.lmdb', crop=CROP, workers=workers, progress=False)


def prepare_basicsr(folder: Path, workers: int, multiprocessing_read: bool) -> None:
    if hasattr(os, 'fork'):
        set_start_method('fork', force=True)  # as in a script of its own; spawning would cost it a second
    make_lmdb_from_imgs = load_basicsr_lmdb_util().make_lmdb_from_imgs
    out = folder / 'basicsr'
    with open(os.devnull, 'w') as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        for name in ('blur', 'sharp'):
            crops = out / name
            crops.mkdir(parents=True)
            with Pool(workers) as pool:
                results = [pool.apply_async(_crop_to_files, (path, crops)) for path in (folder / name).iterdir()]
                for result in results:
                    result.get()
            files = sorted(path.name for path in crops.iterdir())
            folders, keys = (str(crops), str(out / f'{name}.lmdb')), [file[:-4] for file in files]
            make_lmdb_from_imgs(*folders, files, keys, multiprocessing_read=multiprocessing_read, n_thread=workers)


def measure(function: Callable[..., None], *args: object) -> tuple[float, int]:
    """Runs a function in a spawned process; returns (seconds, peak bytes of it and its descendants)."""
    process = get_context('spawn').Process(target=function, args=args)
    start, peak = time.perf_counter(), 0
    process.start()
    watched = psutil.Process(process.pid)
    while process.is_alive():
        peak = max(peak, _resident_bytes(watched))
        process.join(SAMPLE_SECONDS)
    seconds = time.perf_counter() - start
    if process.exitcode != 0:
        raise PrepError(f'{function.__name__} ended with exit code {process.exitcode}; its message is above.')
    return seconds, peak


def differences(folder: Path) -> list[str]:
    """Where the two results differ, in keys, sizes or pixels."""
    found = []
    for name in ('blur.lmdb', 'sharp.lmdb'):
        here, there = folder / 'here' / name, folder / 'basicsr' / name
        if (here / META_INFO).read_text() != (there / META_INFO).read_text():
            found.append(f'{META_INFO} of {name}')
            continue
        for (key, mine), (_, theirs) in zip(_entries(here), _entries(there)):
            if not np.array_equal(decode(mine), decode(theirs)):
                found.append(f'{name} {bytes(key).decode()}')
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('benchmark', description=__doc__)
    parser.prog = 'python -m tools.preparation_benchmark'
    parser.add_argument('--pairs', type=positive, default=40, help='default: %(default)s')
    parser.add_argument('--repeats', type=positive, default=3, help='runs of either way (default: %(default)s)')
    parser.add_argument('--multiprocessing-read', action='store_true', help='let BasicSR read with several processes')
    parser.add_argument('--folder', type=Path, help="where to put the temporary pictures (default: the system's place)")
    add_workers_argument(parser)
    args = parser.parse_args(argv)
    of_basicsr = (prepare_basicsr, args.workers, args.multiprocessing_read)
    ways: dict[str, tuple] = {'here': (prepare_here, args.workers), 'BasicSR': of_basicsr}
    load_basicsr_lmdb_util()
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, int] = dict.fromkeys(ways, 0)
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary) / 'pictures'
        make_pictures(folder, pairs=args.pairs, workers=args.workers)
        for _ in range(args.repeats):
            for name, (function, *rest) in ways.items():
                shutil.rmtree(folder / name.lower(), ignore_errors=True)
                seconds, peak = measure(function, folder, *rest)
                times[name].append(seconds)
                peaks[name] = max(peaks[name], peak)
                print(f'{name:8} {seconds:7.1f} s   {peak / 2**20:6.0f} MiB', flush=True)
        different = differences(folder)
        stored = {name: (folder / name.lower()).glob('*.lmdb/data.mdb') for name in ways}
        sizes = {name: sum(path.stat().st_size for path in paths) for name, paths in stored.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f'\n{args.pairs} pairs, {args.workers} workers, median of {args.repeats}:')
    for name in ways:
        memory, size = peaks[name] / 2**20, sizes[name] / 2**20
        print(f'{name:8} {medians[name]:7.1f} s   peak {memory:5.0f} MiB   LMDB {size:6.0f} MiB')
    print(
        f'{medians["BasicSR"] / medians["here"]:.2f} times as fast; the entries are '
        + ('the same, pixel for pixel' if not different else f'DIFFERENT: {different[:10]}')
    )
    return 1 if different else 0


def _entries(path: Path) -> Iterator[tuple[memoryview, memoryview]]:
    with reading(path) as transaction:
        yield from transaction.cursor()


def _make_pair(task: tuple[Path, int]) -> None:
    folder, number = task
    skimage = importlib.util.find_spec('skimage')
    if skimage is None or skimage.origin is None:
        raise PrepError("The benchmark's pictures come from scikit-image: pip install scikit-image.")
    name = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
    photograph = cv2.imread(str(Path(skimage.origin).parent / 'data' / name), cv2.IMREAD_COLOR)
    if photograph is None:
        raise PrepError(f'This version of scikit-image does not bring {name}: install another.')
    rng = np.random.default_rng(number)
    scale = max(HEIGHT / photograph.shape[0], WIDTH / photograph.shape[1]) * rng.uniform(1, 1.5)
    large = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    row, column = (rng.integers(0, have - want + 1) for have, want in zip(large.shape, (HEIGHT, WIDTH)))
    sharp = large[row : row + HEIGHT, column : column + WIDTH].astype(np.float32)
    for kind, picture in (('sharp', sharp), ('blur', cv2.blur(sharp, (int(rng.integers(5, 25)), 3)))):
        noisy = np.clip(np.rint(picture + rng.normal(0, 1.5, picture.shape)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / kind / f'GOPR{number // 10:04d}-{number:06d}.png'), noisy)


def _crop_to_files(path: Path, folder: Path) -> None:
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    windows = CROP.windows(height=picture.shape[0], width=picture.shape[1])
    for index, (row, column) in enumerate(windows):
        crop = np.ascontiguousarray(picture[row : row + CROP.size, column : column + CROP.size])
        cv2.imwrite(
            str(folder / f'{CROP.key(path.stem, index)}.png'), crop, [cv2.IMWRITE_PNG_COMPRESSION, BASICSR_CROP_LEVEL]
        )


def load_basicsr_lmdb_util() -> ModuleType:
    # By its path: `import basicsr` fails with torchvision 0.17 and later, and this one file needs none of it.
    package = importlib.util.find_spec('basicsr')
    if package is None or package.origin is None:
        raise PrepError('BasicSR is not installed, so there is nothing to compare with: pip install basicsr.')
    path = Path(package.origin).parent / 'utils' / 'lmdb_util.py'
    spec = importlib.util.spec_from_file_location('basicsr_lmdb_util', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The pool inside it pickles a function by its module's name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _resident_bytes(process: psutil.Process) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    return total


if __name__ == '__main__':
    sys.exit(run(main))
