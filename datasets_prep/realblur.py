"""RealBlur-J or RealBlur-R (Rim et al., ECCV 2020): 3758 pairs for training, 980 for testing, sizes vary.

Makes {train,test}/{input,target}.lmdb below the output folder, with the pairs of the authors' list files under keys
such as scene230_7.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.list_file import Listed, pairs_of_list
from datasets_prep.pairs import Pair, match
from datasets_prep.parts import add_part_arguments, finish, part_set
from datasets_prep.places import first, may_be, nothing_found, open_inputs, pair_of_folders
from datasets_prep.trees import count_problems, pictures

REPACKED_NAME = re.compile('(?<![a-z])(blur|gt)_')
EXPECTED_PAIRS = {'train': 3758, 'test': 980}
EXPECTED_TREE = (
    'Expected are RealBlur_{J,R}_{train,test}_list.txt and, beside them, the folders the lists name: '
    'RealBlur-J_ECC_IMCORR_centroid_itensity_ref/sceneNNN/{gt/gt_N.png,blur/blur_N.png} and '
    'RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref/..., or repackaged {train,test}/RealBlur_{J,R}/{input,target}. '
    'The authors publish the archive (RealBlur) at https://cg.postech.ac.kr/research/realblur/'
)


@dataclass(frozen=True)
class Part:
    """Where a part is: the authors' list file, or in a repackaged archive the blurred and the sharp folder."""

    place: FilePath
    folders: tuple[FilePath, FilePath] | None


def find_part(place: FilePath, *, subset: str, part: str, alone: bool) -> Part | None:
    """A part of the archive, if it is in this place.

    Args:
        place: where the archive may begin.
        subset: "J" or "R".
        part: "train" or "test".
        alone: no other part is looked for, so that a folder of the subset alone may be it.
    """
    listed = place / f'RealBlur_{subset}_{part}_list.txt'
    if listed.is_file():
        return Part(listed, None)
    # Restormer's and HI-Diff's trees, and the folder of the subset itself.
    names = (f'RealBlur_{subset}', f'RealBlur-{subset}')
    folders = [place / part / name for name in names] + [place / name / part for name in names]
    if alone and may_be(place, part):
        folders += [place / name for name in names] + [place] * (place.name in names)
    for folder in folders:
        pair = pair_of_folders(folder)
        if pair:
            return Part(folder, pair)
    return None


def listed_pairs(listed: FilePath, *, problems: list[str]) -> list[Pair]:
    """The pairs of a list file, whose lines are ``<sharp> <blurred> `` relative to its folder.

    Findings are appended to `problems`.
    """

    def read(fields: Sequence[str]) -> Listed | None:
        name, *others = [picture_name(field, kind=kind) for field, kind in zip(fields, ('gt', 'blur'))]
        if len(fields) != 2 or name is None or others != [name]:
            return None
        sharp, blurred = fields
        return Listed(name, lq=listed.parent / blurred, gt=listed.parent / sharp)

    return pairs_of_list(listed, read, form='<scene>/gt/gt_N.png <scene>/blur/blur_N.png', problems=problems)


def repackaged_pairs(folders: tuple[FilePath, FilePath], *, problems: list[str]) -> list[Pair]:
    """The pairs of two folders, by names that are equal but for ``blur`` and ``gt`` in them."""
    lq, gt = ([(REPACKED_NAME.sub('', path.stem), path) for path in pictures(folder)] for folder in folders)
    return match(lq=lq, gt=gt, problems=problems)


def picture_name(path: str, *, kind: str) -> str | None:
    """``scene230_7`` for ``.../scene230/gt/gt_7.png``; None if the path is not of that form."""
    parts = PurePosixPath(path).parts
    if len(parts) < 3 or parts[-2] != kind or not parts[-1].startswith(f'{kind}_'):
        return None
    return f'{parts[-3]}_{PurePosixPath(path).stem[len(kind) + 1 :]}'


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts of J or R, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('realblur', description=__doc__)
    add_archive_arguments(parser)
    parser.add_argument('--subset', choices=('J', 'R'), required=True, help='J: camera JPEGs, R: from raw')
    add_writing_arguments(parser, output='datasets/RealBlur-J or datasets/RealBlur-R')
    add_part_arguments(parser, tuple(EXPECTED_PAIRS))
    args = parser.parse_args(argv)
    output = args.output or Path(f'datasets/RealBlur-{args.subset}')

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    given = {'subset': args.subset, 'alone': len(args.parts) == 1}
    parts = {name: first(inputs, find_part, part=name, **given) for name in args.parts}
    places = [part.place.parent for part in parts.values() if part is not None]
    if not places:
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    problems: list[str] = []
    sets = []
    for name, part in parts.items():
        if part is None:
            listed = places[0] / f'RealBlur_{args.subset}_{name}_list.txt'
            problems.append(f'the list {listed} is missing (--parts can leave it out)')
            continue
        if part.folders is None:
            pairs = listed_pairs(part.place, problems=problems)
        else:
            pairs = repackaged_pairs(part.folders, problems=problems)
        problems += count_problems(
            len(pairs), expected=EXPECTED_PAIRS[name], what=str(part.place), partial=args.partial
        )
        sets.append(part_set(pairs, output=output, part=name, source=f'RealBlur-{args.subset}'))
    return finish(sets, args, problems=problems, places=places[:1], expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))
