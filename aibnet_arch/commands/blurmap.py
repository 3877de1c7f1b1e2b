"""``basicsr blurmap``: where a network sees blur, and how well it finds it."""

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from tqdm import tqdm

from ..blurmap.baselines import OtherNetwork
from ..blurmap.figures import Truth, residual
from ..blurmap.maps import GREY_LEVELS, PIXELS, TIMES_MEAN, BlurMap, Mapper
from ..blurmap.overlay import Tile, colour_ends, lay_over, panel
from ..blurmap.report import Report, Row
from ..blurmap.truth import Item, find_items
from ..errors import RunError, UserError
from ..weights import read_network
from ..weights.param_key import default_param_key

DESCRIPTION = """Heat maps over a picture: what SFEM and HFSBlock contribute, and the predicted residual. With the sharp
pictures also how well each map finds the blurred regions, beside simple baselines."""
EPILOG = """Partners have the same name; a file goes with a single picture. OUT/PICTURE/panel.png shows everything side
by side, the other pictures there are single maps; OUT/figures.csv and OUT/figures.json hold the figures."""


TRUTHS = {'residual': ('true residual', GREY_LEVELS), 'extent': ('true extent of the blur', PIXELS)}


def run_blurmap(arguments: list[str]) -> int:
    """Make the maps and print the figures; the exit code.

    Raises:
        UserError, CheckpointError: the input is refused; nothing has been written then.
        RunError: the results cannot be written.
    """
    args = _parser().parse_args(arguments)
    if args.no_pictures and not (args.gt or args.extent):
        raise UserError('--no-pictures leaves the figures alone, and those need the truth: give --gt or --extent')
    items = find_items(args.inputs, gt=args.gt, extent=args.extent)
    folders = _folders(items, args.output)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    mapper = Mapper(
        read_network(args.weights, param_key=_key(args, args.weights)).to(device),
        others=[OtherNetwork(path, param_key=_key(args, path), device=device) for path in args.beside],
        parts=args.parts,
        device=device,
    )
    for item in items:
        item.check()

    try:
        _work(items, mapper, folders, args)
    except OSError as error:
        raise RunError(f'the results cannot be written to {args.output}: {error}') from error
    print(f'{len(items)} picture(s): see {args.output}')
    return 0


def _work(items: Sequence[Item], mapper: Mapper, folders: dict[str, Path], args: argparse.Namespace) -> None:
    """Make, measure and write the maps of all pictures."""
    args.output.mkdir(parents=True, exist_ok=True)
    report = Report({'residual': (args.residual_above, GREY_LEVELS), 'extent': (args.extent_above, PIXELS)})
    for item in tqdm(items, unit='picture', disable=None):
        picture = item.lq.picture()
        maps = list(mapper(picture))
        truths = _truths(item, picture, args)
        rows = _rows(item, maps, truths, mapper)
        report.rows += rows
        if not args.no_pictures:
            _draw(item, picture, maps, truths, rows, folders[item.name])
    if report.rows:
        report.write(args.output)
        print(report.table())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr blurmap',
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('inputs', nargs='+', type=Path, metavar='INPUT', help='picture, folder or LMDB folder')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='OUT', help='folder for the results')
    parser.add_argument('--weights', type=Path, required=True, metavar='FILE', help='weights of an AIBNet')
    parser.add_argument('--gt', type=Path, metavar='PATH', help='the sharp pictures: file, folder or LMDB folder')
    parser.add_argument(
        '--extent', type=Path, metavar='PATH', help='how far each pixel is blurred: grey, 16 bit, 256 a pixel of blur'
    )
    parser.add_argument(
        '--beside', nargs='+', type=Path, default=[], metavar='FILE', help="weights of others' networks, e.g. NAFNet"
    )
    parser.add_argument('--param-key', help='which entry of the files (params_ema where there is one, else params)')
    parser.add_argument(
        '--residual-above', type=_positive, default=8.0, metavar='X', help='blurred: grey levels (default: %(default)g)'
    )
    parser.add_argument(
        '--extent-above', type=_positive, default=2.0, metavar='X', help='blurred: pixels (default: %(default)g)'
    )
    parser.add_argument('--parts', action='store_true', help='also maps of each sub-decoder and level (0: the finest)')
    parser.add_argument('--no-pictures', action='store_true', help='figures alone')
    return parser


def _key(args: argparse.Namespace, path: Path) -> str:
    return args.param_key or default_param_key(path)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number above 0')
    return value


def _folders(items: Sequence[Item], output: Path) -> dict[str, Path]:
    """Where each picture's results go.

    Raises:
        UserError: the output is a file, holds input, or two names give one folder.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f'-o {output} is a file: name a folder')
    folders: dict[str, Path] = {}
    for item in items:
        folder = output / (re.sub(r'[\\/:\0]', '_', item.name).strip('. ') or '_')
        if folder in folders.values():
            raise UserError(f'{item.lq}: the results of another picture go to {folder}, too. Rename one.')
        folders[item.name] = folder
        for source in (item.lq, item.gt, item.extent):
            place = source and source.path.resolve()
            if source and output.resolve() in (place, *place.parents):  # an LMDB is a folder itself
                raise UserError(f'{source} lies in the output folder {output}: choose another, nothing is overwritten')
    return folders


def _truths(item: Item, picture: np.ndarray, args: argparse.Namespace) -> list[Truth]:
    truths = []
    if item.gt:
        truths.append(Truth('residual', residual(item.gt.picture(), picture), args.residual_above))
    if item.extent:
        truths.append(Truth('extent', item.extent.extent(), args.extent_above))
    return truths


def _rows(item: Item, maps: Sequence[BlurMap], truths: Sequence[Truth], mapper: Mapper) -> list[Row]:
    if not truths:
        return []
    controls = mapper(item.gt.picture()) if item.gt else [None] * len(maps)
    return [
        Row(
            item.name,
            truth.name,
            blur_map.name,
            sign,
            truth.share,
            *truth.figures(blur_map.values, sign=sign),
            *_control(control, truth, sign),
        )
        for blur_map, control in zip(maps, controls)
        for truth in truths
        for sign in [blur_map.signs[truth.name]]
    ]


def _control(control: Optional[BlurMap], truth: Truth, sign: int) -> tuple[float, float]:
    return truth.figures(control.values, sign=sign) if control else (math.nan, math.nan)


def _draw(
    item: Item, picture: np.ndarray, maps: Sequence[BlurMap], truths: Sequence[Truth], rows: Sequence[Row], folder: Path
) -> None:
    """Write the panel and the single maps."""
    folder.mkdir(exist_ok=True)
    # What is in grey levels shares its colours, so that residuals can be compared.
    residuals = [blur_map.values for blur_map in maps if blur_map.unit == GREY_LEVELS]
    residuals += [truth.values for truth in truths if truth.name == 'residual']

    def tile(title: str, note: str, values: np.ndarray, unit: str) -> Tile:
        shared = residuals if unit == GREY_LEVELS else [values]
        return Tile(title, note, picture, values, unit, colour_ends(*shared, from_zero=unit != TIMES_MEAN))

    tiles = [Tile('input', '', picture)]
    if item.gt:
        tiles.append(Tile('sharp', '', item.gt.picture()))
    for truth in truths:
        title, unit = TRUTHS[truth.name]
        tiles.append(tile(title, f'{100 * truth.share:.1f} % above {truth.threshold:g}', truth.values, unit))
    for blur_map in maps:
        figures = [_short(row) for row in rows if row.map == blur_map.name]
        tiles.append(tile(blur_map.title, ', '.join(figures), blur_map.values, blur_map.unit))
        _save(folder / f'{blur_map.name}.png', lay_over(picture, blur_map.values, ends=tiles[-1].ends))
    _save(folder / 'panel.png', panel(tiles))


def _short(row: Row) -> str:
    figure = 'undefined' if math.isnan(row.auc) else f'{row.auc:.2f}'
    return f'{row.truth}: AUC {figure}' + (' (low = blurred)' if row.sign < 0 else '')


def _save(path: Path, picture: np.ndarray) -> None:
    path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
