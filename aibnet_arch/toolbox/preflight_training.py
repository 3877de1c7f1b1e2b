"""Checks of what only training reads: optimizer, schedule, devices, loading."""

import inspect
from collections.abc import Iterator, Mapping

import torch

from .option_file import did_you_mean

# What BaseModel.get_optimizer and setup_schedulers of BasicSR know.
OPTIMIZERS = ('Adam', 'AdamW', 'Adamax', 'SGD', 'ASGD', 'RMSprop', 'Rprop')
SCHEDULERS = ('CosineAnnealingRestartLR', 'MultiStepLR', 'MultiStepRestartLR')


def check_training(opt: dict) -> Iterator[str]:
    """What is wrong with the options of training, a message each."""
    if 'train' not in opt['datasets']:
        yield f'datasets.train is missing{did_you_mean("train", list(opt["datasets"]))}'
    for key, options in opt['train'].items():
        if key.startswith('optim_'):
            yield from _check_optimizer(f'train.{key}', options)
    scheduler = opt['train']['scheduler']
    kind = scheduler.get('type') if isinstance(scheduler, Mapping) else None
    if kind not in SCHEDULERS:
        yield f'train.scheduler.type: {kind!r}: expected one of {", ".join(SCHEDULERS)}{did_you_mean(kind, SCHEDULERS)}'
    if opt.get('val') and opt['val'].get('val_freq') is None:
        yield 'val.val_freq is missing: every how many iterations to validate'
    loading = opt['datasets'].get('train') or {}
    mode = loading.get('prefetch_mode')
    if mode not in (None, 'cpu', 'cuda'):
        yield f'datasets.train.prefetch_mode: {mode!r}: expected ~, cpu or cuda'
    if mode == 'cuda' and not (torch.cuda.is_available() and loading.get('pin_memory') is True):
        yield 'datasets.train.prefetch_mode: cuda needs a GPU, and pin_memory: true'


def check_devices(opt: dict) -> Iterator[str]:
    """Whether the GPUs that are asked for are there."""
    wanted, found = opt['num_gpu'], torch.cuda.device_count()
    if wanted == 'auto':
        return
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
        yield f'num_gpu: {wanted!r}: expected auto, or a whole number from 0 (the CPU) up'
    elif wanted > found:
        yield f'num_gpu: {wanted}, but {found} are found here; auto takes what is there'


def _check_optimizer(place: str, options) -> Iterator[str]:
    if not isinstance(options, Mapping):
        yield f'{place}: expected keys and values, found {options!r}'
        return
    kind = options.get('type')
    if kind not in OPTIMIZERS:
        yield f'{place}.type: {kind!r}: expected one of {", ".join(OPTIMIZERS)}{did_you_mean(kind, OPTIMIZERS)}'
        return
    if isinstance(options.get('lr'), bool) or not isinstance(options.get('lr'), (int, float)) or options['lr'] <= 0:
        yield f'{place}.lr: {options.get("lr")!r}: expected a number above 0'
    known = [name for name in inspect.signature(getattr(torch.optim, kind)).parameters if name != 'params']
    for key in options:
        if key not in (*known, 'type'):
            yield f'{place}.{key}: {kind} has no such option{did_you_mean(key, known)}'
