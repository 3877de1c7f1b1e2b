"""Everything that can be known to be wrong before a run starts: options, the files they name, the data.

Nothing is created, moved or loaded into memory here. All problems are told at once.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .errors import OptionError
from .option_file import did_you_mean
from .preflight_data import check_dataset
from .preflight_keys import check_keys
from .preflight_training import batch_of_run, check_devices, check_training
from .preflight_types import check_types
from .preflight_weights import check_networks

REQUIRED = {
    True: ('name', 'model_type', 'num_gpu', 'scale', 'datasets', 'network_g', 'path', 'train', 'logger'),
    False: ('name', 'model_type', 'num_gpu', 'scale', 'datasets', 'network_g', 'path', 'val'),
}
REQUIRED_IN = {
    'train': ('total_iter', 'optim_g', 'scheduler'),
    'logger': ('print_freq', 'save_checkpoint_freq', 'use_tb_logger'),
    'val': ('save_img',),
}
# What BasicSR's paired datasets read without a default.
REQUIRED_IN_PAIRS = {
    'train': (
        'name', 'dataroot_lq', 'dataroot_gt', 'io_backend', 'gt_size', 'use_hflip', 'use_rot', 'batch_size_per_gpu',
        'num_worker_per_gpu',
    ),
    'val': ('name', 'dataroot_lq', 'dataroot_gt', 'io_backend'),
}  # fmt: skip
def preflight(opt: dict, *, is_train: bool, decode: str = 'sample') -> None:
    """Check the options of a run.

    Args:
        opt: as read from the file, before BasicSR's own additions but for `auto_resume`.
        is_train: training or testing.
        decode: which pictures to decode: 'none', a 'sample', or 'all'.

    Raises:
        OptionError: with all the problems.
    """
    problems = [*_check_structure(opt, is_train=is_train), *check_types(opt)]
    if not problems:  # the rest would only stumble over what is missing
        problems += check_devices(opt)
        problems += _check_registered(opt)
        names_are_known = not problems
        if names_are_known:
            problems += check_keys(opt)
            if is_train:
                problems += check_training(opt)
        problems += _check_files(opt)
        if names_are_known:
            problems += check_networks(opt)
            problems += _check_model(opt, is_train=is_train)
        for phase, dataset in opt['datasets'].items():
            batch = batch_of_run(opt) if phase == 'train' else None
            problems += check_dataset(phase, dataset, scale=opt['scale'], batch=batch, decode=decode)
    if problems:
        raise OptionError(problems)


def _check_structure(opt: dict, *, is_train: bool) -> Iterator[str]:
    others = [key for key in opt if key not in (*REQUIRED[is_train], 'is_train', 'auto_resume')]
    for key in REQUIRED[is_train]:
        if opt.get(key) is None and key != 'path':
            yield f'{key} is missing{did_you_mean(key, others)}'
    opt['path'] = opt.get('path') or {}
    for section in ('path', 'train', 'logger', 'val', 'datasets', 'network_g'):
        value = opt.get(section)
        if value is not None and not isinstance(value, Mapping):
            yield f'{section}: expected keys and values, found {value!r}'
            continue
        for key in REQUIRED_IN.get(section, ()):
            if value and value.get(key) is None:
                others = [k for k in value if k not in REQUIRED_IN[section]]
                yield f'{section}.{key} is missing{did_you_mean(key, others)}'
    for phase, dataset in (opt.get('datasets') or {}).items():
        if not isinstance(dataset, Mapping):
            yield f'datasets.{phase}: expected keys and values, found {dataset!r}'
        elif phase.split('_')[0] not in ('train', 'val', 'test'):
            yield f'datasets.{phase}: expected train, val, val_1, test, test_1 and so on'
        else:
            yield from _check_dataset_keys(phase, dataset)
    if '/' in str(opt.get('name')):
        yield f'name: {opt["name"]!r} names a folder, so it may hold no slash'


def _check_dataset_keys(phase: str, dataset: Mapping) -> Iterator[str]:
    if not str(dataset.get('type')).startswith('Paired'):
        return  # of other datasets it is not known what they read
    required = REQUIRED_IN_PAIRS['train' if phase == 'train' else 'val']
    if phase == 'train' and dataset['type'] == 'PairedFlipDataset':
        required += ('use_vflip',)
    for key in required:
        if dataset.get(key) is None:
            yield f'datasets.{phase}.{key} is missing{did_you_mean(key, [k for k in dataset if k not in required])}'
    backend = dataset.get('io_backend')
    if backend is not None and (not isinstance(backend, Mapping) or backend.get('type') not in ('lmdb', 'disk')):
        yield f'datasets.{phase}.io_backend: expected {{type: lmdb}} or {{type: disk}}, found {backend!r}'


def _check_registered(opt: dict) -> Iterator[str]:
    """Names that the registries do not know, and arguments that the networks, losses and metrics do not take."""
    from basicsr.utils import registry

    yield from _check_name(opt['model_type'], registry.MODEL_REGISTRY, 'model_type')
    for key, value in opt.items():
        if key.startswith('network_'):
            yield from check_call(value, registry.ARCH_REGISTRY, key)
    for phase, dataset in opt['datasets'].items():
        yield from _check_name(dataset.get('type'), registry.DATASET_REGISTRY, f'datasets.{phase}.type')
    for key, value in (opt.get('train') or {}).items():
        if isinstance(value, Mapping) and 'type' in value and key.endswith('_opt'):
            yield from check_call(value, registry.LOSS_REGISTRY, f'train.{key}')
    for name, value in ((opt.get('val') or {}).get('metrics') or {}).items():
        content = {k: v for k, v in value.items() if k != 'better'} if isinstance(value, Mapping) else value
        yield from check_call(content, registry.METRIC_REGISTRY, f'val.metrics.{name}', given=('img', 'img2'))


def _check_name(name, registry, place: str) -> Iterator[str]:
    if name is None:
        yield f'{place} is missing'
    elif name not in registry:
        yield f'{place}: {name!r} is not registered{did_you_mean(name, list(registry.keys()))}'


def check_call(options, registry, place: str, given: tuple = ()) -> Iterator[str]:
    """Whether the registered class or function can be called with these options."""
    if not isinstance(options, Mapping):
        yield f'{place}: expected keys and values, found {options!r}'
        return
    wrong = list(_check_name(options.get('type'), registry, f'{place}.type'))
    yield from wrong
    if wrong:
        return
    parameters = inspect.signature(registry.get(options['type'])).parameters
    keys = [key for key in options if key != 'type']
    if not _takes_any(registry.get(options['type']), parameters):
        for key in keys:
            if key not in parameters:
                yield f'{place}.{key}: {options["type"]} has no such option{did_you_mean(key, list(parameters))}'
    for name, parameter in parameters.items():
        positional = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if positional and parameter.default is parameter.empty and name not in (*keys, *given):
            yield f'{place}.{name} is missing: {options["type"]} needs it'


def _takes_any(called: Callable, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether it reads keywords that it does not name. BasicSR's metrics take them, and read none."""
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            try:
                return inspect.getsource(called).count(parameter.name) > 1
            except (OSError, TypeError):
                return True  # its source cannot be had
    return False


def _check_files(opt: dict) -> Iterator[str]:
    """Weights and states that do not exist; the encoder's are the model class's to explain."""
    for key, value in opt['path'].items():
        names_file = key == 'resume_state' or key.startswith('pretrain_network_')
        if names_file and value and key != 'pretrain_network_encoder' and not Path(value).expanduser().is_file():
            yield f'path.{key}: there is no file {value}'


def _check_model(opt: dict, *, is_train: bool) -> Iterator[str]:
    """What the model class itself finds wrong, if it looks (`check_options`)."""
    from basicsr.utils.registry import MODEL_REGISTRY

    if opt['model_type'] in MODEL_REGISTRY:
        check = getattr(MODEL_REGISTRY.get(opt['model_type']), 'check_options', None)
        if check:
            yield from check(opt if is_train else {**opt, 'train': None})
