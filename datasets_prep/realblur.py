"""RealBlur-J or RealBlur-R (Rim et al., ECCV 2020): 3758 pairs for training, 980 for testing, sizes vary.

Makes {train,test}/{input,target}.lmdb below the output folder, with the pairs of the authors' list files under keys
such as scene230_7.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from aibnet_arch.messages import some
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.errors import raise_if_any
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair, index_by_key, match
from datasets_prep.trees import count_problems, find_root

EXPECTED_PAIRS = {'train': 3758, 'test': 980}
EXPECTED_TREE = (
    'Expected are RealBlur_{J,R}_{train,test}_list.txt and, beside them, the folders the lists name: '
    'RealBlur-J_ECC_IMCORR_centroid_itensity_ref/sceneNNN/{gt/gt_N.png,blur/blur_N.png} and '
    'RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref/... '
    'The authors publish the archive (RealBlur) at https://cg.postech.ac.kr/research/realblur/'
)


def list_file(root: Path, *, subset: str, part: str) -> Path:
    return root / f'RealBlur_{subset}_{part}_list.txt'


def find_pairs(listed: Path, *, problems: list[str]) -> list[Pair]:
    """The pairs of a list file, whose lines are ``<sharp> <blurred> `` relative to its folder.

    Args:
        listed: the list file.
        problems: findings are appended here.
    """
    lq: list[tuple[str, Path]] = []
    gt: list[tuple[str, Path]] = []
    for number, line in enumerate(listed.read_text(encoding='utf-8-sig').splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        name, *others = [picture_name(field, kind=kind) for field, kind in zip(fields, ('gt', 'blur'))]
        if len(fields) != 2 or name is None or others != [name]:
            problems.append(f"{listed}, line {number}: not '<scene>/gt/gt_N.png <scene>/blur/blur_N.png': {line!r}")
            continue
        gt.append((name, listed.parent / fields[0]))
        lq.append((name, listed.parent / fields[1]))
    missing = [path for _, path in gt + lq if not path.is_file()]
    if missing:
        problems.append(f'{len(missing)} file(s) that {listed} names are missing: {some(missing)}')
    return match(lq=index_by_key(lq, problems=problems), gt=index_by_key(gt, problems=problems), problems=problems)


def picture_name(path: str, *, kind: str) -> str | None:
    """``scene230_7`` for ``.../scene230/gt/gt_7.png``; None if the path is not of that form."""
    parts = PurePosixPath(path).parts
    if len(parts) < 3 or parts[-2] != kind or not parts[-1].startswith(f'{kind}_'):
        return None
    return f'{parts[-3]}_{PurePosixPath(path).stem[len(kind) + 1 :]}'


def main(argv: Sequence[str] | None = None) -> int:
    parser = new_parser('realblur', description=__doc__)
    add_archive_arguments(parser)
    parser.add_argument('--subset', choices=('J', 'R'), required=True, help='J: camera JPEGs, R: from raw')
    add_writing_arguments(parser, output='datasets/RealBlur-J or datasets/RealBlur-R')
    parser.add_argument(
        '--parts', nargs='+', choices=tuple(EXPECTED_PAIRS), default=tuple(EXPECTED_PAIRS), help='default: both'
    )
    args = parser.parse_args(argv)
    output = args.output or Path(f'datasets/RealBlur-{args.subset}')

    root = find_root(
        args.input,
        is_root=lambda root: any(list_file(root, subset=args.subset, part=part).is_file() for part in args.parts),
        expected=EXPECTED_TREE,
    )
    problems, sets = [], []
    for part, expected in EXPECTED_PAIRS.items():
        if part not in args.parts:
            continue
        listed = list_file(root, subset=args.subset, part=part)
        if not listed.is_file():
            problems.append(f'the list {listed} is missing (--parts can leave it out)')
            continue
        pairs = find_pairs(listed, problems=problems)
        problems += count_problems(len(pairs), expected=expected, what=str(listed), partial=args.partial)
        lq, gt = (output / part / f'{name}.lmdb' for name in ('input', 'target'))
        sets.append(PairedSet(pairs, lq, gt, None, f'RealBlur-{args.subset} {part}'))
    raise_if_any(problems, advice=f'Looked at {root.absolute()}. {EXPECTED_TREE}')
    prepare(sets, workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
