"""The diagnosis of a file of weights on a picture."""

from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch

from ..weights.network_file import network_of
from ..weights.wanted import Wanted
from ..weights.weight_file import WeightFile
from .diagnostics import LevelDiagnosis, diagnose

SIDE = 256  # pixels, where the weights do not say on what they want their statistics taken


def diagnose_weights(
    name: str, picture: np.ndarray, *, param_key: Optional[str] = None
) -> tuple[str, list[LevelDiagnosis]]:
    """Read an AIBNet and diagnose it on the middle of a picture.

    The maps depend on the size of the picture, so they are taken on as much of it as the weights want: their window,
    or else the crop that they were trained on.

    Args:
        name: a file of weights, or `box`.
        picture: (H, W, 3) uint8 BGR.
        param_key: entry of the file; None: 'params_ema' if there is one, else 'params'.

    Returns:
        What was looked at, in words, and the figures.

    Raises:
        CheckpointError: the file cannot be read, or is none of AIBNet's.
    """
    weights = WeightFile.read(Path(name))
    network = network_of(weights.state_dict(param_key), where=weights.where)
    wanted = Wanted.of(weights)
    part = _middle(picture, wanted.window or wanted.crop or SIDE)
    image = torch.from_numpy(part[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    return f'the middle {part.shape[1]}x{part.shape[0]} pixels', diagnose(network, image)


def plain(levels: list[LevelDiagnosis]) -> list[dict[str, Any]]:
    """For JSON."""
    return [{'sub_decoder': each.sub_decoder, 'level': each.level, **each.figures} for each in levels]


def _middle(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(0, (length - side) // 2) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]
