"""What BasicSR's registries have under a name, and who owns it."""

from typing import Any, Optional

from ..errors import UserError
from ..messages import closest


def registered(registry: Any, name: Any) -> Optional[Any]:
    """What is registered under a name, as BasicSR looks it up (its own may be called NAME_basicsr), or None."""
    for full in (name, f'{name}_basicsr') if isinstance(name, str) else ():
        if full in registry:
            return registry.get(full)
    return None


def meant(registry: Any, name: Any) -> Optional[Any]:
    """What is registered under the name, or under the one that a misspelled name comes close to, or None."""
    found = registered(registry, name)
    return found or (registered(registry, closest(name, registry.keys())) if isinstance(name, str) else None)


def is_trusted(thing: Any) -> bool:
    """Whether a class or function is BasicSR's or this package's, so that it is known how they use options."""
    return getattr(thing, '__module__', '').partition('.')[0] in ('basicsr', __name__.partition('.')[0])


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
