"""LPIPS (Zhang et al., CVPR 2018), version 0.1: weighted squared differences of features of unit length."""

from functools import cache
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from ...errors import UserError
from ...messages import did_you_mean
from ..checked import check_pair, cropped
from .backbone import authors_weights, load_features, normalised

if TYPE_CHECKING:
    from torch import Tensor

# The layers of torchvision's `features` after which LPIPS looks: a ReLU each.
_LAYERS = {'alex': (1, 4, 7, 9, 11), 'vgg': (3, 8, 15, 22, 29)}
_EPS = 1e-10


def calculate_lpips(
    img: np.ndarray,
    img2: np.ndarray,
    crop_border: int = 0,
    net: str = 'alex',
    weights: Optional[str] = None,
    linear_weights: Optional[str] = None,
    device: str = 'cpu',
) -> float:
    """LPIPS: 0 for equal pictures, lower is better.

    Args:
        img, img2: (H, W, 3) uint8 BGR pictures.
        crop_border: pixels left out along each edge.
        net: 'alex', as published tables have it, or 'vgg'.
        weights: file of torchvision's weights of that network; None: torch's cache. Nothing is downloaded.
        linear_weights: file of the authors' weights of the differences; None: of the package lpips (BSD licence).
        device: where it runs, 'cpu' or 'cuda'.

    Raises:
        UserError: the weights are missing or another network's.
        TypeError, ValueError: see :func:`check_pair` and :func:`cropped`.
    """
    check_pair(img, img2)
    if net not in _LAYERS:
        raise UserError(f'calculate_lpips: net: {net!r}: expected alex or vgg{did_you_mean(net, list(_LAYERS))}')
    img, img2 = (cropped(picture, crop_border) for picture in (img, img2))
    return _lpips(net, weights, linear_weights, device)(img, img2)


class _Lpips:
    def __init__(self, net: str, weights: Optional[str], linear_weights: Optional[str], device: str) -> None:
        metric = 'calculate_lpips'
        path, state = authors_weights(linear_weights, 'lpips', f'weights/v0.1/{net}.pth', metric=metric)
        names = [f'lin{number}.model.1.weight' for number in range(len(_LAYERS[net]))]
        if list(state) != names:
            raise UserError(f'{metric}: {path} holds no linear weights of LPIPS 0.1: expected {", ".join(names)}')
        self._features = load_features(net, weights, metric=metric).to(device)
        self._weights = dict(zip(_LAYERS[net], (state[name].to(device) for name in names)))
        self._device: Any = device

    def __call__(self, img: np.ndarray, img2: np.ndarray) -> float:
        import torch

        total = 0.0
        with torch.no_grad():
            one, other = (normalised(picture, self._device)[1] for picture in (img, img2))
            for number, layer in enumerate(self._features):  # both side by side: no features of earlier layers are kept
                if number > max(self._weights):
                    break
                one, other = layer(one), layer(other)
                if number in self._weights:
                    difference = (_unit(one) - _unit(other)) ** 2
                    total += float((difference * self._weights[number]).sum(dim=1).mean())
        return total


_lpips = cache(_Lpips)


def _unit(features: 'Tensor') -> 'Tensor':
    """Vectors over the channels, of length one."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _EPS)
