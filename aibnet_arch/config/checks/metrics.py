"""Whether the metrics of a validation work: it comes hours after the start."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...registries.lookup import is_trusted, registered
from ..problems import Problem, Report, problem
from .registered import check_call

SIZE = 192  # pixels; NIQE wants 96


def check_metrics(opt: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    """A problem for each metric below ``val.metrics`` that is unknown, or fails on a pair of pictures."""
    from basicsr.utils.registry import METRIC_REGISTRY

    val = opt.get('val')
    metrics = val.get('metrics') if isinstance(val, Mapping) else None
    for name, value in metrics.items() if isinstance(metrics, Mapping) else ():
        if not isinstance(value, Mapping):
            continue  # told by its type
        place = f'val.metrics.{name}'
        options = {key: option for key, option in value.items() if key != 'better'}
        problems = list(check_call(options, METRIC_REGISTRY, place, given=('img', 'img2')))
        yield from problems
        if not problems and report.is_sound(place) and is_trusted(registered(METRIC_REGISTRY, options['type'])):
            yield from _try(options, place)


def _try(options: Mapping[str, Any], place: str) -> Iterator[Problem]:
    from basicsr.metrics import calculate_metric

    border = options.get('crop_border', 0)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    sharp = 127 + 90 * np.stack([np.sin(3 + 9 * rows + slope * columns) for slope in (2, 5, 7)], axis=-1)
    noisy = np.clip(sharp + np.random.default_rng(0).normal(0, 8, sharp.shape), 0, 255)
    pictures = {'img': noisy.astype(np.uint8), 'img2': sharp.astype(np.uint8)}
    here = {**options, 'crop_border': min(border, SIZE // 8)} if border else options
    try:
        value = float(calculate_metric(pictures, dict(here)))
    except Exception as error:  # whatever a metric stumbles over: it is told, not hidden
        yield problem(place, f'{options["type"]} fails with these options: {error or type(error).__name__}')
        return
    if not np.isfinite(value):
        yield problem(place, f'with these options {options["type"]} is {value} for a pair of fine pictures')


def largest_border(val: Mapping[str, Any]) -> int:
    """The widest ``crop_border`` of the metrics, pixels."""
    metrics = val.get('metrics')
    known = [each for each in metrics.values() if isinstance(each, Mapping)] if isinstance(metrics, Mapping) else []
    return max((border for each in known if type(border := each.get('crop_border', 0)) is int), default=0)
