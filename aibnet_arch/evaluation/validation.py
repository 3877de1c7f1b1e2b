"""Validation with a figure for every picture, spread over the processes of a run.

BasicSR's own validation logs the means alone, and one process does it all. This one takes its place in
SRModel and everything that derives from it: the same means in the same log lines, the same picture
files, and under ``basicsr test`` also a table of the pictures (CSV) and a summary (JSON) beside the log, and a page
to look at them (``val.page``).
"""

import math
import time
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, Optional

import torch
from tqdm import tqdm

from ..distributed import from_all_processes
from ..errors import StoppedError, UserError
from ..files import write_picture
from ..metrics import EvaluationTable, last_outcome
from ..metrics.aligned import ALIGNED
from ..modeling.padding import pad_to_multiple
from ..signals import STOP
from .picture_names import picture_names, plain_name
from .result_page import ResultPage


def validate(model: Any, dataloader, current_iter, tb_logger, save_img: bool) -> None:
    """Measure a model on a dataset; a method of BasicSR's SRModel, with its arguments.

    For networks that take no picture of any size, ``val.pad_to: 8`` pads pictures by reflection to a multiple of 8, and
    ``val.pad_to_square: true`` to a square of it; what they give is cropped back.

    Each process measures what its loader gives it, all of them know the result, the first one logs it.

    Raises:
        UserError: the dataset is empty.
        RunError: a picture cannot be written.
        StoppedError: a signal came; nothing is logged then.
    """
    dataset_name = dataloader.dataset.opt['name']
    val_options = model.opt['val']
    metrics = val_options.get('metrics') or {}
    if not len(dataloader.dataset):
        raise UserError(f'dataset {dataset_name!r} has no pictures')
    page = ResultPage.of(model.opt, dataset_name)
    names = picture_names(dataloader.dataset)
    rows = []
    for sample in tqdm(dataloader, unit='image', disable=not val_options.get('pbar', False)):
        if STOP.name is not None:
            break
        name = names.get(sample['lq_path'][0]) or plain_name(sample['lq_path'][0])
        picture_path = _picture_path(model.opt, dataset_name, name, current_iter) if save_img else None
        rows.append(_measure(model, sample, name, metrics=metrics, picture_path=picture_path, page=page))
    rows, stopped = _gathered(rows)
    if stopped:
        raise StoppedError(f'stopped while validating on {dataset_name!r}')
    entries = [row.pop('entry') for row in rows]
    table = EvaluationTable(dataset=dataset_name)
    for row in rows:
        table.add(**row)
    if metrics:
        model._initialize_best_metric_results(dataset_name)
        model.metric_results = table.means()
        for metric, value in model.metric_results.items():
            model._update_best_metric_result(dataset_name, metric, value, current_iter)
        model._log_validation_metric_values(current_iter, dataset_name, tb_logger)
    if not model.opt['is_train'] and model.opt['rank'] == 0:
        base = Path(model.opt['path']['log']) / dataset_name
        table.write(base.with_name(f'{base.name}.csv'), base.with_name(f'{base.name}.json'))
        if page:
            page.finish(entries)


def _measure(
    model: Any,
    sample: Mapping,
    name: str,
    *,
    metrics: Mapping,
    picture_path: Optional[Path],
    page: Optional[ResultPage],
) -> dict:
    """One picture: the arguments of EvaluationTable.add, and its entry of the page."""
    from basicsr.metrics import calculate_metric
    from basicsr.utils import tensor2img

    model.feed_data(sample)
    started = time.perf_counter()
    _test_padded(model)
    if model.device.type == 'cuda':
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    visuals = model.get_current_visuals()
    finite = bool(torch.isfinite(visuals['result']).all())
    pictures = {'img': tensor2img([torch.nan_to_num(visuals['result'])])}
    if 'gt' in visuals:
        pictures['img2'] = tensor2img([visuals['gt']])
    maps = page.maps_of(model) if page else {}
    del model.lq, model.output  # before the metrics: they need no GPU memory
    if hasattr(model, 'gt'):
        del model.gt
    if picture_path is not None:
        write_picture(picture_path, pictures['img'])
    values, note = {}, ''
    for metric, options in metrics.items():
        # 'better' is the validation's, not the metric's.
        values[metric] = float(calculate_metric(pictures, {k: v for k, v in options.items() if k != 'better'}))
        if options['type'].endswith('_aligned') and last_outcome() != ALIGNED:
            note = last_outcome()
    if not finite:  # clipped to a picture it would get a figure like any other
        values, note = dict.fromkeys(values, math.nan), 'the network gave values that are not finite'
    row = {'image': name, 'metrics': values, 'seconds': seconds, 'note': note, 'entry': None}
    if page:
        before = tensor2img([visuals['lq']])
        row['entry'] = page.add(row, before=before, after=pictures['img'], truth=pictures.get('img2'), maps=maps)
    return row


def _test_padded(model: Any) -> None:
    """The model's own test, of a picture that is padded as ``val.pad_to`` and ``val.pad_to_square`` say."""
    val_options = model.opt['val']
    multiple, square = val_options.get('pad_to') or 1, val_options.get('pad_to_square', False)
    if multiple == 1 and not square:
        model.test()
        return
    given = model.lq
    if square:
        multiple *= math.ceil(max(given.shape[2:]) / multiple)
    model.lq = pad_to_multiple(given, multiple)
    model.test()
    factor = model.output.shape[-1] // model.lq.shape[-1]
    model.lq = given
    model.output = model.output[..., : factor * given.shape[2], : factor * given.shape[3]]


def _gathered(rows: list[dict]) -> tuple[list[dict], bool]:
    """The rows of all processes in the dataset's order, and whether one of them was stopped."""
    shares = from_all_processes((rows, STOP.name is not None))
    # Process r has the pictures r, r + N, r + 2 N and so on.
    turns = zip_longest(*(share for share, _ in shares))
    return [row for turn in turns for row in turn if row is not None], any(stopped for _, stopped in shares)


def _picture_path(opt: dict, dataset_name: str, name: str, current_iter) -> Path:
    """Where BasicSR puts a restored picture."""
    folder = Path(opt['path']['visualization'])
    if opt['is_train']:
        return folder / name / f'{name}_{current_iter}.png'
    return folder / dataset_name / f'{name}_{opt["val"].get("suffix") or opt["name"]}.png'
