"""What a whole training run takes: samples, FLOPs, hours, energy, memory, disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from torch import nn

from ..errors import UserError
from .stage_estimate import StageEstimate, estimate
from .tables import UNKNOWN, aligned

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class StagePlanned:
    """A stage of a run on some GPUs.

    Attributes:
        stage: its number, or 'all' where all trains at once.
        iterations, samples: of the stage; a sample is a picture that an iteration sees.
        epochs: None if the number of pictures is not known.
        trainable: parameters that train.
        step_flops, flops: of an iteration of all GPUs, and of the stage.
        step_seconds, hours, gpu_hours: of an iteration, of the stage, and times the GPUs; None if nobody said how fast.
        kwh: energy of the GPUs; None without their watts.
        gpu_bytes: what a GPU holds at least: weights, gradients, optimizer, and what is kept for the backward pass.
        checkpoints: how many the stage writes.
    """

    stage: Union[int, str]
    iterations: int
    samples: int
    epochs: Optional[float]
    trainable: int
    step_flops: float
    flops: float
    step_seconds: Optional[float]
    hours: Optional[float]
    gpu_hours: Optional[float]
    kwh: Optional[float]
    gpu_bytes: float
    checkpoint_bytes: int
    checkpoints: int


def plan_run(
    estimates: Sequence[StageEstimate],
    *,
    lengths: Sequence[int],
    batch: int,
    gpus: int,
    pictures: Optional[int],
    save_freq: int,
    step_seconds: Optional[Sequence[float]] = None,
    tflops: Optional[float] = None,
    watts: Optional[float] = None,
) -> list[StagePlanned]:
    """Multiply.

    Args:
        estimates: one for each stage that trains.
        lengths: their iterations.
        batch: pictures of an iteration and GPU.
        gpus: each with a process of its own.
        pictures: of an epoch (those of the set, times `dataset_enlarge_ratio`, or `fixed_crops`), if it is known.
        save_freq: ``logger.save_checkpoint_freq``.
        step_seconds: of an iteration, one for each stage or one for all.
        tflops: what a GPU computes of a step's FLOPs in a second, in their place.
    """
    given = list(step_seconds or [])
    if len(given) == 1:
        given *= len(estimates)
    planned, done = [], 0
    for number, (one, iterations) in enumerate(zip(estimates, lengths)):
        step_flops = one.flops * batch * gpus
        seconds: Optional[float] = None
        if given:
            seconds = given[number]
        elif tflops:
            seconds = step_flops / (1e12 * tflops * gpus)
        hours = None if seconds is None else seconds * iterations / SECONDS_PER_HOUR
        samples = iterations * batch * gpus
        planned.append(
            StagePlanned(
                stage=one.stage or 'all',
                iterations=iterations,
                samples=samples,
                epochs=samples / pictures if pictures else None,
                trainable=one.trainable,
                step_flops=step_flops,
                flops=step_flops * iterations,
                step_seconds=seconds,
                hours=hours,
                gpu_hours=None if hours is None else hours * gpus,
                kwh=None if hours is None or watts is None else hours * gpus * watts / 1000,
                gpu_bytes=one.weight_bytes + one.kept_bytes * batch,
                checkpoint_bytes=one.checkpoint_bytes,
                checkpoints=(done + iterations) // save_freq - done // save_freq,
            )
        )
        done += iterations
    return planned


def plan_of_options(
    opt: Mapping[str, Any],
    *,
    stages: Sequence[Optional[int]],
    lengths: Sequence[int],
    build: Callable[[], nn.Module],
    pictures: Optional[int],
    **speed: Any,
) -> list[StagePlanned]:
    """The plan of an option file.

    Args:
        opt: the options, of any model class that trains one network.
        stages, lengths: those that train, and their iterations.
        build: makes the network anew.
        pictures: of the training set, if their number is known.
        speed: `gpus`, `step_seconds`, `tflops`, `watts` of :func:`plan_run`.

    Raises:
        UserError: an option that it needs is missing.
    """
    train, size = opt['train'], _needed(opt, 'datasets', 'train', 'gt_size')
    loading = opt['datasets']['train']
    estimates = [
        estimate(
            build,
            stage,
            size=(size, size),
            optimizer=_needed(opt, 'train', 'optim_g'),
            amp=train.get('amp'),
            checkpointing=bool(train.get('checkpointing')),
            ema=bool(train.get('ema_decay')),
        )
        for stage in stages
    ]
    return plan_run(
        estimates,
        lengths=lengths,
        batch=_needed(opt, 'datasets', 'train', 'batch_size_per_gpu'),
        pictures=loading.get('fixed_crops') or (pictures and pictures * (loading.get('dataset_enlarge_ratio') or 1)),
        save_freq=int(_needed(opt, 'logger', 'save_checkpoint_freq')),
        **speed,
    )


def _needed(opt: Mapping[str, Any], *place: str) -> Any:
    value: Any = opt
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        raise UserError(f'{".".join(place)} is missing: a plan needs it')
    return value


def plan_text(planned: Sequence[StagePlanned], *, keep: Optional[int]) -> str:
    """The plan as a table, and what it comes to.

    Args:
        planned: of :func:`plan_run`.
        keep: ``logger.keep_checkpoints``.
    """
    columns: Mapping[str, Any] = {
        'stage': lambda each: str(each.stage),
        'trainable': lambda each: f'{each.trainable / 1e6:.1f} M',
        'iterations': lambda each: f'{each.iterations:,}',
        'samples': lambda each: f'{each.samples:,}',
        'epochs': lambda each: _number(each.epochs, '{:,.1f}'),
        'TFLOP a step': lambda each: _short(each.step_flops / 1e12),
        'PFLOP': lambda each: _short(each.flops / 1e15),
        's a step': lambda each: _number(each.step_seconds, '{:.3g}'),
        'hours': lambda each: _number(each.hours, '{:,.1f}'),
        'GPU hours': lambda each: _number(each.gpu_hours, '{:,.1f}'),
        'kWh': lambda each: _number(each.kwh, '{:,.1f}'),
        'GB a GPU': lambda each: f'{each.gpu_bytes / 1e9:.1f}',
        'GB a checkpoint': lambda each: f'{each.checkpoint_bytes / 1e9:.3f}',
    }
    # A column about which nothing is known says nothing.
    rows = [[tell(each) for tell in columns.values()] for each in planned]
    known = [index for index in range(len(columns)) if any(row[index] != UNKNOWN for row in rows)]
    table = [tuple(columns)] + [tuple(row) for row in rows]
    lines = [aligned([tuple(row[index] for index in known) for row in table]), '']
    lines.append(f'In all: {_total(planned, "samples"):,.0f} samples, {_short(_total(planned, "flops") / 1e15)} PFLOP')
    if all(each.hours is not None for each in planned):
        hours = _total(planned, 'hours')
        lines[-1] += f', {hours:,.1f} hours ({hours / 24:.1f} days), {_total(planned, "gpu_hours"):,.1f} GPU hours'
    if all(each.kwh is not None for each in planned):
        lines[-1] += f', {_total(planned, "kwh"):,.1f} kWh'
    lines.append(_disk(planned, keep))
    return '\n'.join(lines)


def _disk(planned: Sequence[StagePlanned], keep: Optional[int]) -> str:
    count = sum(each.checkpoints for each in planned)
    size = sum(each.checkpoints * each.checkpoint_bytes for each in planned)
    told = f'Checkpoints: {count:,} with their training states, {size / 1e9:,.1f} GB if all are kept'
    if keep:
        largest = max(each.checkpoint_bytes for each in planned)
        told += f'; {min(keep + 1, count) * largest / 1e9:,.1f} GB with logger.keep_checkpoints: {keep}, and the best'
    return told


def _total(planned: Sequence[StagePlanned], field: str) -> float:
    return sum(getattr(each, field) for each in planned)


def _short(value: float) -> str:
    """Four digits, or all before the point."""
    return f'{value:,.0f}' if value >= 1000 else f'{value:.4g}'


def _number(value: Optional[float], form: str) -> str:
    return UNKNOWN if value is None else form.format(value)
