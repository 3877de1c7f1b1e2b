"""BasicSR's command-line flags and what they make of an option file: takes the place of its parse_options."""

import argparse
import random
from os import path as osp
from typing import Optional

import torch

from ..distributed import init_dist
from ..errors import UserError
from ..registries.on_demand import register_wanted
from .checks import preflight
from .checks.disk import DiskUse
from .option_file import load_option_file, to_yaml
from .overrides import apply_overrides


def parse_options(root_path: str, is_train: bool = True) -> tuple[dict, argparse.Namespace]:
    """Read the command line and the option file, and check both before anything is created.

    Args:
        root_path: folder below which experiments and results go by default.
        is_train: options of training or of testing.

    Returns:
        The options as BasicSR's pipelines want them, and the parsed command line; its `options` is what was read,
        as YAML.

    Raises:
        UserError: everything that is wrong with the options and the data they name.
    """
    from basicsr.utils import dist_util, set_random_seed

    arguments = _parser(is_train).parse_args()
    opt = load_option_file(arguments.opt)
    apply_overrides(opt, arguments.force_yml or ())
    register_wanted(opt)
    arguments.options = to_yaml(opt)
    preflight(opt, is_train=is_train, auto_resume=arguments.auto_resume)
    opt['auto_resume'], opt['is_train'] = arguments.auto_resume, is_train

    if arguments.debug and not opt['name'].startswith('debug'):
        opt['name'] = f'debug_{opt["name"]}'
    if opt['num_gpu'] == 'auto':
        opt['num_gpu'] = torch.cuda.device_count()
    opt['dist'] = arguments.launcher != 'none'
    if opt['dist']:
        init_dist(arguments.launcher, opt.get('dist_params') or {})
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


def _parser(is_train: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f'basicsr {"train" if is_train else "test"}', allow_abbrev=False)
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='pytorch: torchrun')
    parser.add_argument('--auto_resume', action='store_true', help='go on with the newest checkpoint, if there is one')
    parser.add_argument('--debug', action='store_true', help='log each iteration, save and validate each eighth')
    parser.add_argument('--verbose', action='store_true', help='show the whole log at the terminal, too')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by older launchers')
    parser.add_argument(
        '--force_yml',
        nargs='+',
        action='extend',
        metavar='KEY:KEY=VALUE',
        help='change options, e.g. train:optim_g:lr=1e-4',
    )
    return parser


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
        name: stands before the problems.
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
