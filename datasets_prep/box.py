"""The data that the weights in the box are trained on: photographs that Debian packages ship, shaken.

    python -m datasets_prep.box --output datasets/box

makes ``train/{blur_crops,sharp_crops}.lmdb``, ``test/{input,target}.lmdb`` and ``sharp/{input,target}.lmdb`` below the
output, and LICENCES.md, which lists author and licence of each picture. The photographs are those of
small_pictures.csv, and those of box_pictures.csv, which add houses, streets, people, animals, writing and circuit
boards; they are kept below OUTPUT/photographs. The blur is that of `datasets_prep.shake`. The test pictures
are others than the training pictures: in ``test`` they are shaken, in ``sharp`` they are as they were, to be left
alone. Training crops are of those places where blur can take something away (`DetailedCrop`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aibnet_arch.files import write_bytes, write_text
from datasets_prep.cli import add_writing_arguments, new_parser, run
from datasets_prep.crops import DetailedCrop
from datasets_prep.images import decode
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair
from datasets_prep.shake import GENERATOR, Shaken, pairs_of_files
from datasets_prep.shake_settings import ShakeSettings
from datasets_prep.small import LIST, Picture, licences, listed_pictures, read_pictures

MORE = Path(__file__).with_name('box_pictures.csv')
TRAIN = ShakeSettings(exposures=10, path=12, turn=0.8, part_path=10, noise=0.01, quality=80, boost=1.5)
SETTINGS = {
    'train': replace(TRAIN, exposures=10, seed=2031, sharp=0.1, defocus=0.15, video=0.2),
    'test': replace(TRAIN, exposures=4, sharp=0.25, largest_side=600),
}
# Each picture is reduced at least to this: it rids a small one, too, of noise and of what compression did to it.
LARGEST_SCALE = 0.8
CROP, STEP = 256, 192


def box_pictures() -> list[Picture]:
    """The pictures of both lists."""
    return listed_pictures() + listed_pictures(MORE)


def pairs_of_set(pictures: Sequence[Picture], folder: Path, *, contents: dict[str, bytes], name: str) -> list[Pair]:
    """The pairs of a set; its photographs are written below the folder.

    Args:
        contents: name of a picture to its file's content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for picture in (picture for picture in pictures if picture.set == name):
        content = contents[picture.name]
        path = folder / f'{picture.name}{Path(picture.path).suffix}'
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content)
        longest = min(SETTINGS[name].largest_side, round(LARGEST_SCALE * max(decode(content).shape[:2])))
        pairs += pairs_of_files({picture.name: path}, settings=replace(SETTINGS[name], largest_side=longest))
    return pairs


def is_left_alone(pair: Pair) -> bool:
    """Whether input and target are the same."""
    return isinstance(pair.lq, Shaken) and pair.lq.is_left_alone


def set_of(pairs: Sequence[Pair], folder: Path, *, name: str) -> PairedSet:
    """What is to be written: crops for training, whole pictures else."""
    crop = DetailedCrop(CROP, STEP) if name == 'train' else None
    lq, gt = ('blur_crops', 'sharp_crops') if crop else ('input', 'target')
    settings = SETTINGS['train' if crop else 'test']
    source = f'box {GENERATOR}: {settings}, scale {LARGEST_SCALE}' + (f', {crop}' if crop else '')
    return PairedSet(pairs, folder / f'{lq}.lmdb', folder / f'{gt}.lmdb', crop, source)


def make(
    output: Path, *, debs: Path, pictures: Sequence[Picture], workers: int | None = None, overwrite: bool = False
) -> None:
    """Make all sets below `output`; finished sets are recognised and left alone.

    Raises:
        PrepError: see :func:`datasets_prep.small.read_pictures`, and datasets_prep.lmdb_writer.
    """
    contents = read_pictures(pictures, debs, download=True, lists=f'{LIST.name} or {MORE.name}')
    pairs = {
        name: pairs_of_set(pictures, output / 'photographs' / name, contents=contents, name=name) for name in SETTINGS
    }
    pairs['sharp'] = [pair for pair in pairs['test'] if is_left_alone(pair)]
    pairs['test'] = [pair for pair in pairs['test'] if not is_left_alone(pair)]
    sets = [set_of(found, output / name, name=name) for name, found in pairs.items()]
    prepare(sets, workers=workers, overwrite=overwrite)
    write_text(output / 'LICENCES.md', licences(pictures))


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the pictures of the weights in the box, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('box', description=__doc__)
    parser.add_argument('--debs', type=Path, help='folder of the packages (default OUTPUT/debs)')
    add_writing_arguments(parser, output=Path('datasets/box'))
    arguments = parser.parse_args(argv)
    debs = arguments.debs or arguments.output / 'debs'
    make(arguments.output, debs=debs, pictures=box_pictures(), workers=arguments.workers, overwrite=arguments.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
