"""What published deblurring tables measure. Numpy and OpenCV; no BasicSR, and torch for LPIPS and DISTS alone.

BasicSR calls a metric as ``fn(img=..., img2=..., **options)`` with two (H, W, 3) uint8 BGR pictures.
"""

from .aligned import Alignment, align, calculate_psnr_aligned, calculate_ssim_aligned, last_outcome
from .evaluation_table import EvaluationTable, gain_of
from .perceptual import calculate_dists, calculate_lpips
from .ssim import calculate_ssim_2d, calculate_ssim_3d

BASICSR_METRICS = (
    *(calculate_ssim_2d, calculate_ssim_3d, calculate_psnr_aligned, calculate_ssim_aligned),
    *(calculate_lpips, calculate_dists),
)

__all__ = [
    'BASICSR_METRICS',
    'Alignment',
    'EvaluationTable',
    'align',
    'calculate_dists',
    'calculate_lpips',
    'calculate_psnr_aligned',
    'calculate_ssim_2d',
    'calculate_ssim_3d',
    'calculate_ssim_aligned',
    'gain_of',
    'last_outcome',
]
