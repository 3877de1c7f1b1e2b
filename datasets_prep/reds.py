"""REDS for deblurring (Nah et al., CVPR Workshops 2019): 24000 pairs for training, 300 for testing, 1280x720.

Makes {train,val}/{input,target}.lmdb below the output folder by the protocol of NAFNet: all frames of the 240 clips
for training, and of the 30 clips for validation the 300 frames whose number ends in 9 (the test set has no published
truth). Keys are those of NAFNet: 000_00000009.

--variant: "blur" has motion blur alone, "blur_comp" also the traces of MPEG, "blur_jpeg" those of JPEG (of NTIRE 2021;
it is the one that NAFNet's published figures use).

The authors' zips (train_sharp.zip, train_blur.zip, ...) can be given as they are, all of them or the folder in which
they lie. Layout and names: https://seungjunnah.github.io/Datasets/reds and NAFNet's scripts. Not verified, for the
archives were not at hand: the suffixes of the compressed variants (.jpg and .png are taken).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.pairs import Pair, match
from datasets_prep.parts import add_crop_arguments, add_part_arguments, crop_of, finish, part_set
from datasets_prep.places import first, nothing_found, open_inputs
from datasets_prep.trees import count_problems, pictures, subfolders

EXPECTED_PAIRS = {'train': 24000, 'val': 300}
EXPECTED_TREE = (
    'Expected is {train,val}/{train,val}_{sharp,blur,blur_comp,blur_jpeg}/NNN/NNNNNNNN.png. The authors publish the '
    'archives at https://seungjunnah.github.io/Datasets/reds'
)
VARIANTS = ('blur', 'blur_comp', 'blur_jpeg')
FRAME = re.compile(r'(\d{3})_(\d{8})')
TRAINING_CLIPS = 240


def find_folder(place: FilePath, *, name: str) -> FilePath | None:
    """The folder such as ``train_sharp``, if it is in this place, or in its ``train``."""
    for folder in (place / name.split('_')[0] / name, place / name):
        if folder.is_dir():
            return folder
    return None


def frames(folder: FilePath, *, part: str) -> list[tuple[str, FilePath]]:
    """Keys and files of a folder of clips, or of one that NAFNet's script has flattened; of val every tenth."""
    found = [(path.stem, path) for path in pictures(folder)]
    found += [(f'{clip.name}_{path.stem}', path) for clip in subfolders(folder) for path in pictures(clip)]
    return [(key, path) for key, path in found if FRAME.fullmatch(key) and (part == 'train' or key.endswith('9'))]


def find_pairs(lq: FilePath, gt: FilePath, *, part: str, problems: list[str]) -> list[Pair]:
    """The pairs of a part; findings are appended to `problems`."""
    sides = [frames(folder, part=part) for folder in (lq, gt)]
    regrouped = sum(int(key[:3]) >= TRAINING_CLIPS for key, _ in sides[1]) if part == 'train' else 0
    if regrouped:
        problems.append(
            f'{gt} holds {regrouped} frames of clips from {TRAINING_CLIPS} on: these are validation clips, put there '
            'to train super-resolution. Move them out'
        )
    return match(lq=sides[0], gt=sides[1], problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts of one variant, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('reds', description=__doc__)
    add_archive_arguments(parser)
    parser.add_argument('--variant', choices=VARIANTS, default='blur', help='default: %(default)s')
    add_writing_arguments(parser, output='datasets/REDS, or datasets/REDS_comp, datasets/REDS_jpeg')
    add_part_arguments(parser, tuple(EXPECTED_PAIRS))
    add_crop_arguments(parser, of=' in train/')
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)
    output = args.output or Path('datasets/REDS' + args.variant[len('blur') :])

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    problems: list[str] = []
    sets = []
    seen = False
    for part, expected in EXPECTED_PAIRS.items():
        if part not in args.parts:
            continue
        sides: dict[str, FilePath | None] = {}
        for name in (f'{part}_{args.variant}', f'{part}_sharp'):
            sides[name] = first(inputs, find_folder, name=name)
            if sides[name] is None:
                problems.append(f'there is no folder {name} (--parts can leave {part} out)')
        lq, gt = sides.values()
        seen |= bool(lq or gt)
        if lq is None or gt is None:
            continue
        pairs = find_pairs(lq, gt, part=part, problems=problems)
        problems += count_problems(len(pairs), expected=expected, what=str(gt), partial=args.partial)
        cut = crop if part == 'train' else None
        sets.append(part_set(pairs, output=output, part=part, source=f'REDS {args.variant}', crop=cut))
    if not seen:
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    return finish(sets, args, problems=problems, places=inputs, expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))
