"""Validation with a figure for every picture, spread over the processes of a run.

BasicSR's own validation logs the means alone, and one process does it all. This one takes its place in
SRModel and everything that derives from it: the same means in the same log lines, then each beside the figure of the
input and the gain, the same picture files, and under ``basicsr test`` also a table of the pictures (CSV) and a summary
(JSON) beside the log, and a page to look at them (``val.page``).
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from tqdm import tqdm

from ..distributed import from_all_processes
from ..errors import StoppedError, UserError
from ..files import write_picture
from ..metrics import EvaluationTable
from ..modeling.padding import pad_to_multiple
from ..signals import STOP
from ..terminal import TERMINAL, figures
from .measuring import Figures, Metric
from .metric_processes import MetricProcesses, result_of
from .picture_names import picture_names, plain_name
from .result_page import ResultPage
from .several import column
from .shown_pictures import ShownPictures


def validate(model: Any, dataloader, current_iter, tb_logger, save_img: bool) -> None:
    """Measure a model on a dataset; a method of BasicSR's SRModel, with its arguments.

    For networks that take no picture of any size, ``val.pad_to: 8`` pads pictures by reflection to a multiple of 8, and
    ``val.pad_to_square: true`` to a square of it; what they give is cropped back.

    A model may hold several networks: its `labels` name them, `use(label)` chooses the one that its `test()` runs. Each
    then has its own columns.

    Each process measures what its loader gives it, all of them know the result, the first one logs it.
    ``model.input_results`` are the means of the input, as ``model.metric_results`` those of the result.

    Raises:
        UserError: the dataset is empty, or a metric lacks something.
        RunError: a picture cannot be written, or a process that measures ended.
        StoppedError: a signal came; nothing is logged then.
    """
    from basicsr.utils import get_root_logger

    dataset_name = dataloader.dataset.opt['name']
    val_options = model.opt['val']
    metrics = Metric.all_of(val_options)
    if not len(dataloader.dataset):
        raise UserError(f'dataset {dataset_name!r} has no pictures')
    labels: Sequence[Optional[str]] = getattr(model, 'labels', ()) or (None,)
    page = ResultPage.of(model.opt, dataset_name, labels=getattr(model, 'labels', ()))
    shown = ShownPictures(tb_logger, dataset_name, current_iter)
    rows, stopped = _gathered(_rows(model, dataloader, dataset_name, current_iter, metrics, save_img, page, shown))
    if stopped:
        raise StoppedError(f'stopped while validating on {dataset_name!r}')
    entries = [row.pop('entry') for row in rows]
    columns = [(column(metric.name, label), metric, label) for metric in metrics for label in labels]
    lower = [name for name, metric, _ in columns if metric.lower_is_better]
    networks = {name: label for name, _, label in columns if label is not None}
    networks.update({column('seconds', label): label for label in labels if label is not None})
    about = {} if model.opt['is_train'] else {'network': model.network_costs()}
    table = EvaluationTable(
        dataset=dataset_name,
        lower_is_better=lower,
        types={**dict.fromkeys(networks, 'seconds'), **{name: metric.type for name, metric, _ in columns}},
        networks=networks,
        about=about,
    )
    for row in rows:
        table.add(**row)
    model.input_results = table.means_of_input()
    if metrics:
        model._initialize_best_metric_results(dataset_name)
        model.metric_results = table.means()
        for metric, value in model.metric_results.items():
            model._update_best_metric_result(dataset_name, metric, value, current_iter)
        model._log_validation_metric_values(current_iter, dataset_name, tb_logger)
        if table.told():
            get_root_logger().info(f'{dataset_name}, beside its input\n{table.told()}')
        when = f'iteration {current_iter:,d}, ' if model.opt['is_train'] else ''
        before = getattr(model, 'input_results', {})
        TERMINAL.say(f'{when}{dataset_name}: {figures(before, model.metric_results)}')
    if not model.opt['is_train'] and model.opt['rank'] == 0:
        base = Path(model.opt['path']['log']) / dataset_name
        table.write(base.with_name(f'{base.name}.csv'), base.with_name(f'{base.name}.json'))
        if page:
            page.finish(entries)


@dataclass(frozen=True)
class _Result:
    """What one network made of a picture: uint8 (H, W, 3) BGR, or (H, W)."""

    label: Optional[str]
    picture: np.ndarray
    finite: bool
    seconds: float


@dataclass(frozen=True)
class _Restored:
    """What is kept of a picture until it is measured: uint8 pictures, and what the table says of it."""

    name: str
    results: Sequence[_Result]
    truth: Optional[np.ndarray]
    before: Optional[np.ndarray]
    maps: Mapping[str, np.ndarray]


def _rows(
    model: Any,
    dataloader: Any,
    dataset_name: str,
    current_iter: Any,
    metrics: list[Metric],
    save_img: bool,
    page: Optional[ResultPage],
    shown: ShownPictures,
) -> list[dict]:
    """The pictures of this process: the arguments of EvaluationTable.add, and their entries of the page.

    Fewer, if a signal came.
    """
    from basicsr.utils import get_root_logger

    val_options = model.opt['val']
    want_input = bool(metrics) and val_options.get('measure_input', True)
    # In training the input is the same at each validation.
    known: dict[int, Figures] = model.known_inputs.setdefault(dataset_name, {}) if model.opt['is_train'] else {}
    names = picture_names(dataloader.dataset)
    rows: list[dict] = []
    waiting: deque[tuple[_Restored, Future[list[Figures]]]] = deque()

    def take() -> None:
        restored, future = waiting.popleft()
        number, count = len(rows), len(restored.results)
        figures = result_of(future)
        if len(figures) > count:
            known[number] = figures[count]
        rows.append(_row(restored, figures[:count], known.get(number), page=page))

    measuring = MetricProcesses(
        metrics,
        pictures=len(dataloader),
        processes=val_options.get('metric_processes'),
        share=model.opt['world_size'],
        setup=model.before_metrics,
        tell=get_root_logger().info,
    )
    with measuring:
        bar = val_options.get('pbar', False) and TERMINAL.verbose  # else the line of progress tells it
        pictures = TERMINAL.pictures(dataloader, dataset_name)
        for number, sample in enumerate(tqdm(pictures, total=len(dataloader), unit='image', disable=not bar)):
            if STOP.name is not None:
                return rows
            path = sample['lq_path'][0]
            name = names.get(path) or plain_name(path)
            place = partial(_picture_path, model.opt, dataset_name, name, current_iter) if save_img else None
            restored = _restore(model, sample, name, place=place, page=page)
            if shown.wants_more() and restored.before is not None:
                after = restored.results[0].picture
                shown.add(restored.name, before=restored.before, after=after, truth=restored.truth)
            todo = [(result.picture, restored.truth) for result in restored.results]
            before = restored.before
            if want_input and number not in known and before is not None and before.shape == todo[0][0].shape:
                todo.append((before, restored.truth))
            waiting.append((restored, measuring.submit(*todo)))
            while waiting and waiting[0][1].done():
                take()
        while waiting and STOP.name is None:
            take()
    return rows


def _restore(
    model: Any, sample: Mapping, name: str, *, place: Optional[Callable[..., Path]], page: Optional[ResultPage]
) -> _Restored:
    """Run the networks on one picture, and write what came out to the `place` of each."""
    from basicsr.utils import tensor2img

    model.feed_data(sample)
    given = model.lq
    results: list[_Result] = []
    maps: Mapping[str, np.ndarray] = {}
    visuals: Mapping[str, Any] = {}
    for label in getattr(model, 'labels', ()) or (None,):
        if label is not None:
            model.use(label)
        model.lq = given
        started = time.perf_counter()
        _test_padded(model)
        if model.device.type == 'cuda':
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        visuals = model.get_current_visuals()
        picture = tensor2img([torch.nan_to_num(visuals['result'])])
        results.append(_Result(label, picture, bool(torch.isfinite(visuals['result']).all()), seconds))
        if page and not maps:
            maps = page.maps_of(model)
        del model.lq, model.output
    del given  # before the metrics: they need no GPU memory
    truth = tensor2img([visuals['gt']]) if 'gt' in visuals else None
    before = tensor2img([visuals['lq']]) if 'lq' in visuals else None
    if hasattr(model, 'gt'):
        del model.gt
    if place is not None:
        for result in results:
            write_picture(place(label=result.label), result.picture)
    return _Restored(name, results, truth, before, maps)


def _row(
    restored: _Restored, figures: Sequence[Figures], of_input: Optional[Figures], *, page: Optional[ResultPage]
) -> dict:
    found: list[dict[str, Optional[float]]] = []
    notes: list[str] = []
    for result, each in zip(restored.results, figures):
        values, own = dict(each.values), '; '.join(each.notes)
        if not result.finite:  # clipped to a picture it would get a figure like any other
            values, own = dict.fromkeys(values, math.nan), 'the network gave values that are not finite'
        found.append(values)
        if own:
            notes.append(own if result.label is None else f'{result.label}: {own}')
    if of_input:
        notes += [f'input: {note}' for note in of_input.notes]
    # The networks beside each other, metric after metric.
    names = [
        (column(metric, result.label), metric, values)
        for metric in figures[0].values
        for result, values in zip(restored.results, found)
    ]
    row: dict[str, Any] = {
        'image': restored.name,
        'metrics': {name: values[metric] for name, metric, values in names},
        'seconds': sum(result.seconds for result in restored.results),
        'note': '; '.join(notes),
        'before': {name: of_input.values[metric] for name, metric, _ in names} if of_input else None,
        'entry': None,
    }
    if page and restored.before is not None:
        afters = [result.picture for result in restored.results]
        row['entry'] = page.add(row, before=restored.before, afters=afters, truth=restored.truth, maps=restored.maps)
    row['metrics'].update(
        {column('seconds', each.label): each.seconds for each in restored.results if each.label is not None}
    )
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


def _picture_path(opt: dict, dataset_name: str, name: str, current_iter: Any, *, label: Optional[str]) -> Path:
    """Where BasicSR puts a restored picture; `label` is the network's if there are several."""
    folder = Path(opt['path']['visualization'])
    if opt['is_train']:
        return folder / name / f'{name}_{current_iter}.png'
    return folder / dataset_name / f'{name}_{label or opt["val"].get("suffix") or opt["name"]}.png'
