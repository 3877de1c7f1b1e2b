"""One run of BasicSR's train_pipeline, with what it builds taken in hand.

The pipeline does its work by functions of its module. :class:`TrainingRun` stands in for five of them
while it lasts: it mends resuming and the count of epochs, and gives the model a :class:`Supervisor`.
"""

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os import path as osp
from pathlib import Path
from typing import Any, Optional

import torch
from basicsr import train as upstream
from basicsr.utils import check_resume

from ..checkpoints.folder import CheckpointFolder
from ..config.checks import check_networks
from ..errors import CheckpointError, OptionError, StoppedError, UserError
from ..locks import RunLock
from ..signals import STOP, IgnoringWorkerInit, StoppedEarly
from .resumed_options import changed_options, flat_options
from .supervision import Supervisor


class TrainingRun:
    """Runs BasicSR's training.

    Args:
        root_path: folder below which experiments and TensorBoard's logs go by default.
    """

    def __init__(self, root_path: str) -> None:
        self._root_path = root_path
        self._first_iter = 0
        self._warnings: list[str] = []
        self._tb_logger: Optional[Any] = None
        self._val_loaders: list = []
        self._supervisor: Optional[Supervisor] = None
        self._lock: Optional[RunLock] = None
        self._batches_per_epoch = 0
        self._options = ''
        self._flat_options: dict[str, str] = {}

    def start(self) -> None:
        """Train to the end of the run.

        Raises:
            UserError: what the command prints; see errors.py for the exit codes.
        """
        stand_ins = (
            'parse_options',
            'load_resume_state',
            'init_tb_loggers',
            'create_train_val_dataloader',
            'build_model',
        )
        with _replaced(upstream, {name: getattr(self, name) for name in stand_ins}) as self._original:
            try:
                STOP.listen_early()
                upstream.train_pipeline(self._root_path)
            except StoppedEarly as error:
                raise StoppedError(f'stopped by {error} before training began: there is nothing to save') from None
            finally:
                STOP.close()
                self._val_loaders = []
                if self._supervisor is not None:
                    self._supervisor.close()
                _end_workers()
                if self._lock is not None:
                    self._lock.release()

    # In the order in which the pipeline calls them

    def parse_options(self, root_path: str, is_train: bool) -> tuple[dict, Any]:
        """Ours, and the options' text remembered."""
        opt, arguments = self._original['parse_options'](root_path, is_train=is_train)
        self._options = arguments.options
        return opt, arguments

    def load_resume_state(self, opt: dict) -> Optional[dict]:
        """The state to go on from, verified, or None for a new run.

        Upstream needs a GPU for it, looks for `--auto_resume` below the current directory alone, and takes
        the newest file whether it is whole or not. Until it maps to the CPU, reads opt['path'] and verifies.
        """
        found = [self._choose(opt) if opt['rank'] == 0 else None]
        if opt['dist']:
            torch.distributed.broadcast_object_list(found, src=0)
        choice, message = found[0]
        if choice is None and message:
            raise UserError(message)
        if choice is None:
            self._flat_options = flat_options(opt)
            return None
        opt['path']['resume_state'] = choice
        state = _read_state(opt, choice)
        total = opt['train']['total_iter']
        if state['iter'] > total:
            raise UserError(f'train.total_iter: {total}, but {choice} is of iteration {state["iter"]}: the run is over')
        check_resume(opt, state['iter'])
        for key in opt['path']:
            if key.startswith('param_key_'):  # those of a run's own files, not of what it started from
                opt['path'][key] = 'params'
        # Before anything of the folder changes.
        problems = list(check_networks(opt, resumed=True))
        if problems:
            raise OptionError(list(map(str, problems)))
        if opt.pop('manual_seed_is_drawn', False):
            opt['manual_seed'] = state.get('extra', {}).get('manual_seed', opt['manual_seed'])
        self._flat_options = flat_options(opt)
        saved = state.get('extra', {}).get('options')
        for change in changed_options(saved, self._flat_options) if opt['rank'] == 0 else ():
            self._warn(f'Since this checkpoint was written, {change}.')
        self._first_iter = state['iter']
        return state

    def _choose(self, opt: dict) -> tuple[Optional[str], Optional[str]]:
        """Path of the state, or an error message, or neither."""
        self._lock = RunLock(Path(opt['path']['experiments_root']))
        try:
            unlocked = self._lock.take()
        except UserError as error:
            return None, str(error)
        if unlocked:
            self._warn(f'Nothing keeps a second run out of this folder ({unlocked}).')
        folder = CheckpointFolder.of(opt)
        if opt['auto_resume']:
            state, skipped = folder.newest_whole()
            lines = ''.join(f'\n  {line}' for line in skipped)
            if state is not None:
                if skipped:
                    self._warn(f'--auto_resume takes iteration {state["iter"]}; newer ones are not whole:{lines}')
                return osp.join(opt['path']['training_states'], f'{state["iter"]}.state'), None
            stray = sorted(path.name for path in folder.models.glob('net_*_*.pth'))
            # A run that is killed while it writes its first checkpoint leaves networks of one iteration and no state.
            ends = {name.removesuffix('.pth').rsplit('_', 1)[1] for name in stray}
            earliest = opt['logger']['save_checkpoint_freq']
            first_cut_short = len(ends) == 1 and all(end.isdecimal() and int(end) <= earliest for end in ends)
            if skipped or (stray and not first_cut_short):
                return None, (
                    f'--auto_resume: {opt["path"]["experiments_root"]} holds checkpoints, but none is whole:'
                    f'{lines or " networks without training states: " + ", ".join(stray)}\n'
                    'Bring a whole one back, set path.pretrain_network_g to weights to start from, or start anew '
                    'without --auto_resume (the folder is then renamed, not deleted).'
                )
            if stray:
                self._warn(f'--auto_resume: the former run ended in saving its first checkpoint ({stray[0]}): anew.')
        explicit = opt['path'].get('resume_state')
        if explicit and not osp.isfile(explicit):
            return None, f'path.resume_state: no file {explicit}'
        return explicit or None, None

    def init_tb_loggers(self, opt: dict) -> Optional[Any]:
        """Upstream's, remembered."""
        self._tb_logger = self._original['init_tb_loggers'](opt)
        return self._tb_logger

    def create_train_val_dataloader(self, opt: dict, logger) -> tuple:
        """Upstream's, with epochs counted right.

        Upstream counts epochs with ceil while its loader drops the last batch, so runs end early, and the
        last validation logs a wrong iteration. Until it counts what its loader yields.
        """
        for warning in self._warnings:
            logger.warning(warning)
        loader, sampler, val_loaders, _, total_iter = self._original['create_train_val_dataloader'](opt, logger)
        sampler.schedule(
            batch_size=loader.batch_size, total_iter=total_iter, first_iter=self._first_iter, seed=opt['manual_seed']
        )
        loader.worker_init_fn = IgnoringWorkerInit(loader.worker_init_fn)
        for each in (loader, *val_loaders):
            # By default each pass over a loader draws from the generator that training uses.
            each.generator = torch.Generator().manual_seed(opt['manual_seed'])
        self._val_loaders, self._batches_per_epoch = val_loaders, sampler.batches_per_epoch
        # Upstream's loop runs one epoch more than it is told.
        logger.info(f'{sampler.batches_per_epoch} iterations an epoch; the last epoch is {sampler.last_epoch}.')
        return loader, sampler, val_loaders, sampler.last_epoch, total_iter

    def build_model(self, opt: dict) -> Any:
        """Upstream's, supervised; from here on signals are requests."""
        model = self._original['build_model'](opt)
        self._supervisor = Supervisor(
            model,
            val_loaders=self._val_loaders,
            tb_logger=self._tb_logger,
            batches_per_epoch=self._batches_per_epoch,
            options=self._options,
            flat_options=self._flat_options,
        )
        STOP.listen()
        return model

    def _warn(self, message: str) -> None:
        """Now on the terminal, and in the log file as soon as there is one."""
        print(message, file=sys.stderr)
        self._warnings.append(message)


def _read_state(opt: dict, path: str) -> dict:
    """Read and verify a training state.

    Raises:
        UserError: it is none, or its checkpoint is not whole.
    """
    name = Path(path)
    if name.suffix != '.state' or not name.stem.isdecimal():
        raise UserError(
            f'path.resume_state: {path} is no training state (training_states/5000.state, say). To start from the '
            'weights of a network, set path.pretrain_network_g.'
        )
    try:
        return CheckpointFolder(models=Path(opt['path']['models']), states=name.parent).read(int(name.stem))
    except CheckpointError as error:
        raise UserError(f'path.resume_state: {path}: {error}. --auto_resume takes the newest that is whole.') from error


@contextmanager
def _replaced(module: Any, stand_ins: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Attributes of a module replaced for a while; gives the original ones."""
    originals = {name: getattr(module, name) for name in stand_ins}
    try:
        for name, stand_in in stand_ins.items():
            setattr(module, name, stand_in)
        yield originals
    finally:
        for name, original in originals.items():
            setattr(module, name, original)


def _end_workers() -> None:
    """End data loading processes that are left after an error: they ignore the signal that Python sends at exit."""
    children = multiprocessing.active_children()
    if not children:
        return
    former = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes a killed worker for a failure
    for child in children:
        child.kill()
    for child in children:
        child.join()
    signal.signal(signal.SIGCHLD, former)
