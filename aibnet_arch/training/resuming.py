"""From where a run goes on: the lock of its folder, the checkpoint, and what has changed since it was written."""

import sys
from os import path as osp
from pathlib import Path
from typing import Any, Optional

import torch
from basicsr.utils import check_resume

from ..checkpoints.folder import CheckpointFolder
from ..config.checks import check_networks
from ..errors import CheckpointError, OptionError, UserError
from ..locks import RunLock
from ..messages import printable
from .resumed_options import changed_options, flat_options


class Resuming:
    """The start of one run, new or resumed.

    Attributes:
        first_iter: the iterations that were done before.
        flat_options: see :func:`.flat_options`.
        warnings: told on the terminal already; for the log file once there is one.
    """

    def __init__(self) -> None:
        self.first_iter = 0
        self.flat_options: dict[str, str] = {}
        self.warnings: list[str] = []
        self._lock: Optional[RunLock] = None

    def load(self, opt: dict[str, Any]) -> Optional[dict[str, Any]]:
        """The state to go on from, verified, or None for a new run. `opt` is set to load its networks.

        Raises:
            UserError: there is none where the options say so, or it does not fit them; nothing has changed then.
        """
        found: list[Any] = [self._choose(opt) if opt['rank'] == 0 else None]
        if opt['dist']:
            torch.distributed.broadcast_object_list(found, src=0)
        choice, message = found[0]
        if message:
            raise UserError(message)
        state = None if choice is None else self._prepare(opt, choice)
        self.flat_options = flat_options(opt)
        if state:
            self._refuse_other_optimizers(state)
        if state and opt['rank'] == 0:
            for change in changed_options(_options_of(state), self.flat_options):
                self._warn(f'Since this checkpoint was written, {printable(change)}.')
        return state

    def _refuse_other_optimizers(self, state: dict[str, Any]) -> None:
        """torch takes the state of any optimizer for any other's, and stumbles steps later."""
        then = state.get('extra', {}).get('options', {}) if isinstance(state.get('extra', {}), dict) else {}
        for place, now in self.flat_options.items():
            was = then.get(place, now) if isinstance(then, dict) else now
            if place.startswith('train.optim_') and place.endswith('.type') and was != now:
                raise UserError(
                    f'{place}: {now}, but the checkpoint is of {printable(was)}, whose state another optimizer cannot '
                    'take: give that, or set path.pretrain_network_g to its weights and start anew'
                )

    def release(self) -> None:
        """Let other runs into the folder."""
        if self._lock is not None:
            self._lock.release()

    def _prepare(self, opt: dict[str, Any], choice: str) -> dict[str, Any]:
        opt['path']['resume_state'] = choice
        state = _read_state(opt, choice)
        total = opt['train']['total_iter']
        if state['iter'] > total:
            raise UserError(
                f'train.total_iter: {total}, but {printable(choice)} is of iteration {state["iter"]}: the run is over'
            )
        check_resume(opt, state['iter'])
        for key in opt['path']:
            if key.startswith('param_key_'):  # those of a run's own files, not of what it started from
                opt['path'][key] = 'params'
        problems = list(check_networks(opt, resumed=True))
        if problems:
            raise OptionError(problems)
        if opt.pop('manual_seed_is_drawn', False):
            opt['manual_seed'] = _drawn_seed(state, opt['manual_seed'])
        self.first_iter = state['iter']
        return state

    def _choose(self, opt: dict[str, Any]) -> tuple[Optional[str], Optional[str]]:
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
                return str(folder.state_path(state['iter'])), None
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

    def _warn(self, message: str) -> None:
        print(message, file=sys.stderr)
        self.warnings.append(message)


def _options_of(state: dict[str, Any]) -> Any:
    extra = state.get('extra', {})
    return extra.get('options') if isinstance(extra, dict) else None


def _drawn_seed(state: dict[str, Any], otherwise: int) -> int:
    extra = state.get('extra', {})
    seed = extra.get('manual_seed') if isinstance(extra, dict) else None
    return seed if type(seed) is int and 0 <= seed < 2**31 else otherwise


def _read_state(opt: dict[str, Any], path: str) -> dict[str, Any]:
    """Read and verify a training state.

    Raises:
        UserError: it is none, or its checkpoint is not whole.
    """
    name = Path(path)
    if name.suffix != '.state' or not name.stem.isdecimal():
        raise UserError(
            f'path.resume_state: {printable(path)} is no training state (training_states/5000.state, say). To '
            f'start from the '
            'weights of a network, set path.pretrain_network_g.'
        )
    try:
        return CheckpointFolder(models=Path(opt['path']['models']), states=name.parent).read(int(name.stem))
    except CheckpointError as error:
        raise UserError(
            f'path.resume_state: {printable(path)}: {error}. --auto_resume takes the newest that is whole.'
        ) from error
