"""Put AIBNet's network, loss, model class and metrics into BasicSR's registries."""

from .losses.aibnet_loss import AIBNetLoss
from .metrics import BASICSR_METRICS
from .modeling import AIBNet
from .registries.name_owners import is_there


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

    from .data.flip_dataset import PairedFlipDataset
    from .evaluation.weights_model import WeightsModel
    from .training.aibnet_model import AIBNetModel

    for registry, objects in (
        (ARCH_REGISTRY, (AIBNet,)),
        (DATASET_REGISTRY, (PairedFlipDataset,)),
        (LOSS_REGISTRY, (AIBNetLoss,)),
        (MODEL_REGISTRY, (AIBNetModel, WeightsModel)),
        (METRIC_REGISTRY, BASICSR_METRICS),
    ):
        for thing in objects:
            _register(registry, thing)


def _register(registry, thing) -> None:
    if not is_there(registry, thing.__name__, thing):
        registry.register(thing)
