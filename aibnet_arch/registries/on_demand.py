"""Networks and losses of others that are registered when an option file names them and nobody else has them.

So they yield: to a BasicSR checkout that brings its own, and to every plugin.
"""

from collections.abc import Mapping
from typing import Any

from ..losses.psnr_loss import PSNRLoss
from .lookup import registered
from .other_networks import OTHER_NETWORKS


def register_wanted(opt: Mapping[str, Any]) -> None:
    """Register what the options name, as far as we know it, have it and nobody else does.

    Args:
        opt: as read from a file; what is wrong in it is passed over here.

    Raises:
        UserError: the package that brings a network is there, but cannot be imported.
    """
    from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY

    for name in _types(opt, 'network_', ''):
        network = OTHER_NETWORKS.get(name)
        if network and network.is_installed() and registered(ARCH_REGISTRY, name) is None:
            ARCH_REGISTRY.register(network.cls())
    train = opt.get('train')
    for name in _types(train if isinstance(train, Mapping) else {}, '', '_opt'):
        if name == PSNRLoss.__name__ and registered(LOSS_REGISTRY, name) is None:
            LOSS_REGISTRY.register(PSNRLoss)


def _types(section: Mapping[str, Any], start: str, end: str) -> list[str]:
    """Types that stand below keys with this start and end."""
    chosen = [value for key, value in section.items() if f'{key}'.startswith(start) and f'{key}'.endswith(end)]
    named = [value.get('type') for value in chosen if isinstance(value, Mapping)]
    return [name for name in named if isinstance(name, str)]
