"""Networks that spandrel and spandrel-extra-arches recognise from their weights: Restormer, FFTformer, MPRNet, ..."""

import importlib.util
from collections.abc import Mapping
from typing import Any, Optional

from torch import Tensor, nn

from ..errors import CheckpointError, UserError
from ..messages import some
from ..modeling.traits import Traits
from .state_dicts import refuse_lost_weights

INSTALL = 'pip install spandrel spandrel-extra-arches'
EXTRA = 'spandrel_extra_arches'  # Restormer, MPRNet, MIRNet2, M3SNet: free for research alone


class SpandrelNetwork(nn.Module):
    """A network (B, 3, H, W) -> (B, 3, H, W) as spandrel calls it: padded as it needs, clipped to [0, 1].

    Attributes:
        traits: what must be known to run it.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        needs = model.size_requirements
        self.traits = Traits(
            architecture=model.architecture.name,
            multiple=needs.multiple_of,
            smallest=max(needs.minimum, 1),
            square=needs.square,
        )
        self.network = model.model  # a part of this module: it moves to a device with it
        self._call = model

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the same. It runs without gradient, in evaluation mode alone."""
        # A copy: a tensor of inference mode cannot be changed in place elsewhere.
        return self._call(image).clone()


def spandrel_network(state: Mapping[str, Tensor], *, where: object) -> SpandrelNetwork:
    """The network of a state dict in a published layout, in evaluation mode, on the CPU.

    Raises:
        UserError: spandrel is missing.
        CheckpointError: it knows no such network, or one that does something else than restore colour pictures.
    """
    try:
        import spandrel
    except ModuleNotFoundError as error:
        raise UserError(
            f'{where} is of no network that this package knows by itself (AIBNet, NAFNet, UFPNet). Restormer, MPRNet, '
            f'Uformer, FFTformer and others are read with spandrel: {INSTALL}'
        ) from error
    with_extra = _add_architectures()
    try:
        # Its registry alone: the file has been read, by ours.
        model = spandrel.MAIN_REGISTRY.load(dict(state))
    except spandrel.UnsupportedModelError as error:
        lacking = '' if with_extra else f'. Restormer, MPRNet, MIRNet2 and M3SNet need spandrel-extra-arches: {INSTALL}'
        raise CheckpointError(
            f'{where}: spandrel makes no network of these weights, and they are of no AIBNet, NAFNet or UFPNet. There '
            f'are {len(state)} tensors in it: {some(state)}{lacking}'
        ) from error
    except Exception as error:  # whatever its architectures stumble over in weights that only look like theirs
        raise CheckpointError(f'{where}: spandrel makes no network of these weights ({error!r:.300})') from error
    name = model.architecture.name
    restores = isinstance(model, spandrel.ImageModelDescriptor) and model.scale == 1
    if not restores or (model.input_channels, model.output_channels) != (3, 3):
        what = _what_it_does(model)
        raise CheckpointError(f'{where} is a {name}, which {what}: expected a network that restores colour pictures')
    refuse_lost_weights(state, where=where)
    return SpandrelNetwork(model.eval()).eval()


def architecture_by_spandrel(state: Mapping[str, Tensor]) -> Optional[str]:
    """The name that spandrel has for the network of a state dict, by the names in it; None without spandrel, too."""
    if not importlib.util.find_spec('spandrel'):
        return None
    import spandrel

    _add_architectures()
    supports = spandrel.MAIN_REGISTRY.architectures('detection')
    return next((each.architecture.name for each in supports if each.detect(dict(state))), None)


def _what_it_does(model: Any) -> str:
    if getattr(model, 'scale', 1) != 1:
        return f'enlarges pictures {model.scale} times'
    if model.purpose == 'Inpainting':
        return 'fills holes'
    return f'makes {model.output_channels} channels of {model.input_channels}'


def _add_architectures() -> bool:
    """Add AIBNet and the extra architectures to spandrel's registry; whether the extra ones are installed."""
    from .spandrel import install

    install()
    if not importlib.util.find_spec(EXTRA):
        return False
    import spandrel_extra_arches

    spandrel_extra_arches.install(ignore_duplicates=True)
    return True
