"""What a map of blur must be better than: two measures of texture, and the residual of other networks."""

from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from torch import Tensor

from ..modeling.traits import traits_of
from ..weights import read_any_network

WINDOW = 9  # pixels


def local_variance(picture: np.ndarray) -> np.ndarray:
    """Variance of the grey levels in the 9x9 pixels around each: (H, W, 3) uint8 BGR -> (H, W) float32."""
    grey = _grey(picture)
    mean = cv2.blur(grey, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    mean_of_squares = cv2.blur(grey * grey, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    return np.maximum(mean_of_squares - mean * mean, 0).astype(np.float32)  # rounding makes it negative in flat parts


def gradient_energy(picture: np.ndarray) -> np.ndarray:
    """Squared length of the gradient of the grey levels (central differences): (H, W, 3) uint8 -> (H, W) float32."""
    grey = cv2.copyMakeBorder(_grey(picture), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    across = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2
    down = (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
    return (across**2 + down**2).astype(np.float32)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64)


class OtherNetwork:
    """A deblurring network of a file of weights (NAFNet, Restormer, another AIBNet, ...).

    Args:
        param_key: which entry of the file to take; None: 'params_ema' if there is one, else 'params'.

    Raises:
        UserError, CheckpointError: see :func:`.read_any_network`.
    """

    def __init__(self, path: Path, *, param_key: Optional[str], device: torch.device) -> None:
        self._network = read_any_network(path, param_key=param_key).to(device)
        self.architecture = traits_of(self._network).architecture

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) RGB in [0, 1] -> the restored picture in [0, 1], same shape, on the CPU."""
        return self._network(image).clamp(0, 1).cpu()
