"""Videos, frame by frame: by PyAV or an ffmpeg on the PATH with sound, else by OpenCV without."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import PictureError
from ..files import ascii_path
from .video_av import restore_with_av
from .video_ffmpeg import restore_with_ffmpeg

AV, FFMPEG, OPENCV = 'PyAV', 'ffmpeg', 'OpenCV'
CODECS = {'.mp4': 'mp4v', '.m4v': 'mp4v', '.mov': 'mp4v', '.mkv': 'mp4v', '.avi': 'MJPG'}
BYTES_PER_PIXEL = 60  # of a frame: before and after, and what the codecs hold
MISSING_PART = 0.02  # of the announced frames (an estimate in some files) may be missing


@dataclass(frozen=True)
class VideoShape:
    """What a video says of itself; `frames` is an estimate in some files, 0 where it is not known."""

    height: int
    width: int
    frames: int
    fps: float

    @property
    def held_bytes(self) -> int:
        """Memory that it takes at most beside the network."""
        return self.height * self.width * BYTES_PER_PIXEL


def read_video_shape(path: Path) -> VideoShape:
    """Open a video and read its first frame.

    Raises:
        PictureError: OpenCV cannot.
    """
    with _opened(path) as capture:
        frames, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
        done, frame = capture.read()
    if not done:
        raise PictureError('OpenCV finds no frame in it: it may be damaged, or of a codec that OpenCV has not')
    if not 0 < fps < 1e5:
        raise PictureError(f'it does not say how many frames a second it has ({fps})')
    height, width = frame.shape[:2]
    return VideoShape(height, width, max(frames, 0), fps)


def video_writer() -> str:
    """What writes videos here: 'PyAV' if it is installed, else 'ffmpeg' if it is on the PATH, else 'OpenCV'."""
    if importlib.util.find_spec('av') is not None:
        return AV
    return FFMPEG if shutil.which('ffmpeg') else OPENCV


def restore_video(
    path: Path, output: Path, shape: VideoShape, restore: Callable[[np.ndarray], np.ndarray]
) -> tuple[int, list[str]]:
    """Restore a video.

    Args:
        path: the video.
        output: where the result goes; its suffix chooses the container.
        shape: of :func:`read_video_shape`.
        restore: a frame, (H, W, 3) RGB, uint8, to one of the same shape.

    Returns:
        How many frames were written, and what is not as it was, a message each.

    Raises:
        PictureError: it ends early, or the result is not what was written.
    """
    if shape.height % 2 or shape.width % 2:
        raise PictureError(f'{shape.width}x{shape.height}: the video codecs want even sides; crop it by a pixel first')
    writer = video_writer()
    if writer == AV:
        written, notes = restore_with_av(path, output, restore)
    elif writer == FFMPEG:
        pictures = (restore(frame) for frame in _checked_frames(path, shape))
        written, notes = restore_with_ffmpeg(path, output, shape.height, shape.width, shape.fps, pictures)
    else:
        written, notes = _restore_with_opencv(path, output, shape, restore), ['sound is not kept: pip install av']
    if writer != AV:
        if written < (1 - MISSING_PART) * shape.frames:
            raise PictureError(f'it ends after {written} of {shape.frames} frames: it may be truncated')
        _compare(output, shape, written)
    return written, notes


def _restore_with_opencv(
    path: Path, output: Path, shape: VideoShape, restore: Callable[[np.ndarray], np.ndarray]
) -> int:
    written = 0
    codec = cv2.VideoWriter.fourcc(*CODECS[output.suffix.lower()])
    with ascii_path(output.parent) as folder:  # the name in it is a temporary one, and ASCII
        named = str(folder / output.name)
        writer = cv2.VideoWriter(named, cv2.CAP_FFMPEG, codec, shape.fps, (shape.width, shape.height))
    try:
        if not writer.isOpened():
            raise PictureError(f'OpenCV cannot write a video of {shape.width}x{shape.height} as {output.suffix}')
        for frame in _checked_frames(path, shape):
            writer.write(np.ascontiguousarray(restore(frame)[..., ::-1]))
            written += 1
    finally:
        writer.release()
    return written


def _compare(output: Path, shape: VideoShape, written: int) -> None:
    result = read_video_shape(output)  # a video writer does not say when it fails
    if (result.height, result.width, result.frames) != (shape.height, shape.width, written):
        raise PictureError(
            f'{written} frames of {shape.width}x{shape.height} were written, but the result says '
            f'{result.frames} of {result.width}x{result.height}: the disk may be full'
        )


def _checked_frames(path: Path, shape: VideoShape) -> Iterator[np.ndarray]:
    """(H, W, 3) RGB."""
    for number, frame in enumerate(_frames(path), start=1):
        if frame.shape != (shape.height, shape.width, 3):
            raise PictureError(f'frame {number} has another size than the first')
        yield np.ascontiguousarray(frame[..., ::-1])


def _frames(path: Path) -> Iterator[np.ndarray]:
    with _opened(path) as capture:
        while True:
            done, frame = capture.read()
            if not done:
                return
            yield frame


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    if not path.is_file():
        raise PictureError('there is no such file (any more), or it is a folder, pipe or device')
    if not path.stat().st_size:
        raise PictureError('it is empty')
    with ascii_path(path) as named:
        capture = cv2.VideoCapture(str(named), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise PictureError('OpenCV cannot open it: it is damaged, or no video, or of a codec that OpenCV has not')
        yield capture
    finally:
        capture.release()
