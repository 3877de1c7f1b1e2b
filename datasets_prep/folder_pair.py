"""Own data: a folder of blurred and a folder of sharp pictures, paired by equal names (without the suffix).

Makes {input,target}.lmdb in the output folder, of whole pictures or, with --crop-size, of crops.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from datasets_prep.cli import add_writing_arguments, new_parser, run
from datasets_prep.errors import raise_if_any
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair, index_by_key, match
from datasets_prep.parts import add_crop_arguments, crop_of
from datasets_prep.trees import SUFFIXES, pictures


def find_pairs(*, lq: Path, gt: Path, recursive: bool, problems: list[str]) -> list[Pair]:
    """Pairs files of equal relative path, suffix aside; findings are appended to `problems`."""
    sides = []
    for folder in (lq, gt):
        if not folder.is_dir():
            problems.append(f'the folder {folder.absolute()} does not exist')
            continue
        files = pictures(folder, recursive=recursive)
        if not files:
            hint = '' if recursive else '; --recursive looks into its subfolders, too'
            problems.append(f'no pictures ({", ".join(sorted(SUFFIXES))}) in {folder.absolute()}{hint}')
        sides.append([(path.relative_to(folder).with_suffix('').as_posix(), path) for path in files])
    if not all(sides) or len(sides) < 2:
        for names in sides:
            index_by_key(names, problems=problems)
        return []
    return match(lq=sides[0], gt=sides[1], problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare one set of two folders, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('folder_pair', description=__doc__)
    parser.add_argument('--lq', type=Path, required=True, help='folder of the blurred pictures')
    parser.add_argument('--gt', type=Path, required=True, help='folder of the sharp pictures')
    parser.add_argument('--recursive', action='store_true', help='take the pictures in subfolders, too')
    add_crop_arguments(parser, of='')
    add_writing_arguments(parser, output=None)
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)

    problems: list[str] = []
    pairs = find_pairs(lq=args.lq, gt=args.gt, recursive=args.recursive, problems=problems)
    raise_if_any(problems)
    paired_set = PairedSet(pairs, args.output / 'input.lmdb', args.output / 'target.lmdb', crop, 'own pictures')
    prepare([paired_set], workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
