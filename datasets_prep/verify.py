"""Reads a pair of LMDB folders whole and lists everything that is wrong with it.

Checks both key sets against each other and against meta_info.txt, that every picture is undamaged and decodes, that
sizes are equal within each pair, and the checksum against prepared.json where there is one. Exit code 0 if all is
well, 1 if not, 2 if there is nothing to check.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import lmdb

from aibnet_arch.messages import some
from datasets_prep.cli import add_workers_argument, new_parser, run
from datasets_prep.errors import PrepError
from datasets_prep.inspection import Entry, checksum, inspect, meta_line, pair_problems
from datasets_prep.lmdb_writer import META_INFO
from datasets_prep.storage import MANIFEST, read_manifest


def verify(lq: Path, gt: Path, *, deep: bool = True, workers: int = 1, progress: bool = True) -> list[str]:
    """Checks a pair of LMDB folders; returns what is wrong with it, an empty list if nothing is.

    Args:
        lq, gt: the folders of the blurred and the sharp pictures, not open in this process.
        deep: also decode every picture. Damaged bytes are found without it.

    Raises:
        PrepError: a folder is missing or LMDB cannot read it at all.
    """
    sides, problems = [], []
    for folder in (lq, gt):
        if not (folder / 'data.mdb').is_file():
            raise PrepError(f'{folder.absolute()} is not an LMDB folder: it holds no data.mdb.')
        try:
            entries = list(inspect(folder, deep=deep, workers=workers, progress=progress))
        except lmdb.Error as error:
            raise PrepError(f'{folder}: LMDB cannot read it ({error}). Prepare it anew.') from error
        problems += _meta_problems(folder, entries) + _manifest_problems(folder, entries)
        if progress:
            print(f'{folder}: {len(entries)} entries, checksum {checksum(entries)}')
        sides.append(entries)
    return problems + pair_problems(lq=sides[0], gt=sides[1])


def _meta_problems(folder: Path, entries: Sequence[Entry]) -> list[str]:
    path = folder / META_INFO
    if not path.is_file():
        return [f'{path} is missing']
    lines = path.read_text(encoding='utf-8').splitlines()
    listed = {line.split('.')[0]: line for line in lines}  # as BasicSR reads it
    stored = {entry.key: entry for entry in entries}
    problems = [] if len(listed) == len(lines) else [f'{path} lists {len(lines) - len(listed)} key(s) twice']
    for here, there, where in (
        (stored, listed, f'are stored, but not in {path}'),
        (listed, stored, f'are in {path}, but not stored'),
    ):
        alone = sorted(here.keys() - there.keys())
        if alone:
            problems.append(f'{len(alone)} key(s) {where}: {some(alone)}')
    for key in sorted(stored.keys() & listed.keys()):
        # The level at the end of the line is information only: other programs may have used another one.
        expected = meta_line(stored[key], compress_level=0)[:-2] if stored[key].shape else None
        if expected is not None and listed[key].rpartition(' ')[0] != expected:
            problems.append(f"{path}: '{listed[key]}' should begin with '{expected}'")
    return problems


def _manifest_problems(folder: Path, entries: Sequence[Entry]) -> list[str]:
    manifest = read_manifest(folder)
    if manifest is None:
        print(f'{folder}: no {MANIFEST}, so there is no checksum to compare with')
        return []
    if not manifest['complete']:
        return [f'{folder} is not finished: start its preparation again']
    return [
        f'{folder}: {name} is {value}, but {MANIFEST} says {manifest[name]}'
        for name, value in (('entries', len(entries)), ('checksum', checksum(entries)))
        if value != manifest[name]
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Check the two folders and print what is wrong with them; 1 if anything is, else 0."""
    parser = new_parser('verify', description=__doc__)
    parser.add_argument('lq', type=Path, metavar='LQ.lmdb', help='folder of the blurred pictures')
    parser.add_argument('gt', type=Path, metavar='GT.lmdb', help='folder of the sharp pictures')
    parser.add_argument('--shallow', action='store_true', help='do not decode: checksums alone find damaged bytes')
    add_workers_argument(parser)
    args = parser.parse_args(argv)
    problems = verify(args.lq, args.gt, deep=not args.shallow, workers=args.workers)
    for problem in problems:
        print(f'wrong: {problem}')
    if problems:
        print(f'{len(problems)} problem(s) found: delete both folders and prepare them again')
    else:
        print('all is well')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(run(main))
