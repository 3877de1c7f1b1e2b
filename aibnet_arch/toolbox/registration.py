"""Put AIBNet's network, loss, model class and metrics into BasicSR's registries."""

from ..loss import AIBNetLoss
from ..metrics import BASICSR_METRICS
from ..modeling import AIBNet
from .errors import UserError


def register() -> None:
    """Register everything; calling it again changes nothing. Entry point of the group ``basicsr.plugins``.

    Raises:
        UserError: another package has registered one of our names; the message names both owners.
    """
    from basicsr.utils.registry import (
        ARCH_REGISTRY,
        DATASET_REGISTRY,
        LOSS_REGISTRY,
        METRIC_REGISTRY,
        MODEL_REGISTRY,
    )

    from .aibnet_model import AIBNetModel
    from .flip_dataset import PairedFlipDataset

    for registry, objects in (
        (ARCH_REGISTRY, (AIBNet,)),
        (DATASET_REGISTRY, (PairedFlipDataset,)),
        (LOSS_REGISTRY, (AIBNetLoss,)),
        (MODEL_REGISTRY, (AIBNetModel,)),
        (METRIC_REGISTRY, BASICSR_METRICS),
    ):
        for thing in objects:
            _register(registry, thing)


def _register(registry, thing) -> None:
    if not is_there(registry, thing.__name__, thing):
        registry.register(thing)


def is_there(registry, name: str, thing) -> bool:
    """Whether a registry has this very thing under the name.

    Raises:
        UserError: it has another one; the message names both owners. Upstream's own assertion names neither, and is
            gone under `python -O`.
    """
    if name not in registry:
        return False
    owner = registry.get(name)
    if owner is not thing:
        raise UserError(
            f'two packages register {name!r}: {owner.__module__} (first) and {thing.__module__}. Remove one of them: '
            'uninstall the package, or delete its file from the BasicSR checkout. Or give one class another name.'
        )
    return True
