"""What BasicSR's registries have under a name."""

from typing import Any, Optional


def registered(registry: Any, name: Any) -> Optional[Any]:
    """What is registered under a name, as BasicSR looks it up (its own may be called NAME_basicsr), or None."""
    for full in (name, f'{name}_basicsr') if isinstance(name, str) else ():
        if full in registry:
            return registry.get(full)
    return None


def is_trusted(thing: Any) -> bool:
    """Whether a class or function is BasicSR's or this package's, so that it is known how they use options."""
    return getattr(thing, '__module__', '').partition('.')[0] in ('basicsr', __name__.partition('.')[0])
