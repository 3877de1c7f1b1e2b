"""Tables 1, 2 and 7 of the paper as rows of a table: its figures, none of which was measured here."""

import csv
from collections.abc import Sequence
from pathlib import Path

from .paper_table import Cell, Column, Row

TABLES = ('1', '2', '7')
_FILE = Path(__file__).with_name('published.csv')


def published_rows(tables: Sequence[str]) -> list[Row]:
    """The rows of these tables, a method once, in the paper's order.

    PSNR and SSIM stand in the columns of the metrics that follow the same protocol here; Table 7's times and MACs in
    columns of their own: they were measured on another machine, and its MACs count the sub-decoders alone.

    Args:
        tables: of TABLES.
    """
    rows: dict[str, Row] = {}
    with _FILE.open(newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            if line['table'] in tables:
                row = rows.setdefault(line['method'], Row(line['method'], published=True))
                digits = len(line['value'].partition('.')[2])
                row.cells[Column(line['dataset'], line['metric'])] = Cell([float(line['value'])], digits=digits)
    return list(rows.values())
