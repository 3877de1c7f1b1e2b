"""Other restoration networks, from the maintained packages spandrel and spandrel-extra-arches."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .errors import UserError


@dataclass(frozen=True)
class Network:
    """Where a network's class is, and the arguments of its published deblurring model.

    Attributes:
        module, name: of the class.
        package: what pip installs.
        arguments: those that differ from the class's defaults.
    """

    module: str
    name: str
    package: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def cls(self) -> type[nn.Module]:
        """The class.

        Raises:
            UserError: its package is not installed.
        """
        try:
            return getattr(importlib.import_module(self.module), self.name)
        except (ImportError, AttributeError) as error:
            raise UserError(f'{self.name} comes with {self.package}: pip install {self.package} ({error})') from error

    def build(self) -> nn.Module:
        """The network of the published deblurring model, with random weights."""
        return self.cls()(**self.arguments)


OTHER_NETWORKS = {
    'NAFNet': Network(
        module='spandrel.architectures.NAFNet.__arch.NAFNet_arch',
        name='NAFNet',
        package='spandrel',
        arguments={'width': 64, 'enc_blk_nums': [1, 1, 1, 28], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1, 1, 1]},
    ),
    'Restormer': Network(
        module='spandrel_extra_arches.architectures.Restormer.__arch.restormer_arch',
        name='Restormer',
        package='spandrel-extra-arches',
    ),
    'MPRNet': Network(
        module='spandrel_extra_arches.architectures.MPRNet.__arch.MPRNet',
        name='MPRNet',
        package='spandrel-extra-arches',
        arguments={'n_feat': 96, 'scale_unetfeats': 48, 'scale_orsnetfeats': 32, 'num_cab': 8},
    ),
}
