"""The checks that all metrics make of their input."""

import numpy as np


def check_pair(img: np.ndarray, img2: np.ndarray) -> None:
    """Refuse what would give a number without meaning.

    Raises:
        TypeError: not a numpy array, or not uint8; floats in [0, 1] would be measured against a range of 255.
        ValueError: not (H, W, 3), empty, or of different shapes.
    """
    for picture in (img, img2):
        if not isinstance(picture, np.ndarray):
            raise TypeError(f'expected numpy arrays, got {type(picture).__name__}')
        if picture.dtype != np.uint8:
            raise TypeError(f'expected uint8 pictures with values from 0 to 255, got {picture.dtype}')
        if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f'expected pictures of shape (H, W, 3), got {picture.shape}')
    if img.shape != img2.shape:
        raise ValueError(f'the pictures differ in shape: {img.shape} and {img2.shape}')


def cropped(picture: np.ndarray, border: int, *, smallest: int = 1) -> np.ndarray:
    """The picture without `border` pixels along each edge.

    Raises:
        TypeError: `border` is no whole number.
        ValueError: `border` is negative, or leaves fewer than `smallest` rows or columns.
    """
    if not isinstance(border, (int, np.integer)):
        raise TypeError(f'crop_border must be a whole number, got {border!r}')
    height, width = picture.shape[0] - 2 * border, picture.shape[1] - 2 * border
    if border < 0 or min(height, width) < smallest:
        raise ValueError(
            f'crop_border {border} of a picture of {picture.shape[0]}x{picture.shape[1]}: '
            f'needs 0 or more, and at least {smallest}x{smallest} left'
        )
    return picture[border : border + height, border : border + width]
