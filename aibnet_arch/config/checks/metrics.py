"""Whether the metrics of a validation work: it comes hours after the start."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .registered import check_call, is_trusted, registered

SIZE = 192  # pixels; NIQE wants 96


def check_metrics(val: Mapping[str, Any]) -> Iterator[str]:
    """A message for each metric below ``val.metrics`` that is unknown, or fails on a pair of pictures."""
    from basicsr.utils.registry import METRIC_REGISTRY

    metrics = val.get('metrics')
    if metrics is not None and not isinstance(metrics, Mapping):
        yield f'val.metrics: expected keys and values, found {metrics!r}'
        return
    for name, value in (metrics or {}).items():
        place = f'val.metrics.{name}'
        options = {k: v for k, v in value.items() if k != 'better'} if isinstance(value, Mapping) else value
        problems = list(check_call(options, METRIC_REGISTRY, place, given=('img', 'img2')))
        yield from problems
        if not problems and is_trusted(registered(METRIC_REGISTRY, options['type'])):
            yield from _try(options, place)


def _try(options: Mapping[str, Any], place: str) -> Iterator[str]:
    from basicsr.metrics import calculate_metric

    border = options.get('crop_border', 0)
    if not isinstance(border, int) or isinstance(border, bool) or border < 0:
        return  # told elsewhere
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    sharp = 127 + 90 * np.stack([np.sin(3 + 9 * rows + slope * columns) for slope in (2, 5, 7)], axis=-1)
    noisy = np.clip(sharp + np.random.default_rng(0).normal(0, 8, sharp.shape), 0, 255)
    pictures = {'img': noisy.astype(np.uint8), 'img2': sharp.astype(np.uint8)}
    here = {**options, 'crop_border': min(border, SIZE // 8)} if border else options
    try:
        value = float(calculate_metric(pictures, dict(here)))
    except Exception as error:  # whatever a metric stumbles over: it is told, not hidden
        yield f'{place}: {options["type"]} fails with these options: {error or type(error).__name__}'
        return
    if not np.isfinite(value):
        yield f'{place}: with these options {options["type"]} is {value} for a pair of fine pictures'


def largest_border(val: Mapping[str, Any]) -> int:
    """The widest ``crop_border`` of the metrics, pixels."""
    metrics = val.get('metrics')
    options = metrics.values() if isinstance(metrics, Mapping) else ()
    borders = [each.get('crop_border') for each in options if isinstance(each, Mapping)]
    return max((border for border in borders if isinstance(border, int)), default=0)
