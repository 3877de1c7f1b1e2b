"""``basicsr table``: one table for a paper, of tests and of published rows."""

import argparse
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..evaluation.paper_table import PaperTable, rows_of_tests
from ..evaluation.published import TABLES, published_rows
from ..evaluation.table_formats import FORMATS, markdown
from .arguments import SEVERAL

EPILOG = """FOLDER is results/NAME, which `basicsr test` wrote. NAME=FOLDER gives the row a name. Folders of one name
are seeds of one network, and so are folders whose names differ in an end such as _seed1 alone."""


def run_table(argv: list[str]) -> int:
    """Make the table, print it and write it; the exit code."""
    arguments = _parser().parse_args(argv)
    for path in arguments.output:
        if path.suffix not in FORMATS:
            raise UserError(f'-o {path}: the name must end in {", ".join(FORMATS)}')
        if not path.resolve().parent.is_dir():
            raise UserError(f'-o {path}: there is no folder {path.resolve().parent}')
    if not arguments.tests and not arguments.published:
        raise UserError('nothing to put into a table: give folders of tests, results/NAME, or --published')
    rows = published_rows(arguments.published)
    rows += rows_of_tests(map(_named, arguments.tests), metrics=arguments.metrics, costs=arguments.costs)
    table = PaperTable(rows)
    if not table.columns:
        chosen = f': --metrics {" ".join(arguments.metrics)}' if arguments.metrics else ' in these tests'
        raise UserError(f'no metric is left{chosen}')
    print(markdown(table, gains=arguments.gains), end='')
    for path in arguments.output:
        FORMATS[path.suffix](table, path, gains=arguments.gains)
        print(path)
    return 0


def _named(text: str) -> tuple[Optional[str], Path]:
    name, equals, folder = text.partition('=')
    return (name, Path(folder)) if equals and not Path(text).exists() else (None, Path(text))


def _parser() -> argparse.ArgumentParser:
    what = 'One table for a paper: networks by datasets and metrics, best and second best marked.'
    parser = argparse.ArgumentParser(prog='basicsr table', allow_abbrev=False, description=what, epilog=EPILOG)
    add = parser.add_argument
    add('tests', nargs='*', metavar='FOLDER', help='results/NAME, or NAME=FOLDER')
    add('-o', '--output', **SEVERAL, type=Path, default=[], metavar='FILE', help=f'also write it: {", ".join(FORMATS)}')
    add('--published', **SEVERAL, choices=TABLES, default=[], help="the rows of the paper's tables, marked so")
    add('--metrics', **SEVERAL, metavar='NAME', help='these alone, by name or type (default: all)')
    add('--gains', action='store_true', help='in brackets: how much better than the blurred input')
    add('--costs', action='store_true', help='also parameters, MACs, seconds for a picture')
    return parser
