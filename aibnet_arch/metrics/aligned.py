"""RealBlur's protocol: the restored picture is aligned to the ground truth before it is measured.

RealBlur's pairs were taken by two cameras and differ by a small homography and in brightness. The
steps are those of the dataset's authors (``evaluation_RealBlur_ecc.py``): scale, find a homography by
ECC, warp, and measure where the warped picture has content.
"""

import hashlib
import logging
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from .checked import check_pair

ALIGNED = 'aligned'
ECC_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
ECC_GAUSSIAN = 5
SSIM_BORDER = 5
SMALLEST = 2 * SSIM_BORDER + 1
_INSIDE = np.s_[SSIM_BORDER:-SSIM_BORDER, SSIM_BORDER:-SSIM_BORDER]


@dataclass(frozen=True)
class Alignment:
    """A pair of pictures, ready to be measured.

    Attributes:
        restored: (H, W, 3) float in units of [0, 1], aligned and masked.
        truth: the ground truth, masked.
        mask: (H, W, 3), 1 where the warped picture has content.
        outcome: 'aligned', or 'not aligned: <reason>'; the pair is then the pictures as they came, under a full mask.
    """

    restored: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    outcome: str


class _LastPair:
    """PSNR and SSIM of one pair follow each other: the costly alignment is kept for the second."""

    def __init__(self) -> None:
        self._key: bytes = b''
        self.alignment: Optional[Alignment] = None

    def get(self, img: np.ndarray, img2: np.ndarray) -> Alignment:
        check_pair(img, img2)  # first: the digest alone cannot tell a truth of another shape or type
        digest = hashlib.blake2b(repr(img.shape).encode())
        for picture in (img, img2):
            digest.update(np.ascontiguousarray(picture).data)
        if self.alignment is None or digest.digest() != self._key:
            self.alignment, self._key = align(img, img2), digest.digest()
            if self.alignment.outcome != ALIGNED:
                logging.getLogger('basicsr').warning('RealBlur metric: %s; scored as it is.', self.alignment.outcome)
        return self.alignment


_last_pair = _LastPair()


def last_outcome() -> str:
    """The outcome of the pair that was measured last, for tables; '' before the first."""
    return _last_pair.alignment.outcome if _last_pair.alignment else ''


def align(img: np.ndarray, img2: np.ndarray) -> Alignment:
    """Scale and warp a restored picture onto the ground truth.

    ECC fails on flat, black or unrelated pictures. The pair is then taken as it is (as AdaRevD does;
    RealBlur's own script stops), and `outcome` says why.

    Args:
        img: restored picture, (H, W, 3) uint8 BGR.
        img2: ground truth, likewise.

    Raises:
        TypeError, ValueError: see :func:`check_pair`; or pictures under 11x11 pixels.
    """
    check_pair(img, img2)
    if min(img.shape[:2]) < SMALLEST:
        raise ValueError(f'a picture of {img.shape[:2]} is too small: {SMALLEST}x{SMALLEST} are needed')
    restored, truth = (picture.astype(np.float32) / 255 for picture in (img, img2))
    energy = np.sum(restored * restored)
    if energy == 0:
        return _as_it_is(restored, truth, 'the restored picture is black')
    scaled = (np.sum(truth * restored) / energy) * restored
    height, width = truth.shape[:2]
    try:
        # The ground truth is the template: swapped arguments give another number.
        _, warp = cv2.findTransformECC(  # type: ignore[call-overload]  # its stubs know no missing mask
            cv2.cvtColor(truth, cv2.COLOR_BGR2GRAY),
            cv2.cvtColor(scaled, cv2.COLOR_BGR2GRAY),
            np.eye(3, dtype=np.float32),
            cv2.MOTION_HOMOGRAPHY,
            ECC_CRITERIA,
            None,
            ECC_GAUSSIAN,
        )
    except cv2.error as error:
        return _as_it_is(restored, truth, f'ECC found no homography ({error.err or error.code})')
    if not np.isfinite(warp).all():
        return _as_it_is(restored, truth, 'ECC found no finite homography')
    warped = cv2.warpPerspective(
        scaled, warp, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    mask = cv2.warpPerspective(
        np.ones_like(scaled),
        warp,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if not mask[_INSIDE].any():  # SSIM would divide by zero
        return _as_it_is(restored, truth, 'ECC moved the picture out of the frame')
    return Alignment(warped * mask, truth * mask, mask, ALIGNED)


def _as_it_is(restored: np.ndarray, truth: np.ndarray, reason: str) -> Alignment:
    return Alignment(restored, truth, np.ones_like(truth), f'not aligned: {reason}')


def calculate_psnr_aligned(img: np.ndarray, img2: np.ndarray) -> float:
    """PSNR in dB after alignment, over the masked positions: the PSNR of RealBlur's tables.

    Args and errors: see :func:`align`. Equal pictures give infinity.
    """
    pair = _last_pair.get(img, img2)
    error = np.sum((pair.truth - pair.restored) ** 2, dtype=np.float64) / np.sum(pair.mask, dtype=np.float64)
    return float('inf') if error == 0 else float(10 * np.log10(1 / error))


def calculate_ssim_aligned(img: np.ndarray, img2: np.ndarray) -> float:
    """SSIM after alignment, over the masked positions: the SSIM of RealBlur's tables.

    Args and errors: see :func:`align`.
    """
    from skimage.metrics import structural_similarity

    pair = _last_pair.get(img, img2)
    _, similarity = structural_similarity(
        pair.truth,
        pair.restored,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
        channel_axis=2,
    )
    similarity, mask = (similarity * pair.mask)[_INSIDE], pair.mask[_INSIDE]
    return float(np.mean(similarity.sum(axis=(0, 1), dtype=np.float64) / mask.sum(axis=(0, 1), dtype=np.float64)))
