"""Two owners of a name in one of BasicSR's registries."""

from typing import Any, Optional

from ..registries.lookup import is_there


def _do_register(registry: Any, name: str, thing: Any, suffix: Optional[str] = None) -> None:
    """Takes the place of Registry._do_register.

    Raises:
        UserError: another thing has the name; the message names both owners.
    """
    full = f'{name}_{suffix}' if isinstance(suffix, str) else name
    if not is_there(registry, full, thing):
        registry._obj_map[full] = thing
