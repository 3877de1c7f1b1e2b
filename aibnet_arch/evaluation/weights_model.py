"""A model class that only tests: the networks of files of weights, whoever trained them, beside each other."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from basicsr.models.base_model import BaseModel
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from ..errors import CheckpointError, UserError
from ..inference.restorer import InferenceSettings, Restorer
from ..modeling.traits import traits_of
from ..weights.any_network import any_network_of
from ..weights.state_dicts import compare_keys, refuse_lost_weights
from ..weights.wanted import Wanted
from ..weights.weight_file import WeightFile
from .several import column


class WeightsModel(SRModel):
    """Tests files of weights; `basicsr test --weights` makes its options.

    Options beyond BaseModel's:

    - ``weights``: name to file. A network is read from its file, as `basicsr deblur` does.
    - ``network_g``: may be left out. The network of the files that fit it, if it is none of AIBNet's: one of a plugin,
      say, that its file alone does not tell.
    - ``path.param_key_g``: entry of all files; by default see :meth:`.WeightFile.state_dict`.
    - ``val.window`` and the others of :class:`~aibnet_arch.inference.restorer.InferenceSettings`, each for the
      networks that know it. Without ``val.window`` each file's own (:class:`.Wanted`).

    Attributes:
        labels: names of the networks, if there are several.
    """

    def __init__(self, opt: dict) -> None:
        BaseModel.__init__(self, opt)  # SRModel's builds network_g
        if self.is_train:
            raise UserError('model_type: WeightsModel only tests')
        settings = InferenceSettings.from_options(opt['val'])
        self._restorers: dict[str, Restorer] = {}
        for name, file in opt['weights'].items():
            network = network_of_file(file, opt).to(self.device).eval()
            traits = traits_of(network)
            own = settings.of(traits)
            if traits.windows and 'window' not in opt['val']:  # `~` there takes none
                own = replace(own, window=Wanted.of(WeightFile.read(file)).window)
            self._restorers[name] = Restorer(network, own)
            numbers = sum(parameter.numel() for parameter in network.parameters())
            window = f', window {own.window}' if own.window else ''
            get_root_logger().info(f'{name}: {traits.architecture}, {numbers / 1e6:,.2f} M parameters{window}, {file}')
        self.labels = tuple(self._restorers) if len(self._restorers) > 1 else ()
        self.use(next(iter(self._restorers)))

    @staticmethod
    def check_options(opt: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the options of this class. Nothing is created; the files are read."""
        yield from InferenceSettings.from_options(opt.get('val')).problems(num_sub_decoders=1 << 10)
        weights = opt.get('weights') or {}
        if not weights:
            yield 'weights: there is nothing in it; expected names and files, e.g. {NAFNet: NAFNet-GoPro-width64.pth}'
        for name, file in weights.items():
            if not isinstance(file, str):
                yield f'weights.{name}: {file!r}: expected the name of a file'
                continue
            try:
                network_of_file(file, opt)
            except (CheckpointError, UserError) as error:
                yield f'weights.{name}: {error}'

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by name."""
        return {name: restorer.network for name, restorer in self._restorers.items()}

    def use(self, label: str) -> None:
        """Choose the network that `test` runs."""
        self._chosen = label

    def test(self) -> None:
        """Restore ``self.lq``."""
        self.output = self._restorers[self._chosen](self.lq)

    # The figures of one network are logged as always, those of several as a table; no iteration is the best.

    def _initialize_best_metric_results(self, dataset_name: str) -> None:
        if not self.labels:
            super()._initialize_best_metric_results(dataset_name)

    def _update_best_metric_result(self, dataset_name: str, metric: str, val: float, current_iter: Any) -> None:
        if not self.labels:
            super()._update_best_metric_result(dataset_name, metric, val, current_iter)

    def _log_validation_metric_values(self, current_iter: Any, dataset_name: str, tb_logger: Any) -> None:
        if not self.labels:
            super()._log_validation_metric_values(current_iter, dataset_name, tb_logger)
            return
        metrics = [*self.opt['val']['metrics'], 'seconds']
        rows = [['', *metrics]]
        for label in self.labels:
            rows.append([label, *(f'{self.metric_results[column(metric, label)]:.4f}' for metric in metrics)])
        widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
        lines = ['  '.join(f'{cell:>{width}}' for cell, width in zip(row, widths)) for row in rows]
        get_root_logger().info('\n'.join([f'Validation {dataset_name}', *lines]))


def network_of_file(file: str, opt: Mapping[str, Any]) -> nn.Module:
    """The network of a file of weights, on the CPU: that of ``network_g`` if it fits, else what the file tells.

    Raises:
        CheckpointError, UserError: the file cannot be read, or is of no network that restores pictures.
    """
    state = WeightFile.read(file).state_dict((opt.get('path') or {}).get('param_key_g'))
    options = opt.get('network_g')
    if options and options['type'] != 'AIBNet':
        # Not by BasicSR's build_network: it opens BasicSR's log, which then never gets its file.
        arguments = {key: deepcopy(value) for key, value in options.items() if key != 'type'}
        network = ARCH_REGISTRY.get(options['type'])(**arguments)
        if not compare_keys(network.state_dict(), state):
            refuse_lost_weights(state, where=file)
            network.load_state_dict(state)
            return network
    return any_network_of(state, where=file)
