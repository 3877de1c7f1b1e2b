"""Checks of what only training reads: optimizer, schedule, loss, devices, loading."""

import inspect
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch

from .option_file import did_you_mean

# What BaseModel.get_optimizer of git master and setup_schedulers know; 1.4.2 knows fewer optimizers.
OPTIMIZERS = ('Adam', 'AdamW', 'Adamax', 'SGD', 'ASGD', 'RMSprop', 'Rprop')
SCHEDULERS = ('CosineAnnealingRestartLR', 'MultiStepLR', 'MultiStepRestartLR')


def check_training(opt: dict) -> Iterator[str]:
    """What is wrong with the options of training, a message each."""
    train = opt['train']
    if 'train' not in opt['datasets']:
        yield f'datasets.train is missing{did_you_mean("train", list(opt["datasets"]))}'
    for key, options in train.items():
        if key.startswith('optim_'):
            yield from _check_optimizer(f'train.{key}', options)
    yield from _check_scheduler(opt)
    yield from _check_loss(train.get('pixel_opt'))
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


def batch_of_run(opt: Mapping[str, Any]) -> int:
    """Images of an iteration, over all processes (torchrun tells their number) and the GPUs of one process."""
    several = int(os.environ.get('WORLD_SIZE', 1))
    here = torch.cuda.device_count()
    gpus = min(opt['num_gpu'], here) if isinstance(opt['num_gpu'], int) else here
    return int(opt['datasets']['train']['batch_size_per_gpu']) * (several if several > 1 else max(gpus, 1))


def _check_optimizer(place: str, options: Any) -> Iterator[str]:
    from basicsr.models.base_model import BaseModel

    if not isinstance(options, Mapping):
        yield f'{place}: expected keys and values, found {options!r}'
        return
    source = inspect.getsource(BaseModel.get_optimizer)
    here = [name for name in OPTIMIZERS if f"'{name}'" in source]
    kind = options.get('type')
    if kind not in here:
        newer = ' (git master of BasicSR has it)' if kind in OPTIMIZERS else did_you_mean(kind, here)
        yield f'{place}.type: {kind!r}: expected one of {", ".join(here)}{newer}'
        return
    if isinstance(options.get('lr'), bool) or not isinstance(options.get('lr'), (int, float)) or options['lr'] <= 0:
        yield f'{place}.lr: {options.get("lr")!r}: expected a number above 0'
        return
    known = [name for name in inspect.signature(getattr(torch.optim, kind)).parameters if name != 'params']
    unknown = [key for key in options if key not in (*known, 'type')]
    for key in unknown:
        yield f'{place}.{key}: {kind} has no such option{did_you_mean(key, known)}'
    if not unknown:
        try:
            getattr(torch.optim, kind)([torch.zeros(1)], **{k: v for k, v in options.items() if k != 'type'})
        except (TypeError, ValueError) as error:
            yield f'{place}: {kind} refuses these options: {error}'


def _check_scheduler(opt: dict) -> Iterator[str]:
    from basicsr.models import lr_scheduler
    from basicsr.utils.registry import MODEL_REGISTRY

    place, scheduler, total = 'train.scheduler', opt['train']['scheduler'], opt['train']['total_iter']
    kind = scheduler.get('type') if isinstance(scheduler, Mapping) else None
    if kind not in SCHEDULERS:
        yield f'{place}.type: {kind!r}: expected one of {", ".join(SCHEDULERS)}{did_you_mean(kind, SCHEDULERS)}'
        return
    cls = getattr(lr_scheduler, 'MultiStepRestartLR' if kind.startswith('Multi') else kind)
    options = {key: deepcopy(value) for key, value in scheduler.items() if key != 'type'}
    by_stages = getattr(MODEL_REGISTRY.get(opt['model_type']), 'schedules_by_stages', False)
    if by_stages and kind == 'CosineAnnealingRestartLR':
        options.setdefault('periods', [total])
    known = [name for name in inspect.signature(cls).parameters if name not in ('optimizer', 'last_epoch')]
    unknown = [key for key in options if key not in known]
    for key in unknown:
        yield f'{place}.{key}: {kind} has no such option{did_you_mean(key, known)}'
    if unknown:
        return
    try:
        cls(torch.optim.SGD([torch.zeros(1)], lr=1.0), **options)
    except (TypeError, ValueError, AssertionError) as error:
        yield f'{place}: {kind} refuses these options: {error}'
        return
    periods = options.get('periods')
    if periods and not by_stages and sum(periods) < total:
        yield f'{place}.periods: {list(periods)} end after {sum(periods)} iterations, before train.total_iter ({total})'


def _check_loss(options: Any) -> Iterator[str]:
    from basicsr.utils.registry import LOSS_REGISTRY

    if not isinstance(options, Mapping) or options.get('type') not in LOSS_REGISTRY:
        return  # told elsewhere
    try:
        LOSS_REGISTRY.get(options['type'])(**{key: value for key, value in options.items() if key != 'type'})
    except (TypeError, ValueError) as error:
        yield f'train.pixel_opt: {options["type"]} refuses these options: {error}'
