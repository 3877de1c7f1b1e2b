"""A run of the same shape with fewer iterations."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ..errors import UserError


def scale_iterations(opt: dict[str, Any], factor: float) -> None:
    """Multiply everything in training options that counts iterations, in place.

    Stages are cut where the factor puts their ends, so that options of equal ``total_iter`` keep equal totals. What
    happens every so many iterations happens every iteration at least; ``logger.print_freq`` stays.

    Raises:
        UserError: a stage would be left without an iteration.
    """
    train = opt['train']
    total = _scaled(train['total_iter'], factor)
    stages = train.get('stage_iter')
    if stages:
        if sum(stages) != train['total_iter']:
            raise UserError(
                f'{opt["name"]}: train.stage_iter adds up to {sum(stages)}, train.total_iter is {train["total_iter"]}'
            )
        train['stage_iter'] = _scaled_lengths(stages, factor)
        for number, (before, after) in enumerate(zip(stages, train['stage_iter']), start=1):
            if before and not after:
                raise UserError(f'{opt["name"]}: stage {number} has no iteration left: scale the iterations less')
        total = sum(train['stage_iter'])
    if total < 1:
        raise UserError(f'{opt["name"]}: no iteration is left of {train["total_iter"]}: scale the iterations less')
    train['total_iter'] = total
    if train.get('warmup_iter', -1) > 0:
        train['warmup_iter'] = _scaled(train['warmup_iter'], factor)
    scheduler = train.get('scheduler') or {}
    if scheduler.get('periods'):
        scheduler['periods'] = _scaled_lengths(scheduler['periods'], factor)
    if scheduler.get('restarts'):
        scheduler['restarts'] = [_scaled(restart, factor) for restart in scheduler['restarts']]
    if opt['datasets']['train'].get('iters'):  # of the sizes of Restormer's progressive learning
        opt['datasets']['train']['iters'] = _scaled_lengths(opt['datasets']['train']['iters'], factor)
    if scheduler.get('milestones'):
        scheduler['milestones'] = [_scaled(milestone, factor) for milestone in scheduler['milestones']]
    for section, key in (('val', 'val_freq'), ('logger', 'save_checkpoint_freq')):
        if opt[section].get(key):
            opt[section][key] = max(1, _scaled(opt[section][key], factor))


def _scaled(number: float, factor: float) -> int:
    return round(number * factor)


def _scaled_lengths(lengths: Sequence[int], factor: float) -> list[int]:
    ends = [_scaled(end, factor) for end in accumulate(lengths)]
    return [end - start for start, end in zip((0, *ends), ends)]
