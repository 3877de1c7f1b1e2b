"""How far each pixel of a frame moves during an exposure, by optical flow from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def path_lengths(frames: Sequence[np.ndarray], *, at: int) -> np.ndarray:
    """Length of the path that what is seen at each pixel of a frame goes through all frames.

    From that frame on, forwards and backwards, the points are followed by the dense flow of neighbouring frames
    (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016). A point that leaves the picture goes
    on as the nearest one at the border does.

    Args:
        frames: (H, W, 3) uint8 each.
        at: which of them.

    Returns:
        (H, W) float32, pixels.
    """
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    return _followed(grey[at:]) + _followed(grey[at::-1])


def _followed(grey: Sequence[np.ndarray]) -> np.ndarray:
    height, width = grey[0].shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    total = np.zeros((height, width), np.float32)
    flow_of = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for before, after in zip(grey, grey[1:]):
        flow = flow_of.calc(before, after, np.zeros((height, width, 2), np.float32))
        step = cv2.remap(flow, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total += np.hypot(step[..., 0], step[..., 1])
        columns, rows = columns + step[..., 0], rows + step[..., 1]
    return total
