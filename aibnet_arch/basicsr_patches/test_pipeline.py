"""`basicsr test`: BasicSR's test_pipeline, with three of its module's names replaced while it runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from basicsr import test as upstream
from torch.utils.data import DataLoader, Dataset

from ..config.command_line import parse_options  # noqa: F401  BasicSR calls it by this module
from ..data.loading import val_loader
from ..distributed import process_group_ended, wait_for_all
from .functional_tensor import ImportableDataset
from .model_methods import build_safe_model
from .table import WHILE_TESTING, replaced


def test(arguments: Sequence[str]) -> None:
    """Test; `prepare` comes first.

    Args:
        arguments: of the command. Results go below the current directory by default.

    Raises:
        UserError: what the command prints.
    """
    sys.argv = ['basicsr test', *arguments]  # where parse_options looks
    with process_group_ended(), replaced(WHILE_TESTING):
        upstream.test_pipeline(os.getcwd())


def build_dataloader(dataset: Dataset, dataset_opt: Mapping[str, Any], *, seed: int, **_: Any) -> DataLoader:
    """The share of this process; BasicSR's other arguments concern training."""
    return val_loader(ImportableDataset(dataset), seed=seed)


def build_model(opt: dict) -> Any:
    """The model of the options, once the first process has made the folders."""
    wait_for_all()
    return build_safe_model(opt)
