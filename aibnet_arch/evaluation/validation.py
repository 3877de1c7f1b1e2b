"""Validation with a figure for every picture, spread over the processes of a run.

BasicSR's own validation logs the means alone, and one process does it all. This one takes its place in
SRModel and everything that derives from it: the same means in the same log lines, the same picture
files, and under ``basicsr test`` also a table of the pictures (CSV) and a summary (JSON) beside the log, and a page
to look at them (``val.page``).
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from os import path as osp
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from tqdm import tqdm

from ..distributed import from_all_processes
from ..errors import RunError, StoppedError, UserError
from ..metrics import EvaluationTable, last_outcome
from ..metrics.aligned import ALIGNED
from ..modeling.padding import pad_to_multiple
from ..signals import STOP
from .result_page import ResultPage
from .several import column


def validate(model: Any, dataloader, current_iter, tb_logger, save_img: bool) -> None:
    """Measure a model on a dataset; a method of BasicSR's SRModel, with its arguments.

    For networks that take no picture of any size, ``val.pad_to: 8`` pads pictures by reflection to a multiple of 8, and
    ``val.pad_to_square: true`` to a square of it; what they give is cropped back.

    A model may hold several networks: its `labels` name them, `use(label)` chooses the one that its `test()` runs. Each
    then has its own columns.

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
    page = ResultPage.of(model.opt, dataset_name, labels=getattr(model, 'labels', ()))
    rows = []
    for sample in tqdm(dataloader, unit='image', disable=not val_options.get('pbar', False)):
        if STOP.name is not None:
            break
        rows.append(_measure(model, sample, dataset_name, current_iter, metrics=metrics, save_img=save_img, page=page))
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
    dataset_name: str,
    current_iter,
    *,
    metrics: Mapping,
    save_img: bool,
    page: Optional[ResultPage],
) -> dict:
    """One picture: the arguments of EvaluationTable.add, and its entry of the page."""
    from basicsr.utils import tensor2img

    name = osp.splitext(osp.basename(sample['lq_path'][0]))[0]
    labels = getattr(model, 'labels', ())
    model.feed_data(sample)
    given = model.lq
    results: list[_Restored] = []
    maps: Mapping[str, np.ndarray] = {}
    visuals: Mapping[str, Any] = {}
    for label in labels or (None,):
        if label is not None:
            model.use(label)
        model.lq = given
        result, visuals = _restored(model, label)
        results.append(result)
        if page and not maps:
            maps = page.maps_of(model)
        del model.lq, model.output
    del given  # before the metrics: they need no GPU memory
    if hasattr(model, 'gt'):
        del model.gt
    pictures = {'img2': tensor2img([visuals['gt']])} if 'gt' in visuals else {}
    found, notes = [], []
    for result in results:
        if save_img:
            _save(result, _picture_path(model.opt, dataset_name, name, current_iter, label=result.label))
        figures, note = _figures({'img': result.picture, **pictures}, metrics)
        if not result.finite:  # clipped to a picture it would get a figure like any other
            figures, note = dict.fromkeys(figures, math.nan), 'the network gave values that are not finite'
        found.append(figures)
        if note:
            notes.append(note if result.label is None else f'{result.label}: {note}')
    # The networks beside each other, metric after metric.
    values = {column(metric, each.label): own[metric] for metric in metrics for each, own in zip(results, found)}
    seconds = sum(result.seconds for result in results)
    row = {'image': name, 'metrics': values, 'seconds': seconds, 'note': '; '.join(notes), 'entry': None}
    if page:
        afters = [result.picture for result in results]
        before = tensor2img([visuals['lq']])
        row['entry'] = page.add(row, before=before, afters=afters, truth=pictures.get('img2'), maps=maps)
    if labels:
        row['metrics'] = {**values, **{column('seconds', each.label): each.seconds for each in results}}
    return row


@dataclass(frozen=True)
class _Restored:
    """What a network made of a picture: uint8 (H, W, 3) BGR, or (H, W)."""

    label: Optional[str]
    picture: np.ndarray
    finite: bool
    seconds: float


def _restored(model: Any, label: Optional[str]) -> tuple[_Restored, Mapping[str, Any]]:
    """The result, and the model's visuals: 'lq', 'result', and 'gt' if there is one."""
    from basicsr.utils import tensor2img

    started = time.perf_counter()
    _test_padded(model)
    if model.device.type == 'cuda':
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    visuals = model.get_current_visuals()
    picture = tensor2img([torch.nan_to_num(visuals['result'])])
    return _Restored(label, picture, bool(torch.isfinite(visuals['result']).all()), seconds), visuals


def _figures(pictures: Mapping, metrics: Mapping) -> tuple[dict[str, float], str]:
    """Metric to value, and a note on what limits them."""
    from basicsr.metrics import calculate_metric

    values, note = {}, ''
    for metric, options in metrics.items():
        # 'better' is the validation's, not the metric's.
        values[metric] = float(calculate_metric(pictures, {k: v for k, v in options.items() if k != 'better'}))
        if options['type'].endswith('_aligned') and last_outcome() != ALIGNED:
            note = last_outcome()
    return values, note


def _save(result: _Restored, path: str) -> None:
    from basicsr.utils import imwrite

    try:
        imwrite(result.picture, path)
    except OSError as error:
        raise RunError(f'{path} cannot be written: {error}') from error


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


def _picture_path(opt: dict, dataset_name: str, name: str, current_iter, *, label: Optional[str]) -> str:
    """Where BasicSR puts a restored picture; `label` is the network's if there are several."""
    folder = opt['path']['visualization']
    if opt['is_train']:
        return osp.join(folder, name, f'{name}_{current_iter}.png')
    return osp.join(folder, dataset_name, f'{name}_{label or opt["val"].get("suffix") or opt["name"]}.png')
