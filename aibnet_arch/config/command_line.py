"""BasicSR's command-line flags and what they make of an option file: takes the place of its parse_options."""

import argparse
import random
from collections.abc import Mapping
from os import path as osp
from typing import Any, Optional

import torch

from ..distributed import init_dist
from ..errors import UserError
from ..registries.on_demand import register_wanted
from .checks import preflight
from .checks.disk import DiskUse
from .option_file import load_option_file, to_yaml
from .overrides import apply_overrides
from .testing import is_of_training, of_training, set_pair, set_weights, trained_weights, without_option_file


def parse_options(root_path: str, is_train: bool = True) -> tuple[dict, argparse.Namespace]:
    """Read the command line and the option file, and check both before anything is created.

    Args:
        root_path: folder below which experiments and results go by default.

    Returns:
        The options as BasicSR's pipelines want them, and the parsed command line; its `options` is what was read,
        as YAML.

    Raises:
        UserError: everything that is wrong with the options and the data they name.
    """
    from basicsr.utils import dist_util, set_random_seed

    arguments = _parser(is_train).parse_args()
    opt = _training_options(arguments) if is_train else _test_options(arguments, root_path)
    register_wanted(opt)
    arguments.options = to_yaml(opt)
    preflight(opt, is_train=is_train, auto_resume=arguments.auto_resume)
    opt['auto_resume'], opt['is_train'] = arguments.auto_resume, is_train

    if arguments.debug and not opt['name'].startswith('debug'):
        opt['name'] = f'debug_{opt["name"]}'
    if opt['num_gpu'] == 'auto':
        opt['num_gpu'] = torch.cuda.device_count()
    opt['dist'] = arguments.launcher != 'none'
    if is_train:
        _refuse_replicas(opt, arguments.opt)
    if opt['dist']:
        init_dist(arguments.launcher, opt.get('dist_params') or {}, on_gpus=opt['num_gpu'] != 0)
    opt['rank'], opt['world_size'] = dist_util.get_dist_info()
    opt['manual_seed_is_drawn'] = opt.get('manual_seed') is None
    opt['manual_seed'] = _common_seed(opt)
    set_random_seed(opt['manual_seed'] + opt['rank'])
    _fill_datasets(opt)
    _fill_paths(opt, root_path)
    if is_train and 'debug' in opt['name']:  # BasicSR's debug mode: look often
        if opt.get('val'):
            opt['val']['val_freq'] = 8
        opt['logger'].update(print_freq=1, save_checkpoint_freq=8)
    return opt, arguments


def _training_options(arguments: argparse.Namespace) -> dict:
    opt = load_option_file(arguments.opt)
    apply_overrides(opt, arguments.force_yml or ())
    return opt


def _test_options(arguments: argparse.Namespace, root_path: str) -> dict:
    """Those of the file, or made from them and the flags."""
    problem = _wrong_flags(arguments)
    if problem:
        raise UserError(problem)
    given: dict = _training_options(arguments) if arguments.opt else without_option_file()
    opt = given
    if is_of_training(given):
        opt = of_training(given, with_sets=not arguments.lq)
        if not arguments.weights:
            opt['path'].update(trained_weights(given, root_path=root_path, best=arguments.best))
            opt['name'] += '' if arguments.best is None else '_best'
    elif arguments.best is not None:
        raise UserError(f'--best: {arguments.opt} is of a test, and says itself which weights: leave --best out')
    if arguments.weights:
        set_weights(opt, arguments.weights, window=arguments.window)
    if arguments.lq:
        set_pair(opt, lq=arguments.lq, gt=arguments.gt)
    if not arguments.opt:
        apply_overrides(opt, arguments.force_yml or ())
    return opt


def _wrong_flags(arguments: argparse.Namespace) -> str:
    """What is wrong with the flags of a test, or nothing."""
    if bool(arguments.lq) != bool(arguments.gt):
        return '--lq and --gt: give both. Without the sharp pictures, `basicsr deblur` restores'
    if not arguments.opt and not (arguments.weights and arguments.lq):
        return 'give an option file (-opt), or files of weights and pictures (--weights, --lq and --gt)'
    if arguments.weights and arguments.best is not None:
        return '--best chooses among the weights of the run of -opt; leave out --weights or --best'
    if arguments.window is not None and not arguments.weights:
        return '--window goes with --weights; else set val.window, e.g. --force_yml val:window=384'
    return ''


def _parser(is_train: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f'basicsr {"train" if is_train else "test"}', allow_abbrev=False)
    add = parser.add_argument
    add('-opt', required=is_train, metavar='FILE', help='option file (YAML)')
    add('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='pytorch: torchrun')
    add('--auto_resume', action='store_true', help='go on with the newest checkpoint, if there is one')
    add('--debug', action='store_true', help='log each iteration, save and validate each eighth')
    add('--verbose', action='store_true', help='show the whole log at the terminal, too')
    add('--local_rank', '--local-rank', type=int, default=0, help='set by older launchers')
    add(
        '--force_yml',
        nargs='+',
        action='extend',
        metavar='KEY:KEY=VALUE',
        help='change options, e.g. train:optim_g:lr=1e-4',
    )
    if not is_train:
        _add_flags_of_test(parser)
    return parser


def _add_flags_of_test(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'Test weights: those that a test file names, those that a training has written, or any files of weights.'
    )
    parser.add_argument(
        '--weights', nargs='+', action='extend', metavar='FILE', help='test these, of AIBNet, NAFNet, Restormer, ...'
    )
    parser.add_argument('--lq', metavar='PATH', help='blurred pictures: a folder, or an LMDB')
    parser.add_argument('--gt', metavar='PATH', help='their sharp partners of the same names')
    parser.add_argument(
        '--best',
        nargs='?',
        const='',
        metavar='METRIC',
        help='of a training: the weights that validated best (by the first of val.metrics), not the newest',
    )
    parser.add_argument('--window', type=int, metavar='N', help='with --weights: statistics over N pixels (TLC)')


def _refuse_replicas(opt: Mapping[str, Any], file: str) -> None:
    """DataParallel's replicas have no parameters that could tell which of AIBNet's parts train."""
    gpus = opt['num_gpu']
    if not opt['dist'] and gpus > 1 and opt['network_g'].get('type') == 'AIBNet':
        raise UserError(
            f'num_gpu: one process would train AIBNet on {gpus} GPUs; give each its own, with batch_size_per_gpu the '
            f'share of one:\n    torchrun --standalone --nproc_per_node={gpus} -m aibnet_arch train -opt {file} '
            '--launcher pytorch\nor set num_gpu: 1'
        )


def _common_seed(opt: dict) -> int:
    """manual_seed, or one random number for all processes."""
    seed = opt.get('manual_seed')
    if seed is not None:
        return seed
    drawn = [random.randint(1, 10000)]
    if opt['dist']:
        torch.distributed.broadcast_object_list(drawn, src=0)
    return drawn[0]


def _fill_datasets(opt: dict) -> None:
    for phase, dataset in opt['datasets'].items():
        dataset['phase'] = phase.split('_')[0]
        if 'scale' in opt:
            dataset['scale'] = opt['scale']
        for key in ('dataroot_gt', 'dataroot_lq'):
            if dataset.get(key) is not None:
                dataset[key] = osp.expanduser(dataset[key])


def _fill_paths(opt: dict, root_path: str) -> None:
    """Where a run reads and writes, under the names that BasicSR uses."""
    paths = opt['path']
    for key, value in paths.items():
        if value is not None and ('resume_state' in key or 'pretrain_network' in key):
            paths[key] = osp.expanduser(value)
    kind = 'experiments' if opt['is_train'] else 'results'
    base = paths.get(f'{kind}_root') or osp.join(root_path, kind)
    folder = osp.join(osp.expanduser(base), opt['name'])
    paths[f'{kind}_root'] = paths['log'] = folder
    paths['visualization'] = osp.join(folder, 'visualization')
    if opt['is_train']:
        paths['models'] = osp.join(folder, 'models')
        paths['training_states'] = osp.join(folder, 'training_states')


def check_options(opt: dict, *, name: str, decode: str = 'sample') -> Optional[DiskUse]:
    """Look for all problems of options and their data.

    Args:
        opt: as read from a file; of training if they have a training set.
        decode: which pictures to decode: 'none', 'sample' or 'all'.

    Returns:
        What a training takes of the disk.

    Raises:
        UserError: the problems.
    """
    register_wanted(opt)
    datasets = opt.get('datasets')
    is_train = isinstance(datasets, dict) and 'train' in datasets
    try:
        return preflight(opt, is_train=is_train, decode=decode)
    except UserError as error:
        raise UserError(f'{name}:\n{error}') from error
