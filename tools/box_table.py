"""Figures of the weights in the box, beside what else there is, in one run: for their model card.

    python -m tools.box_table --shaken datasets/box/test datasets/box/sharp --real datasets/real7 --output box_table

Shaken pictures are those that `datasets_prep.box` keeps apart, real ones pairs of `datasets_prep.video`. Unsharp mask,
Richardson-Lucy and Wiener run with the setting of a small grid that is best on every third blurred picture of the set
(the --shaken folders are one), whose truth they see: an oracle, which no user has. Writes OUTPUT.csv, a row a picture
and method, and OUTPUT.md; with --card the figures of a model card are replaced.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Optional

import cv2
import numpy as np
from tqdm import tqdm

from aibnet_arch.errors import UserError
from aibnet_arch.exit_codes import exit_code_of
from aibnet_arch.files import write_csv, write_text
from aibnet_arch.messages import markdown_table
from aibnet_arch.photos import Deblurrer
from aibnet_arch.weights.box import BOX
from tools.box_measures import Row, Sample, psnr, samples
from tools.classical_deblurring import GRIDS, best_setting

INPUT, JPEG = 'input', 'JPEG of quality 95'
START, END = '<!-- figures: python -m tools.box_table -->', '<!-- end of the figures -->'


def jpeg(picture: np.ndarray) -> np.ndarray:
    """What a file of high quality does to a picture: a measure of what is left alone."""
    coded = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1])


def rows_of_folder(
    name: str,
    pairs: Sequence[Sample],
    settings: Mapping[str, Mapping[str, float]],
    networks: Mapping[str, Callable[..., np.ndarray]],
) -> list[Row]:
    """What each method makes of each picture of a folder; `settings` are the best of its set, by method."""
    methods: dict[str, tuple[Callable[..., np.ndarray], str]] = {INPUT: (lambda picture: picture, '')}
    methods.update({network: (restore, '') for network, restore in networks.items()})
    for method, best in settings.items():
        setting = ', '.join(f'{key} {value:g}' for key, value in best.items())
        methods[method] = (partial(GRIDS[method][0], **best), setting)
    methods[JPEG] = (jpeg, '')
    rows = []
    for pair in tqdm(pairs, desc=name, unit='picture', disable=None):
        before = psnr(pair.lq, pair.gt)
        for method, (restore, setting) in methods.items():
            if pair.is_sharp or method != JPEG:
                rows.append(Row(name, pair.key, pair.kind, method, setting, before, psnr(restore(pair.lq), pair.gt)))
    return rows


def table(rows: Iterable[Row]) -> str:
    """Markdown: for each set what each method does to blurred pictures and to sharp ones."""
    rows, parts = list(rows), []
    for name, kind in sorted({(row.set, row.kind) for row in rows}):
        chosen = [row for row in rows if (row.set, row.kind) == (name, kind)]
        count = len({row.picture for row in chosen})
        parts.append(_blurred(name, chosen, count) if kind == 'blurred' else _sharp(name, chosen, count))
    return '\n'.join(parts)


def _blurred(name: str, rows: Sequence[Row], count: int) -> str:
    lines: list[Sequence[str]] = [('', 'PSNR', 'gain', 'worst', 'best', 'nearer to the truth')]
    for method, of_it in _by_method(rows):
        gains = [row.gain_db for row in of_it]
        nearer = '' if method == INPUT else f'{sum(gain > 0 for gain in gains)} of {count}'
        found = f'{mean(row.output_db for row in of_it):.2f} dB'
        told = (f'{gain:+.2f}' for gain in (mean(gains), min(gains), max(gains)))
        lines.append((_named(method, of_it), found, *told, nearer))
    return f'{name}: {count} blurred pictures\n\n{markdown_table(lines)}'


def _sharp(name: str, rows: Sequence[Row], count: int) -> str:
    lines = [('', 'PSNR to the input, mean', 'least')]
    for method, of_it in _by_method(rows):
        if method != INPUT:
            values = [row.output_db for row in of_it]
            lines.append((_named(method, of_it), f'{mean(values):.2f} dB', f'{min(values):.2f}'))
    return f'{name}: {count} sharp pictures, to be left alone\n\n{markdown_table(lines)}'


def _by_method(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    return [(method, [row for row in rows if row.method == method]) for method in dict.fromkeys(r.method for r in rows)]


def _named(method: str, rows: Sequence[Row]) -> str:
    return f'{method} ({rows[0].setting})' if rows[0].setting else method


def into_card(card: Path, text: str) -> None:
    """Put the table between the marks of a model card.

    Raises:
        UserError: it has no such marks.
    """
    before, start, rest = card.read_text(encoding='utf-8').partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f'{card} lacks the lines {START} and {END}')
    write_text(card, f'{before}{START}\n\n{text}\n{END}{after}')


def make(arguments: argparse.Namespace) -> int:
    """Measure, and write the tables; 0.

    Raises:
        UserError, CheckpointError: the input is refused; nothing has been written then.
    """
    sets = [*arguments.shaken, *arguments.real]
    if not sets:
        raise UserError('no pictures: give --shaken or --real')
    for folder in sets:
        if sets.count(folder) > 1:
            raise UserError(f'{folder} is given twice')
    networks = {
        name: Deblurrer.from_file(path, tile='whole', device='cpu')
        for name, path in [('box', arguments.box), *((Path(path).stem, path) for path in arguments.weights)]
    }
    if len(networks) <= len(arguments.weights):
        raise UserError('--weights: two files have one name; rename one')
    loaded = {folder: list(samples(folder))[:: arguments.every] for folder in sets}
    blurred = {}
    for of_set in (tuple(arguments.shaken), *((folder,) for folder in arguments.real)):
        blurred[of_set] = [pair for folder in of_set for pair in loaded[folder] if not pair.is_sharp]
        if of_set and not blurred[of_set]:
            raise UserError(f'{", ".join(map(str, of_set))}: no blurred pictures')
    rows = []
    for of_set, found in blurred.items():
        settings = {method: best_setting(method, found[::3]) for method in GRIDS} if found else {}
        for folder in of_set:
            rows += rows_of_folder('/'.join(folder.parts[-2:]), loaded[folder], settings, networks)
    text = table(rows)
    columns = [{**vars(row), 'gain_db': row.gain_db} for row in rows]
    told = [{key: f'{value:.4f}' if isinstance(value, float) else value for key, value in r.items()} for r in columns]
    write_csv(arguments.output.with_suffix('.csv'), told)
    write_text(arguments.output.with_suffix('.md'), text)
    if arguments.card:
        into_card(arguments.card, text)
    print(text)
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the tables; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--box', default=BOX, metavar='FILE', help='the weights (those in the box)')
    parser.add_argument('--weights', nargs='+', default=[], metavar='FILE', help='others to stand beside them')
    parser.add_argument('--shaken', nargs='+', type=Path, default=[], metavar='FOLDER', help='of input and target.lmdb')
    parser.add_argument('--real', nargs='+', type=Path, default=[], metavar='FOLDER', help='of input and target.lmdb')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='take each Nth picture alone')
    parser.add_argument('--output', type=Path, required=True, help='name of the tables, without a suffix')
    parser.add_argument('--card', type=Path, help='a model card whose figures are replaced')
    arguments = parser.parse_args(argv)

    return exit_code_of('box_table', lambda: make(arguments))


if __name__ == '__main__':
    sys.exit(main())
