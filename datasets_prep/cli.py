"""What the command lines share: arguments, messages and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb

from aibnet_arch.errors import UserError
from aibnet_arch.messages import LAYOUT, printable
from aibnet_arch.streams import outlived
from datasets_prep.pool import default_workers

BAD_INPUT, INTERRUPTED = 2, 130


def new_parser(module: str, *, description: str) -> argparse.ArgumentParser:
    """The parser of ``python -m datasets_prep.<module>``, whose help keeps the description's lines."""
    return argparse.ArgumentParser(
        prog=f'python -m datasets_prep.{module}',
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_archive_arguments(parser: argparse.ArgumentParser) -> None:
    """`--input` and `--partial`, of scripts that read a published archive."""
    parser.add_argument(
        '--input', type=Path, nargs='+', required=True, help='folder where the archive was unpacked, or its zip or tar'
    )
    parser.add_argument('--partial', action='store_true', help='accept another number of pairs than the published one')


def add_writing_arguments(parser: argparse.ArgumentParser, *, output: Path | str | None) -> None:
    """`output` is the default folder, or describes what the script chooses; None makes the argument mandatory."""
    told = '' if output is None else f' (default {output})'
    default = output if isinstance(output, Path) else None
    parser.add_argument(
        '--output', type=Path, required=output is None, default=default, help=f'folder for the LMDB folders{told}'
    )
    add_workers_argument(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace sets that were prepared here with other options'
    )


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """`--workers`: how many processes, by default one a core."""
    parser.add_argument(
        '--workers', type=positive, default=default_workers(), help='processes (default: %(default)s, the cores)'
    )


def number(kind: Callable[[str], Any], told: str, holds: Callable[[Any], bool]) -> Callable[[str], Any]:
    """An argparse type: a number of a kind, of which something holds; `told` says what is expected."""

    def read(text: str) -> Any:
        with suppress(ValueError):
            value = kind(text)
            if holds(value):
                return value
        raise argparse.ArgumentTypeError(f'{text!r}: expected {told}')

    return read


positive = number(int, 'a whole number from 1 up', lambda value: value >= 1)


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code: bad input gives a message and 2, without a traceback."""
    with outlived():
        try:
            return main(argv)
        except (UserError, OSError, lmdb.Error) as error:
            print(f'error: {printable(error, keep=LAYOUT)}', file=sys.stderr)
            return BAD_INPUT
        except KeyboardInterrupt:
            print('interrupted: what is stored is kept, start again to go on', file=sys.stderr)
            return INTERRUPTED
