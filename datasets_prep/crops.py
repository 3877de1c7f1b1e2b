"""Where crops lie in a picture, and what their keys are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SIGMA = 2.0  # pixels: about what a shake does


@dataclass(frozen=True)
class Crop:
    """Square windows of `size` pixels, `step` apart; without a step, the one in the centre.

    The last window of a row or column is flush with the border, so that every pixel is covered. For GoPro's
    720x1280 pictures, size 512 and step 256 give rows {0, 208} and columns {0, 256, 512, 768}: the eight crops a
    picture that MIMO-UNet, MPRNet, NAFNet and others train on.
    """

    size: int
    step: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or (self.step is not None and self.step < 1):
            raise ValueError(f'Crop size and step must be positive, got {self.size} and {self.step}.')

    def windows(self, *, height: int, width: int) -> list[tuple[int, int]]:
        """Top left corners (row, column), row by row.

        Raises:
            ValueError: the picture is smaller than the crop.
        """
        if min(height, width) < self.size:
            raise ValueError(f'{height}x{width} is smaller than the crop size {self.size}')
        if self.step is None:
            return [((height - self.size) // 2, (width - self.size) // 2)]
        rows, columns = (_starts(length=length, size=self.size, step=self.step) for length in (height, width))
        return [(row, column) for row in rows for column in columns]

    def chosen(self, sharp: np.ndarray) -> list[tuple[int, int]]:
        """The windows of a pair that are stored, by its sharp picture, (H, W, 3) uint8: all."""
        return self.windows(height=sharp.shape[0], width=sharp.shape[1])

    def key(self, picture: str, index: int) -> str:
        """The LMDB key of a picture's crop number `index` (from 0); the suffix is BasicSR's ``_s001``, ..."""
        return picture if self.step is None else f'{picture}_s{index + 1:03d}'


@dataclass(frozen=True)
class DetailedCrop(Crop):
    """Windows with something in them that blur can take away; of a picture without any, the one with most.

    Half of the windows of usual photographs are sky, walls and what is out of focus, of which a network learns little.

    Attributes:
        most_db: windows that a Gaussian blur of :data:`SIGMA` pixels changes by less than this PSNR are left out.
    """

    most_db: float = 34.0

    def chosen(self, sharp: np.ndarray) -> list[tuple[int, int]]:
        """The windows that the blur changes enough, at least one, by the sharp picture, (H, W, 3) uint8."""
        windows = super().chosen(sharp)
        change = np.square(sharp - cv2.GaussianBlur(sharp.astype(np.float32), (0, 0), SIGMA)).mean(axis=2)
        changes = [float(change[row : row + self.size, column : column + self.size].mean()) for row, column in windows]
        least = min(255**2 / 10 ** (self.most_db / 10), max(changes))
        return [window for window, change_of_it in zip(windows, changes) if change_of_it >= least]


def _starts(*, length: int, size: int, step: int) -> list[int]:
    starts = list(range(0, length - size + 1, step))
    if starts[-1] + size < length:
        starts.append(length - size)
    return starts
