"""A table for a paper as Markdown, LaTeX, CSV and PNG."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from ..errors import UserError
from ..files import write_text, write_whole
from ..messages import markdown_table
from .paper_table import BEST, SECOND, Column, PaperTable, Row

NOTE = 'Best figures bold, second best underlined, as printed.'
PUBLISHED = 'Rows marked (published) are the figures of the paper, not measured here.'
_LATEX = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '±': r'$\pm$'}
_LATEX.update({character: f'\\{character}' for character in '&%$#_{}'})
_ARROWS = {'↑': r'$\uparrow$', '↓': r'$\downarrow$'}


def markdown(table: PaperTable, *, gains: bool) -> str:
    """GitHub's Markdown: best bold, second best underlined (<u>)."""
    frames = {BEST: '**{}**', SECOND: '<u>{}</u>', '': '{}'}
    heads = [f'{column.dataset} {column.title} {column.arrow}'.strip() for column in table.columns]
    rows = [[_name(row), *cells] for row, cells in _marked(table, gains, frames, lambda text: text)]
    return f'{markdown_table([["", *heads], *rows])}\n{_notes(table, gains)}\n'


def latex(table: PaperTable, *, gains: bool) -> str:
    """A tabular for the package booktabs."""
    frames = {BEST: r'\textbf{{{}}}', SECOND: r'\underline{{{}}}', '': '{}'}
    groups = [(dataset, len(list(columns))) for dataset, columns in groupby(c.dataset for c in table.columns)]
    spans, rules, at = [''], [], 2
    for dataset, width in groups:
        spans.append(rf'\multicolumn{{{width}}}{{c}}{{{_escape(dataset)}}}')
        rules += [rf'\cmidrule(lr){{{at}-{at + width - 1}}}'] if dataset else []
        at += width
    heads = ['Method', *(f'{_escape(column.title)} {_ARROWS[column.arrow]}' for column in table.columns)]
    lines = [
        *(f'% {line}' for line in _notes(table, gains).splitlines()),
        rf'\begin{{tabular}}{{l{"c" * len(table.columns)}}}',
        r'\toprule',
        f'{" & ".join(spans)} \\\\',
        *([' '.join(rules)] if rules else []),
        f'{" & ".join(heads)} \\\\',
        r'\midrule',
    ]
    former = None
    for row, cells in _marked(table, gains, frames, _escape):
        if former is not None and former.published and not row.published:
            lines.append(r'\midrule')
        lines.append(f'{" & ".join([_escape(_name(row)), *cells])} \\\\')
        former = row
    return '\n'.join([*lines, r'\bottomrule', r'\end{tabular}', ''])


def comma_separated(table: PaperTable) -> str:
    """Numbers in full: a line for each row and column."""
    marks = table.marks()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ['network', 'published', 'dataset', 'metric', 'better', 'mean', 'deviation', 'seeds', 'gain', 'mark']
    )
    for number, row in enumerate(table.rows):
        for column in (column for column in table.columns if column in row.cells):
            cell = row.cells[column]
            better = 'lower' if column.lower_is_better else 'higher'
            own = [row.name, 'yes' if row.published else 'no', column.dataset, column.metric, better]
            writer.writerow(
                [*own, cell.mean, cell.deviation, len(cell.values), cell.gain, marks.get((number, column), '')]
            )
    return text.getvalue()


def picture(table: PaperTable, path: Path, *, gains: bool) -> None:
    """A PNG of the table.

    Raises:
        UserError: matplotlib is missing.
        RunError: it cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UserError(f'{path}: a picture of a table needs matplotlib: pip install matplotlib') from error
    marks = table.marks()
    heads = [f'{column.dataset}\n{column.title} {column.arrow}' for column in table.columns]
    body = [[_name(row), *(table.text(row, column, gains=gains) for column in table.columns)] for row in table.rows]
    widths = [
        max(len(part) for text in texts for part in text.splitlines() or ['']) + 3 for texts in zip(['', *heads], *body)
    ]
    total, height = sum(widths), len(body) + 3.5 + len(_notes(table, gains).splitlines())
    figure = Figure(figsize=(0.095 * total + 0.4, 0.26 * height))
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, total), ylim=(height, 0))
    axes.axis('off')
    right = [sum(widths[: number + 1]) - 1 for number in range(len(widths))]
    for number, head in enumerate(heads, start=1):
        axes.text(right[number], 1.1, _plain(head), ha='right', va='center')
    for line in (0.2, 2.1, 2.5 + len(body)):
        axes.plot([0.5, total - 0.5], [line, line], color='black', linewidth=1)
    for at, (row, texts) in enumerate(zip(table.rows, body)):
        y = 2.8 + at
        grey = '#555555' if row.published or row.is_input else 'black'
        axes.text(1, y, _plain(texts[0]), va='center', color=grey)
        for number, (column, text) in enumerate(zip(table.columns, texts[1:]), start=1):
            mark = marks.get((at, column), '')
            weight = 'bold' if mark == BEST else 'normal'
            shown = axes.text(right[number], y, text, ha='right', va='center', weight=weight, color=grey)
            if mark == SECOND:
                box = shown.get_window_extent(canvas.get_renderer()).transformed(axes.transData.inverted())
                axes.plot([box.x0, box.x1], [y + 0.4] * 2, color=grey, linewidth=1)
    for at, note in enumerate(_notes(table, gains).splitlines()):
        axes.text(1, 3.2 + len(body) + at, note, va='center', color='#555555', fontsize='small')
    write_whole(path, lambda file: figure.savefig(file, format='png', dpi=150))


# The end of a file's name to what writes it.
FORMATS: dict[str, Callable[..., None]] = {
    '.md': lambda table, path, *, gains: write_text(path, markdown(table, gains=gains)),
    '.tex': lambda table, path, *, gains: write_text(path, latex(table, gains=gains)),
    '.csv': lambda table, path, *, gains: write_text(path, comma_separated(table)),
    '.png': lambda table, path, *, gains: picture(table, path, gains=gains),
}


def _marked(
    table: PaperTable, gains: bool, frames: dict[str, str], escape: Callable[[str], str]
) -> Iterator[tuple[Row, list[str]]]:
    marks = table.marks()

    def cell(number: int, row: Row, column: Column) -> str:
        return frames[marks.get((number, column), '')].format(escape(table.text(row, column, gains=gains)))

    for number, row in enumerate(table.rows):
        yield row, [cell(number, row, column) for column in table.columns]


def _name(row: Row) -> str:
    return f'{row.name} (published)' if row.published else row.name


def _notes(table: PaperTable, gains: bool) -> str:
    notes = [NOTE]
    if any(row.published for row in table.rows):
        notes.append(PUBLISHED)
    cells = [cell for row in table.rows for cell in row.cells.values()]
    if any(cell.deviation is not None for cell in cells):
        notes.append('± the standard deviation of one seed.')
    if gains and any(cell.gain is not None for cell in cells):
        notes.append('In brackets the gain over the blurred input: above 0 is better.')
    return '\n'.join(notes)


def _escape(text: str) -> str:
    return re.sub(r'[\\~^±&%$#_{}]', lambda found: _LATEX[found[0]], text)


def _plain(text: str) -> str:
    return text.replace('$', r'\$')  # begins no formula
