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
from ...registries.lookup import is_trusted, registered
from ..problems import Problem, Report, missing, problem


def check_training(opt: Mapping[str, Any], model: Optional[type], report: Report) -> Iterator[Problem]:
    """What is wrong with the options of training.

    Args:
        opt: the options without what is wrong by itself.
        model: the model class, None if it is not known.
    """
    train = opt.get('train') or {}
    for key, options in train.items():
        if key.startswith('optim_') and options and is_trusted(getattr(model, 'get_optimizer', None)):
            yield from _check_optimizer(f'train.{key}', options, report)
    # Classes of others may know other types.
    if 'scheduler' in train and is_trusted(getattr(model, 'setup_schedulers', None)):
        yield from _check_scheduler(train, model, report)
    if report.is_sound('train.pixel_opt'):
        yield from _check_loss(train, model)
    yield from _check_trainable(opt)
    if report.is_sound('train.total_iter', 'datasets.train'):
        yield from (Problem((), text) for text in PatchSchedule.problems(opt))
    yield from _check_loggers(opt.get('logger') or {})
    loading = opt['datasets'].get('train') or {}
    if loading.get('persistent_workers') and not loading.get('num_worker_per_gpu'):
        yield problem('datasets.train.persistent_workers', 'true needs num_worker_per_gpu: 1 or more', spoils=())
    if loading.get('prefetch_mode') == 'cuda' and not (torch.cuda.is_available() and loading.get('pin_memory')):
        yield problem('datasets.train.prefetch_mode', 'cuda needs a GPU, and pin_memory: true', spoils=())


def check_devices(opt: Mapping[str, Any]) -> Iterator[Problem]:
    """Whether the GPUs that are asked for are there."""
    wanted, found = opt.get('num_gpu', 'auto'), torch.cuda.device_count()
    if wanted != 'auto' and wanted > found:
        yield problem('num_gpu', f'{wanted}, but {found} are found here; auto takes what is there')


def batch_of_run(opt: Mapping[str, Any]) -> tuple[int, int]:
    """Processes of the run, as torchrun tells their number, and images of an iteration of each of them."""
    processes = int(os.environ.get('WORLD_SIZE', 1))
    here = torch.cuda.device_count()
    gpus = min(opt['num_gpu'], here) if isinstance(opt['num_gpu'], int) else here
    of_one = int(opt['datasets']['train']['batch_size_per_gpu'])
    return processes, of_one * (max(gpus, 1) if processes == 1 else 1)


def _unknown(options: Mapping[str, Any], called: Any, place: str, *, without: tuple[str, ...]) -> Iterator[Problem]:
    known = [name for name in inspect.signature(called).parameters if name not in without]
    for key in options:
        if key not in (*known, 'type'):
            yield problem(f'{place}.{key}', f'{options["type"]} has no such option', did_you_mean(key, known))


def _check_optimizer(place: str, options: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    if not report.is_sound(f'{place}.type'):
        return
    kind = options['type']
    unknown = list(_unknown(options, getattr(torch.optim, kind), place, without=('params',)))
    texts = [key for key, value in options.items() if key != 'type' and isinstance(value, str)]
    yield from unknown
    for key in texts:
        yield problem(f'{place}.{key}', f'{options[key]!r}: expected a number, or true or false')
    if not unknown and not texts and report.is_sound(place):
        # Where training is: some settings are for GPUs alone, `fused` for older torch's.
        weight = torch.zeros(1, device='cuda' if torch.cuda.is_available() else 'cpu', requires_grad=True)
        weight.grad = torch.ones_like(weight)
        try:
            getattr(torch.optim, kind)([weight], **{k: v for k, v in options.items() if k != 'type'}).step()
        except Exception as error:  # whatever values make it stumble over: it is told, not hidden
            yield problem(place, f'{kind} refuses these options: {error or type(error).__name__}')


def _check_scheduler(train: Mapping[str, Any], model: Optional[type], report: Report) -> Iterator[Problem]:
    from basicsr.models import lr_scheduler

    place, scheduler = 'train.scheduler', train['scheduler']
    if not report.is_sound(f'{place}.type'):
        return
    kind = scheduler['type']
    cls = getattr(lr_scheduler, 'MultiStepRestartLR' if kind.startswith('Multi') else kind)
    unknown = list(_unknown(scheduler, cls, place, without=('optimizer', 'last_epoch')))
    yield from unknown
    if unknown or not report.is_sound(place, 'train.total_iter'):
        return
    options = {key: deepcopy(value) for key, value in scheduler.items() if key != 'type'}
    by_stages = getattr(model, 'schedules_by_stages', False)
    if by_stages and kind == 'CosineAnnealingRestartLR':
        options.setdefault('periods', [train['total_iter']])
    try:
        cls(torch.optim.SGD([torch.zeros(1)], lr=1.0), **options)
    except Exception as error:  # whatever values make it stumble over: it is told, not hidden
        yield problem(place, f'{kind} refuses these options: {error or type(error).__name__}')
        return
    periods, total = options.get('periods'), train['total_iter']
    if periods and not by_stages and sum(periods) < total:
        text = f'{list(periods)} end after {sum(periods)} iterations, before train.total_iter ({total})'
        yield problem(f'{place}.periods', text)


def _check_loggers(logger: Mapping[str, Any]) -> Iterator[Problem]:
    """The packages that write logs."""
    wandb = logger.get('wandb')
    project = wandb.get('project') if isinstance(wandb, Mapping) else None
    if project is not None and logger.get('use_tb_logger') is not True:
        text = 'needs logger.use_tb_logger: true, since wandb takes over what TensorBoard is told'
        yield Problem(('logger', 'wandb', 'project'), text, joint=' ')
    for wanted, option, package in (
        (logger.get('use_tb_logger'), 'use_tb_logger', 'tensorboard'),
        (project, 'wandb.project', 'wandb'),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            place = ('logger', *option.split('.'))
            yield Problem(place, f'needs the package {package}', f': pip install {package}', joint=' ')


def _check_trainable(opt: Mapping[str, Any]) -> Iterator[Problem]:
    """Networks of which it is known that BasicSR's model classes cannot train them."""
    from basicsr.utils.registry import ARCH_REGISTRY

    for key, network in opt.items():
        if key.startswith('network_') and isinstance(network, Mapping):
            reason = getattr(registered(ARCH_REGISTRY, network.get('type')), 'why_not_trained', None)
            if reason:
                yield problem(f'{key}.type', reason)


def _check_loss(train: Mapping[str, Any], model: Optional[type]) -> Iterator[Problem]:
    from basicsr.models.sr_model import SRModel
    from basicsr.utils.registry import LOSS_REGISTRY

    options = train.get('pixel_opt')
    needs_one = getattr(model, 'init_training_settings', None) is SRModel.init_training_settings
    if needs_one and not options and not train.get('perceptual_opt'):
        yield missing('train.pixel_opt', ', e.g. {type: L1Loss}')
    if not options or not isinstance(options, Mapping):
        return  # told elsewhere
    cls = registered(LOSS_REGISTRY, options.get('type'))
    if cls is None:
        return  # told elsewhere
    try:
        loss = cls(**{key: deepcopy(value) for key, value in options.items() if key != 'type'})
        value = loss(torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5)) if is_trusted(cls) else None
    except Exception as error:  # whatever somebody's loss raises: it is told, not hidden
        text = f'{options["type"]} refuses these options: {error or type(error).__name__}'
        yield problem('train.pixel_opt', text)
        return
    if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
        text = f'with these options {options["type"]} is {float(value.mean())} for two fine pictures'
        yield problem('train.pixel_opt', text)
