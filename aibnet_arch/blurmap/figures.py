"""How well a map finds blurred regions: rank correlation and area under the ROC curve. numpy and OpenCV."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

SIGMA = 2.0  # pixels


def smooth(values: np.ndarray) -> np.ndarray:
    """Gaussian smoothing (deviation 2 pixels) of a map (H, W) -> (H, W) float32.

    Every map and the true residual are smoothed alike: a residual passes through zero at every edge that moved,
    and single pixels must not decide what counts as blurred.
    """
    return cv2.GaussianBlur(values.astype(np.float32), (0, 0), SIGMA, borderType=cv2.BORDER_REFLECT)


def residual(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much two pictures differ: root mean square over the channels, smoothed.

    Args:
        first, second: (H, W, 3), of one scale.

    Returns:
        (H, W) float32, of the same scale.
    """
    difference = first.astype(np.float32) - second.astype(np.float32)
    return smooth(np.sqrt(np.square(difference).mean(axis=2)))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 up, flat; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.ravel()]


def spearman(first_ranks: np.ndarray, second_ranks: np.ndarray) -> float:
    """Correlation of two rows of ranks (:func:`ranks`): Spearman's rho, in [-1, 1]; NaN if one is constant."""
    first, second = (row - row.mean() for row in (first_ranks, second_ranks))
    norm = math.sqrt((first @ first) * (second @ second))
    return float(first @ second / norm) if norm else math.nan


def roc_auc(value_ranks: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive pixel has the larger value; equal values count half.

    A constant map gives 0.5.

    Args:
        value_ranks: :func:`ranks` of the map.
        positive: booleans, flat.

    Returns:
        In [0, 1]; NaN if all pixels are positive or none is.
    """
    count = int(np.count_nonzero(positive))
    others = positive.size - count
    if not count or not others:
        return math.nan
    return float((value_ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


@dataclass(frozen=True)
class Truth:
    """What a map should find.

    Attributes:
        name: 'residual', 'extent' or 'mask'.
        values: (H, W), larger where the picture is worse.
        threshold: pixels above it are blurred, for the ROC.
    """

    name: str
    values: np.ndarray
    threshold: float

    @cached_property
    def _ranks(self) -> np.ndarray:
        return ranks(self.values)

    @cached_property
    def _positive(self) -> np.ndarray:
        return self.values.ravel() > self.threshold

    @property
    def share(self) -> float:
        """Share of the pixels that are blurred."""
        return float(self._positive.mean())

    def figures(self, values: np.ndarray, *, sign: int) -> tuple[float, float]:
        """Rank correlation and area under ROC of a map (H, W); no correlation with a mask, which knows no degrees.

        Args:
            sign: -1 if low values are to mean blurred. It is chosen beforehand, never by the outcome.
        """
        map_ranks = ranks(sign * values)
        correlation = math.nan if self.name == 'mask' else spearman(map_ranks, self._ranks)
        return correlation, roc_auc(map_ranks, self._positive)
