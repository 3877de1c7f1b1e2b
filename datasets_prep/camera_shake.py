"""What a camera records while it shakes and things move: frames of one sharp picture, averaged in linear light.

The path of a hand-held camera is a random walk of its velocity with inertia and now and then a jerk, after Boracchi
and Foi, "Modeling the performance of image restoration from motion blur" (IEEE TIP 2012). On top of the camera's path
come its turn about the axis and the own paths of moving parts. The sharp picture is seen from the mean of all poses, so
that blur and truth lie on each other: a shift between them is nothing that a single picture tells. The benchmark of
recorded shakes of Koehler et al. (ECCV 2012) takes it out, too: it finds the best translation before it compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from datasets_prep.sensor import mean_light

FRAMES = 33  # a path of 20 pixels is sampled finer than a pixel
INERTIA = (0.5, 0.95)  # share of the velocity that is kept from frame to frame: bent and nearly straight paths
JERKS = 0.05  # share of the frames at which the velocity is drawn anew
# A lens shows what moves as sharp as what stands still. Between pixels bilinear interpolation takes more detail away
# than a short shake does: a network would learn to undo it, and find it nowhere else.
CRISP = cv2.INTER_CUBIC


@dataclass(frozen=True)
class MovingPart:
    """A part of the picture that moves by itself.

    Attributes:
        mask: (H, W) float32 in [0, 1], in the sharp picture.
        path: its own path, which comes on top of the camera's, (frames, 2) pixels, x before y.
    """

    mask: np.ndarray
    path: np.ndarray


@dataclass(frozen=True)
class Shake:
    """One exposure.

    Attributes:
        camera: (frames, 2) pixels, x before y.
        turns: about the picture's centre, (frames,) degrees.
        parts: moving parts, each before those that come earlier.
    """

    camera: np.ndarray
    turns: np.ndarray
    parts: Sequence[MovingPart] = ()

    def frames(self, light: np.ndarray) -> Iterator[np.ndarray]:
        """What is seen from each pose: (H, W, 3) float32, linear light -> the same."""
        for frame, (camera, turn) in enumerate(zip(self.camera, self.turns)):
            seen = warp(light, camera, turn, interpolation=CRISP)
            for part in self.parts:
                place = camera + part.path[frame]
                mask = warp(part.mask, place, turn)[..., None]
                seen += mask * (warp(light, place, turn, interpolation=CRISP) - seen)
            yield seen

    def expose(self, light: np.ndarray) -> np.ndarray:
        """The mean of the frames, in the same form."""
        return mean_light(self.frames(light))

    def filmed(self, count: int) -> Shake:
        """The same exposure as a mean of `count` frames of a video, an odd number, seen from the one in the middle."""
        frames = np.linspace(0, len(self.camera) - 1, count).round().astype(int)

        def thinned(path: np.ndarray) -> np.ndarray:
            return path[frames] - path[frames[count // 2]]

        parts = [MovingPart(part.mask, thinned(part.path)) for part in self.parts]
        return Shake(thinned(self.camera), thinned(self.turns), parts)


def random_path(length: float, rng: np.random.Generator) -> np.ndarray:
    """A path of that length with its mean at the origin, in any direction: (FRAMES, 2) pixels."""
    inertia = rng.uniform(*INERTIA)
    velocity = rng.normal(size=2)
    steps = np.empty((FRAMES - 1, 2))
    for step in steps:
        if rng.random() < JERKS:
            velocity = rng.normal(size=2)
        velocity = inertia * velocity + (1 - inertia) * rng.normal(size=2)
        step[:] = velocity
    steps *= length / max(np.linalg.norm(steps, axis=1).sum(), 1e-12)
    path = np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)])
    return path - path.mean(axis=0)


def random_turns(degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turns along one axis of a random walk of that length, their mean none: (FRAMES,) degrees."""
    return random_path(degrees, rng)[:, 0]


def soft_blob(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A mask in [0, 1] of an ellipse with a wavy edge a few pixels wide, (H, W) float32."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    radius = np.array([height, width]) * rng.uniform(0.1, 0.35, size=2)
    centre = np.array([height, width]) * rng.uniform(0.15, 0.85, size=2)
    down, right = (rows - centre[0]) / radius[0], (columns - centre[1]) / radius[1]
    waves = rng.uniform(0, 0.12) * np.sin(rng.integers(2, 7) * np.arctan2(down, right) + rng.uniform(0, 2 * np.pi))
    return np.clip((1 + waves - np.hypot(down, right)) * radius.min() / 3 + 0.5, 0, 1).astype(np.float32)


def warp(image: np.ndarray, shift: np.ndarray, turn: float, *, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The picture moved by `shift` pixels (x, y) and turned about its centre by `turn` degrees."""
    height, width = image.shape[:2]
    matrix = moved(height, width, shift, turn)
    return cv2.warpAffine(image, matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101)


def moved(height: int, width: int, shift: np.ndarray, turn: float) -> np.ndarray:
    """(2, 3): where a point (x, y, 1) of a picture of H x W pixels comes to by :func:`warp`."""
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(turn), 1.0)
    matrix[:, 2] += shift
    return matrix
