"""SSIM as BasicSR computes it (each channel by itself), and as published deblurring tables do (a volume)."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from .checked import check_pair, cropped

TAPS, SIGMA, RANGE = 11, 1.5, 255
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
BORDER = TAPS // 2
STRIP = 48  # rows at a time: their float64 intermediates stay in the processor's cache


def calculate_ssim_2d(img: np.ndarray, img2: np.ndarray, crop_border: int = 0, test_y_channel: bool = False) -> float:
    """SSIM of each channel, averaged: the value of BasicSR's ``calculate_ssim``, in less time.

    Not comparable with published deblurring tables, see :func:`calculate_ssim_3d`.

    Args:
        img, img2: (H, W, 3) uint8 BGR pictures, at least 11 pixels high and wide.
        crop_border: pixels left out along each edge.
        test_y_channel: must be False; deblurring is measured in RGB.

    Raises:
        TypeError, ValueError: see :func:`check_pair` and :func:`cropped`; or the Y channel asked for.
    """
    check_pair(img, img2)
    if test_y_channel:
        raise ValueError('test_y_channel: deblurring is measured in RGB; use calculate_ssim for the Y channel')
    img, img2 = (cropped(picture, crop_border, smallest=TAPS) for picture in (img, img2))
    # The window has to lie inside the picture: only its inner rows and columns are counted.
    strips = _strips(img, img2, _blur, first=BORDER, last=img.shape[0] - BORDER)
    inside = img[BORDER:-BORDER, BORDER:-BORDER]
    return float(sum(strip[:, BORDER:-BORDER].sum() for strip in strips) / inside.size)


def calculate_ssim_3d(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM of the picture as an H x W x 3 volume, as MATLAB's ``ssim`` gives it for such an array.

    This is the SSIM of published deblurring tables (MPRNet, NAFNet, Restormer, UFPNet, AdaRevD): an
    11x11x11 Gaussian of deviation 1.5, borders replicated, none left out. The order of the channels
    does not matter up to reversal, so BGR and RGB give the same.

    Args:
        img, img2: (H, W, 3) uint8 pictures.
        crop_border: pixels left out along each edge.

    Raises:
        TypeError, ValueError: see :func:`check_pair` and :func:`cropped`.
    """
    check_pair(img, img2)
    img, img2 = (cropped(picture, crop_border) for picture in (img, img2))
    strips = _strips(img, img2, _blur_volume, first=0, last=img.shape[0])
    return float(sum(strip.sum() for strip in strips) / img.size)


def _strips(
    img: np.ndarray, img2: np.ndarray, blur: Callable[[np.ndarray], np.ndarray], *, first: int, last: int
) -> Iterator[np.ndarray]:
    """Rows `first` to `last` of the SSIM of every entry, a strip at a time.

    A strip is blurred together with the rows that its windows reach, so that cutting changes nothing.
    """
    for top in range(first, last, STRIP):
        bottom = min(top + STRIP, last)
        start = max(top - BORDER, 0)
        reach = np.s_[start : bottom + BORDER]
        yield _ssim_map(img[reach], img2[reach], blur)[top - start : bottom - start]


def _ssim_map(img: np.ndarray, img2: np.ndarray, blur: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The SSIM of every entry, (H, W, 3) float64, with `blur` as the local mean."""
    x, y = img.astype(np.float64), img2.astype(np.float64)
    mean_x, mean_y = blur(x), blur(y)
    mean_xy, mean_xx, mean_yy = mean_x * mean_y, mean_x**2, mean_y**2
    covariance = blur(x * y) - mean_xy
    # The two variances enter as a sum only: one blur instead of two.
    variances = blur(x * x + y * y) - mean_xx - mean_yy
    numerator = (2 * mean_xy + C1) * (2 * covariance + C2)
    return numerator / ((mean_xx + mean_yy + C1) * (variances + C2))


def _blur(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (TAPS, TAPS), SIGMA, borderType=cv2.BORDER_REPLICATE)


def _blur_volume(values: np.ndarray) -> np.ndarray:
    return _blur(values) @ _DEPTH


def _depth_matrix() -> np.ndarray:
    """The Gaussian along a depth of three with replicated borders: a 3x3 matrix, applied from the right."""
    taps = cv2.getGaussianKernel(TAPS, SIGMA)[:, 0]
    matrix = np.zeros((3, 3))
    for target in range(3):
        for offset, tap in enumerate(taps, start=-BORDER):
            matrix[min(max(target + offset, 0), 2), target] += tap
    return matrix


_DEPTH = _depth_matrix()
