"""DISTS (Ding et al., TPAMI 2022): similarity of means (texture) and covariance (structure) of VGG16's features."""

from functools import cache
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from ...errors import UserError
from ..checked import check_pair, cropped
from .backbone import authors_weights, load_features, normalised

if TYPE_CHECKING:
    from torch import Tensor

# Stages of torchvision's VGG16: each ends with a ReLU, and begins after a pooling, which DISTS replaces.
_STAGES = (range(4), range(5, 9), range(10, 16), range(17, 23), range(24, 30))
_CHANNELS = (3, 64, 128, 256, 512, 512)  # of the picture itself and of each stage
_C = 1e-6
_POOL_EPS = 1e-12


def calculate_dists(
    img: np.ndarray,
    img2: np.ndarray,
    crop_border: int = 0,
    weights: Optional[str] = None,
    linear_weights: Optional[str] = None,
    device: str = 'cpu',
) -> float:
    """DISTS of the pictures in full size: 0 for equal pictures, lower is better.

    The authors advise to shrink pictures until the shorter side has 256 pixels; published deblurring tables differ in
    that, so say what you did.

    Args:
        img, img2: (H, W, 3) uint8 BGR pictures, at least 16 pixels high and wide.
        crop_border: pixels left out along each edge.
        weights: file of torchvision's weights of VGG16; None: torch's cache. Nothing is downloaded.
        linear_weights: file of the authors' alpha and beta; None: of the package DISTS-pytorch (MIT licence).
        device: where it runs, 'cpu' or 'cuda'.

    Raises:
        UserError: the weights are missing or another network's.
        TypeError, ValueError: see :func:`check_pair` and :func:`cropped`.
    """
    check_pair(img, img2)
    img, img2 = (cropped(picture, crop_border, smallest=16) for picture in (img, img2))
    return _dists(weights, linear_weights, device)(img, img2)


class _Dists:
    def __init__(self, weights: Optional[str], linear_weights: Optional[str], device: str) -> None:
        metric = 'calculate_dists'
        path, state = authors_weights(linear_weights, 'DISTS_pytorch', 'weights.pt', metric=metric)
        if set(state) != {'alpha', 'beta'} or any(value.numel() != sum(_CHANNELS) for value in state.values()):
            raise UserError(
                f'{metric}: {path} holds no weights of DISTS: expected alpha and beta, {sum(_CHANNELS)} each'
            )
        total = state['alpha'].sum() + state['beta'].sum()
        self._alpha, self._beta = (
            (state[name].flatten() / total).to(device).split(_CHANNELS) for name in ('alpha', 'beta')
        )
        features = load_features('vgg', weights, metric=metric).to(device)
        self._stages = [[features[number] for number in stage] for stage in _STAGES]
        self._device: Any = device

    def __call__(self, img: np.ndarray, img2: np.ndarray) -> float:
        import torch

        with torch.no_grad():
            (raw, one), (raw2, other) = (normalised(picture, self._device) for picture in (img, img2))
            similarity = self._similarity(0, raw, raw2)
            for number, stage in enumerate(self._stages, start=1):  # side by side: earlier features are not kept
                if number > 1:
                    one, other = _pooled(one), _pooled(other)
                for layer in stage:
                    one, other = layer(one), layer(other)
                similarity += self._similarity(number, one, other)
        return 1 - similarity

    def _similarity(self, number: int, x: 'Tensor', y: 'Tensor') -> float:
        x, y = x[0].flatten(1), y[0].flatten(1)
        mean_x, mean_y = x.mean(1), y.mean(1)
        texture = (2 * mean_x * mean_y + _C) / (mean_x**2 + mean_y**2 + _C)
        variance_x, variance_y = x.var(1, unbiased=False), y.var(1, unbiased=False)
        covariance = (x * y).mean(1) - mean_x * mean_y
        structure = (2 * covariance + _C) / (variance_x + variance_y + _C)
        return float((self._alpha[number] * texture + self._beta[number] * structure).sum())


_dists = cache(_Dists)


def _pooled(features: 'Tensor') -> 'Tensor':
    """Root of the local mean of squares: 3x3 Hann window, every second pixel."""
    import torch
    from torch.nn import functional

    taps = torch.tensor([0.5, 1.0, 0.5], device=features.device)  # the inner ones of numpy.hanning(5)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    channels = features.shape[1]
    kernel = window.expand(channels, 1, 3, 3)
    return (functional.conv2d(features**2, kernel, stride=2, padding=1, groups=channels) + _POOL_EPS).sqrt()
