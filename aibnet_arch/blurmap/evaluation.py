"""Maps of blur of a set of pictures: made, measured against the truth, and drawn."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

import cv2
import numpy as np
import torch
from tqdm import tqdm

from ..errors import RunError, UserError
from ..messages import printable
from ..modeling import AIBNet
from ..modeling.lean import Lean
from ..weights.box import BOX
from ..weights.network_file import network_of
from ..weights.wanted import Wanted
from ..weights.weight_file import WeightFile
from .baselines import OtherNetwork
from .figure_table import FigureTable, Row
from .figures import Truth, residual
from .maps import GREY_LEVELS, PIXELS, TIMES_MEAN, BlurMap, Mapper
from .overlay import Tile, colour_ends, lay_over, panel
from .truth import Item, find_items, parts_of_set

MARKED = 'marked'
TRUTHS = {
    'residual': ('true residual', GREY_LEVELS),
    'extent': ('true extent of the blur', PIXELS),
    'mask': ('mask of the blur', MARKED),
}


def evaluate(
    inputs: Sequence[Path],
    output: Path,
    *,
    weights: Union[str, Path] = BOX,
    window: Union[int, str, None] = None,
    beside: Sequence[Path] = (),
    param_key: Optional[str] = None,
    gt: Optional[Path] = None,
    extent: Optional[Path] = None,
    mask: Optional[Path] = None,
    residual_above: float = 8.0,
    extent_above: float = 2.0,
    parts: bool = False,
    pictures: bool = True,
) -> None:
    """Make the maps, and print how well they find the blur if that is known.

    Args:
        inputs, gt, extent, mask: see :func:`.find_items`. One folder that datasets_prep made stands for its blurred
            and sharp pictures and its extents, as far as it has them.
        weights, beside: files of an AIBNet, and of networks to stand beside it.
        window: of the AIBNet (:class:`.Lean`); by default what its weights want, 'whole': none.
        param_key: entry of all these files; by default 'params_ema' if there is one, else 'params'.
        residual_above, extent_above: from there on a pixel is blurred, in grey levels and in pixels.
        parts: also maps of each sub-decoder and level.
        pictures: write them, not the figures alone.

    Raises:
        UserError, CheckpointError: the input is refused; nothing has been written then.
        RunError: the results cannot be written.
    """
    parts_there = parts_of_set(inputs[0]) if len(inputs) == 1 else {}
    if parts_there:
        inputs = [parts_there['input']]
        gt, extent = gt or parts_there.get('target'), extent or parts_there.get('extent')
    items = find_items(inputs, gt=gt, extent=extent, mask=mask)
    folders = _folders(items, output)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    mapper = Mapper(
        _read(weights, param_key=param_key, window=window).to(device),
        others=[OtherNetwork(path, param_key=param_key, device=device) for path in beside],
        parts=parts,
        device=device,
    )
    for item in items:
        item.check()
    report = FigureTable(
        {'residual': (residual_above, GREY_LEVELS), 'extent': (extent_above, PIXELS), 'mask': (0.5, MARKED)}
    )
    try:
        output.mkdir(parents=True, exist_ok=True)
        for item in tqdm(items, unit='picture', disable=None):
            picture = item.lq.picture()
            maps = list(mapper(picture))
            truths = _truths(item, picture, report)
            rows = _rows(item, maps, truths, mapper)
            report.rows += rows
            if pictures:
                _draw(item, picture, maps, truths, rows, folders[item.name])
        if report.rows:
            report.write(output)
            print(report.table())
    except OSError as error:
        raise RunError(f'the results cannot be written to {printable(output)}: {error}') from error
    print(f'{len(items)} picture(s): see {printable(output)}')


def _read(path: Union[str, Path], *, param_key: Optional[str], window: Union[int, str, None]) -> AIBNet:
    weights = WeightFile.read(path)
    network = network_of(weights.state_dict(param_key), where=weights.where)
    chosen = Wanted.of(weights).window if window is None else window
    try:
        network.lean = Lean(window=chosen if isinstance(chosen, int) else None)
    except ValueError as error:
        raise UserError(f'--{error}') from error
    return network


def _folders(items: Sequence[Item], output: Path) -> dict[str, Path]:
    """Where each picture's results go.

    Raises:
        UserError: the output is a file, holds input, or two names give one folder.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f'-o {printable(output)} is a file: name a folder')
    folders: dict[str, Path] = {}
    for item in items:
        folder = output / (re.sub(r'[\\/:\0]', '_', item.name).strip('. ') or '_')
        if folder in folders.values():
            raise UserError(
                f'{printable(item.lq)}: the results of another picture go to {printable(folder)}, too. Rename one.'
            )
        folders[item.name] = folder
        for source in (item.lq, item.gt, item.extent, item.mask):
            if source is None:
                continue
            place = source.path.resolve()
            if output.resolve() in (place, *place.parents):  # an LMDB is a folder itself
                raise UserError(
                    f'{printable(source)} lies in the output folder {printable(output)}: choose another, '
                    f'nothing is overwritten'
                )
    return folders


def _truths(item: Item, picture: np.ndarray, report: FigureTable) -> list[Truth]:
    truths = []
    if item.gt:
        truths.append(Truth('residual', residual(item.gt.picture(), picture), report.thresholds['residual'][0]))
    if item.extent:
        truths.append(Truth('extent', item.extent.extent(), report.thresholds['extent'][0]))
    if item.mask:
        truths.append(Truth('mask', item.mask.mask(), report.thresholds['mask'][0]))
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
