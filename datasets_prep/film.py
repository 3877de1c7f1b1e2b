"""A video of a shaken picture, and the mean of its few frames, as datasets_prep.video makes pairs of real ones.

A frame has noise and compression of its own, which the mean of them has a part of: a network that is to restore what is
filmed must not take it for blur, nor take it away.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from datasets_prep.camera_shake import Shake
from datasets_prep.sensor import Sensor, mean_light, to_light, to_picture


@dataclass(frozen=True)
class Film:
    """A few frames, each recorded by itself.

    Attributes:
        shake: poses of the frames, the one in the middle at the origin (`Shake.filmed`).
        light: what is filmed, (H, W, 3) float32, linear.
        rng: of the frames' noise; it stays as it is.
    """

    shake: Shake
    light: np.ndarray
    sensor: Sensor
    rng: np.random.Generator

    def frames(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 BGR each, the same each time."""
        rng = copy.deepcopy(self.rng)
        return (self.sensor.record(seen, rng) for seen in self.shake.frames(self.light))

    def mean(self) -> np.ndarray:
        """Of all frames in light, in the same form."""
        return to_picture(mean_light(map(to_light, self.frames())))

    def middle(self) -> np.ndarray:
        """The frame in the middle, which sees the picture where it is."""
        return next(islice(self.frames(), len(self.shake.camera) // 2, None))
