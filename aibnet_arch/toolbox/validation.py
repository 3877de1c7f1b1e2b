"""Validation with a figure for every picture.

BasicSR's own validation logs the means alone. This one takes its place in SRModel and everything
that derives from it: the same means in the same log lines, the same picture files, and under
``basicsr test`` also a table of the pictures (CSV) and a summary (JSON) beside the log.
"""

import time
from os import path as osp
from pathlib import Path

import torch
from tqdm import tqdm

from ..metrics import EvaluationTable, last_outcome
from ..metrics.aligned import ALIGNED
from .errors import UserError


def nondist_validation(self, dataloader, current_iter, tb_logger, save_img) -> None:
    """Measure a model on a dataset; a method of BasicSR's SRModel, with its arguments.

    Raises:
        UserError: the dataset is empty, or a picture cannot be written.
    """
    from basicsr.metrics import calculate_metric
    from basicsr.utils import imwrite, tensor2img

    dataset_name = dataloader.dataset.opt['name']
    val_options = self.opt['val']
    metrics = val_options.get('metrics') or {}
    if not len(dataloader):
        raise UserError(f'dataset {dataset_name!r} has no pictures')
    table = EvaluationTable(dataset=dataset_name)
    for sample in tqdm(dataloader, unit='image', disable=not val_options.get('pbar', False)):
        name = osp.splitext(osp.basename(sample['lq_path'][0]))[0]
        self.feed_data(sample)
        started = time.perf_counter()
        self.test()
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        visuals = self.get_current_visuals()
        pictures = {'img': tensor2img([visuals['result']])}
        if 'gt' in visuals:
            pictures['img2'] = tensor2img([visuals['gt']])
        del self.lq, self.output  # before the metrics: they need no GPU memory
        if hasattr(self, 'gt'):
            del self.gt
        if save_img:
            picture_path = _picture_path(self.opt, dataset_name, name, current_iter)
            try:
                imwrite(pictures['img'], picture_path)
            except OSError as error:
                raise UserError(f'{picture_path} cannot be written: {error}') from error
        values, note = {}, ''
        for metric, options in metrics.items():
            # 'better' is the validation's, not the metric's.
            values[metric] = float(calculate_metric(pictures, {k: v for k, v in options.items() if k != 'better'}))
            if options['type'].endswith('_aligned') and last_outcome() != ALIGNED:
                note = last_outcome()
        table.add(image=name, metrics=values, seconds=seconds, note=note)
    if metrics:
        self._initialize_best_metric_results(dataset_name)
        self.metric_results = table.means()
        for metric, value in self.metric_results.items():
            self._update_best_metric_result(dataset_name, metric, value, current_iter)
        self._log_validation_metric_values(current_iter, dataset_name, tb_logger)
    if not self.opt['is_train']:
        base = Path(self.opt['path']['log']) / dataset_name
        table.write(base.with_name(f'{base.name}.csv'), base.with_name(f'{base.name}.json'))


def _picture_path(opt: dict, dataset_name: str, name: str, current_iter) -> str:
    """Where BasicSR puts a restored picture."""
    folder = opt['path']['visualization']
    if opt['is_train']:
        return osp.join(folder, name, f'{name}_{current_iter}.png')
    return osp.join(folder, dataset_name, f'{name}_{opt["val"].get("suffix") or opt["name"]}.png')
