"""Options of a test: of a test file, made from those of a training, or of files of weights alone."""

import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional

from ..checkpoints.choice import best_weights, newest_weights
from ..checkpoints.folder import CheckpointFolder
from ..errors import OptionError, UserError
from ..evaluation.several import labels_of
from ..messages import did_you_mean, printable, some

METRICS = {
    'psnr': {'type': 'calculate_psnr', 'crop_border': 0, 'test_y_channel': False},
    'ssim_3d': {'type': 'calculate_ssim_3d'},
    'ssim': {'type': 'calculate_ssim', 'crop_border': 0, 'test_y_channel': False},
}
SETS = ('test', 'val', 'train')  # names of a part of a dataset, which do not name it


def is_of_training(opt: Mapping[str, Any]) -> bool:
    """Whether options are those of a training."""
    return isinstance(opt.get('datasets'), Mapping) and 'train' in opt['datasets']


def without_option_file() -> dict[str, Any]:
    """Options of a test without what is tested, and on what."""
    val = {'save_img': False, 'page': True, 'metrics': deepcopy(METRICS)}
    return {'name': 'test', 'scale': 1, 'num_gpu': 'auto', 'manual_seed': 0, 'path': {}, 'val': val}


def of_training(opt: Mapping[str, Any], *, with_sets: bool = True) -> dict[str, Any]:
    """Options that test on the validation sets of a training; the weights are left open.

    Args:
        with_sets: there must be such a set.

    Raises:
        OptionError: there is none.
    """
    made = {key: deepcopy(value) for key, value in opt.items() if key not in ('train', 'logger', 'datasets', 'path')}
    sets = _validation_sets(opt)
    if with_sets and not sets:
        raise OptionError(['datasets: there is no val to test on: add one, or give --lq and --gt'])
    made['datasets'] = {phase.replace('val', 'test', 1): deepcopy(data) for phase, data in sets.items()}
    made['val'] = {'save_img': False, 'page': True, 'metrics': deepcopy(METRICS), **deepcopy(_section(opt, 'val'))}
    # A test file of that name tests on other pictures.
    made['name'] = f'test_{opt.get("name")}{"_val" if with_sets else ""}'
    made['path'] = _places(opt)
    return made


def trained_weights(opt: Mapping[str, Any], *, root_path: str, best: Optional[str] = None) -> dict[str, str]:
    """What a training has trained, as it stands below `path` in the options of a test.

    Args:
        root_path: folder below which its experiments are by default.
        best: take the weights that this metric found best ('' is the first of ``val.metrics``), not the newest.

    Raises:
        UserError: there are no such weights.
        CheckpointError: they are damaged.
    """
    base = _places(opt).get('experiments_root') or os.path.join(root_path, 'experiments')
    run = Path(base).expanduser() / str(opt.get('name'))
    folder = CheckpointFolder(models=run / 'models', states=run / 'training_states')
    if best is None:
        file, skipped = newest_weights(folder)
        for line in skipped:
            print(f'basicsr test: passed over: {printable(line)}')
        print(f'basicsr test: {printable(file)}, the newest of its run')
    else:
        metrics = _section(opt, 'val').get('metrics') or {}
        if best and best not in metrics:
            raise UserError(f'--best {best}: val.metrics has {some(metrics)}{did_you_mean(best, list(metrics))}')
        names = [data.get('name') for data in _validation_sets(opt).values() if isinstance(data, Mapping)]
        if not metrics or not names:
            raise UserError('--best: the training validates nothing: leave --best out')
        metric, dataset = best or next(iter(metrics)), str(names[0])
        file, value = best_weights(folder, dataset=dataset, metric=metric)
        print(f'basicsr test: {printable(file)}, the best {metric} of its run on {printable(dataset)}: {value:.4f}')
    averaged = (_section(opt, 'train').get('ema_decay') or 0) > 0  # what the training has validated
    return {'pretrain_network_g': str(file), 'param_key_g': 'params_ema' if averaged else 'params'}


def _section(opt: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A section; what is none is told by the checks."""
    section = opt.get(key)
    return dict(section) if isinstance(section, Mapping) else {}


def _validation_sets(opt: Mapping[str, Any]) -> dict[str, Any]:
    return {str(phase): data for phase, data in opt['datasets'].items() if str(phase).split('_')[0] == 'val'}


def _places(opt: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in _section(opt, 'path').items() if key in ('experiments_root', 'results_root')}


def set_weights(opt: dict[str, Any], files: Sequence[str], *, window: Optional[int]) -> None:
    """Have options test files of weights, each as the network that it is of.

    Args:
        window: of the statistics, pixels, for the networks that know one; None: as the options say.
    """
    weights = labels_of(files)
    opt['model_type'], opt['weights'] = 'WeightsModel', weights
    opt['name'] = f'{opt.get("name")}_{"_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", each) for each in weights)}'[:120]
    network = opt.get('network_g')
    keep_network = isinstance(network, Mapping) and network.get('type') != 'AIBNet'
    for key in [key for key in opt if str(key).startswith('network_') and not (key == 'network_g' and keep_network)]:
        del opt[key]
    opt['path'] = _places(opt)
    val = opt.get('val')
    if isinstance(val, dict):
        if isinstance(val.get('page'), Mapping):
            val['page'] = True  # blur maps are of one AIBNet
        if window is not None:
            val['window'] = window


def set_pair(opt: dict[str, Any], *, lq: str, gt: str) -> None:
    """Have options test on a pair of folders, or of LMDBs.

    Raises:
        UserError: one of them is an LMDB, the other is none.
    """
    in_lmdb = [root.rstrip('/').endswith('.lmdb') for root in (lq, gt)]
    if in_lmdb[0] != in_lmdb[1]:
        raise UserError(f'--lq {printable(lq)} --gt {printable(gt)}: give two folders, or two LMDBs (.lmdb)')
    name = _name_of(lq, gt)
    opt['name'] = f'{opt.get("name")}_on_{name}'  # apart from what was tested on other pictures
    test = {'name': name, 'type': 'PairedImageDataset', 'dataroot_lq': lq, 'dataroot_gt': gt}
    opt['datasets'] = {'test': {**test, 'io_backend': {'type': 'lmdb' if in_lmdb[0] else 'disk'}}}


def _name_of(lq: str, gt: str) -> str:
    """GoPro-test for GoPro/test/input and GoPro/test/target: what both have in common."""
    common = Path(os.path.commonpath([os.path.abspath(os.path.expanduser(root)) for root in (lq, gt)]))
    parts = [common.parent.name, common.name] if common.name in SETS else [common.name]
    return re.sub(r'[^A-Za-z0-9.+_-]+', '-', '-'.join(parts)).strip('-.') or 'pictures'
