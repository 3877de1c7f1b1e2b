"""Types and ranges of the options that BasicSR and this package read."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

LONGEST_NAME = 200  # bytes; file systems have 255, and BasicSR appends times and endings


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
    # Whole numbers beyond floats are nothing that torch can take.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) > sys.float_info.max


def _whole(value: Any) -> bool:  # `!!float 5e3` is one, too
    return _number(value) and value == value and abs(value) != float('inf') and value == int(value)


def _names_file(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return False
    return '/' not in value and value not in ('.', '..') and len(value.encode()) <= LONGEST_NAME


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(fits, value))


SWITCH = Kind(lambda value: isinstance(value, bool), 'true or false')
TEXT = Kind(lambda value: isinstance(value, str) and bool(value.strip()) and '\0' not in value, 'a text')
FILE_NAME = Kind(_names_file, f'a text that can name a file: printable, no slash, up to {LONGEST_NAME} bytes')
SEED = Kind(
    lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31,
    f'a whole number from 0 to {2**31 - 1}',  # numpy's limit is twice that; each process adds its rank
)
COUNT = Kind(lambda value: _whole(value) and value >= 1, 'a whole number from 1 up')
COUNT_OR_ZERO = Kind(lambda value: _whole(value) and value >= 0, 'a whole number from 0 up')
# Where BasicSR hands the number on to what takes no 5.0.
EXACT_COUNT = Kind(lambda value: COUNT.fits(value) and isinstance(value, int), 'a whole number from 1 up')
EXACT_COUNT_OR_ZERO = Kind(
    lambda value: COUNT_OR_ZERO.fits(value) and isinstance(value, int), 'a whole number from 0 up'
)
NUMBER = Kind(lambda value: _number(value) and abs(value) < float('inf'), 'a number')
WEIGHT = Kind(lambda value: not isinstance(value, (str, bool, Mapping)), 'a number')
POSITIVE = Kind(lambda value: _number(value) and 0 < value < float('inf'), 'a number above 0')
NOT_NEGATIVE = Kind(lambda value: _number(value) and 0 <= value < float('inf'), 'a number from 0 up')
DECAY = Kind(lambda value: _number(value) and 0 <= value < 1, 'a number from 0 to below 1')
BETAS = Kind(lambda value: _list_of(DECAY.fits)(value) and len(value) == 2, 'two numbers from 0 to below 1')
NUMBERS = Kind(_list_of(NUMBER.fits), 'a list of numbers')
COUNTS = Kind(_list_of(COUNT.fits), 'a list of whole numbers from 1 up')
COUNTS_OR_ZERO = Kind(_list_of(COUNT_OR_ZERO.fits), 'a list of whole numbers from 0 up')
SECTION = Kind(lambda value: isinstance(value, Mapping), 'keys and values')
STORAGE = Kind(
    lambda value: isinstance(value, Mapping) and value.get('type') in ('lmdb', 'disk', 'memcached'),
    '{type: lmdb} or {type: disk}',
)
WARMUP = Kind(lambda value: _whole(value) and value >= -1, 'a whole number of iterations, or -1 for none')
BETTER = Kind(lambda value: value in ('higher', 'lower'), 'higher or lower')

# Section to option to kind; `*` stands for any name.
KINDS: dict[str, dict[str, Kind]] = {
    '': {
        'name': FILE_NAME,
        'model_type': TEXT,
        'scale': EXACT_COUNT,
        'manual_seed': SEED,
        'find_unused_parameters': SWITCH,
        'dist_params': SECTION,
    },
    'dist_params': {'backend': TEXT, 'port': EXACT_COUNT},
    'train': {
        'total_iter': COUNT,
        'warmup_iter': WARMUP,
        'ema_decay': DECAY,
        'grad_clip': POSITIVE,
        'max_skipped_steps': COUNT,
        'strategy': TEXT,
        'scheduler': SECTION,
        'optim_*': SECTION,
    },
    'train.optim_*': {
        'lr': POSITIVE,
        'betas': BETAS,
        'weight_decay': NOT_NEGATIVE,
        'eps': NOT_NEGATIVE,
        'momentum': NOT_NEGATIVE,
    },
    'train.*_opt': {'loss_weight': WEIGHT},
    'train.scheduler': {
        'type': TEXT,
        'periods': COUNTS,
        'restart_weights': NUMBERS,
        'milestones': COUNTS,
        'restarts': COUNTS_OR_ZERO,
        'gamma': POSITIVE,
        'eta_min': NOT_NEGATIVE,
    },
    'val': {
        'val_freq': COUNT,
        'save_img': SWITCH,
        'pbar': SWITCH,
        'suffix': FILE_NAME,
        'pad_to': EXACT_COUNT,
        'pad_to_square': SWITCH,
    },
    'val.metrics.*': {'type': TEXT, 'crop_border': EXACT_COUNT_OR_ZERO, 'test_y_channel': SWITCH, 'better': BETTER},
    'logger': {
        'print_freq': COUNT,
        'save_checkpoint_freq': COUNT,
        'keep_checkpoints': EXACT_COUNT,
        'use_tb_logger': SWITCH,
        'wandb': SECTION,
    },
    'logger.wandb': {'project': TEXT, 'resume_id': TEXT},
    'path': {
        'strict_load_*': SWITCH,
        'param_key_*': TEXT,
        'pretrain_network_*': TEXT,
        'resume_state': TEXT,
        'experiments_root': TEXT,
        'results_root': TEXT,
    },
    'datasets.*': {
        'name': FILE_NAME,
        'type': TEXT,
        'io_backend': STORAGE,
        'dataroot_lq': TEXT,
        'dataroot_gt': TEXT,
        'meta_info_file': TEXT,
        'filename_tmpl': TEXT,
        'gt_size': EXACT_COUNT,
        'iters': COUNTS,
        'gt_sizes': COUNTS,
        'mini_batch_sizes': COUNTS,
        'batch_size_per_gpu': EXACT_COUNT,
        'num_worker_per_gpu': EXACT_COUNT_OR_ZERO,
        'dataset_enlarge_ratio': POSITIVE,
        'num_prefetch_queue': EXACT_COUNT,
        'use_hflip': SWITCH,
        'use_vflip': SWITCH,
        'use_rot': SWITCH,
        'pin_memory': SWITCH,
        'persistent_workers': SWITCH,
        'mean': NUMBERS,
        'std': NUMBERS,
    },
}
# Where `~` is not the same as to leave the option out: BasicSR would stumble over it, or take it for false.
NEVER_NONE = (
    'warmup_iter',
    'ema_decay',
    'loss_weight',
    'periods',
    'restart_weights',
    'milestones',
    'restarts',
    'gamma',
    'eta_min',
    'betas',
    'crop_border',
    'better',
    'strict_load_*',
    'filename_tmpl',
    'dataset_enlarge_ratio',
    'num_prefetch_queue',
    'use_hflip',
    'use_vflip',
    'use_rot',
)


# Of datasets of other packages: what the pipelines read. The rest may mean something else to them.
_OF_ANY_DATASET = (
    'name',
    'type',
    'io_backend',
    'batch_size_per_gpu',
    'num_worker_per_gpu',
    'dataset_enlarge_ratio',
    'num_prefetch_queue',
    'pin_memory',
    'persistent_workers',
)


def check_types(opt: Mapping, *, others: Collection[str] = ()) -> Iterator[str]:
    """A message for each option of a wrong type or out of range; None mostly means that the option is left out.

    Args:
        opt: the options.
        others: phases of `datasets` whose classes are of other packages.
    """
    for section, kinds in KINDS.items():
        for place, options in _found(opt, section.split('.') if section else [], ''):
            for pattern, kind in kinds.items():
                for key, value in options.items():
                    if place.startswith('datasets.') and place.split('.')[1] in others and key not in _OF_ANY_DATASET:
                        continue
                    fits = kind.fits(value) if value is not None else pattern not in NEVER_NONE
                    if fnmatchcase(key, pattern) and not fits:
                        yield f'{place}{key}: {value!r}: expected {kind.told}'


def _found(options: Any, parts: Sequence[str], before: str) -> Iterator[tuple[str, Mapping]]:
    """('train.optim_g.', its options) for each section that ['train', 'optim_*'] stands for."""
    if not isinstance(options, Mapping):
        return  # the structure is checked elsewhere
    if not parts:
        yield before, options
        return
    for key, value in options.items():
        if fnmatchcase(key, parts[0]):
            yield from _found(value, parts[1:], f'{before}{key}.')
