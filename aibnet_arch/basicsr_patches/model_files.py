"""How BasicSR's models write and read their files: methods of BaseModel, with its names and arguments."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from torch import nn

from ..checkpoints.folder import CheckpointFolder, best_iterations
from ..errors import UserError
from ..weights.plain_file import refuse_old_archive
from ..weights.state_dicts import compare_keys
from ..weights.weight_file import WeightFile

# Attributes of BasicSR's schedules.
_OF_OPTIONS = ('periods', 'cumulative_period', 'restart_weights', 'eta_min', 'milestones', 'gamma', 'restarts')


@master_only
def save_network(
    self: Any,
    net: Union[nn.Module, Sequence[nn.Module]],
    net_label: str,
    current_iter: int,
    param_key: Union[str, Sequence[str]] = 'params',
) -> None:
    """Write ``models/<net_label>_<current_iter>.pth`` ('latest' for -1), whole or not at all.

    Beside the weights stands what made them, if the model knows: `provenance`, see :class:`.Supervisor`.

    Raises:
        RunError: a weight is not finite, or the file cannot be written.
    """
    nets = [net] if isinstance(net, nn.Module) else net
    keys = [param_key] if isinstance(param_key, str) else param_key
    if len(nets) != len(keys):
        raise ValueError(f'{len(nets)} networks, but {len(keys)} parameter keys')
    content = {
        key: {name: value.cpu() for name, value in self.get_bare_model(each).state_dict().items()}
        for key, each in zip(keys, nets)
    }
    content.update(getattr(self, 'provenance', {}))
    _folder(self).save_network(f'{net_label}_{"latest" if current_iter == -1 else current_iter}.pth', content)


def save_training_state(self: Any, epoch: int, current_iter: int) -> None:
    """Write the training state and the checkpoint's record; every process calls it, the first one writes.

    Raises:
        RunError: it cannot be written.
    """
    if current_iter == -1:
        return
    state = {
        'epoch': epoch,
        'iter': current_iter,
        'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
        'schedulers': [_position(scheduler) for scheduler in self.schedulers],
        'extra': self.extra_state() if hasattr(self, 'extra_state') else {},
    }
    if self.opt['rank'] != 0:
        return
    best = getattr(self, 'best_metric_results', None)
    folder = _folder(self)
    folder.save_state(current_iter, state, best_metrics=best)
    keep = self.opt['logger'].get('keep_checkpoints')
    if keep:
        gone = folder.prune(keep=keep, best=best_iterations(best))
        if gone:
            get_root_logger().info(f'Deleted the checkpoints of iterations {", ".join(map(str, gone))}.')


def _position(scheduler: Any) -> dict[str, Any]:
    """State of a schedule without what follows from the options: a run may be lengthened.

    Older versions of torch could not read MultiStepRestartLR's `milestones` as plain data, either.
    """
    state = scheduler.state_dict()
    if not type(scheduler).__module__.startswith('basicsr.'):
        return state
    return {key: value for key, value in state.items() if key not in _OF_OPTIONS}


def load_network(
    self: Any, net: nn.Module, load_path: str, strict: bool = True, param_key: Optional[str] = 'params'
) -> None:
    """Read weights, nothing but weights, into a network.

    Args:
        net: the network, wrapped or bare.
        load_path: a file with ``{param_key: state dict}``; 'params' serves where 'params_ema' is not there.
        strict: all keys must be there and no others. Otherwise what fits is loaded, and the rest logged.
        param_key: entry of the file; None if the file is the state dict itself.

    Raises:
        CheckpointError: the file is damaged, holds more than plain data, or no such entry.
        UserError: the keys do not fit.
    """
    logger = get_root_logger()
    net = self.get_bare_model(net)
    taken, state = WeightFile.read(load_path).of_options(param_key)
    if taken != param_key:
        logger.info(f'{load_path} has no {param_key}: {taken} is taken.')
    wanted = net.state_dict()
    problems = compare_keys(wanted, state)
    if problems and strict:
        raise UserError(f'{load_path} does not fit {type(net).__name__}:\n' + '\n'.join(problems))
    for problem in problems:
        logger.warning(f'{load_path} does not fit {type(net).__name__} (strict_load is false): {problem.strip()}')
    if problems:
        fits = {key for key, value in state.items() if key in wanted and value.shape == wanted[key].shape}
        state = {key: value for key, value in state.items() if key in fits}
    net.load_state_dict(state, strict=strict)
    logger.info(f'Loaded {type(net).__name__} from {load_path}, entry {taken}.')


def safe_load(load: Callable) -> Callable:
    """torch.load that reads plain data unless its caller says otherwise, whatever torch's version.

    A caller says otherwise by `weights_only` or by an unpickler of its own, such as spandrel's restricted one.
    """

    def safe(*args: Any, weights_only: Optional[bool] = None, **kwargs: Any) -> Any:
        if weights_only is None:
            weights_only = kwargs.get('pickle_module') is None
        file = args[0] if args else kwargs.get('f')
        if weights_only and isinstance(file, (str, os.PathLike)):
            refuse_old_archive(file)
        return load(*args, weights_only=weights_only, **kwargs)

    safe.mended = True
    return safe


def _folder(model: Any) -> CheckpointFolder:
    if not hasattr(model, 'checkpoint_folder'):
        model.checkpoint_folder = CheckpointFolder.of(model.opt)
    return model.checkpoint_folder
