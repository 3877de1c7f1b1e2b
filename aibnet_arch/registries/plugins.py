"""Find and load the plugins of BasicSR that are installed, this one among them."""

from importlib.metadata import entry_points

from ..errors import UserError

GROUP = 'basicsr.plugins'


def load_plugins() -> list[str]:
    """Load every entry point of the group ``basicsr.plugins`` and call it if it can be called.

    A plugin's setup names a function that registers its classes, or a module whose import does::

        entry_points={'basicsr.plugins': ['mine = my_package.registration:register']}

    Returns:
        The plugins' names.

    Raises:
        UserError: a plugin cannot be loaded; the message names it.
    """
    found = entry_points()
    # Python 3.9 returns a dict of lists, later versions an object with `select`.
    plugins = found.select(group=GROUP) if hasattr(found, 'select') else found.get(GROUP, ())
    names = []
    for plugin in sorted(set(plugins), key=lambda entry: entry.name):
        try:
            loaded = plugin.load()
        except (ImportError, AttributeError) as error:
            raise UserError(
                f'the BasicSR plugin {plugin.name!r} ({plugin.value}) cannot be loaded: {error}. Mend or uninstall it.'
            ) from error
        if callable(loaded):
            loaded()
        names.append(plugin.name)
    return names
