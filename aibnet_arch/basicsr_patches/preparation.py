"""BasicSR in this process: imported, compared with those that were tested, mended, its plugins registered."""

import sys
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
        import basicsr.utils.registry
    except ModuleNotFoundError as error:
        raise UserError(_import_advice(error)) from error
    import basicsr.archs
    import basicsr.data
    import basicsr.losses
    import basicsr.metrics
    import basicsr.models

    from ..registries.plugins import load_plugins
    from .fingerprints import compare
    from .table import WHILE_A_COMMAND_RUNS, replace

    compare(_folder(), basicsr.__version__)
    replace(WHILE_A_COMMAND_RUNS)
    load_plugins()


def _folder() -> Path:
    """Of the package: a checkout without basicsr/__init__.py has no __file__."""
    return Path(next(iter(sys.modules['basicsr'].__path__)))


def _import_advice(error: ModuleNotFoundError) -> str:
    if error.name == 'basicsr':
        return (
            'BasicSR is not installed here. Install a checkout of it (`pip install --no-build-isolation -e .` there) '
            "or PyPI's (`pip install --no-build-isolation basicsr==1.4.2`); both need torch to be there first."
        )
    if error.name and error.name.startswith('basicsr.'):
        return (
            f'the basicsr in {_folder()} has no {error.name}: it is older than the registries '
            '(NAFNet and Restormer bring such a copy). Use an environment of its own, or install BasicSR 1.4.2 there.'
        )
    return f'{error.name} is missing in this environment: pip install {error.name}'
