"""Other restoration networks, from the maintained packages spandrel and spandrel-extra-arches.

They are those of the paper's Tables 1 and 2 that the two packages carry. The class of a name is imported when it is
asked for: the packages take seconds to load.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from ..errors import UserError
from ..modeling.lean.windows import LocalPool

LOCAL_WINDOW = 384  # of NAFNetLocal: 1.5 times the patches of 256x256 that it is trained on


def _unchanged(cls: type[nn.Module]) -> type[nn.Module]:
    return cls


def _with_local_pools(cls: Any) -> type[nn.Module]:
    """NAFNet with TLC (Chu et al., ECCV 2022), as its authors train and test it on GoPro.

    On pictures no larger than the window it is NAFNet.
    """

    class NAFNetLocal(cls):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            stages = [*enumerate(self.encoders), (len(self.encoders), self.middle_blks)]
            stages += zip(reversed(range(len(self.decoders))), self.decoders)
            for level, stage in stages:
                for block in stage:
                    block.sca[0] = LocalPool(LOCAL_WINDOW >> level)

    functools.update_wrapper(NAFNetLocal.__init__, cls.__init__)  # the same arguments
    return NAFNetLocal


def _last_image_alone(cls: Any) -> type[nn.Module]:
    """MPRNet with the restored image as its output, not a tuple of its three stages' images."""

    class MPRNet(cls):
        why_not_trained = (
            'MPRNet trains on the images of all its three stages, and BasicSR hands one image to the loss. Weights '
            'that were trained elsewhere can be tested'
        )

        def forward(self, image: Tensor) -> Tensor:
            if self.training:
                raise UserError(self.why_not_trained)
            return super().forward(image)[0]

    return MPRNet


@dataclass(frozen=True)
class Network:
    """Where a network's class is, and the arguments of its published deblurring model.

    Attributes:
        module, name: of the class.
        arguments: those that differ from the class's defaults.
        adapt: makes of the package's class what BasicSR's model classes can use.
    """

    module: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    adapt: Callable[[type[nn.Module]], type[nn.Module]] = _unchanged

    @property
    def package(self) -> str:
        """What pip installs."""
        return self.module.partition('.')[0].replace('_', '-')

    def is_installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.module.partition('.')[0]) is not None

    def cls(self) -> type[nn.Module]:
        """The class.

        Raises:
            UserError: its package is not installed.
        """
        try:
            cls = getattr(importlib.import_module(self.module), self.name)
        except (ImportError, AttributeError) as error:
            raise UserError(f'{self.name} comes with {self.package}: pip install {self.package} ({error})') from error
        return self.adapt(cls)

    def build(self) -> nn.Module:
        """The network of the published deblurring model, with random weights."""
        return self.cls()(**self.arguments)


_NAFNET = Network(
    'spandrel.architectures.NAFNet.__arch.NAFNet_arch',
    'NAFNet',
    {'width': 64, 'enc_blk_nums': [1, 1, 1, 28], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1, 1, 1]},
)
OTHER_NETWORKS = {
    'NAFNet': _NAFNET,
    'NAFNetLocal': replace(_NAFNET, adapt=_with_local_pools),
    'Restormer': Network('spandrel_extra_arches.architectures.Restormer.__arch.restormer_arch', 'Restormer'),
    'MPRNet': Network(
        'spandrel_extra_arches.architectures.MPRNet.__arch.MPRNet',
        'MPRNet',
        {'n_feat': 96, 'scale_unetfeats': 48, 'scale_orsnetfeats': 32, 'num_cab': 8},
        _last_image_alone,
    ),
    'Uformer': Network(
        'spandrel.architectures.Uformer.__arch.Uformer',
        'Uformer',
        {'depths': [1, 2, 8, 8, 2, 8, 8, 2, 1], 'modulator': True},
    ),
    'FFTformer': Network('spandrel.architectures.FFTformer.__arch.fftformer_arch', 'FFTformer'),
}


def how_to_get(name: str) -> str:
    """The end of a message that a network is not registered; empty if it is none of these, or is installed."""
    network = OTHER_NETWORKS.get(name)
    if network is None or network.is_installed():
        return ''
    return f'; {network.package} brings it (the extra aibnet-basicsr[compare]): pip install {network.package}'
