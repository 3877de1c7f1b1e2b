"""The figures of a study as one table for a paper."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..evaluation.paper_table import Cell, Column, PaperTable, Row
from ..evaluation.table_formats import FORMATS
from ..metrics import gain_of
from .costs import Cost
from .results import Result
from .table import figures_of

FILES = ('paper.md', 'paper.tex', 'paper.csv', 'paper.png')


def paper_table(results: Mapping[str, Sequence[Result]], costs: Mapping[str, Cost]) -> PaperTable:
    """A row for each option file, its seeds together; above them the input, where it was measured."""
    blurred = Row('blurred input', is_input=True)
    rows = []
    for name, group in results.items():
        row = Row(name)
        for dataset, metric in figures_of(results):
            column = Column(dataset, metric)
            cell = Cell([result.final(dataset, metric) for result in group])
            before = [result.of_input(dataset, metric) for result in group]
            known = [value for value in before if value is not None]
            if known and len(known) == len(before):
                lower = column.lower_is_better
                cell.gains = [gain_of(v, b, lower_is_better=lower) for v, b in zip(cell.values, known)]
                blurred.cells.setdefault(column, Cell([known[0]]))
            row.cells[column] = cell
        row.cells[Column('', 'parameters')] = Cell([costs[name].parameters / 1e6])
        row.cells[Column('', 'conv_macs')] = Cell([costs[name].conv_macs / 1e9])
        rows.append(row)
    return PaperTable([*([blurred] if blurred.cells else []), *rows])


def write_paper_tables(out: Path, results: Mapping[str, Sequence[Result]], costs: Mapping[str, Cost]) -> None:
    """Write `paper.md`, `.tex`, `.csv` and `.png`."""
    table = paper_table(results, costs)
    for name in FILES:
        FORMATS[Path(name).suffix](table, out / name, gains=True)
