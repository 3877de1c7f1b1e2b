"""The network of a file of weights, whoever trained it: the one place that reads a ``--weights``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

from torch import Tensor, nn

from ..modeling.signature import KEY
from .layouts import published_kind
from .network_file import network_of
from .published_network import published_network
from .spandrel_network import spandrel_network
from .weight_file import WeightFile


def read_any_network(path: Union[str, Path], *, param_key: Optional[str] = None) -> nn.Module:
    """Read a file of weights; no option file is needed.

    AIBNet is recognised by what it says of itself, NAFNet and UFPNet by their published names, all others (Restormer,
    MPRNet, Uformer, FFTformer, ...) by spandrel, if it is installed.

    Args:
        path: ``.pth`` or ``.safetensors``, of a training here or as its authors published it.
        param_key: entry of the file; see :meth:`.WeightFile.state_dict`.

    Returns:
        The network, (B, 3, H, W) in [0, 1] of any size -> the same, in evaluation mode, on the CPU. See
        :func:`.traits_of` for what it can do.

    Raises:
        CheckpointError: the file is missing, damaged, or of no network that restores pictures.
        UserError: spandrel is needed, and missing.
    """
    return any_network_of(WeightFile.read(path).state_dict(param_key), where=path)


def any_network_of(state: Mapping[str, Tensor], *, where: object) -> nn.Module:
    """The same of a state dict; `where` is its file, for messages."""
    if KEY in state:
        return network_of(state, where=where)
    if published_kind(state) is not None:
        return published_network(state, where=where)
    return spandrel_network(state, where=where)
