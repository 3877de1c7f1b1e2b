"""Held-out pictures of the demo with the true extent of their blur, to measure maps of blur against.

    python -m datasets_prep.known_blur

makes two sets below ``datasets/known_blur``, each with the folders ``input``, ``target`` and ``extent``:

  demo    the demo's validation pictures: everything is blurred, the moving part otherwise than the rest
  partly  pictures of which the demo trains none, from a steady camera: sharp but for the moving part

An extent is a grey picture of 16 bit, 256 a pixel of the path that is seen there during the exposure.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aibnet_arch.files import sync_folder, write_picture
from aibnet_arch.locks import Lock
from datasets_prep.cli import new_parser, run
from datasets_prep.demo import VAL_PICTURES, Shot, demo_shots, draw_shots
from datasets_prep.errors import PrepError

PARTLY_PICTURES = (*VAL_PICTURES, 'brick.png')
SHOTS_PER_PICTURE = 4
SEED = 2026
SETS = ('demo', 'partly')
UNITS_PER_PIXEL = 256


def make(output: Path) -> None:
    """Make both sets; a kill at any moment leaves nothing under the final name, and the next start begins anew.

    Raises:
        PrepError: `output` is there already and not empty, or something else lies where it is made.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PrepError(f'{output.absolute()} is there already: delete it, or choose another --output.')
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f'{output.name}.partial')
    told = f'Another process is making {output} ({{owner}}): wait for it, or end it.'
    with Lock(output.with_name(f'.{output.name}.lock'), told=told):
        _clear(partial)
        rng = np.random.default_rng(SEED)
        _write(demo_shots()[1], partial / SETS[0], final=output)
        shots = draw_shots(PARTLY_PICTURES, shots=SHOTS_PER_PICTURE, steady_every=1, rng=rng)
        _write(shots, partial / SETS[1], final=output)
        sync_folder(partial)
        partial.replace(output)
        sync_folder(output.parent)


def _clear(partial: Path) -> None:
    """Delete what a killed process left, and nothing else.

    Raises:
        PrepError: it is not of this program's making.
    """
    if not partial.exists():
        return
    if not partial.is_dir() or any(path.name not in SETS for path in partial.iterdir()):
        raise PrepError(f'{partial.absolute()} was not made by this program: move it away, or choose another --output.')
    shutil.rmtree(partial)


def encode_extent(extent: np.ndarray) -> np.ndarray:
    """(H, W) float pixels -> (H, W) uint16."""
    return np.round(np.clip(UNITS_PER_PIXEL * extent, 0, 65535)).astype(np.uint16)


def _write(shots: Sequence[Shot], folder: Path, *, final: Path) -> None:
    for shot in shots:
        blurred = shot.exposure.blur(shot.sharp)
        pictures = {'input': blurred, 'target': shot.sharp, 'extent': encode_extent(shot.exposure.extent())}
        for name, picture in pictures.items():
            write_picture(folder / name / f'{shot.key}.png', picture)
    print(f'{final / folder.name}: {len(shots)} pictures')


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the two sets whose blur is known, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('known_blur', description=__doc__)
    parser.add_argument('--output', type=Path, default=Path('datasets/known_blur'), help='default: %(default)s')
    make(parser.parse_args(argv).output)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
