"""The metrics of one picture, of what came out and of what went in; in this process or in another."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from ..errors import UserError
from ..metrics import last_outcome
from ..metrics.aligned import ALIGNED
from ..page import usual_better

_NOT_OF_THE_METRIC = ('type', 'better')


@dataclass(frozen=True)
class Metric:
    """One of ``val.metrics``.

    Attributes:
        function: ``function(img=..., img2=..., **options)``.
        lower_is_better: as the options say, or as is usual for a metric of this type.
        aligns: whether it aligns the pictures first, which may fail.
    """

    name: str
    type: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    lower_is_better: bool
    aligns: bool

    @classmethod
    def all_of(cls, val: Mapping[str, Any]) -> list['Metric']:
        """Those of the options of a validation, from BasicSR's registry."""
        from basicsr.utils.registry import METRIC_REGISTRY

        return [
            cls(
                name=name,
                type=options['type'],
                function=METRIC_REGISTRY.get(options['type']),
                options={key: value for key, value in options.items() if key not in _NOT_OF_THE_METRIC},
                lower_is_better=(options.get('better') or usual_better(options['type'])) == 'lower',
                aligns=options['type'].endswith('_aligned'),
            )
            for name, options in (val.get('metrics') or {}).items()
        ]


@dataclass(frozen=True)
class Figures:
    """What the metrics say of one picture.

    Attributes:
        values: metric to figure, None where it could not be computed.
        notes: why not, or what else limits the figures.
    """

    values: Mapping[str, Optional[float]]
    notes: Sequence[str] = field(default_factory=tuple)


def measure(metrics: Sequence[Metric], img: np.ndarray, img2: Optional[np.ndarray]) -> Figures:
    """Measure one picture with all metrics.

    A metric that fails on a picture leaves a note and no figure: it is no reason to lose the hour before it.

    Args:
        img: uint8, (H, W, 3) BGR.
        img2: the truth, likewise, if there is one.

    Raises:
        UserError: a metric lacks something, such as its weights; that would be so for every picture.
    """
    pictures = {'img': img} if img2 is None else {'img': img, 'img2': img2}
    values: dict[str, Optional[float]] = {}
    notes: list[str] = []
    for metric in metrics:
        try:
            value = float(metric.function(**pictures, **metric.options))
        except UserError:
            raise
        except Exception as error:  # whatever a metric stumbles over: it is told in the picture's row
            values[metric.name] = None
            notes.append(f'{metric.name} not measured: {error or type(error).__name__}')
            continue
        values[metric.name] = None if math.isnan(value) else value
        if math.isnan(value):
            notes.append(f'{metric.name} not measured: it is no number')
        if metric.aligns and last_outcome() not in (ALIGNED, *notes):
            notes.append(last_outcome())
    return Figures(values, tuple(notes))
