"""AIBNet for spandrel, with which chaiNNer, ComfyUI and others load models from a file alone.

::

    from aibnet_arch.weights.spandrel import install
    install()
    restore = spandrel.ModelLoader().load_from_file('net_g_latest.pth')  # or .safetensors
"""

from typing import Optional

import torch
from spandrel import MAIN_REGISTRY, Architecture, ArchRegistry, ArchSupport, ImageModelDescriptor, StateDict
from torch import Tensor

from ..modeling import AIBNet
from ..modeling.signature import KEY
from .eight_bit import restored
from .network_file import network_of


class AIBNetArch(Architecture[AIBNet]):
    """Detects and loads AIBNet by the signature among its weights."""

    def __init__(self) -> None:
        super().__init__(id='AIBNet', detect=_is_signed)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[AIBNet]:
        """Build the network and describe it.

        Raises:
            CheckpointError: the weights are not what their signature says.
        """
        state_dict = restored(state_dict)
        network = network_of(state_dict)
        trained = network.active_sub_decoders
        arguments = network.arguments
        return ImageModelDescriptor(
            network,
            state_dict,
            architecture=self,
            purpose='Restoration',
            tags=[arguments['encoder'], f'{arguments["width"]}w', f'{trained} sub-decoder{"s" if trained > 1 else ""}'],
            supports_half=False,
            supports_bfloat16=False,
            scale=1,
            input_channels=3,
            output_channels=3,
        )


def install(registry: Optional[ArchRegistry] = None) -> None:
    """Add AIBNet to spandrel's registry; again does no harm.

    Its detection is exact, so it comes before all others there: NAFNet's, say, looks at names that an AIBNet may have.

    Args:
        registry: spandrel's main one by default, which every ModelLoader uses.
    """
    registry = MAIN_REGISTRY if registry is None else registry
    if 'AIBNet' not in registry:
        others = tuple(support.architecture.id for support in registry)
        registry.add(ArchSupport.from_architecture(AIBNetArch(), before=others))


def _is_signed(state_dict: StateDict) -> bool:
    signature = state_dict.get(KEY)
    return isinstance(signature, Tensor) and signature.dtype == torch.uint8 and 'encoder.intro.weight' in state_dict
