"""Clips of frames, videos or folders of pictures, read from the first frame on, and where their shots are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from aibnet_arch.files import ascii_path
from datasets_prep.images import load
from datasets_prep.trees import pictures

VIDEO_SUFFIXES = frozenset({'.mp4', '.mov', '.avi', '.mkv', '.m4v', '.webm', '.mpg', '.mpeg', '.mts', '.ts', '.y4m'})
THUMBNAIL = (64, 36)
# A cut: the mean change of a thumbnail from frame to frame, in grey levels, and how often the second largest of the
# frames about, one of which may be a cut as well.
CUT_CHANGE, CUT_RATIO, CUT_NEIGHBOURS = 8.0, 2.0, 4


@dataclass(frozen=True)
class Scan:
    """What is known of each frame of a clip.

    Attributes:
        sharpness: variance of the Laplacian, (frames,).
        change: mean absolute change from the frame before, in grey levels of a thumbnail, (frames,); 0 of the first.
    """

    sharpness: np.ndarray
    change: np.ndarray

    def shots(self) -> list[range]:
        """The frames between cuts."""
        cuts = [0, *(frame for frame in range(1, len(self.change)) if self._is_cut(frame)), len(self.change)]
        return [range(start, end) for start, end in zip(cuts, cuts[1:])]

    def _is_cut(self, frame: int) -> bool:
        before, after = max(1, frame - CUT_NEIGHBOURS), frame + 1 + CUT_NEIGHBOURS
        about = sorted([*self.change[before:frame], *self.change[frame + 1 : after]])
        usual = about[-2] if len(about) > 1 else 0.0
        return bool(self.change[frame] > max(CUT_CHANGE, CUT_RATIO * usual))


def find_clips(inputs: list[Path]) -> list[Path]:
    """Video files, and folders of at least one picture, in the inputs and below them, sorted."""
    found = []
    for path in inputs:
        folders = [path, *(inside for inside in sorted(path.rglob('*')) if inside.is_dir())] if path.is_dir() else []
        found += [folder for folder in folders if pictures(folder)]
        files = path.rglob('*') if path.is_dir() else [path]
        found += [
            file
            for file in files
            if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith('.') and file.is_file()
        ]
    return sorted(set(found))


def scan(clip: Path) -> Scan:
    """Reads all frames once.

    Raises:
        ValueError: it cannot be read.
    """
    sharpness, change, before = [], [], None
    for frame in frames_of(clip):
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        sharpness.append(cv2.Laplacian(grey, cv2.CV_32F).var())
        thumbnail = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        change.append(0.0 if before is None else float(np.abs(thumbnail - before).mean()))
        before = thumbnail
    if not sharpness:
        raise ValueError('a video without frames')
    return Scan(np.array(sharpness), np.array(change))


def frames_of(clip: Path) -> Iterator[np.ndarray]:
    """All frames, (H, W, 3) uint8 BGR.

    Raises:
        ValueError: it cannot be read.
    """
    if clip.is_dir():
        yield from (load(path)[0] for path in pictures(clip))
        return
    video = _open(clip)
    while True:
        read, frame = video.read()
        if not read:
            return
        yield frame


class Reader:
    """Frames of a clip in order: going on in a video is cheap, going back starts anew."""

    def __init__(self, clip: Path) -> None:
        self.clip = clip
        self.files = pictures(clip) if clip.is_dir() else None
        self.video: cv2.VideoCapture | None = None
        self.next = 0
        self.first = 0
        self.window: list[np.ndarray] = []

    def read(self, first: int, count: int) -> list[np.ndarray]:
        """The frames `first`, ..., `first + count - 1`.

        Raises:
            ValueError: the clip cannot be read, or has not as many.
        """
        if (first, count) != (self.first, len(self.window)):
            if self.files is None:
                self.window = self._read_video(first, count)
            else:
                self.window = [load(path)[0] for path in self.files[first : first + count]]
            self.first = first
        if len(self.window) < count:
            raise ValueError(f'{self.clip} ends before frame {first + count - 1}')
        return self.window

    def _read_video(self, first: int, count: int) -> list[np.ndarray]:
        if self.video is None or first < self.next:
            self.video, self.next = _open(self.clip), 0
        while self.next < first and self.video.grab():
            self.next += 1
        window: list[np.ndarray] = []
        while len(window) < count:
            read, frame = self.video.read()
            if not read:
                break
            self.next += 1
            window.append(frame)
        return window


@lru_cache(maxsize=1)  # one open clip a process
def reader(clip: Path) -> Reader:
    """The clip's reader; it stays open until another clip is asked for."""
    return Reader(clip)


@lru_cache(maxsize=64)
def clip_bytes(clip: Path) -> int:
    """Size of all files of a clip."""
    return sum(path.stat().st_size for path in (pictures(clip) if clip.is_dir() else [clip]))


def _open(clip: Path) -> cv2.VideoCapture:
    if not clip.stat().st_size:
        raise ValueError('an empty file')
    with ascii_path(clip) as named:
        video = cv2.VideoCapture(str(named))
    if not video.isOpened():
        raise ValueError('not decodable as a video')
    return video
