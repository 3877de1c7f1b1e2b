"""The small benchmark: photographs that Debian packages ship, with synthetic motion blur.

    python -m datasets_prep.small --output datasets/small

makes ``train/{blur_crops,sharp_crops}.lmdb`` and ``test/{input,target}.lmdb`` below the output, and LICENCES.md, which
lists author and licence of each picture. Packages that are not in the folder --debs are fetched with apt-get; nothing
is installed. The pictures are named with their checksums in small_pictures.csv. Each has a megapixel or more, and is
reduced, which rids it of noise and of what compression did to it. The test pictures are others than the training
pictures.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aibnet_arch.files import write_text
from aibnet_arch.messages import markdown_table
from aibnet_arch.terminal import is_interactive
from datasets_prep.cli import add_writing_arguments, new_parser, run
from datasets_prep.crops import Crop
from datasets_prep.debian import get_packages, read_files
from datasets_prep.errors import raise_if_any
from datasets_prep.images import decode, reduced
from datasets_prep.lmdb_writer import prepare
from datasets_prep.motion_blur import blur, draw_motion
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair

LIST = Path(__file__).with_name('small_pictures.csv')
BLURS = {'train': 4, 'test': 2}  # of each picture
LARGEST_SIDE = 400  # pixels: details are then as fine as the blur is long
CROP, STEP = 128, 91
SEED = 2025


@dataclass(frozen=True)
class Picture:
    """One photograph: a row of small_pictures.csv or of box_pictures.csv.

    Attributes:
        set: 'train' or 'test'.
        name: its key in the LMDB.
        package, path: the Debian package that ships it, and where: see :func:`datasets_prep.debian.read_files`.
        author, licence: as the package's copyright file tells, or a file beside the picture.
        sha256: of the file.
    """

    set: str
    name: str
    package: str
    path: str
    author: str
    licence: str
    sha256: str


def listed_pictures(path: Path = LIST) -> list[Picture]:
    """The pictures of the benchmark."""
    with path.open(encoding='utf-8', newline='') as file:
        return [Picture(**row) for row in csv.DictReader(file)]


def read_pictures(
    pictures: Sequence[Picture], debs: Path, *, download: bool, lists: str = LIST.name
) -> dict[str, bytes]:
    """Name of each picture to its file's content, checked.

    Args:
        download: whether to fetch packages that are not there.

    Raises:
        PrepError: a package or a picture is missing, or a picture is not the one that is listed; all are named.
    """
    packages = get_packages(sorted({picture.package for picture in pictures}), debs, download=download)
    found, problems = {}, []
    for package, file in packages.items():
        wanted = {picture.path: picture for picture in pictures if picture.package == package}
        contents = read_files(file, wanted)
        for path, picture in wanted.items():
            if path not in contents:
                problems.append(f'{file.name} has no {path}')
            elif hashlib.sha256(contents[path]).hexdigest() != picture.sha256:
                problems.append(f'{path} in {file.name} is not the picture that {lists} lists (SHA-256 differs)')
            else:
                found[picture.name] = contents[path]
    raise_if_any(
        problems,
        advice="The packages are those of Debian 12 (bookworm); other releases ship other pictures. Put bookworm's "
        '.deb files into a folder and name it with --debs.',
    )
    return found


def blurred_pairs(picture: Picture, content: bytes) -> list[Pair]:
    """The pairs of a picture. Random numbers hang on its name, so that another picture changes nothing here.

    In the last one the camera is steady: sharp, but for a part that is strongly blurred.
    """
    sharp = reduced(decode(content), LARGEST_SIDE)
    rng = np.random.default_rng([SEED, *hashlib.sha256(picture.name.encode()).digest()])
    pairs = []
    for number in range(BLURS[picture.set]):
        motion = draw_motion(rng, steady=number == BLURS[picture.set] - 1)
        pairs.append(Pair(f'{picture.name}-{number}', blur(sharp, motion=motion, rng=rng), sharp))
    return pairs


def licences(pictures: Sequence[Picture]) -> str:
    """A table of where each picture is from and what its licence is (Markdown)."""
    rows = [(p.set, p.name, p.package, p.path, p.author, p.licence) for p in pictures]
    return markdown_table([('set', 'name', 'package', 'file', 'author', 'licence'), *rows])


def make(
    output: Path, *, debs: Path, pictures: Sequence[Picture], workers: int | None = None, overwrite: bool = False
) -> None:
    """Make both sets below `output`; finished sets are recognised and left alone.

    Raises:
        PrepError: see :func:`read_pictures`, and datasets_prep.lmdb_writer.
    """
    contents = read_pictures(pictures, debs, download=True)
    pairs: dict[str, list[Pair]] = {name: [] for name in BLURS}
    for picture in tqdm(pictures, desc='blurring', unit='picture', disable=not is_interactive()):
        pairs[picture.set] += blurred_pairs(picture, contents[picture.name])
    train, test = output / 'train', output / 'test'
    source = 'small benchmark'
    sets = [
        PairedSet(pairs['train'], train / 'blur_crops.lmdb', train / 'sharp_crops.lmdb', Crop(CROP, STEP), source),
        PairedSet(pairs['test'], test / 'input.lmdb', test / 'target.lmdb', None, source),
    ]
    prepare(sets, workers=workers, overwrite=overwrite)
    write_text(output / 'LICENCES.md', licences(pictures))


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the small set of a study, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('small', description=__doc__)
    parser.add_argument('--debs', type=Path, help='folder of the packages (default OUTPUT/debs)')
    parser.add_argument('--check', action='store_true', help='check the packages in --debs, list licences, end')
    add_writing_arguments(parser, output=Path('datasets/small'))
    arguments = parser.parse_args(argv)
    pictures, debs = listed_pictures(), arguments.debs or arguments.output / 'debs'
    if arguments.check:
        read_pictures(pictures, debs, download=False)
    else:
        make(
            arguments.output,
            debs=debs,
            pictures=pictures,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
        )
    print(licences(pictures))
    counts = {name: sum(picture.set == name for picture in pictures) for name in BLURS}
    print(f'{counts["train"]} photographs for training, {counts["test"]} for testing, all as listed.')
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
