"""``basicsr compare``: tests of the same pictures, picture by picture."""

import argparse
from pathlib import Path

from ..errors import UserError
from ..evaluation.comparison import compare, told, write_differences
from .arguments import SEVERAL


def run_compare(argv: list[str]) -> int:
    """Compare and print; the exit code."""
    arguments = _parser().parse_args(argv)
    if len(arguments.results) < 2:
        raise UserError('expected the folders of two tests or more: results/A results/B')
    if arguments.output and not arguments.output.resolve().parent.is_dir():
        raise UserError(f'-o {arguments.output}: there is no folder {arguments.output.resolve().parent}')
    compared = compare(arguments.results, metrics=arguments.metrics)
    print(told(compared))
    if arguments.output:
        write_differences(compared, arguments.output)
        print(f'\nthe differences of each picture: {arguments.output}')
    return 0


def _parser() -> argparse.ArgumentParser:
    what = 'Compare tests of the same pictures with the first of them, picture by picture: sign test and bootstrap.'
    parser = argparse.ArgumentParser(prog='basicsr compare', allow_abbrev=False, description=what)
    parser.add_argument('results', nargs='+', type=Path, metavar='FOLDER', help='results/NAME, which a test wrote')
    parser.add_argument('--metrics', **SEVERAL, metavar='NAME', help='these alone (default: all that both have)')
    parser.add_argument('-o', '--output', type=Path, metavar='FILE', help='write the differences there (CSV)')
    return parser
