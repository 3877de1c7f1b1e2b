"""torch.load that reads plain data unless its caller says otherwise, whatever torch's version."""

import os
from typing import Any, Optional

import torch

from ..weights.plain_file import refuse_old_archive

_load = torch.load


def load(*args: Any, weights_only: Optional[bool] = None, **kwargs: Any) -> Any:
    """Takes the place of torch.load, for those that load weights by themselves: other plugins, BasicSR's networks.

    A caller says otherwise by `weights_only` or by an unpickler of its own, such as spandrel's restricted one.

    Raises:
        CheckpointError: a file in torch's format before 0.1.10, which is executed whatever is said.
    """
    if weights_only is None:
        weights_only = kwargs.get('pickle_module') is None
    file = args[0] if args else kwargs.get('f')
    if weights_only and isinstance(file, (str, os.PathLike)):
        refuse_old_archive(os.fspath(file))
    return _load(*args, weights_only=weights_only, **kwargs)
