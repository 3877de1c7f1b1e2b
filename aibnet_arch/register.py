"""Put AIBNet's network, loss, model class and metrics into BasicSR's registries."""

from .losses.aibnet_loss import AIBNetLoss
from .metrics import BASICSR_METRICS
from .modeling import AIBNet
from .registries.lookup import is_there


def register() -> None:
    """Register everything; calling it again changes nothing. Entry point of the group ``basicsr.plugins``.

    Raises:
        UserError: another package has registered one of our names; the message names both owners.
    """
    from basicsr.utils import registry as of_basicsr

    from .data.flip_dataset import PairedFlipDataset
    from .evaluation.weights_model import WeightsModel
    from .training.aibnet_model import AIBNetModel

    for registry, things in (
        (of_basicsr.ARCH_REGISTRY, (AIBNet,)),
        (of_basicsr.DATASET_REGISTRY, (PairedFlipDataset,)),
        (of_basicsr.LOSS_REGISTRY, (AIBNetLoss,)),
        (of_basicsr.MODEL_REGISTRY, (AIBNetModel, WeightsModel)),
        (of_basicsr.METRIC_REGISTRY, BASICSR_METRICS),
    ):
        for thing in things:
            if not is_there(registry, thing.__name__, thing):
                registry.register(thing)
