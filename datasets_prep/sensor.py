"""From light to the picture that a camera writes: saturation, noise, sRGB, JPEG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np


def to_light(picture: np.ndarray) -> np.ndarray:
    """sRGB, uint8, to linear light in [0, 1], float32 (IEC 61966-2-1)."""
    levels = np.arange(256) / 255
    table = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[picture]


def to_picture(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB, uint8; what is beyond [0, 1] is clipped."""
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def mean_light(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of one or more pictures in light, float32, of one shape; they are read one at a time."""
    frames = iter(frames)
    total, count = next(frames).copy(), 1
    for frame in frames:
        total += frame
        count += 1
    return total / count


@dataclass(frozen=True)
class Sensor:
    """How a camera records light.

    Attributes:
        boost: how much brighter than white the brightest lights were: the picture shows them clipped, but they draw
            bright streaks when they move.
        shot_noise: variance of the noise in linear light for each unit of light.
        read_noise: deviation of the noise in the dark, in linear light.
        quality: of the JPEG file, 1 to 100; None: no compression.
    """

    boost: float = 0.0
    shot_noise: float = 0.0
    read_noise: float = 0.0
    quality: int | None = None

    def unclipped(self, light: np.ndarray) -> np.ndarray:
        """What the light of a clipped picture may have been: from 0.8 on up to (1 + boost) times as bright."""
        if not self.boost:
            return light
        brightness = light.max(axis=2, keepdims=True)
        return light * (1 + self.boost * np.clip((brightness - 0.8) / 0.2, 0, 1) ** 2)

    def record(self, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) float32, linear light -> (H, W, 3) uint8."""
        light = np.clip(light, 0, 1)
        deviation = np.sqrt(self.shot_noise * light + self.read_noise**2)
        picture = to_picture(light + deviation * rng.standard_normal(light.shape, dtype=np.float32))
        if self.quality is None:
            return picture
        coded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
