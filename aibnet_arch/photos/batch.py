"""Many files, one after the other; what is wrong with one does not stop the others."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

import numpy as np
import torch
from tqdm import tqdm

from ..errors import ExistsError, PictureError
from ..files import PART, whole_file
from ..messages import printable
from .inputs import Job
from .picture_file import Shape, read_picture, read_shape, write_picture
from .progress import Progress
from .restoring import Deblurrer
from .video import VideoShape, read_video_shape, restore_video

OnPicture = Callable[[str, np.ndarray, np.ndarray], None]


class Batch:
    """Restores files with one network, and tells of each.

    Args:
        deblurrer: the network.
        root: folder of the results; names below it are those in messages.
        overwrite: replace results that are there.
        skip_existing: results that another run has written meanwhile are no failures.
        on_picture: called for each finished picture with its name, and its pixels before and after.

    Attributes:
        on_picture: as given.
        done: how many files were restored.
        left: how many results were there already (`skip_existing`).
        failures: the others, and why.
    """

    def __init__(
        self,
        deblurrer: Deblurrer,
        *,
        root: Path,
        overwrite: bool = False,
        skip_existing: bool = False,
        on_picture: Optional[OnPicture] = None,
    ) -> None:
        self._deblurrer, self._root = deblurrer, root
        self._overwrite, self._skip_existing = overwrite, skip_existing
        self.on_picture = on_picture
        self.done = self.left = 0
        self.failures: list[tuple[Path, str]] = []

    def run(self, jobs: list[Job]) -> None:
        """Restore them; progress is counted in megapixels, which take about the same time each."""
        shapes = [(job, self._shape(job)) for job in jobs]
        sizes = {job: _megapixels(shape) for job, shape in shapes if shape is not None}
        self._bar = Progress(sum(sizes.values()))
        with self._bar:
            for job, shape in shapes:
                if shape is None:
                    continue
                before = self._bar.done
                self._one(job, shape)
                self._bar.update(before + sizes[job] - self._bar.done)  # also where it failed, or frames were estimated

    def _shape(self, job: Job) -> Union[Shape, VideoShape, None]:
        try:
            return read_video_shape(job.source) if job.is_video else read_shape(job.source)
        except PictureError as error:
            self._fail(job, str(error))
            return None

    def _one(self, job: Job, shape: Union[Shape, VideoShape]) -> None:
        started = time.perf_counter()
        self._bar.begin(printable(job.source.name))
        try:
            tile = self._deblurrer.choose_tile(shape.height, shape.width, held=shape.held_bytes)
            job.output.parent.mkdir(parents=True, exist_ok=True)
            ending = f'{PART}{job.output.suffix}'  # the suffix chooses a video's format
            with whole_file(job.output, overwrite=self._overwrite, ending=ending) as temporary:
                if isinstance(shape, VideoShape):
                    notes = self._video(job, temporary, shape, tile)
                else:
                    notes = self._picture(job, temporary, shape, tile)
        except ExistsError:
            if self._skip_existing:
                self.left += 1
            else:
                self._fail(job, f'{printable(job.output)} is there already: --overwrite replaces it')
        except PictureError as error:
            self._fail(job, str(error))
        except OSError as error:
            self._fail(job, f'its result cannot be written: {error.strerror or error}')
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            self._fail(job, 'there was not enough memory: give a lower --memory, or smaller tiles with --tile')
        else:
            self.done += 1
            how = self._deblurrer.tile_note(shape.height, shape.width, tile)
            text = [f'{shape.width}x{shape.height}', how, f'{time.perf_counter() - started:.1f} s', *notes]
            self._say(f'{printable(self._name(job))}: {"; ".join(text)}')

    def _picture(self, job: Job, temporary: Path, shape: Shape, tile: Optional[int]) -> list[str]:
        picture = read_picture(job.source)
        before = picture.pixels
        after = self._deblurrer.restore(before, tile, progress=self._progress(_megapixels(shape)))
        if self.on_picture is None:
            del before  # two pictures at a time are enough
        restored = replace(picture, pixels=after)
        notes = list(picture.notes)
        del picture
        with open(temporary, 'xb') as file:
            notes += write_picture(file, restored, job.output.suffix)
        if self.on_picture is not None:
            self.on_picture(self._name(job), before, after)
        return notes

    def _video(self, job: Job, temporary: Path, shape: VideoShape, tile: Optional[int]) -> list[str]:
        progress = self._progress(_megapixels(shape) / max(shape.frames, 1))
        written, notes = restore_video(
            job.source, temporary, shape, lambda frame: self._deblurrer.restore(frame, tile, progress=progress)
        )
        return [f'{written} frames', *notes]

    def _progress(self, megapixels: float) -> Callable[[float], object]:
        return lambda part: self._bar.update(part * megapixels)

    def _name(self, job: Job) -> str:
        return str(job.output.relative_to(self._root))

    def _fail(self, job: Job, message: str) -> None:
        self.failures.append((job.source, message))
        self._say(f'{printable(job.source)}: FAILED: {message}')

    @staticmethod
    def _say(text: str) -> None:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def _megapixels(shape: Union[Shape, VideoShape]) -> float:
    return 1e-6 * shape.height * shape.width * max(getattr(shape, 'frames', 1), 1)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or 'allocate memory' in str(error)
