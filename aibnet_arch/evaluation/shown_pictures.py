"""A few pictures of each validation for TensorBoard (and what takes over from it): before, after and truth."""

from typing import Any, Optional

import cv2
import numpy as np

MOST = 3  # pictures of a set
SIDE = 384  # pixels of the middle that are shown: at full size details can be compared, and logs stay small


class ShownPictures:
    """The first pictures of a set, those of one validation after those of another.

    Args:
        tb_logger: TensorBoard's writer; None: nothing is shown (other processes, tests).
    """

    def __init__(self, tb_logger: Optional[Any], dataset: str, iteration: int) -> None:
        self._tb_logger = tb_logger
        self._dataset = dataset
        self._iteration = iteration
        self._left = 0 if tb_logger is None else MOST

    def wants_more(self) -> bool:
        """Whether another picture would be shown."""
        return self._left > 0

    def add(self, name: str, *, before: np.ndarray, after: np.ndarray, truth: Optional[np.ndarray]) -> None:
        """Show a picture, if the set has not had its share.

        Args:
            before, after, truth: uint8, (H, W, 3) BGR or (H, W). A smaller `before` (scale above 1) is enlarged.
        """
        if self._tb_logger is None or not self.wants_more():
            return
        self._left -= 1
        if before.shape[:2] != after.shape[:2]:
            before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        parts = [_middle(picture) for picture in (before, after, truth) if picture is not None]
        titles = '_'.join(('before', 'after', 'truth')[: len(parts)])
        self._tb_logger.add_image(
            f'{self._dataset}/{name} {titles}', np.hstack(parts), self._iteration, dataformats='HWC'
        )


def _middle(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) RGB of the middle."""
    height, width = picture.shape[:2]
    top, left = max(height - SIDE, 0) // 2, max(width - SIDE, 0) // 2
    cut = picture[top : top + SIDE, left : left + SIDE]
    return cv2.cvtColor(cut, cv2.COLOR_GRAY2RGB if cut.ndim == 2 else cv2.COLOR_BGR2RGB)
