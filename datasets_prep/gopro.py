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
from pathlib import Path

from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, positive, run
from datasets_prep.crops import Crop
from datasets_prep.errors import raise_if_any
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair, index_by_key, match
from datasets_prep.trees import count_problems, find_root, pictures, subfolders

EXPECTED_PAIRS = {'train': 2103, 'test': 1111}
EXPECTED_TREE = (
    'Expected is {train,test}/GOPRxxxx_xx_xx/{blur,blur_gamma,sharp}/NNNNNN.png, or repackaged '
    '{train,test}/{input,target} or {train,test}/{blur,sharp} with <scene>-<NNNNNN>.png. The authors publish the '
    'archive (GOPRO_Large) at https://seungjunnah.github.io/Datasets/gopro'
)
PARTS = ('train', 'test', 'val')


def flat_folders(part: Path, *, variant: str) -> tuple[Path, Path] | None:
    """The two folders of a repackaged archive's part, None if it is not one.

    ``{input,target}`` is taken for the variant "blur" alone, which is what those who repackaged it use.
    """
    names = [(variant, 'sharp')] + ([('input', 'target')] if variant == 'blur' else [])
    for folder in (part, part / 'GoPro'):
        for lq, gt in names:
            if (folder / lq).is_dir() and (folder / gt).is_dir():
                return folder / lq, folder / gt
    return None


def scenes(part: Path) -> list[Path]:
    return [scene for scene in subfolders(part) if (scene / 'sharp').is_dir()]


def find_pairs(part: Path, *, variant: str, problems: list[str]) -> list[Pair]:
    """The pairs of one part, under keys such as ``GOPR0372_07_00-000047`` for either layout.

    Args:
        part: the folder ``train`` or ``test``.
        variant: "blur" or "blur_gamma".
        problems: findings are appended here.
    """
    flat = flat_folders(part, variant=variant)
    if not part.is_dir():
        problems.append(f'the folder {part} is missing (--parts can leave it out)')
    if flat is not None:
        lq, gt = ([(path.stem, path) for path in pictures(folder)] for folder in flat)
    else:
        lq, gt = [], []
        for scene in scenes(part):
            for files, folder in ((lq, scene / variant), (gt, scene / 'sharp')):
                if folder.is_dir():
                    files += [(f'{scene.name}-{path.stem}', path) for path in pictures(folder)]
                else:
                    problems.append(f'the folder {folder} is missing')
    return match(lq=index_by_key(lq, problems=problems), gt=index_by_key(gt, problems=problems), problems=problems)


def evenly_spread(pairs: Sequence[Pair], *, count: int) -> list[Pair]:
    """`count` of the pairs (all, if there are fewer) at equal distances: number ``i * len(pairs) // count``."""
    count = min(count, len(pairs))
    return [pairs[i * len(pairs) // count] for i in range(count)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('gopro', description=__doc__)
    add_archive_arguments(parser)
    add_writing_arguments(parser, output='datasets/GoPro, or datasets/GoPro_gamma for blur_gamma')
    parser.add_argument('--variant', choices=('blur', 'blur_gamma'), default='blur', help='default: %(default)s')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS, help='default: all three')
    parser.add_argument('--crop-size', type=positive, default=512, help='of train/ (default %(default)s)')
    parser.add_argument('--crop-step', type=positive, default=256, help='of train/ (default %(default)s)')
    parser.add_argument('--val-count', type=positive, default=100, help='pictures in val/ (default %(default)s)')
    parser.add_argument('--val-crop', type=positive, default=256, help='crop size of val/ (default %(default)s)')
    args = parser.parse_args(argv)
    output = args.output or Path('datasets/GoPro' if args.variant == 'blur' else 'datasets/GoPro_gamma')

    needed = ['train'] * ('train' in args.parts) + ['test'] * bool({'test', 'val'} & set(args.parts))
    root = find_root(
        args.input,
        is_root=lambda root: any(
            flat_folders(root / part, variant=args.variant) or scenes(root / part) for part in needed
        ),
        expected=EXPECTED_TREE,
    )
    problems: list[str] = []
    found = {}
    for part in needed:
        found[part] = find_pairs(root / part, variant=args.variant, problems=problems)
        problems += count_problems(
            len(found[part]), expected=EXPECTED_PAIRS[part], what=str(root / part), partial=args.partial
        )
    raise_if_any(problems, advice=f'Looked at {root.absolute()}. {EXPECTED_TREE}')

    def paired_set(part: str, names: tuple[str, str], pairs: Sequence[Pair], crop: Crop | None) -> PairedSet:
        lq, gt = (output / part / f'{name}.lmdb' for name in names)
        return PairedSet(pairs, lq, gt, crop, f'GoPro {part}, {args.variant}')

    sets = []
    if 'train' in args.parts:
        crop = Crop(args.crop_size, args.crop_step)
        sets.append(paired_set('train', ('blur_crops', 'sharp_crops'), found['train'], crop))
    if 'val' in args.parts:
        chosen = evenly_spread(found['test'], count=args.val_count)
        sets.append(paired_set('val', ('input', 'target'), chosen, Crop(args.val_crop)))
    if 'test' in args.parts:
        sets.append(paired_set('test', ('input', 'target'), found['test'], None))
    prepare(sets, workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
