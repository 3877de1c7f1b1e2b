"""BSD (Beam-Splitter Deblurring, Zhong et al., ECCV 2020 and IJCV 2023): real video, 640x480, in three exposures.

One of 1ms8ms, 2ms16ms and 3ms24ms (sharp and blurred time) makes three sets below the output folder:

  train/{input,target}.lmdb   6000 pairs, whole frames
  test/{input,target}.lmdb    3000 pairs
  val/{input,target}.lmdb     for validation while training: 100 of the 2000 pairs of the archive's valid/

Keys are <clip>_<frame>. The frames of RGB/ are taken, not the 16-bit ones of RAW/. Not to be confused with BSD, the
Berkeley segmentation data.

The layout is the one that the authors' code reads (https://github.com/zzh-tech/ESTRNN). Not verified, for the archive
was not at hand: the number of clips (60, 20, 20, of 100, 100 and 150 frames; the lengths are in the authors' code).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.pairs import Pair, match
from datasets_prep.parts import add_crop_arguments, add_part_arguments, crop_of, evenly_spread, finish, part_set
from datasets_prep.places import first, nothing_found, open_inputs
from datasets_prep.trees import count_problems, pictures, subfolders

EXPECTED_PAIRS = {'train': 6000, 'val': 2000, 'test': 3000}
FOLDERS = {'train': 'train', 'val': 'valid', 'test': 'test'}
EXPOSURES = ('1ms8ms', '2ms16ms', '3ms24ms')
EXPECTED_TREE = (
    'Expected is BSD_{1ms8ms,2ms16ms,3ms24ms}/{train,valid,test}/NNN/{Blur,Sharp}/RGB/NNNNNNNN.png, or repackaged '
    '.../{train,valid,test}/{blur,GT}/NNN/NNNNNNNN.png. The authors publish the archive (BSD) at '
    'https://github.com/zzh-tech/ESTRNN'
)


def find_root(place: FilePath, *, exposure: str) -> FilePath | None:
    """The folder of an exposure, if it is this place or in it."""
    name = f'BSD_{exposure}'
    for folder in (place / name, place):
        if folder.name == name and any((folder / part).is_dir() for part in FOLDERS.values()):
            return folder
    return None


def find_pairs(part: FilePath, *, problems: list[str]) -> list[Pair]:
    """The pairs of a part; findings are appended to `problems`."""
    sides = []
    for own, repacked in (('Blur', 'blur'), ('Sharp', 'GT')):
        clips = [(clip.name, clip / own / 'RGB') for clip in subfolders(part) if clip.name.isdigit()]
        clips += [(clip.name, clip) for clip in subfolders(part / repacked)]
        problems += [f'the folder {folder} is missing' for _, folder in clips if not folder.is_dir()]
        there = [(clip, folder) for clip, folder in clips if folder.is_dir()]
        sides.append([(f'{clip}_{path.stem}', path) for clip, folder in there for path in pictures(folder)])
    return match(lq=sides[0], gt=sides[1], problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts of one exposure, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('bsd', description=__doc__)
    add_archive_arguments(parser)
    parser.add_argument('--exposure', choices=EXPOSURES, required=True, help='of the sharp and the blurred camera')
    add_writing_arguments(parser, output='datasets/BSD-1ms8ms, BSD-2ms16ms or BSD-3ms24ms')
    add_part_arguments(parser, tuple(EXPECTED_PAIRS))
    add_crop_arguments(parser, of=' in train/')
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)
    output = args.output or Path(f'datasets/BSD-{args.exposure}')

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    root = first(inputs, find_root, exposure=args.exposure)
    if root is None:
        raise nothing_found(inputs, expected=f'There is no BSD_{args.exposure}. {EXPECTED_TREE}')
    problems: list[str] = []
    sets = []
    for part, expected in EXPECTED_PAIRS.items():
        folder = root / FOLDERS[part]
        if part not in args.parts:
            continue
        if not folder.is_dir():
            problems.append(f'the folder {folder} is missing (--parts can leave it out)')
            continue
        pairs = find_pairs(folder, problems=problems)
        problems += count_problems(len(pairs), expected=expected, what=str(folder), partial=args.partial)
        chosen = evenly_spread(pairs, count=args.val_count) if part == 'val' else pairs
        cut = crop if part == 'train' else None
        sets.append(part_set(chosen, output=output, part=part, source=f'BSD-{args.exposure}', crop=cut))
    return finish(sets, args, problems=problems, places=[root], expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))
