"""`basicsr test`: BasicSR's test_pipeline, with four of its module's names replaced while it runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basicsr import test as upstream
from torch.utils.data import DataLoader, Dataset

from ..config.command_line import parse_options
from ..data.loading import val_loader
from ..distributed import process_group_ended, wait_for_all
from ..evaluation.results_lock import ResultsLock
from ..evaluation.test_report import Report
from ..terminal import TERMINAL
from .archiving import wait_for_another_second
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
    with process_group_ended():
        Testing().run(os.getcwd())


class Testing:
    """One run of test_pipeline, and what stands in for the names that it uses, in the order in which it does."""

    def __init__(self) -> None:
        self._originals: Any = {}
        self._results = ResultsLock()
        self._report: Any = None
        self._log_file = ''
        self._pictures: dict[str, int] = {}

    def run(self, root_path: str) -> None:
        """Test; results go below `root_path` by default."""
        try:
            with replaced(WHILE_TESTING, self) as self._originals:
                upstream.test_pipeline(root_path)
        finally:
            self._results.release()
        self._report.end(datasets=list(self._pictures))

    def parse_options(self, root_path: str, is_train: bool) -> tuple[dict, Any]:
        """Read and checked; from here on no other test writes into the folder of the results, nor renames it."""
        opt, arguments = parse_options(root_path, is_train=is_train)
        self._results.take(Path(opt['path']['results_root']), is_first=opt['rank'] == 0)
        if opt['rank'] == 0:
            wait_for_another_second(opt['path']['results_root'])
        TERMINAL.begin(verbose=arguments.verbose, shown=opt['rank'] == 0)
        self._report = Report(opt)
        return opt, arguments

    def get_root_logger(self, logger_name: str, log_level: int, log_file: str) -> Any:
        """BasicSR's, which tells the terminal warnings alone."""
        self._log_file = log_file
        logger = self._originals['get_root_logger'](logger_name=logger_name, log_level=log_level, log_file=log_file)
        TERMINAL.take_over(logger)
        return logger

    def build_dataloader(self, dataset: Dataset, dataset_opt: Mapping[str, Any], *, seed: int, **_: Any) -> DataLoader:
        """The share of this process; BasicSR's other arguments concern training."""
        loader = val_loader(ImportableDataset(dataset), seed=seed)
        self._pictures[dataset_opt['name']] = len(loader.dataset)  # type: ignore[arg-type]
        return loader

    def build_model(self, opt: dict) -> Any:
        """The model of the options, once the first process has made the folders."""
        wait_for_all()
        self._report.begin(log_file=self._log_file, pictures=self._pictures)
        return build_safe_model(opt)
