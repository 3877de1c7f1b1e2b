"""Arguments that several commands take."""

import math
import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any, Union

from datasets_prep.cli import number

WHOLE = 'whole'
SEVERAL: dict[str, Any] = {'nargs': '+', 'action': 'extend'}  # `--flag A B` and `--flag A --flag B` alike


above_0 = number(float, 'a number above 0', lambda value: 0 < value < math.inf)
whole_above_0 = number(int, 'a number above 0', lambda value: value > 0)


def one_file_to_another(command: str, *, description: str, source: str, target: str, key: str) -> ArgumentParser:
    """The parser of a command that makes one file of weights from another; it gives `source` and `target` as paths."""
    parser = ArgumentParser(prog=f'basicsr {command}', allow_abbrev=False, description=description)
    parser.add_argument('source', type=_path, metavar='IN', help=source)
    parser.add_argument('target', type=_path, metavar='OUT', help=f'{target}; it must not exist')
    parser.add_argument('--param-key', metavar='K', help=key)
    return parser


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))


def pixels(text: str) -> Union[int, str]:
    """A number of pixels, or `whole`."""
    if text == WHOLE:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise ArgumentTypeError(f'{text!r}: expected a number of pixels, or {WHOLE}') from error


def add_window(parser: ArgumentParser) -> None:
    """`--window`."""
    told = 'take statistics over N pixels (as the weights want); whole: over all'
    parser.add_argument('--window', type=pixels, metavar='N', help=told)
