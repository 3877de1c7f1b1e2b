"""Which entry of a file of weights is a training's result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Union

from .state_dicts import read_plain


def default_param_key(path: Union[str, Path]) -> str:
    """'params_ema' if a file has averaged weights, since a training validates those; else 'params'.

    Raises:
        CheckpointError: see :func:`aibnet_arch.weights.state_dicts.read_plain`.
    """
    content = read_plain(path)
    averaged = isinstance(content, Mapping) and isinstance(content.get('params_ema'), Mapping)
    return 'params_ema' if averaged else 'params'
