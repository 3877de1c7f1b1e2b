"""A lens that is out of focus: what it softens is soft in the sharp picture, too, and not for a network to sharpen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from datasets_prep.camera_shake import soft_blob

LARGEST_RADIUS = 4.0
WHOLE = 0.4  # share of the pictures that are out of focus as a whole; of the others what lies behind one thing is


@dataclass(frozen=True)
class Defocus:
    """Each point becomes a disc.

    Attributes:
        radius: of the disc, in pixels.
        mask: where, (H, W) float32 in [0, 1]; None: everywhere.
    """

    radius: float
    mask: np.ndarray | None = None

    def soften(self, light: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32, linear light -> the same."""
        soft = cv2.filter2D(light, -1, disc(self.radius), borderType=cv2.BORDER_REFLECT_101)
        return soft if self.mask is None else light + self.mask[..., None] * (soft - light)


def draw_defocus(height: int, width: int, *, rng: np.random.Generator) -> Defocus:
    """Draw how a picture of H x W pixels is out of focus."""
    mask = None if rng.random() < WHOLE else 1 - soft_blob(height, width, rng)
    return Defocus(rng.uniform(0.5, LARGEST_RADIUS), mask)


def disc(radius: float) -> np.ndarray:
    """A disc whose border is a pixel wide, its sum 1: (2 r + 1, 2 r + 1) float32, r the radius rounded up."""
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    return kernel / kernel.sum()
