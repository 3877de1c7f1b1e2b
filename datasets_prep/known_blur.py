"""Held-out pictures of the demo with the true extent of their blur, to measure maps of blur against.

    python -m datasets_prep.known_blur

makes two sets below ``datasets/known_blur``, each with the folders ``input``, ``target`` and ``extent``:

  demo    the demo's validation pictures: everything is blurred, the moving part otherwise than the rest
  partly  pictures of which the demo trains none, from a steady camera: sharp but for the moving part

An extent is a grey picture of 16 bit, 256 a pixel of the path that is seen there during the exposure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from datasets_prep.cli import new_parser, run
from datasets_prep.demo import VAL_PICTURES, Shot, demo_shots, draw_shots
from datasets_prep.errors import PrepError

PARTLY_PICTURES = (*VAL_PICTURES, 'brick.png')
SHOTS_PER_PICTURE = 4
SEED = 2026
UNITS_PER_PIXEL = 256


def make(output: Path) -> None:
    """Make both sets.

    Raises:
        PrepError: `output` is there already and not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PrepError(f'{output.absolute()} is there already: delete it, or choose another --output.')
    rng = np.random.default_rng(SEED)
    _write(demo_shots()[1], output / 'demo')
    _write(draw_shots(PARTLY_PICTURES, shots=SHOTS_PER_PICTURE, steady_every=1, rng=rng), output / 'partly')


def encode_extent(extent: np.ndarray) -> np.ndarray:
    """(H, W) float pixels -> (H, W) uint16."""
    return np.round(np.clip(UNITS_PER_PIXEL * extent, 0, 65535)).astype(np.uint16)


def _write(shots: Sequence[Shot], folder: Path) -> None:
    for name in ('input', 'target', 'extent'):
        (folder / name).mkdir(parents=True)
    for shot in shots:
        blurred = shot.exposure.blur(shot.sharp)
        pictures = {'input': blurred, 'target': shot.sharp, 'extent': encode_extent(shot.exposure.extent())}
        for name, picture in pictures.items():
            (folder / name / f'{shot.key}.png').write_bytes(cv2.imencode('.png', picture)[1].tobytes())
    print(f'{folder}: {len(shots)} pictures')


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('known_blur', description=__doc__)
    parser.add_argument('--output', type=Path, default=Path('datasets/known_blur'), help='default: %(default)s')
    make(parser.parse_args(argv).output)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
