"""Synthetic motion blur that differs from region to region, made as GoPro's was.

GoPro averages the frames of a fast camera. Here the frames are warps of one sharp picture: a moving
camera moves all of it, and one part of the picture moves by itself on top. The frames are averaged
in linear light; the sharp picture is the frame in the middle of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets_prep.camera_shake import moved, warp

GAMMA = 2.2
# Deviation of a path's direction from the horizontal in radians: cameras are mostly panned sideways, as people and
# cars move.
DIRECTION_SPREAD = 0.3


@dataclass(frozen=True)
class Motion:
    """How far things move during the exposure.

    Attributes:
        camera: length of the camera's path in pixels.
        camera_turn: how far the camera turns about its axis, in degrees.
        part: length of the own path of the moving part, in pixels.
        frames: frames that are averaged, an odd number.
    """

    camera: float
    camera_turn: float
    part: float
    frames: int = 25


def draw_motion(rng: np.random.Generator, *, steady: bool) -> Motion:
    """Motion for a picture of 400 pixels: of camera and part, or of the part before a camera that hardly moves."""
    return Motion(
        camera=rng.uniform(0, 0.7) if steady else rng.uniform(3, 7),
        camera_turn=rng.uniform(0, 0.1) if steady else rng.uniform(0, 0.5),
        part=rng.uniform(4, 8),
    )


@dataclass(frozen=True)
class Exposure:
    """One exposure: where everything is in each of its frames.

    At mid-exposure everything is where the sharp picture shows it.

    Attributes:
        camera: the camera's path, (frames, 2) pixels, x before y.
        turns: its turn about the picture's centre, (frames,) degrees.
        own: the moving part's own path, which comes on top, (frames, 2) pixels.
        part: the moving part, (H, W) float32 in [0, 1].
    """

    camera: np.ndarray
    turns: np.ndarray
    own: np.ndarray
    part: np.ndarray

    @classmethod
    def draw(cls, height: int, width: int, *, motion: Motion, rng: np.random.Generator) -> Exposure:
        """Draw the paths and the moving part of an exposure of H x W pixels."""
        part = _soft_ellipse(height, width, rng)
        camera = _path(motion.camera, motion, rng)
        turns = np.linspace(-0.5, 0.5, motion.frames) * motion.camera_turn * rng.choice([-1.0, 1.0])
        return cls(camera=camera, turns=turns, own=_path(motion.part, motion, rng), part=part)

    def blur(self, sharp: np.ndarray) -> np.ndarray:
        """The mean of the frames: (H, W, 3) uint8 -> (H, W, 3) uint8."""
        linear = (sharp.astype(np.float32) / 255) ** GAMMA
        total = np.zeros_like(linear)
        for camera, turn, own in zip(self.camera, self.turns, self.own):
            background = warp(linear, camera, turn)
            part = warp(linear, camera + own, turn)
            mask = warp(self.part, camera + own, turn)[..., None]
            total += mask * part + (1 - mask) * background
        mean = np.clip(total / len(self.camera), 0, 1)
        return np.round(255 * mean ** (1 / GAMMA)).astype(np.uint8)

    def extent(self) -> np.ndarray:
        """How far each pixel is blurred: the length of the path of what is seen there, (H, W) float32 pixels.

        Where the moving part covers a pixel for a share of the exposure, that share of the part's path and
        the rest of the background's. It does not depend on the picture: a clear sky that moves is blurred too.
        """
        frames = list(zip(self.camera, self.turns, self.own))
        covered = np.mean([warp(self.part, camera + own, turn) for camera, turn, own in frames], axis=0)
        background = self._path_lengths(self.camera)
        return (covered * self._path_lengths(self.camera + self.own) + (1 - covered) * background).astype(np.float32)

    def _path_lengths(self, shifts: np.ndarray) -> np.ndarray:
        height, width = self.part.shape
        rows, columns = np.mgrid[:height, :width]
        points = np.stack((columns, rows, np.ones_like(rows)), axis=-1)
        places = [points @ moved(height, width, shift, turn).T for shift, turn in zip(shifts, self.turns)]
        return sum(np.linalg.norm(after - before, axis=-1) for before, after in zip(places, places[1:]))


def blur(sharp: np.ndarray, *, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Blur a picture.

    Args:
        sharp: (H, W, 3) uint8.
        motion: amounts; the paths and the moving part are drawn.
        rng: source of all random numbers.

    Returns:
        (H, W, 3) uint8, the mean of the frames.
    """
    return Exposure.draw(*sharp.shape[:2], motion=motion, rng=rng).blur(sharp)


def _path(length: float, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """A smooth, slightly bent path of about that length through the origin at mid-exposure: (frames, 2) pixels."""
    time = np.linspace(-0.5, 0.5, motion.frames)[:, None]
    angle = rng.normal(0, DIRECTION_SPREAD)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    bend = rng.uniform(-0.6, 0.6)
    return length * (time * along + bend * time**2 * across)


def _soft_ellipse(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A mask in [0, 1] of an ellipse with an edge a few pixels wide, (H, W) float32."""
    rows, columns = np.mgrid[:height, :width]
    radius = np.array([height, width]) * rng.uniform(0.18, 0.32, size=2)
    centre = np.array([height, width]) * rng.uniform(0.3, 0.7, size=2)
    distance = np.hypot((rows - centre[0]) / radius[0], (columns - centre[1]) / radius[1])
    return np.clip((1 - distance) * radius.min() / 3 + 0.5, 0, 1).astype(np.float32)
