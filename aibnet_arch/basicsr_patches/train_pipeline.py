"""`basicsr train`: BasicSR's train_pipeline, with eight of its module's names replaced while it runs."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from basicsr import train as upstream
from basicsr.data import build_dataset
from basicsr.utils.options import copy_opt_file

from ..config.command_line import parse_options
from ..config.schema.run import SAVES
from ..data.loading import train_loader, val_loader
from ..distributed import by_one_process, process_group_ended
from ..errors import OptionError, StoppedError
from ..signals import STOP, StoppedEarly
from ..terminal import TERMINAL, TOLD
from ..training.iteration import TrainedModel
from ..training.resuming import Resuming
from ..training.run_report import RunReport
from .archiving import wait_for_another_second
from .functional_tensor import ImportableDataset
from .model_methods import build_safe_model
from .table import WHILE_TRAINING, replaced
from .wandb_logger import init_wandb_logger


def train(arguments: Sequence[str]) -> None:
    """Train to the end of the run; `prepare` comes first.

    Args:
        arguments: of the command. Experiments go below the current directory by default.

    Raises:
        UserError: what the command prints; see errors.py for the exit codes.
    """
    sys.argv = ['basicsr train', *arguments]  # where parse_options looks
    with process_group_ended():
        TrainPipeline().run(os.getcwd())


class TrainPipeline:
    """One run of train_pipeline, and what stands in for the names that it uses, in the order in which it does."""

    def __init__(self) -> None:
        self._resuming = Resuming()
        self._options = ''
        self._originals: Any = {}
        self._tb_logger: Optional[Any] = None
        self._val_loaders: list = []
        self._batches_per_epoch = 0
        self._report: Any = None
        self._model: Any = None
        self._log_file: Optional[str] = None
        self._pictures: dict[str, int] = {}

    def run(self, root_path: str) -> None:
        """Train; experiments and TensorBoard's logs go below `root_path` by default."""
        with replaced(WHILE_TRAINING, self) as self._originals:
            try:
                STOP.listen_early()
                upstream.train_pipeline(root_path)
                self._report.end(self._model)
            except StoppedEarly as error:
                raise StoppedError(f'stopped by {error} before training began: there is nothing to save') from None
            finally:
                STOP.close()
                self._val_loaders = []
                _end_workers()
                if hasattr(self._model, 'release'):
                    self._model.release()
                self._resuming.release()

    def parse_options(self, root_path: str, is_train: bool) -> tuple[dict, Any]:
        """Read and checked, and their text remembered."""
        opt, arguments = parse_options(root_path, is_train=is_train)
        self._options = arguments.options
        TERMINAL.begin(verbose=arguments.verbose, shown=opt['rank'] == 0)
        self._report = RunReport(opt, option_file=arguments.opt)
        STOP.saves_at_usr1 = opt['logger'].get('on_usr1') == SAVES
        if arguments.launcher == 'pytorch':
            STOP.follow_launcher()
        return opt, arguments

    def load_resume_state(self, opt: dict) -> Optional[dict]:
        """The state to go on from, verified, or None for a new run."""
        state = self._resuming.load(opt)
        if state is None and opt['rank'] == 0:
            for folder in (opt['path']['experiments_root'], os.path.join(opt['root_path'], 'tb_logger', opt['name'])):
                wait_for_another_second(folder)
        return state

    def copy_opt_file(self, opt_file: str, experiments_root: str) -> None:
        """BasicSR's, by the first process; the others wait until its folders are there."""
        by_one_process(copy_opt_file)(opt_file, experiments_root)

    def get_root_logger(self, logger_name: str, log_level: int, log_file: str) -> Any:
        """BasicSR's, which tells the terminal warnings alone."""
        self._log_file = log_file
        logger = self._originals['get_root_logger'](logger_name=logger_name, log_level=log_level, log_file=log_file)
        TERMINAL.take_over(logger)
        return logger

    @staticmethod
    def init_wandb_logger(opt: dict) -> None:
        """With any release of wandb."""
        init_wandb_logger(opt)

    def init_tb_loggers(self, opt: dict) -> Optional[Any]:
        """BasicSR's, remembered."""
        self._tb_logger = self._originals['init_tb_loggers'](opt)
        return self._tb_logger

    def create_train_val_dataloader(self, opt: dict, logger: Any) -> tuple:
        """Loader and sampler of training, loaders of validation, the last epoch, and total_iter."""
        for warning in self._resuming.warnings:
            logger.warning(warning, extra=TOLD)
        for phase, options in opt['datasets'].items():
            dataset = ImportableDataset(build_dataset(options))
            logger.info(f'{options["name"]} ({phase}): {len(dataset)} images')
            self._pictures[f'{phase}: {options["name"]}'] = len(dataset)
            if phase == 'train':
                loader = train_loader(dataset, opt, first_iter=self._resuming.first_iter)
            elif phase.split('_')[0] == 'val':
                self._val_loaders.append(val_loader(dataset, seed=opt['manual_seed']))
            else:
                raise OptionError([f'datasets.{phase}: training knows train, val, val_2 and so on'])
        sampler: Any = loader.sampler
        self._batches_per_epoch = sampler.batches_per_epoch
        # BasicSR's loop runs one epoch more than it is told.
        logger.info(f'{sampler.batches_per_epoch} iterations an epoch; the last epoch is {sampler.last_epoch}.')
        return loader, sampler, self._val_loaders, sampler.last_epoch, int(opt['train']['total_iter'])

    def build_model(self, opt: dict) -> TrainedModel:
        """The model of the options as the loop is to see it; from here on signals are requests."""
        self._model = build_safe_model(opt)
        model = TrainedModel(
            self._model,
            val_loaders=self._val_loaders,
            tb_logger=self._tb_logger,
            batches_per_epoch=self._batches_per_epoch,
            options=self._options,
            flat_options=self._resuming.flat_options,
        )
        STOP.listen()
        self._report.begin(
            self._model, log_file=self._log_file, first_iter=self._resuming.first_iter, pictures=self._pictures
        )
        return model


def _end_workers() -> None:
    """End data loading processes that are left after an error: they ignore the signal that Python sends at exit."""
    children = multiprocessing.active_children()
    if not children:
        return
    with _deaf_to_children():
        for child in children:
            child.kill()
        for child in children:
            child.join()


@contextmanager
def _deaf_to_children() -> Iterator[None]:
    """Inside, torch's handler takes no killed worker for a failure."""
    if not hasattr(signal, 'SIGCHLD'):  # Windows, where torch has no such handler
        yield
        return
    former = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, former)
