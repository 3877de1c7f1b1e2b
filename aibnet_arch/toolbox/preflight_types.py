"""Types and ranges of the options that BasicSR and this package read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What an option must be.

    Attributes:
        fits: whether a value is so.
        told: ends "expected ...".
    """

    fits: Callable[[Any], bool]
    told: str


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: Any) -> bool:  # `!!float 5e3` is one, too
    return _number(value) and value == value and abs(value) != float('inf') and value == int(value)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(fits, value))


SWITCH = Kind(lambda value: isinstance(value, bool), 'true or false')
TEXT = Kind(lambda value: isinstance(value, str) and bool(value.strip()), 'a text')
COUNT = Kind(lambda value: _whole(value) and value >= 1, 'a whole number from 1 up')
COUNT_OR_ZERO = Kind(lambda value: _whole(value) and value >= 0, 'a whole number from 0 up')
POSITIVE = Kind(lambda value: _number(value) and 0 < value < float('inf'), 'a number above 0')
DECAY = Kind(lambda value: _number(value) and 0 <= value < 1, 'a number from 0 to below 1')
NUMBERS = Kind(_list_of(_number), 'a list of numbers')
WHOLE_NUMBERS = Kind(_list_of(_whole), 'a list of whole numbers')
STORAGE = Kind(lambda value: isinstance(value, Mapping) and value.get('type') in ('lmdb', 'disk', 'memcached'),
               '{type: lmdb} or {type: disk}')  # fmt: skip
WARMUP = Kind(lambda value: _whole(value) and value >= -1, 'a whole number of iterations, or -1 for none')

KINDS: dict[str, dict[str, Kind]] = {
    '': {'name': TEXT, 'model_type': TEXT, 'scale': COUNT, 'manual_seed': COUNT_OR_ZERO,
         'find_unused_parameters': SWITCH},
    'train': {'total_iter': COUNT, 'warmup_iter': WARMUP, 'ema_decay': DECAY, 'grad_clip': POSITIVE,
              'max_skipped_steps': COUNT, 'strategy': TEXT},
    'train.scheduler': {'type': TEXT, 'periods': WHOLE_NUMBERS, 'restart_weights': NUMBERS, 'milestones': WHOLE_NUMBERS,
                        'gamma': POSITIVE},
    'val': {'val_freq': COUNT, 'save_img': SWITCH, 'pbar': SWITCH, 'suffix': TEXT},
    'logger': {'print_freq': COUNT, 'save_checkpoint_freq': COUNT, 'keep_checkpoints': COUNT, 'use_tb_logger': SWITCH},
    'datasets': {'name': TEXT, 'type': TEXT, 'io_backend': STORAGE, 'dataroot_lq': TEXT, 'dataroot_gt': TEXT,
                 'meta_info_file': TEXT, 'filename_tmpl': TEXT, 'gt_size': COUNT, 'batch_size_per_gpu': COUNT,
                 'num_worker_per_gpu': COUNT_OR_ZERO, 'dataset_enlarge_ratio': POSITIVE, 'num_prefetch_queue': COUNT,
                 'use_hflip': SWITCH, 'use_vflip': SWITCH, 'use_rot': SWITCH, 'pin_memory': SWITCH,
                 'persistent_workers': SWITCH, 'mean': NUMBERS, 'std': NUMBERS},
    'val.metrics': {'type': TEXT, 'crop_border': COUNT_OR_ZERO, 'test_y_channel': SWITCH,
                    'better': Kind(lambda value: value in ('higher', 'lower'), 'higher or lower')},
}  # fmt: skip


def check_types(opt: Mapping) -> Iterator[str]:
    """A message for each option of a wrong type or out of range; None is an option that is left out."""
    for section in ('', 'train', 'val', 'logger'):
        yield from _check(section, section, opt if not section else opt.get(section))
    scheduler = (opt.get('train') or {}).get('scheduler') if isinstance(opt.get('train'), Mapping) else None
    yield from _check('train.scheduler', 'train.scheduler', scheduler)
    for phase, dataset in (opt.get('datasets') or {}).items() if isinstance(opt.get('datasets'), Mapping) else ():
        yield from _check('datasets', f'datasets.{phase}', dataset)
    metrics = (opt.get('val') or {}).get('metrics') if isinstance(opt.get('val'), Mapping) else None
    for name, metric in metrics.items() if isinstance(metrics, Mapping) else ():
        yield from _check('val.metrics', f'val.metrics.{name}', metric)
    for key, value in opt['path'].items() if isinstance(opt.get('path'), Mapping) else ():
        kind = SWITCH if key.startswith('strict_load_') else TEXT
        if value is not None and key != 'ignore_resume_networks' and not kind.fits(value):
            yield f'path.{key}: {value!r}: expected {kind.told}'


def _check(section: str, place: str, options: Any) -> Iterator[str]:
    if not isinstance(options, Mapping):
        return  # the structure is checked elsewhere
    for key, kind in KINDS[section].items():
        value = options.get(key)
        if value is not None and not kind.fits(value):
            yield f'{f"{place}." if place else ""}{key}: {value!r}: expected {kind.told}'
