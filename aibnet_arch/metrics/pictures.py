"""The check that all metrics make of their input."""

import numpy as np


def check_pair(img: np.ndarray, img2: np.ndarray) -> None:
    """Refuse what would give a number without meaning.

    Raises:
        TypeError: not uint8; floats in [0, 1] would be measured against a range of 255.
        ValueError: not (H, W, 3), or of different shapes.
    """
    for picture in (img, img2):
        if picture.dtype != np.uint8:
            raise TypeError(f'expected uint8 pictures with values from 0 to 255, got {picture.dtype}')
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f'expected pictures of shape (H, W, 3), got {picture.shape}')
    if img.shape != img2.shape:
        raise ValueError(f'the pictures differ in shape: {img.shape} and {img2.shape}')
