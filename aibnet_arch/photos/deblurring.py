"""Restore files and folders of them, with a page of before and after."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..blurmap.maps import coloured
from ..errors import StoppedError, UserError
from ..messages import printable
from ..modeling import AIBNet
from ..page import Page
from ..weights.box import BOX
from .batch import Batch
from .inputs import Plan, check_outputs, plan_jobs, raw_note
from .memory import STRIP_BYTES, WHOLE_MAP_BYTES, LimitError, keep_freed_memory
from .restoring import Deblurrer


def deblur(
    inputs: Sequence[str],
    output: Path,
    *,
    weights: str = BOX,
    param_key: Optional[str] = None,
    picture_format: Optional[str] = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    page: Optional[Path] = None,
    blur_maps: bool = False,
    shard: tuple[int, int] = (1, 1),
    **settings: Any,
) -> int:
    """Restore pictures and videos, and print what became of each.

    Args:
        inputs: files and folders.
        output: folder of the results.
        weights, param_key, settings: see :meth:`.Deblurrer.from_file`.
        picture_format: of the results, such as 'png'; by default their own.
        overwrite, skip_existing: replace results that are there, or leave them; else they are refused.
        page: folder of a page of before and after.
        blur_maps: on the page, of pictures that are restored whole.
        shard: (3, 16) restores the third part of sixteen (:func:`.plan_jobs`).

    Returns:
        1 if a file could not be restored, else 0.

    Raises:
        UserError: refused before anything was restored.
        StoppedError: Ctrl-C or SIGTERM.
        CheckpointError: the weights cannot be read, or are of no network that restores pictures.
    """
    suffix = f'.{picture_format}' if picture_format else None
    plan = plan_jobs(inputs, output, picture_suffix=suffix, shard=shard)
    try:
        deblurrer = Deblurrer.from_file(weights, param_key=param_key, **settings)
    except ValueError as error:
        raise UserError(str(error)) from error
    if settings.get('memory') is None:  # who gives a limit has little to spare
        # Whole maps gain from being kept where there are windows alone.
        keep_freed_memory(STRIP_BYTES if deblurrer.window is None else WHOLE_MAP_BYTES)
    if blur_maps and not isinstance(deblurrer.network, AIBNet):
        raise UserError(f'--blur-maps: an AIBNet has them; these weights: {deblurrer.traits.architecture}')
    if page:
        _refuse_inputs_below(page, plan)
    if deblurrer.card is not None:
        print(f'weights: {printable(deblurrer.card.line())}')
    if not isinstance(deblurrer.network, AIBNet):
        print(f'weights: {printable(weights)}, {deblurrer.traits.architecture}')
    left = check_outputs(plan, output, overwrite=overwrite, skip_existing=skip_existing)
    batch = Batch(deblurrer, root=output, overwrite=overwrite, skip_existing=skip_existing)
    with _stopping_on_sigterm():
        try:
            if plan.jobs:
                deblurrer.choose_tile(1, 1, held=0)  # measures, and refuses a limit that nothing meets
                # Only now: a page of before is cleared.
                made = Page(page, title='Before and after') if page else None
                if made is not None:
                    batch.on_picture = partial(_show, made, blur_maps_of=deblurrer if blur_maps else None)
                with _written_at_the_end(made):
                    batch.run(plan.jobs)
        except LimitError as error:
            raise UserError(f'--memory: {error}') from error
        except KeyboardInterrupt:
            raise StoppedError(
                f'stopped: {batch.done} of {len(plan.jobs)} files were restored, and are whole. '
                '--skip-existing goes on with the others.'
            ) from None
    return _summary(batch, plan, output, left + batch.left)


def _refuse_inputs_below(page: Path, plan: Plan) -> None:
    """A page's folder is cleared of the page that was there, which an input may belong to.

    Raises:
        UserError: an input lies there.
    """
    folder = page.resolve()
    inside = next((job.source for job in plan.jobs if folder in job.source.resolve().parents), None)
    if inside is not None:
        raise UserError(f'--page {printable(page)}: the input {printable(inside)} lies there: choose another folder')


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM and SIGHUP as Ctrl-C, those alone that nobody ignores; only the main thread of a process can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ('SIGTERM', 'SIGHUP') if hasattr(signal, name)]
    former = {number: signal.getsignal(number) for number in numbers}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _show(page: Page, name: str, before: np.ndarray, after: np.ndarray, *, blur_maps_of: Optional[Deblurrer]) -> None:
    pictures = {'before': _for_screens(before), 'after': _for_screens(after)}
    maps: dict[str, np.ndarray] = {}
    note = ''
    if blur_maps_of is not None and blur_maps_of.choose_tile(*before.shape[:2]) is None:
        assert isinstance(blur_maps_of.network, AIBNet)
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
    counts = [f'{batch.done} restored into {printable(output)}']
    if left:
        counts.append(f'{left} left as they were there')
    if plan.skipped:
        counts.append(f'{plan.skipped} skipped, no pictures or videos by their names')
    if failures:
        counts.append(f'{len(failures)} FAILED:')
    print('; '.join(counts))
    if plan.raw:
        print(f'  {raw_note(plan)}')
    for path, message in failures:
        print(f'  {printable(path)}: {message}')
    return 1 if failures else 0
