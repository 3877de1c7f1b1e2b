"""HIDE (Shen et al., ICCV 2019): 2025 test pairs, close-ups and long shots of people in motion.

Makes test/{input,target}.lmdb below the output folder. Dots in the names (109fromGOPR1096.MP4.png) become
underscores in the keys, since BasicSR reads a key only up to its first dot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.errors import raise_if_any
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair, index_by_key, match
from datasets_prep.trees import count_problems, find_root, pictures

EXPECTED_PAIRS = 2025
EXPECTED_TREE = (
    'Expected is {test/test-close-ups,test/test-long-shot,GT}/*.png, or repackaged test/HIDE/{input,target}/*.png. '
    'The authors publish the archive (HIDE_dataset) at https://github.com/joanshen0508/HA_deblur'
)
BLURRED_FOLDERS = ('test/test-close-ups', 'test/test-long-shot')


def repackaged_folder(root: Path) -> Path | None:
    """The folder that holds ``input`` and ``target``, None if this is not a repackaged archive."""
    for folder in (root, root / 'HIDE', root / 'test', root / 'test' / 'HIDE'):
        if (folder / 'input').is_dir() and (folder / 'target').is_dir():
            return folder
    return None


def is_original(root: Path) -> bool:
    return (root / 'GT').is_dir() and any((root / folder).is_dir() for folder in BLURRED_FOLDERS)


def find_pairs(root: Path, *, problems: list[str]) -> list[Pair]:
    """The test pairs; findings are appended to `problems`."""
    repackaged = repackaged_folder(root)
    folders = [root / name for name in BLURRED_FOLDERS] if repackaged is None else [repackaged / 'input']
    sharp = root / 'GT' if repackaged is None else repackaged / 'target'
    problems += [f'the folder {folder} is missing' for folder in folders if not folder.is_dir()]
    blurred = [path for folder in folders if folder.is_dir() for path in pictures(folder)]
    lq = index_by_key([(path.stem, path) for path in blurred], problems=problems)
    # The original's GT folder holds the training pictures too, which need no partner among the test pictures.
    wanted = {path.stem for path in blurred}
    sharp_files = [path for path in pictures(sharp) if repackaged is not None or path.stem in wanted]
    gt = index_by_key([(path.stem, path) for path in sharp_files], problems=problems)
    return match(lq=lq, gt=gt, problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('hide', description=__doc__)
    add_archive_arguments(parser)
    add_writing_arguments(parser, output='datasets/HIDE')
    args = parser.parse_args(argv)

    root = find_root(
        args.input,
        is_root=lambda root: is_original(root) or repackaged_folder(root) is not None,
        expected=EXPECTED_TREE,
    )
    problems: list[str] = []
    pairs = find_pairs(root, problems=problems)
    problems += count_problems(len(pairs), expected=EXPECTED_PAIRS, what=str(root), partial=args.partial)
    raise_if_any(problems, advice=f'Looked at {root.absolute()}. {EXPECTED_TREE}')

    folder = (args.output or Path('datasets/HIDE')) / 'test'
    paired_set = PairedSet(pairs, folder / 'input.lmdb', folder / 'target.lmdb', None, 'HIDE test')
    prepare([paired_set], workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
