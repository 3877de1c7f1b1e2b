"""SSIM as BasicSR computes it (each channel by itself), and as published deblurring tables do (a volume)."""

from collections.abc import Callable

import cv2
import numpy as np

from .pictures import check_pair

TAPS, SIGMA, RANGE = 11, 1.5, 255
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
BORDER = TAPS // 2


def calculate_ssim_2d(
    img: np.ndarray, img2: np.ndarray, crop_border: int = 0, test_y_channel: bool = False
) -> float:
    """SSIM of each channel, averaged: the value of BasicSR's ``calculate_ssim``, in less time.

    Not comparable with published deblurring tables, see :func:`calculate_ssim_3d`.

    Args:
        img, img2: (H, W, 3) uint8 BGR pictures, at least 11 pixels high and wide.
        crop_border: pixels left out along each edge.
        test_y_channel: must be False; deblurring is measured in RGB.

    Raises:
        TypeError, ValueError: see :func:`check_pair`; too small a picture, or the Y channel asked for.
    """
    check_pair(img, img2)
    if test_y_channel:
        raise ValueError('test_y_channel: deblurring is measured in RGB; use calculate_ssim for the Y channel')
    img, img2 = _cropped(img, crop_border), _cropped(img2, crop_border)
    if min(img.shape[:2]) < TAPS:
        raise ValueError(f'a picture of {img.shape[:2]} has no place for the window of {TAPS}x{TAPS}')
    inside = np.s_[BORDER:-BORDER, BORDER:-BORDER]
    return float(_ssim_map(img, img2, _blur)[inside].mean())


def calculate_ssim_3d(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM of the picture as an H x W x 3 volume, as MATLAB's ``ssim`` gives it for such an array.

    This is the SSIM of published deblurring tables (MPRNet, NAFNet, Restormer, UFPNet, AdaRevD): an
    11x11x11 Gaussian of deviation 1.5, borders replicated, none left out. The order of the channels
    does not matter up to reversal, so BGR and RGB give the same.

    Args:
        img, img2: (H, W, 3) uint8 pictures.
        crop_border: pixels left out along each edge.

    Raises:
        TypeError, ValueError: see :func:`check_pair`.
    """
    check_pair(img, img2)
    return float(_ssim_map(_cropped(img, crop_border), _cropped(img2, crop_border), _blur_volume).mean())


def _cropped(img: np.ndarray, border: int) -> np.ndarray:
    return img[border:-border, border:-border] if border else img


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
