"""`basicsr test`: BasicSR's test_pipeline, with three of its module's names replaced while it runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basicsr import test as upstream
from torch.utils.data import DataLoader, Dataset

from ..config.command_line import parse_options as read_options
from ..data.loading import val_loader
from ..distributed import process_group_ended, wait_for_all
from ..evaluation.results_lock import ResultsLock
from .functional_tensor import ImportableDataset
from .model_methods import build_safe_model
from .table import WHILE_TESTING, replaced

RESULTS = ResultsLock()


def test(arguments: Sequence[str]) -> None:
    """Test; `prepare` comes first.

    Args:
        arguments: of the command. Results go below the current directory by default.

    Raises:
        UserError: what the command prints.
    """
    sys.argv = ['basicsr test', *arguments]  # where parse_options looks
    with process_group_ended(), replaced(WHILE_TESTING):
        try:
            upstream.test_pipeline(os.getcwd())
        finally:
            RESULTS.release()


def parse_options(root_path: str, is_train: bool) -> tuple[dict, Any]:
    """Read and checked; from here on no other test writes into the folder of the results, nor renames it."""
    opt, arguments = read_options(root_path, is_train=is_train)
    RESULTS.take(Path(opt['path']['results_root']), is_first=opt['rank'] == 0)
    return opt, arguments


def build_dataloader(dataset: Dataset, dataset_opt: Mapping[str, Any], *, seed: int, **_: Any) -> DataLoader:
    """The share of this process; BasicSR's other arguments concern training."""
    return val_loader(ImportableDataset(dataset), seed=seed)


def build_model(opt: dict) -> Any:
    """The model of the options, once the first process has made the folders."""
    wait_for_all()
    return build_safe_model(opt)
