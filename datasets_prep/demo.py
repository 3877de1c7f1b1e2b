"""The embedded demo dataset: real pictures that scikit-image ships, with synthetic motion blur.

    python -m datasets_prep.demo

makes ``datasets/demo/train/{blur_crops,sharp_crops}.lmdb`` and ``datasets/demo/val/{input,target}.lmdb``
in seconds, without a download. The validation pictures are others than the training pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from datasets_prep.cli import new_parser, run
from datasets_prep.crops import Crop
from datasets_prep.errors import PrepError
from datasets_prep.images import reduced
from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.motion_blur import Exposure, draw_motion
from datasets_prep.pairs import Pair

TRAIN_PICTURES = (
    *('chelsea.png', 'rocket.jpg', 'motorcycle_left.png', 'motorcycle_right.png', 'camera.png', 'coins.png'),
    *('moon.png', 'ihc.png', 'retina.jpg', 'grass.png', 'gravel.png'),
)
VAL_PICTURES = ('coffee.png', 'astronaut.png')
BLURS_PER_TRAIN_PICTURE = 6
BLURS_PER_VAL_PICTURE = 2
LARGEST_SIDE = 400  # pictures are reduced to it, so that their details are as fine as the blur is long
CROP, STEP = 128, 96
SEED = 2025


def shipped_picture(name: str) -> np.ndarray:
    """A picture of scikit-image's package as (H, W, 3) uint8 BGR.

    Raises:
        PrepError: scikit-image is missing, or this version does not ship the picture.
    """
    try:
        import skimage
    except ModuleNotFoundError as error:
        raise PrepError("the demo's pictures come with scikit-image: pip install scikit-image") from error
    path = Path(skimage.__file__).parent / 'data' / name
    # By its content: a name that is no UTF-8 is none to OpenCV.
    content = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if picture is None:
        raise PrepError(f'this scikit-image does not ship {path}: install 0.22 or later')
    return reduced(picture, LARGEST_SIDE)


@dataclass(frozen=True)
class Shot:
    """A sharp picture, (H, W, 3) uint8 BGR, and the exposure that blurs it."""

    key: str
    sharp: np.ndarray
    exposure: Exposure

    def pair(self) -> Pair:
        """The blurred and the sharp picture, (H, W, 3) uint8 BGR."""
        return Pair(self.key, self.exposure.blur(self.sharp), self.sharp)


def draw_shots(names: Sequence[str], *, shots: int, steady_every: int, rng: np.random.Generator) -> list[Shot]:
    """Draw `shots` shots of each picture.

    Args:
        steady_every: in the last of so many shots the camera hardly moves, so that only the moving part is
            blurred; 0: in none.
        rng: source of all random numbers.
    """
    drawn: list[Shot] = []
    for name in names:
        sharp = shipped_picture(name)
        for number in range(shots):
            steady = bool(steady_every) and len(drawn) % steady_every == steady_every - 1
            motion = draw_motion(rng, steady=steady)
            exposure = Exposure.draw(*sharp.shape[:2], motion=motion, rng=rng)
            drawn.append(Shot(f'{Path(name).stem}-{number}', sharp, exposure))
    return drawn


def demo_shots() -> tuple[list[Shot], list[Shot]]:
    """The shots of the training set, where every fourth camera is steady, and those of the validation set."""
    rng = np.random.default_rng(SEED)
    train = draw_shots(TRAIN_PICTURES, shots=BLURS_PER_TRAIN_PICTURE, steady_every=4, rng=rng)
    return train, draw_shots(VAL_PICTURES, shots=BLURS_PER_VAL_PICTURE, steady_every=0, rng=rng)


def make(output: Path) -> None:
    """Make both sets below `output`; finished sets are recognised and left alone."""
    train, val = ([shot.pair() for shot in shots] for shots in demo_shots())
    write_pairs(train, output / 'train/blur_crops.lmdb', output / 'train/sharp_crops.lmdb', crop=Crop(CROP, STEP))
    write_pairs(val, output / 'val/input.lmdb', output / 'val/target.lmdb')


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the demo, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('demo', description=__doc__)
    parser.add_argument('--output', type=Path, default=Path('datasets/demo'), help='default: %(default)s')
    make(parser.parse_args(argv).output)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
