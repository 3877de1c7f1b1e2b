"""GoPro (GOPRO_Large, Nah et al., CVPR 2017): 2103 pairs for training, 1111 for testing, 1280x720.

Makes three sets below the output folder:

  train/{blur_crops,sharp_crops}.lmdb   crops of 512 pixels, 256 apart: 8 a picture
  test/{input,target}.lmdb              the whole test pictures
  val/{input,target}.lmdb               for validation while training: the centre 256x256 of 100 test pictures

Validation takes centre crops, as Restormer does, for a whole picture costs 14 times as much; and every 11th picture,
evenly spread over the sorted names, so that all 11 scenes are in it: consecutive frames of a scene are nearly alike
and say little more. Its figures choose a checkpoint; they are not the benchmark, which is on test/.

The variant "blur" is the one that published results use; "blur_gamma" goes to another output folder by default.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, positive, run
from datasets_prep.crops import Crop
from datasets_prep.errors import PrepError
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair, match
from datasets_prep.parts import add_part_arguments, evenly_spread, finish
from datasets_prep.places import REPACKED, first, may_be, nothing_found, open_inputs, pair_of_folders
from datasets_prep.trees import count_problems, pictures, subfolders

EXPECTED_PAIRS = {'train': 2103, 'test': 1111}
EXPECTED_TREE = (
    'Expected is {train,test}/GOPRxxxx_xx_xx/{blur,blur_gamma,sharp}/NNNNNN.png, or repackaged '
    '{train,test}/{input,target} or {train,test}/{blur,sharp} with <scene>-<NNNNNN>.png (docs/data.md lists all). The '
    'authors publish the archive (GOPRO_Large) at https://seungjunnah.github.io/Datasets/gopro'
)
PARTS = ('train', 'test', 'val')
# Where those who repackaged the archive have a part: MIMO-UNet and NAFNet, Restormer's tests, Uformer, and where
# Restormer downloads the training pictures to.
FLAT_PLACES = {
    'train': ('train', 'train/GoPro', 'GoPro/train', 'Downloads/GoPro'),
    'test': ('test', 'test/GoPro', 'GoPro/test'),
}


@dataclass(frozen=True)
class Part:
    """The folders of a part: blurred, sharp, and what the names in them begin with in the keys."""

    place: FilePath
    folders: Sequence[tuple[FilePath, FilePath, str]]


def find_part(place: FilePath, *, part: str, variant: str, alone: bool) -> Part | None:
    """A part of the archive, if it is in this place.

    Args:
        place: where the archive may begin.
        variant: "blur" or "blur_gamma". ``{input,target}`` is taken for "blur" alone, which is what those who
            repackaged it use.
        alone: no other part is looked for, so that the place itself may be it.
    """
    names = REPACKED if variant == 'blur' else [(variant, 'sharp')]
    itself = [place] if alone and may_be(place, part) and not is_scene(place) else []
    flat = [place / name for name in FLAT_PLACES[part]] + itself
    for folder in flat:
        pair = pair_of_folders(folder, names)
        if pair:
            return Part(folder, [(*pair, '')])
    for folder in [place / part, *itself]:
        scenes = [scene for scene in subfolders(folder) if (scene / 'sharp').is_dir()]
        if scenes and (folder not in itself or all(is_scene(scene) for scene in scenes)):
            return Part(folder, [(scene / variant, scene / 'sharp', f'{scene.name}-') for scene in scenes])
    return None


def is_scene(folder: FilePath) -> bool:
    """Whether it is one of the original's folders, which hold few pictures of the whole."""
    return folder.name.startswith('GOPR') and (folder / 'sharp').is_dir()


def find_pairs(part: Part, *, problems: list[str]) -> list[Pair]:
    """The pairs of one part, under keys such as ``GOPR0372_07_00-000047``; findings are appended to `problems`."""
    lq: list[tuple[str, FilePath]] = []
    gt: list[tuple[str, FilePath]] = []
    for blurred, sharp, scene in part.folders:
        for files, folder in ((lq, blurred), (gt, sharp)):
            if folder.is_dir():
                files += [(f'{scene}{path.stem}', path) for path in pictures(folder)]
            else:
                problems.append(f'the folder {folder} is missing')
    return match(lq=lq, gt=gt, problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts of one variant, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('gopro', description=__doc__)
    add_archive_arguments(parser)
    add_writing_arguments(parser, output='datasets/GoPro, or datasets/GoPro_gamma for blur_gamma')
    parser.add_argument('--variant', choices=('blur', 'blur_gamma'), default='blur', help='default: %(default)s')
    parser.add_argument('--crop-size', type=positive, default=512, help='of train/ (default %(default)s)')
    parser.add_argument('--crop-step', type=positive, default=256, help='of train/ (default %(default)s)')
    add_part_arguments(parser, PARTS, val_crop=True)
    args = parser.parse_args(argv)
    output = args.output or Path('datasets/GoPro' if args.variant == 'blur' else 'datasets/GoPro_gamma')

    needed = ['train'] * ('train' in args.parts) + ['test'] * bool({'test', 'val'} & set(args.parts))
    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    alone = len(needed) == 1
    parts = {name: first(inputs, find_part, part=name, variant=args.variant, alone=alone) for name in needed}
    places = [part.place for part in parts.values() if part is not None]
    if not places:
        undivided = first(inputs, find_part, part='train', variant=args.variant, alone=True)
        if undivided is not None and not alone:
            raise PrepError(
                f'{undivided.place} is not divided into train and test: say which of them it is, as in --parts train'
            )
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    problems: list[str] = []
    found: dict[str, list[Pair]] = {}
    for name, part in parts.items():
        if part is None:
            problems.append(f'the folder {places[0].parent / name} is missing (--parts can leave it out)')
            continue
        found[name] = find_pairs(part, problems=problems)
        problems += count_problems(
            len(found[name]), expected=EXPECTED_PAIRS[name], what=str(part.place), partial=args.partial
        )

    def paired_set(part: str, names: tuple[str, str], pairs: Sequence[Pair], crop: Crop | None) -> PairedSet:
        lq, gt = (output / part / f'{name}.lmdb' for name in names)
        return PairedSet(pairs, lq, gt, crop, f'GoPro {part}, {args.variant}')

    sets = []
    if 'train' in found:
        crop = Crop(args.crop_size, args.crop_step)
        sets.append(paired_set('train', ('blur_crops', 'sharp_crops'), found['train'], crop))
    if 'test' in found and 'val' in args.parts:
        chosen = evenly_spread(found['test'], count=args.val_count)
        sets.append(paired_set('val', ('input', 'target'), chosen, Crop(args.val_crop)))
    if 'test' in found and 'test' in args.parts:
        sets.append(paired_set('test', ('input', 'target'), found['test'], None))
    return finish(sets, args, problems=problems, places=places[:1], expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))
