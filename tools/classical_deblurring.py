"""What sharpened pictures before networks: unsharp mask, Richardson-Lucy and Wiener, by scikit-image.

The blur's kernel is not known, nor is it one kernel; as such programs do, a Gaussian is taken for it.
"""

from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np

from aibnet_arch.errors import UserError
from tools.box_measures import Sample, psnr

Method = Callable[..., np.ndarray]
PAD = 16  # pixels that are mirrored around the picture: Wiener takes it for periodic


def unsharp(picture: np.ndarray, *, radius: float, amount: float) -> np.ndarray:
    """(H, W, 3) uint8 -> the same, as all of these."""
    from skimage.filters import unsharp_mask

    # By channels: with channel_axis=-1 scikit-image 0.26 leaves memory that it has not written in the result.
    return _by_channel(picture, lambda channel: unsharp_mask(channel, radius=radius, amount=amount))


def richardson_lucy(picture: np.ndarray, *, sigma: float, iterations: int) -> np.ndarray:
    """Deconvolution by a Gaussian of `sigma` pixels."""
    from skimage import restoration

    return _by_channel(
        picture, lambda channel: restoration.richardson_lucy(channel, _gaussian(sigma), num_iter=iterations)
    )


def wiener(picture: np.ndarray, *, sigma: float, balance: float) -> np.ndarray:
    """Deconvolution by a Gaussian of `sigma` pixels, regularised by `balance`."""
    from skimage import restoration

    return _by_channel(picture, lambda channel: restoration.wiener(channel, _gaussian(sigma), balance))


GRIDS: dict[str, tuple[Method, Sequence[dict]]] = {
    'unsharp mask': (unsharp, [{'radius': r, 'amount': a} for r in (1.0, 2.0, 4.0) for a in (0.1, 0.25, 0.5, 1.0)]),
    'Richardson-Lucy': (
        richardson_lucy,
        [{'sigma': s, 'iterations': n} for s in (0.5, 0.7, 1.0, 1.5, 2.0) for n in (3, 8)],
    ),
    'Wiener': (wiener, [{'sigma': s, 'balance': b} for s in (0.5, 0.7, 1.0, 1.5, 2.0) for b in (0.01, 0.03, 0.1)]),
}


def best_setting(name: str, pairs: Sequence[Sample]) -> dict:
    """The setting of the grid with the best mean PSNR on these pictures: an oracle, for it sees the truth.

    Raises:
        UserError: scikit-image is missing.
    """
    method, grid = GRIDS[name]
    try:
        found = [mean(psnr(method(pair.lq, **setting), pair.gt) for pair in pairs) for setting in grid]
    except ModuleNotFoundError as error:
        raise UserError(f'{name} needs scikit-image: pip install scikit-image') from error
    return grid[found.index(max(found))]


def _gaussian(sigma: float) -> np.ndarray:
    radius = max(1, round(3 * sigma))
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = np.outer(line, line)
    return kernel / kernel.sum()


def _by_channel(picture: np.ndarray, restore: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    padded = np.pad(picture, ((PAD, PAD), (PAD, PAD), (0, 0)), mode='reflect').astype(np.float64) / 255
    restored = np.stack([restore(padded[..., channel]) for channel in range(3)], axis=-1)
    return np.round(255 * np.clip(restored[PAD:-PAD, PAD:-PAD], 0, 1)).astype(np.uint8)
