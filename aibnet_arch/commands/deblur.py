"""``basicsr deblur``: restore pictures, folders and videos with a file of weights."""

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Optional, Union

import numpy as np

from ..blurmap.maps import coloured
from ..errors import StoppedError, UserError
from ..page import Page
from ..photos.batch import Batch
from ..photos.files import shown
from ..photos.inputs import Plan, check_outputs, plan_jobs
from ..photos.memory import LimitError, parse_size
from ..photos.restoring import WHOLE, Deblurrer
from ..weights import read_network
from ..weights.param_key import default_param_key


def run_deblur(argv: Sequence[str]) -> int:
    """Restore what the command line names; the exit code: 0, or 1 if a file could not be restored.

    Raises:
        UserError: refused before anything was restored.
        StoppedError: Ctrl-C or SIGTERM.
        CheckpointError: the weights cannot be read.
    """
    arguments = _parser().parse_args(argv)
    if arguments.overwrite and arguments.skip_existing:
        raise UserError('--overwrite and --skip-existing: give one of them')
    if arguments.blur_maps and not arguments.page:
        raise UserError('--blur-maps are shown on a page: give --page FOLDER, too. `basicsr blurmap` makes pictures.')
    output = Path(arguments.output)
    suffix = f'.{arguments.format}' if arguments.format else None
    plan = plan_jobs(arguments.inputs, output, picture_suffix=suffix)
    deblurrer = _deblurrer(arguments)
    if arguments.page:
        _refuse_inputs_below(Path(arguments.page), plan)
    left = check_outputs(plan, output, overwrite=arguments.overwrite, skip_existing=arguments.skip_existing)
    batch = Batch(deblurrer, root=output, overwrite=arguments.overwrite, skip_existing=arguments.skip_existing)
    with _stopping_on_sigterm():
        try:
            if plan.jobs:
                deblurrer.choose_tile(1, 1, held=0)  # measures, and refuses a limit that nothing meets
                # Only now: a page of before is cleared.
                page = Page(Path(arguments.page), title='Before and after') if arguments.page else None
                if page is not None:
                    batch.on_picture = partial(_show, page, blur_maps_of=deblurrer if arguments.blur_maps else None)
                with _written_at_the_end(page):
                    batch.run(plan.jobs)
        except LimitError as error:
            raise UserError(f'--memory: {error}') from error
        except KeyboardInterrupt:
            raise StoppedError(
                f'stopped: {batch.done} of {len(plan.jobs)} files were restored, and are whole. '
                '--skip-existing goes on with the others.'
            ) from None
    return _summary(batch, plan, output, left + batch.left)


def _parser() -> argparse.ArgumentParser:
    what = 'Restore pictures, folders and videos with a file of weights.'
    parser = argparse.ArgumentParser(prog='basicsr deblur', allow_abbrev=False, description=what)
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='pictures, videos, and folders of them')
    parser.add_argument('-o', '--output', required=True, type=_folder, metavar='OUT', help='folder of the results')
    parser.add_argument('--weights', required=True, metavar='FILE', help='of an AIBNet; its shape is read from it')
    parser.add_argument('--param-key', metavar='KEY', help='entry of FILE (params_ema if it has that, else params)')
    parser.add_argument('--format', choices=['png', 'jpg', 'webp', 'bmp', 'tif'], help='of pictures (their own)')
    parser.add_argument('--overwrite', action='store_true', help='replace results that are there')
    parser.add_argument('--skip-existing', action='store_true', help='leave results that are there, do the others')
    parser.add_argument('--device', default='auto', help='auto (a GPU if there is one), cpu, cuda, cuda:1')
    parser.add_argument('--memory', type=_size, metavar='SIZE', help='limit, e.g. 2GB (half of what is free)')
    parser.add_argument('--tile', type=_tile, metavar='N', help='restore in tiles of N pixels; whole: without tiles')
    parser.add_argument('--overlap', type=int, default=32, metavar='N', help='of tiles, in pixels (32)')
    parser.add_argument('--window', type=int, metavar='N', help='take statistics over a window of N pixels')
    parser.add_argument('--up-to', type=int, metavar='K', help='stop after sub-decoder K')
    parser.add_argument('--self-ensemble', type=int, choices=[4, 8], help='mean over 4 flips, or 8 with transposes')
    parser.add_argument('--page', type=_folder, metavar='FOLDER', help='also an HTML page of before and after there')
    parser.add_argument('--blur-maps', action='store_true', help='on the page, of pictures restored whole')
    parser.add_argument('--autocast', choices=['bf16', 'fp16'], help='lower precision, see torch.autocast')
    return parser


def _folder(text: str) -> str:
    if not text:  # as an unset variable of a script leaves it; a path of it would be the current directory
        raise argparse.ArgumentTypeError('the name is empty')
    return text


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _tile(text: str) -> Union[int, str]:
    if text == WHOLE:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number of pixels, or {WHOLE}') from error


def _deblurrer(arguments: argparse.Namespace) -> Deblurrer:
    key = arguments.param_key or default_param_key(arguments.weights)
    network = read_network(arguments.weights, param_key=key)
    try:
        return Deblurrer(
            network,
            device=arguments.device,
            up_to=arguments.up_to,
            window=arguments.window,
            autocast=arguments.autocast,
            self_ensemble=arguments.self_ensemble,
            tile=arguments.tile,
            overlap=arguments.overlap,
            memory=arguments.memory,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _refuse_inputs_below(page: Path, plan: Plan) -> None:
    """A page's folder is cleared of the page that was there, which an input may belong to.

    Raises:
        UserError: an input lies there.
    """
    folder = page.resolve()
    inside = next((job.source for job in plan.jobs if folder in job.source.resolve().parents), None)
    if inside is not None:
        raise UserError(f'--page {shown(page)}: the input {shown(inside)} lies there: choose another folder')


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM as Ctrl-C; only the main thread of a process can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _show(page: Page, name: str, before: np.ndarray, after: np.ndarray, *, blur_maps_of: Optional[Deblurrer]) -> None:
    pictures = {'before': _for_screens(before), 'after': _for_screens(after)}
    maps, note = {}, ''
    if blur_maps_of is not None and blur_maps_of.choose_tile(*before.shape[:2]) is None:
        maps = coloured(blur_maps_of.network, pictures['before'])
    elif blur_maps_of is not None:
        note = 'no blur maps: it was restored in tiles'
    page.add(name, pictures=pictures, maps=maps, note=note)


def _for_screens(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) RGB, uint8 or uint16 -> (H, W, 3) BGR, uint8."""
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    return np.dstack([pixels] * 3) if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])


@contextmanager
def _written_at_the_end(page: Optional[Page]) -> Iterator[None]:
    """A run that is stopped leaves the page of what it has done."""
    try:
        yield
    finally:
        if page is not None:
            print(f'page: {page.write()}')


def _summary(batch: Batch, plan: Plan, output: Path, left: int) -> int:
    failures = [*plan.unreadable, *batch.failures]
    counts = [f'{batch.done} restored into {shown(output)}']
    if left:
        counts.append(f'{left} left as they were there')
    if plan.skipped:
        counts.append(f'{plan.skipped} skipped, no pictures or videos by their names')
    if failures:
        counts.append(f'{len(failures)} FAILED:')
    print('; '.join(counts))
    for path, message in failures:
        print(f'  {shown(path)}: {message}')
    return 1 if failures else 0
