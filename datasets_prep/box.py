"""The data that the weights in the box are trained on: the small benchmark's photographs, shaken.

    python -m datasets_prep.box --output datasets/box

makes ``train/{blur_crops,sharp_crops}.lmdb`` and ``test/{input,target}.lmdb`` below the output, and LICENCES.md. The
photographs, their packages and their licences are those of `datasets_prep.small`; the blur is `datasets_prep.shake`'s.
The test pictures are others than the training pictures; of each the first exposure is left sharp.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from aibnet_arch.files import write_text
from datasets_prep.cli import add_workers_argument, new_parser, run
from datasets_prep.crops import Crop
from datasets_prep.images import decode
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair
from datasets_prep.pool import ordered_map
from datasets_prep.shake import ShakeSettings, shaken_pairs
from datasets_prep.small import Picture, licences, listed_pictures, read_pictures

SETTINGS = {
    'train': ShakeSettings(exposures=10),
    'test': ShakeSettings(exposures=4, sharp=0.25, largest_side=600),
}
CROP, STEP = 160, 140


def _pairs_of(picture: tuple[str, bytes], *, settings: ShakeSettings) -> list[Pair]:
    name, content = picture
    return shaken_pairs(name, decode(content), settings=settings)


def make(output: Path, *, debs: Path, pictures: Sequence[Picture], workers: int) -> None:
    """Make both sets below `output`; finished sets are recognised and left alone.

    Raises:
        PrepError: see :func:`datasets_prep.small.read_pictures`, and datasets_prep.lmdb_writer.
    """
    contents = read_pictures(pictures, debs, download=True)
    sets = []
    for name, settings in SETTINGS.items():
        files = [(picture.name, contents[picture.name]) for picture in pictures if picture.set == name]
        blurred = ordered_map(partial(_pairs_of, settings=settings), files, workers=workers)
        bar = tqdm(blurred, total=len(files), desc=f'blurring {name}', unit='picture', disable=not sys.stderr.isatty())
        pairs = [pair for of_picture in bar for pair in of_picture]
        folder, training = output / name, name == 'train'
        lq, gt = ('blur_crops', 'sharp_crops') if training else ('input', 'target')
        crop = Crop(CROP, STEP) if training else None
        sets.append(PairedSet(pairs, folder / f'{lq}.lmdb', folder / f'{gt}.lmdb', crop, f'box: {settings}'))
    prepare(sets, workers=workers)
    write_text(output / 'LICENCES.md', licences(pictures))


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('box', description=__doc__)
    parser.add_argument('--output', type=Path, default=Path('datasets/box'), help='folder (default %(default)s)')
    parser.add_argument('--debs', type=Path, help='folder of the packages (default OUTPUT/debs)')
    add_workers_argument(parser)
    arguments = parser.parse_args(argv)
    debs = arguments.debs or arguments.output / 'debs'
    make(arguments.output, debs=debs, pictures=listed_pictures(), workers=arguments.workers)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
