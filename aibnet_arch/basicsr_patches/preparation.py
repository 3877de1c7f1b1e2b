"""BasicSR in this process: imported, compared with those that were tested, mended, its plugins registered."""

import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import UserError


def prepare() -> None:
    """Get BasicSR ready for a command. Once a process is enough; twice does no harm.

    Raises:
        UserError: there is no BasicSR with registries, or it lacks what is relied on.
    """
    from .functional_tensor import provide_functional_tensor

    try:
        provide_functional_tensor()
        import basicsr
        import basicsr.archs
        import basicsr.data
        import basicsr.losses
        import basicsr.metrics
        import basicsr.models
        import basicsr.utils.registry
    except ImportError as error:
        raise UserError(_import_advice(error)) from error

    from ..registries.plugins import load_plugins
    from .fingerprints import compare
    from .table import WHILE_A_COMMAND_RUNS, replace

    compare(_folder(), basicsr.__version__)
    replace(WHILE_A_COMMAND_RUNS)
    load_plugins()


def _folder() -> Path:
    """Of the package, which need not have been imported: a checkout without basicsr/__init__.py has no __file__."""
    imported = sys.modules.get('basicsr')
    spec = find_spec('basicsr') if imported is None else None
    return Path(
        next(iter(imported.__path__ if imported else (spec and spec.submodule_search_locations) or ['basicsr']))
    )


def _import_advice(error: ImportError) -> str:
    from .fingerprints import refuse_missing

    if error.name == 'basicsr':
        return (
            'BasicSR is not installed here. Install a checkout of it (`pip install --no-build-isolation -e .` there) '
            "or PyPI's (`pip install --no-build-isolation basicsr==1.4.2`); both need torch to be there first."
        )
    if error.name and error.name.startswith('basicsr.') and not (_folder() / 'utils' / 'registry.py').is_file():
        return (
            f'the basicsr in {_folder()} has no {error.name}: it is older than the registries '
            '(NAFNet and Restormer bring such a copy). Use an environment of its own, or install BasicSR 1.4.2 there.'
        )
    if error.name and error.name.startswith('basicsr.'):
        refuse_missing(_folder())
        return f'the BasicSR in {_folder()} cannot be imported: {error}'
    return f'{error.name} is missing in this environment: pip install {error.name}'
