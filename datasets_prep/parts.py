"""What the sets of several parts share: flags, how they are laid out, and a few pictures for validation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from datasets_prep.archives import FilePath
from datasets_prep.cli import positive
from datasets_prep.crops import Crop
from datasets_prep.errors import raise_if_any
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair


def part_set(pairs: Sequence[Pair], *, output: Path, part: str, source: str, crop: Crop | None = None) -> PairedSet:
    """``{input,target}.lmdb`` in the folder of a part; `source` names the dataset."""
    lq, gt = (output / part / f'{side}.lmdb' for side in ('input', 'target'))
    return PairedSet(pairs, lq, gt, crop, f'{source} {part}')


def evenly_spread(pairs: Sequence[Pair], *, count: int) -> list[Pair]:
    """`count` of the pairs (all, if there are fewer) at equal distances: number ``i * len(pairs) // count``."""
    count = min(count, len(pairs))
    return [pairs[i * len(pairs) // count] for i in range(count)]


def add_part_arguments(parser: argparse.ArgumentParser, parts: Sequence[str], *, val_crop: bool = False) -> None:
    """``--parts``, and of sets with a part "val" how many pictures it gets; perhaps also how large."""
    parser.add_argument('--parts', nargs='+', choices=parts, default=parts, help='default: all')
    if 'val' in parts:
        parser.add_argument('--val-count', type=positive, default=100, help='pictures in val/ (default %(default)s)')
    if val_crop:
        parser.add_argument('--val-crop', type=positive, default=256, help='crop size of val/ (default %(default)s)')


def add_crop_arguments(parser: argparse.ArgumentParser, *, of: str) -> None:
    """``--crop-size`` and ``--crop-step``; `of` says of which pictures."""
    parser.add_argument('--crop-size', type=positive, help=f'store square crops instead of whole pictures{of}')
    parser.add_argument('--crop-step', type=positive, help='distance of the crops (default: half of their size)')


def crop_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Crop | None:
    """The crop that a command line asks for; a step without a size ends the program."""
    if arguments.crop_size:
        return Crop(arguments.crop_size, arguments.crop_step or max(1, arguments.crop_size // 2))
    if arguments.crop_step:
        parser.error('--crop-step needs --crop-size')
    return None


def finish(
    sets: Sequence[PairedSet],
    arguments: argparse.Namespace,
    *,
    problems: list[str],
    places: Sequence[FilePath],
    expected: str,
) -> int:
    """Makes the sets of an archive, unless there are problems with it; 0.

    Args:
        arguments: with ``workers`` and ``overwrite``.
        places, expected: where the archive was looked for, and its tree, for the message.

    Raises:
        PrepError: there are problems; or see :func:`.prepare`.
    """
    raise_if_any(problems, advice=f'Looked at {", ".join(str(place.absolute()) for place in places)}. {expected}')
    prepare(sets, workers=arguments.workers, overwrite=arguments.overwrite)
    return 0
