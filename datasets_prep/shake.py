"""Blurred pairs of your own sharp pictures: camera shake, moving parts, noise, saturation and JPEG.

    python -m datasets_prep.shake --input photos --output datasets/shaken

makes input.lmdb and target.lmdb below the output. Of each picture several exposures are drawn: most with the camera
shaking in any direction, some with a steady camera before moving parts, and some that are sharp, where input and
target are the same, so that a network learns to leave sharp pictures alone. Pictures should be sharp and larger than
--largest-side, so that reducing them rids them of noise and of what compression did to them. With --defocus a share is
out of focus in both, the target too, and with --video a share is the mean of a few frames, with the ghosts of slow
video: each frame has its own noise and compression, the one in the middle, the target, as well.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from datasets_prep.archives import FilePath
from datasets_prep.camera_shake import MovingPart, Shake, random_path, random_turns, soft_blob
from datasets_prep.cli import add_writing_arguments, new_parser, positive, run
from datasets_prep.crops import Crop
from datasets_prep.errors import raise_if_any
from datasets_prep.film import Film
from datasets_prep.focus import draw_defocus
from datasets_prep.images import load, reduced
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Made, Pair, index_by_key
from datasets_prep.sensor import Sensor, to_light, to_picture
from datasets_prep.shake_settings import ShakeSettings, add_settings, settings_of
from datasets_prep.trees import pictures

GENERATOR = 3  # grows where the same settings give other pictures: sets of before are then told apart
FEWEST_FRAMES, MOST_FRAMES = 3, 11  # of an exposure that is the mean of a video's frames
FASTER = 2  # as far do things move in it
LOWEST_VIDEO_QUALITY = 70  # of JPEG, for its frames: video is compressed harder than photos


def draw_shake(
    height: int, width: int, *, settings: ShakeSettings, rng: np.random.Generator, reach: float = 1
) -> Shake:
    """Draw what moves during an exposure of H x W pixels, `reach` times as far as the settings say."""
    steady = rng.random() < settings.steady
    count = rng.integers(1 if steady else 0, settings.parts + 1) if settings.parts else 0
    parts = [
        MovingPart(soft_blob(height, width, rng), random_path(rng.uniform(0, reach * settings.part_path), rng))
        for _ in range(count)
    ]
    return Shake(
        camera=random_path(rng.uniform(0, 1.0 if steady else reach * settings.path), rng),
        turns=random_turns(rng.uniform(0, 0.1 if steady else settings.turn), rng),
        parts=parts,
    )


def draw_sensor(settings: ShakeSettings, rng: np.random.Generator) -> Sensor:
    """Draw how an exposure is recorded."""
    noise = rng.uniform(0, settings.noise)
    return Sensor(
        boost=rng.uniform(0, settings.boost),
        shot_noise=0.8 * noise**2,
        read_noise=0.2 * noise,
        quality=int(rng.integers(settings.quality, 101)) if rng.random() < 2 / 3 else None,
    )


@dataclass(frozen=True)
class Shaken(Made):
    """One side of an exposure of a picture file.

    Random numbers hang on the picture's name, so that another picture changes nothing here.

    Attributes:
        key, number: name of the picture, and which of its exposures.
        side: 0 for the blurred picture, 1 for the sharp one.
    """

    path: FilePath
    key: str
    number: int
    side: int
    settings: ShakeSettings

    @property
    def is_left_alone(self) -> bool:
        """Whether the exposure is left sharp."""
        return self.number < self.settings.left_alone

    def make(self) -> np.ndarray:
        """The side's picture, (H, W, 3) uint8 BGR, the same each time."""
        picture = _target(self.path, self.settings.largest_side)
        name = f'{self.key}-{self.number}'
        target = _focused(picture, name, self.settings)
        if not self.is_left_alone:
            film = _film(target, name, self.settings)
            if film is not None:
                return film.mean() if self.side == 0 else film.middle()
        rng = _random_numbers_before(self.number, self.key, target.shape, settings=self.settings)
        return _expose(target, self.number, self.side, settings=self.settings, rng=rng)

    def source_bytes(self) -> int:
        """Size of the picture file; 0 in an archive."""
        return self.path.stat().st_size if isinstance(self.path, Path) else 0


def pairs_of_files(files: Mapping[str, FilePath], *, settings: ShakeSettings) -> list[Pair]:
    """The pairs of all pictures, made when they are needed."""
    return [
        Pair(f'{key}-{number}', *(Shaken(path, key, number, side, settings) for side in (0, 1)))
        for key, path in files.items()
        for number in range(settings.exposures)
    ]


def _random_numbers(key: str, settings: ShakeSettings) -> np.random.Generator:
    return np.random.default_rng([settings.seed, *hashlib.sha256(key.encode()).digest()])


def _focused(target: np.ndarray, key: str, settings: ShakeSettings) -> np.ndarray:
    """The picture as the exposure's lens shows it; random numbers of its own, so that the rest is as without."""
    rng = _random_numbers(f'focus of {key}', settings)
    if rng.random() >= settings.defocus:
        return target
    return to_picture(draw_defocus(*target.shape[:2], rng=rng).soften(to_light(target)))


def _film(target: np.ndarray, name: str, settings: ShakeSettings) -> Film | None:
    """The exposure as a video, for a share of them; random numbers of its own, as in :func:`_focused`."""
    rng = _random_numbers(f'film of {name}', settings)
    if rng.random() >= settings.video:
        return None
    count = int(rng.choice(range(FEWEST_FRAMES, MOST_FRAMES + 1, 2)))
    shake = draw_shake(*target.shape[:2], settings=settings, rng=rng, reach=FASTER).filmed(count)
    sensor = draw_sensor(settings, rng)
    if sensor.quality is not None:
        sensor = replace(sensor, quality=int(rng.integers(LOWEST_VIDEO_QUALITY, 101)))
    return Film(shake, sensor.unclipped(to_light(target)), sensor, rng)


def _expose(
    target: np.ndarray, number: int, side: int, *, settings: ShakeSettings, rng: np.random.Generator
) -> np.ndarray:
    """Blurred (side 0) or sharp picture (side 1) of an exposure."""
    sensor = draw_sensor(settings, rng)
    if number < settings.left_alone:
        # Compressed as files are, and to be given back as it is.
        return Sensor(quality=sensor.quality).record(to_light(target), rng)
    light = sensor.unclipped(to_light(target))
    if side:
        return to_picture(light)  # what the same camera sees at rest: what is too bright for it is white there, too
    shake = draw_shake(*target.shape[:2], settings=settings, rng=rng)
    return sensor.record(shake.expose(light), rng)


def _random_numbers_before(
    number: int, key: str, shape: tuple[int, ...], *, settings: ShakeSettings
) -> np.random.Generator:
    """As an exposure finds them: all of a picture draw from one sequence. What was skipped once is known since."""
    rng, states = _random_numbers(key, settings), _known_states(key, shape, settings)
    rng.bit_generator.state = states[min(number, len(states) - 1)]
    for earlier in range(len(states) - 1, number):
        _skip(shape, earlier, settings=settings, rng=rng)
        states.append(rng.bit_generator.state)
    return rng


@lru_cache(maxsize=1)
def _known_states(key: str, shape: tuple[int, ...], settings: ShakeSettings) -> list[Mapping[str, Any]]:
    """Where the random numbers of a picture of this shape stand before its first exposures; the list grows."""
    return [_random_numbers(key, settings).bit_generator.state]


def _skip(shape: tuple[int, ...], number: int, *, settings: ShakeSettings, rng: np.random.Generator) -> None:
    """Draw what `_expose` draws for the blurred picture."""
    draw_sensor(settings, rng)
    if number >= settings.left_alone:
        draw_shake(*shape[:2], settings=settings, rng=rng)
    rng.standard_normal(shape, dtype=np.float32)  # the sensor's noise


@lru_cache(maxsize=1)
def _target(path: FilePath, largest_side: int) -> np.ndarray:
    try:
        return reduced(load(path)[0], largest_side)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare one set from sharp pictures, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('shake', description=__doc__)
    parser.add_argument('--input', type=Path, required=True, help='folder of sharp pictures')
    parser.add_argument('--recursive', action='store_true', help='take the pictures in subfolders, too')
    parser.add_argument('--crop-size', type=positive, help='store square crops instead of whole pictures')
    add_writing_arguments(parser, output=None)
    add_settings(parser)
    arguments = parser.parse_args(argv)
    settings = settings_of(arguments)
    problems: list[str] = []
    if not arguments.input.is_dir():
        problems.append(f'the folder {arguments.input.absolute()} does not exist')
    found = [] if problems else pictures(arguments.input, recursive=arguments.recursive)
    names = [(path.relative_to(arguments.input).with_suffix('').as_posix(), path) for path in found]
    files = index_by_key(names, problems=problems)
    if not files and not problems:
        problems.append(f'no pictures in {arguments.input.absolute()}')
    raise_if_any(problems)
    pairs = pairs_of_files(files, settings=settings)
    crop = Crop(arguments.crop_size, max(1, arguments.crop_size * 3 // 4)) if arguments.crop_size else None
    source = f'shaken {GENERATOR}: {settings}'
    paired_set = PairedSet(pairs, arguments.output / 'input.lmdb', arguments.output / 'target.lmdb', crop, source)
    prepare([paired_set], workers=arguments.workers, overwrite=arguments.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
