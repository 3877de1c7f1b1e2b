"""ReLoBlur (Li et al., AAAI 2023): 2010 pairs for training, 395 for testing, blurred in some places only, 2152x1436.

Makes {train,test}/{input,target}.lmdb below the output folder, under keys such as s01-00-00; and where the input has
the masks of what is blurred, {train,test}/extent, a folder for `basicsr blurmap --extent`. A mask says where a picture
is blurred and not how far: 16 pixels stand for blurred, 0 for sharp, so take areas under the curve from it and no
correlations of rank within the blurred part. A pixel is blurred where the mask is above 0, as in the authors' code.

The authors publish training pictures, test pictures and masks apart: give them all as --input, or one folder with all
of them in it, unpacked or as zip. The resized version (538x359) is taken as well; its name is then yours to choose
(--output).

Layout by the README and code of https://github.com/LeiaLi/ReLoBlur. Not verified, for the archives were not at hand:
the folders of the test set, which that README shows only down to scene1/00 (any depth is taken), and the masks that
LMD-ViT has published later (taken if they lie as the first ones do; its code reads .npy files, which are not).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aibnet_arch.messages import some
from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.extents import write_extents
from datasets_prep.images import load
from datasets_prep.pairs import Pair, index_by_key, match
from datasets_prep.parts import add_crop_arguments, add_part_arguments, crop_of, finish, part_set
from datasets_prep.places import first, nothing_found, open_inputs
from datasets_prep.trees import count_problems, pictures

EXPECTED_PAIRS = {'train': 2010, 'test': 395}
EXPECTED_TREE = (
    'Expected are dataset/{train,test}/<scene>/NN/{NN_blur,NN_sharp}.png and, for the extents, '
    'masks/{train,test}/<scene>/NN/NN.png. The authors publish the archives at https://github.com/LeiaLi/ReLoBlur'
)
MASKED = 16.0  # pixels that stand for "blurred"


@dataclass(frozen=True)
class Mask:
    """A picture that is above 0 where its pair is blurred."""

    path: FilePath

    def extent(self) -> np.ndarray:
        """(H, W) float32: MASKED where blurred, 0 elsewhere."""
        try:
            blue, green, red = np.moveaxis(load(self.path)[0], 2, 0)
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from error
        return np.where((blue | green | red) > 0, np.float32(MASKED), np.float32(0))


def find_part(place: FilePath, *, part: str) -> FilePath | None:
    """The folder of a part's pictures, if it is in this place."""
    for folder in (place / 'dataset' / part, place / part):
        if folder.is_dir() and any(path.stem.endswith('sharp') for path in pictures(folder, recursive=True)):
            return folder
    return None


def find_masks(place: FilePath, *, part: str) -> FilePath | None:
    """The folder of a part's masks, if it is in this place."""
    folder = place / 'masks' / part
    return folder if folder.is_dir() else None


def find_pairs(folder: FilePath, *, problems: list[str]) -> list[Pair]:
    """The pairs of a part, by names that are equal but for ``blur`` and ``sharp``."""
    sides = []
    for kind in ('blur', 'sharp'):
        files = [path for path in pictures(folder, recursive=True) if path.stem.endswith(kind)]
        sides.append([(_name(path, folder)[: -len(kind)].rstrip('_-'), path) for path in files])
    return match(lq=sides[0], gt=sides[1], problems=problems)


def masks_of(folder: FilePath, pairs: Sequence[Pair], *, problems: list[str]) -> dict[str, Mask]:
    """Key of each pair to its mask; pairs without one are added to `problems`."""
    found = index_by_key([(_name(path, folder), path) for path in pictures(folder, recursive=True)], problems=problems)
    missing = [pair.key for pair in pairs if pair.key not in found]
    if missing:
        problems.append(f'{folder} has no mask of {len(missing)} pair(s): {some(missing)}')
    return {pair.key: Mask(found[pair.key]) for pair in pairs if pair.key in found}


def _name(path: FilePath, folder: FilePath) -> str:
    return '-'.join((*path.parts[len(folder.parts) : -1], path.stem))


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts, crops for training, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('reloblur', description=__doc__)
    add_archive_arguments(parser)
    add_writing_arguments(parser, output=Path('datasets/ReLoBlur'))
    add_part_arguments(parser, tuple(EXPECTED_PAIRS))
    add_crop_arguments(parser, of=' in train/')
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    problems: list[str] = []
    sets, extents = [], {}
    for part, expected in EXPECTED_PAIRS.items():
        if part not in args.parts:
            continue
        folder = first(inputs, find_part, part=part)
        if folder is None:
            problems.append(f'there is no folder dataset/{part} (--parts can leave it out)')
            continue
        pairs = find_pairs(folder, problems=problems)
        problems += count_problems(len(pairs), expected=expected, what=str(folder), partial=args.partial)
        cut = crop if part == 'train' else None
        sets.append(part_set(pairs, output=args.output, part=part, source='ReLoBlur', crop=cut))
        masks = first(inputs, find_masks, part=part)
        if cut is not None:
            print(f'{part}: stored as crops, so no extents are made.')
        elif masks is not None:
            extents[part] = masks_of(masks, pairs, problems=problems)
        else:
            print(f'{part}: there is no folder masks/{part}, so no extents are made.')
    if not sets:
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    finish(sets, args, problems=problems, places=inputs, expected=EXPECTED_TREE)
    for part, of_part in extents.items():
        folder = args.output / part / 'extent'
        source = f'ReLoBlur {part}, masks'
        write_extents(folder, of_part, source=source, workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
