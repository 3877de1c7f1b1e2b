"""HIDE (Shen et al., ICCV 2019): 2025 test pairs, close-ups and long shots of people in motion.

Makes test/{input,target}.lmdb below the output folder. Dots in the names (109fromGOPR1096.MP4.png) become
underscores in the keys, since BasicSR reads a key only up to its first dot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.pairs import Pair, match
from datasets_prep.parts import finish, part_set
from datasets_prep.places import first, nothing_found, open_inputs, pair_of_folders
from datasets_prep.trees import count_problems, pictures

EXPECTED_PAIRS = 2025
EXPECTED_TREE = (
    'Expected is {test/test-close-ups,test/test-long-shot,GT}/*.png, or repackaged test/HIDE/{input,target}/*.png. '
    'The authors publish the archive (HIDE_dataset) at https://github.com/joanshen0508/HA_deblur'
)
BLURRED_FOLDERS = ('test/test-close-ups', 'test/test-long-shot')


@dataclass(frozen=True)
class Tree:
    """Where the test pictures are.

    Attributes:
        original: the authors' tree, whose sharp folder holds the training pictures too.
    """

    root: FilePath
    blurred: Sequence[FilePath]
    sharp: FilePath
    original: bool


def find_tree(place: FilePath) -> Tree | None:
    """The archive, if it begins in this place; it may be repackaged."""
    if (place / 'GT').is_dir() and any((place / folder).is_dir() for folder in BLURRED_FOLDERS):
        return Tree(place, [place / name for name in BLURRED_FOLDERS], place / 'GT', original=True)
    for folder in (place, place / 'HIDE', place / 'test', place / 'test' / 'HIDE'):
        pair = pair_of_folders(folder)
        if pair:
            return Tree(place, [pair[0]], pair[1], original=False)
    return None


def find_pairs(tree: Tree, *, problems: list[str]) -> list[Pair]:
    """The test pairs; findings are appended to `problems`."""
    problems += [f'the folder {folder} is missing' for folder in tree.blurred if not folder.is_dir()]
    blurred = [path for folder in tree.blurred if folder.is_dir() for path in pictures(folder)]
    # The training pictures need no partner among the test pictures.
    wanted = {path.stem for path in blurred}
    sharp = [path for path in pictures(tree.sharp) if not tree.original or path.stem in wanted]
    lq, gt = ([(path.stem, path) for path in files] for files in (blurred, sharp))
    return match(lq=lq, gt=gt, problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the test set, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('hide', description=__doc__)
    add_archive_arguments(parser)
    add_writing_arguments(parser, output=Path('datasets/HIDE'))
    args = parser.parse_args(argv)

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    tree = first(inputs, find_tree)
    if tree is None:
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    problems: list[str] = []
    pairs = find_pairs(tree, problems=problems)
    problems += count_problems(len(pairs), expected=EXPECTED_PAIRS, what=str(tree.root), partial=args.partial)
    test = part_set(pairs, output=args.output, part='test', source='HIDE')
    return finish([test], args, problems=problems, places=[tree.root], expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))
