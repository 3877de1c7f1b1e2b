"""Who owns a name in one of BasicSR's registries."""

from ..errors import UserError


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
