"""What weights want of inference: said by the options of the training that made them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import yaml

from ..errors import CheckpointError
from ..modeling.lean import SCALE
from .weight_file import WeightFile

MOST_OPTIONS = 1 << 20  # characters of YAML; an option file has some thousand


@dataclass(frozen=True)
class Wanted:
    """A network that was trained on crops has seen statistics of crops: see :class:`.Lean`.

    Attributes:
        window: pixels, with which the training validated (``val.window``); None: statistics of the whole picture.
        crop: pixels that it was trained on (``datasets.train.gt_size``), if that is known.
    """

    window: Optional[int] = None
    crop: Optional[int] = None

    @classmethod
    def of(cls, weights: WeightFile) -> 'Wanted':
        """What the options in a file say; nothing, if it has none or those of another program.

        Raises:
            CheckpointError: the window is none.
        """
        tree = options_tree(weights.options)
        window, crop = at(tree, 'val.window'), at(tree, 'datasets.train.gt_size')
        if window is not None and (type(window) is not int or window < SCALE or window % SCALE):
            raise CheckpointError(
                f'{weights.where}: its options have val.window {window!r:.40}, which is none: expected a positive '
                f'multiple of {SCALE}'
            )
        return cls(window=window, crop=crop if type(crop) is int else None)


def options_tree(options: Optional[str]) -> Mapping[str, Any]:
    """The options that a file of weights holds as YAML; empty if they are none."""
    try:
        tree = yaml.safe_load(options) if options and len(options) <= MOST_OPTIONS else None
    except (yaml.YAMLError, RecursionError, ValueError):
        tree = None
    return tree if isinstance(tree, Mapping) else {}


def at(tree: Any, place: str) -> Any:
    """What stands at ``a.b.c`` in nested mappings, or None."""
    for key in place.split('.'):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree
