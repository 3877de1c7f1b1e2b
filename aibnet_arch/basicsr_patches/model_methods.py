"""The class of the models that training and testing build: the registered one, with safer methods below it.

A model class of BasicSR derives from BaseModel, most from SRModel. :func:`safe_class` derives from it once more, so
that :class:`SafeModel` stands between it and BaseModel in the order of inheritance (and :class:`SafeSRModel` between it
and SRModel): what the class defines itself stays, what it takes from BasicSR is taken from here. BasicSR's classes are
not touched, and a class that is built without this, by BasicSR's own train.py say, works as it always did.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache, cached_property
from typing import Any, Optional, Union

import torch
from basicsr.models.base_model import BaseModel
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import MODEL_REGISTRY
from torch import nn

from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.writing import CheckpointWriter, best_iterations
from ..config.schema.run import KEEP
from ..distributed import on_device
from ..errors import UserError
from ..evaluation.measuring import Figures
from ..evaluation.validation import validate
from ..profiling.costs import costs_of
from ..weights.state_dicts import compare_keys
from ..weights.weight_file import WeightFile
from .functional_tensor import provide_functional_tensor

# Attributes of BasicSR's schedules.
_OF_OPTIONS = ('periods', 'cumulative_period', 'restart_weights', 'eta_min', 'milestones', 'gamma', 'restarts')


def build_safe_model(opt: Mapping[str, Any]) -> Any:
    """The model that the options name, with the methods below; in the place of BasicSR's build_model."""
    model = safe_class(MODEL_REGISTRY.get(opt['model_type']))(deepcopy(opt))
    get_root_logger().info(f'Model [{type(model).__name__}] is created.')
    return model


@cache
def safe_class(cls: type) -> type:
    """The class with :class:`SafeModel` below it; the class itself if it does not derive from BaseModel."""
    if not issubclass(cls, BaseModel):
        return cls
    below = SafeSRModel if issubclass(cls, SRModel) else SafeModel
    return type(cls.__name__, (cls, below) if cls not in below.__mro__ else (below,), {'__module__': cls.__module__})


class SafeModel(BaseModel):
    """Checkpoints that are whole or not there, weights that are nothing but weights, any optimizer, any device.

    Attributes:
        run_provenance: what made the weights; it is saved beside them.
        run_state: what a training state holds beside optimizers and schedules.
    """

    run_provenance: Mapping[str, Any] = {}
    run_state: Mapping[str, Any] = {}

    @cached_property
    def checkpoints(self) -> CheckpointWriter:
        """Where this model's files go."""
        return CheckpointWriter(CheckpointFolder.of(self.opt))

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """See :func:`.on_device`."""
        return on_device(net, self.device, self.opt)

    def get_optimizer(self, optim_type: str, params: Iterable[Any], lr: float, **kwargs: Any) -> torch.optim.Optimizer:
        """One of torch's by name."""
        return getattr(torch.optim, optim_type)(params, lr, **kwargs)

    @master_only
    def save_network(
        self,
        net: Union[nn.Module, Sequence[nn.Module]],
        net_label: str,
        current_iter: int,
        param_key: Union[str, Sequence[str]] = 'params',
    ) -> None:
        """Write ``models/<net_label>_<current_iter>.pth`` ('latest' for -1), whole or not at all.

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
        name = f'{net_label}_{"latest" if current_iter == -1 else current_iter}.pth'
        self.checkpoints.save_network(name, {**content, **self.run_provenance})

    @master_only
    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """Write the training state and the checkpoint's record, and delete old checkpoints (``keep_checkpoints``).

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
            'extra': self.run_state,
        }
        best = getattr(self, 'best_metric_results', None)
        self.checkpoints.save_state(current_iter, state, best_metrics=best)
        keep = self.opt['logger'].get('keep_checkpoints', KEEP)
        plan = getattr(self, 'plan', None)
        ends = plan.last_of_stages(self.checkpoints.folder.iterations()) if plan else set()
        gone = self.checkpoints.prune(keep=keep, others={*best_iterations(best), *ends}) if keep else []
        if gone:
            get_root_logger().info(f'Deleted the checkpoints of iterations {", ".join(map(str, gone))}.')

    def load_network(
        self, net: nn.Module, load_path: str, strict: bool = True, param_key: Optional[str] = 'params'
    ) -> None:
        """Read weights, nothing but weights, into a network.

        Args:
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


class SafeSRModel(SRModel, SafeModel):
    """The same, with validation that tells a figure for each picture and is spread over the processes.

    Attributes:
        before_metrics: what a process needs before it imports metrics of BasicSR.
        input_results: means of the input at the last validation, by metric.
    """

    before_metrics = staticmethod(provide_functional_tensor)
    input_results: Mapping[str, float] = {}
    nondist_validation = validate
    dist_validation = validate

    @cached_property
    def known_inputs(self) -> dict[str, dict[int, Figures]]:
        """What validations have measured of their input, by dataset and number of the picture."""
        return {}

    def network_costs(self) -> dict[str, Any]:
        """What the summary of a test says of the network: type, parameters, MACs for a picture of 256x256.

        MACs are None where they cannot be counted, with the reason. By name, where there are several.
        """
        networks = getattr(self, 'networks', None) or {'': self.net_g}
        costs = {name: costs_of(self.get_bare_model(network)) for name, network in networks.items()}
        return costs if len(costs) > 1 else next(iter(costs.values()))


def _position(scheduler: Any) -> dict[str, Any]:
    """State of a schedule without what follows from the options: a run may be lengthened.

    Older versions of torch could not read MultiStepRestartLR's `milestones` as plain data, either.
    """
    state = scheduler.state_dict()
    if not type(scheduler).__module__.startswith('basicsr.'):
        return state
    return {key: value for key, value in state.items() if key not in _OF_OPTIONS}
