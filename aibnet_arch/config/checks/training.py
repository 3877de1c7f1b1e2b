"""Checks of what only training reads: optimizer, schedule, loss, devices, loading."""

import importlib.util
import inspect
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Optional

import torch

from ...data.patch_schedule import PatchSchedule
from ...messages import did_you_mean
from .registered import is_trusted, registered

# What BaseModel.get_optimizer (of git master, and as mended of 1.4.2) and setup_schedulers know.
OPTIMIZERS = ('Adam', 'AdamW', 'Adamax', 'SGD', 'ASGD', 'RMSprop', 'Rprop')
SCHEDULERS = ('CosineAnnealingRestartLR', 'MultiStepLR', 'MultiStepRestartLR')


def check_training(opt: Mapping[str, Any], model: Optional[type]) -> Iterator[str]:
    """What is wrong with the options of training, a message each.

    Args:
        opt: the options; `train` holds what is required, of the right types.
        model: the model class, None if it is not known.
    """
    train = opt['train']
    if 'train' not in opt['datasets']:
        yield f'datasets.train is missing{did_you_mean("train", list(opt["datasets"]))}'
    for key, options in train.items():
        if key.startswith('optim_') and options is not None and is_trusted(getattr(model, 'get_optimizer', None)):
            yield from _check_optimizer(f'train.{key}', options)
    if is_trusted(getattr(model, 'setup_schedulers', None)):  # those of others may know other types
        yield from _check_scheduler(train['scheduler'], train['total_iter'], model)
    yield from _check_loss(train, model)
    yield from _check_trainable(opt)
    yield from PatchSchedule.problems(opt)
    if opt.get('val') is not None and opt['val'].get('val_freq') is None:
        yield 'val.val_freq is missing: every how many iterations to validate'
    yield from _check_loggers(opt.get('logger') or {})
    loading = opt['datasets'].get('train') or {}
    mode = loading.get('prefetch_mode')
    if mode not in (None, 'cpu', 'cuda'):
        yield f'datasets.train.prefetch_mode: {mode!r}: expected ~, cpu or cuda'
    if loading.get('persistent_workers') and not loading.get('num_worker_per_gpu'):
        yield 'datasets.train.persistent_workers: true needs num_worker_per_gpu: 1 or more'
    if mode == 'cuda' and not (torch.cuda.is_available() and loading.get('pin_memory') is True):
        yield 'datasets.train.prefetch_mode: cuda needs a GPU, and pin_memory: true'


def check_devices(opt: Mapping[str, Any]) -> Iterator[str]:
    """Whether the GPUs that are asked for are there."""
    wanted, found = opt.get('num_gpu'), torch.cuda.device_count()
    if wanted in (None, 'auto'):
        return
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
        yield f'num_gpu: {wanted!r}: expected auto, or a whole number from 0 (the CPU) up'
    elif wanted > found:
        yield f'num_gpu: {wanted}, but {found} are found here; auto takes what is there'


def batch_of_run(opt: Mapping[str, Any]) -> tuple[int, int]:
    """Processes of the run, as torchrun tells their number, and images of an iteration of each of them."""
    processes = int(os.environ.get('WORLD_SIZE', 1))
    here = torch.cuda.device_count()
    gpus = min(opt['num_gpu'], here) if isinstance(opt['num_gpu'], int) else here
    of_one = int(opt['datasets']['train']['batch_size_per_gpu'])
    return processes, of_one * (max(gpus, 1) if processes == 1 else 1)


def _check_optimizer(place: str, options: Any) -> Iterator[str]:
    if not isinstance(options, Mapping):
        yield f'{place}: expected keys and values, found {options!r}'
        return
    kind = options.get('type')
    if kind not in OPTIMIZERS:
        yield f'{place}.type: {kind!r}: expected one of {", ".join(OPTIMIZERS)}{did_you_mean(kind, OPTIMIZERS)}'
        return
    if options.get('lr') is None:
        yield f'{place}.lr is missing{did_you_mean("lr", list(options))}'
        return
    known = [name for name in inspect.signature(getattr(torch.optim, kind)).parameters if name != 'params']
    unknown = [key for key in options if key not in (*known, 'type')]
    for key in unknown:
        yield f'{place}.{key}: {kind} has no such option{did_you_mean(key, known)}'
    texts = [key for key, value in options.items() if key != 'type' and isinstance(value, str)]
    for key in texts:
        yield f'{place}.{key}: {options[key]!r}: expected a number, or true or false'
    if not unknown and not texts:
        weight = torch.zeros(1, requires_grad=True)
        weight.grad = torch.ones(1)
        try:
            getattr(torch.optim, kind)([weight], **{k: v for k, v in options.items() if k != 'type'}).step()
        except Exception as error:  # whatever values make it stumble over: it is told, not hidden
            yield f'{place}: {kind} refuses these options: {error or type(error).__name__}'


def _check_scheduler(scheduler: Any, total: int, model: Optional[type]) -> Iterator[str]:
    from basicsr.models import lr_scheduler

    place = 'train.scheduler'
    kind = scheduler.get('type') if isinstance(scheduler, Mapping) else None
    if kind not in SCHEDULERS:
        yield f'{place}.type: {kind!r}: expected one of {", ".join(SCHEDULERS)}{did_you_mean(kind, SCHEDULERS)}'
        return
    cls = getattr(lr_scheduler, 'MultiStepRestartLR' if kind.startswith('Multi') else kind)
    options = {key: deepcopy(value) for key, value in scheduler.items() if key != 'type'}
    by_stages = getattr(model, 'schedules_by_stages', False)
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
    except Exception as error:  # whatever values make it stumble over: it is told, not hidden
        yield f'{place}: {kind} refuses these options: {error or type(error).__name__}'
        return
    periods = options.get('periods')
    if periods and not by_stages and sum(periods) < total:
        yield f'{place}.periods: {list(periods)} end after {sum(periods)} iterations, before train.total_iter ({total})'


def _check_loggers(logger: Mapping[str, Any]) -> Iterator[str]:
    """The packages that write logs."""
    wandb = logger.get('wandb')
    project = wandb.get('project') if isinstance(wandb, Mapping) else None
    if project is not None and logger.get('use_tb_logger') is not True:
        yield 'logger.wandb.project needs logger.use_tb_logger: true, since wandb takes over what TensorBoard is told'
    for wanted, option, package in (
        (logger.get('use_tb_logger'), 'use_tb_logger', 'tensorboard'),
        (project, 'wandb.project', 'wandb'),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            yield f'logger.{option} needs the package {package}: pip install {package}'


def _check_trainable(opt: Mapping[str, Any]) -> Iterator[str]:
    """Networks of which it is known that BasicSR's model classes cannot train them."""
    from basicsr.utils.registry import ARCH_REGISTRY

    for key, network in opt.items():
        if key.startswith('network_') and isinstance(network, Mapping):
            reason = getattr(registered(ARCH_REGISTRY, network.get('type')), 'why_not_trained', None)
            if reason:
                yield f'{key}.type: {reason}'


def _check_loss(train: Mapping[str, Any], model: Optional[type]) -> Iterator[str]:
    from basicsr.models.sr_model import SRModel
    from basicsr.utils.registry import LOSS_REGISTRY

    options = train.get('pixel_opt')
    needs_one = getattr(model, 'init_training_settings', None) is SRModel.init_training_settings
    if needs_one and not options and not train.get('perceptual_opt'):
        yield f'train.pixel_opt is missing, e.g. {{type: L1Loss}}{did_you_mean("pixel_opt", list(train))}'
    if not options:
        return
    cls = registered(LOSS_REGISTRY, options.get('type'))
    if cls is None:
        return  # told elsewhere
    try:
        loss = cls(**{key: deepcopy(value) for key, value in options.items() if key != 'type'})
        value = loss(torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5)) if is_trusted(cls) else None
    except Exception as error:  # whatever somebody's loss raises: it is told, not hidden
        yield f'train.pixel_opt: {options["type"]} refuses these options: {error or type(error).__name__}'
        return
    if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
        yield f'train.pixel_opt: with these options {options["type"]} is {float(value.mean())} for two fine pictures'
