"""The `basicsr` command: BasicSR's own pipelines, with this and other plugins registered."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Optional

from ..modeling.encoders import CheckpointError
from .errors import RunError, UserError

# No fault of the code: disks that are full, read-only, broken or not ours.
_OF_THE_MACHINE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE,
    errno.ENAMETOOLONG,
)  # fmt: skip

USAGE = """usage: basicsr COMMAND -opt FILE [BasicSR's own flags]

commands:
  train   train the network of an option file
  test    test trained weights
  check   check an option file and its data, and do nothing else
  profile time, memory and multiply-accumulates of a network, part by part

`basicsr COMMAND --help` lists the flags. Experiments and results go below the current directory,
unless the options set path.experiments_root or path.results_root."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command line (without the program's name); return the exit code.

    0: done; 1: the run failed; 2: the user's input was refused; 75: stopped by a signal, and saved. The
    message is on standard error.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(USAGE)
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f'basicsr: no command {name!r}\n\n{USAGE}', file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](rest)
    except (UserError, CheckpointError) as error:
        print(f'basicsr {name}: {error}', file=sys.stderr)
        return getattr(error, 'exit_code', UserError.exit_code)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        print(f'basicsr {name}: {error}', file=sys.stderr)
        return RunError.exit_code


def prepare() -> None:
    """Import BasicSR, mend it and register the plugins.

    Raises:
        UserError: there is no BasicSR with registries.
    """
    from . import mends

    try:
        mends.mend_functional_tensor()
        import basicsr
        import basicsr.utils.registry
    except ModuleNotFoundError as error:
        raise UserError(_import_advice(error)) from error
    import basicsr.archs
    import basicsr.data
    import basicsr.losses
    import basicsr.metrics
    import basicsr.models  # noqa: F401  registers upstream's own classes before the plugins'

    from .plugins import load_plugins

    mends.apply()
    load_plugins()


def _import_advice(error: ModuleNotFoundError) -> str:
    if error.name == 'basicsr':
        return (
            'BasicSR is not installed here. Install a checkout of it (`pip install --no-build-isolation -e .` there) '
            "or PyPI's (`pip install --no-build-isolation basicsr==1.4.2`); both need torch to be there first."
        )
    if error.name and error.name.startswith('basicsr.'):
        import basicsr

        return (
            f'the basicsr in {os.path.dirname(basicsr.__file__)} has no {error.name}: it is older than the registries '
            '(NAFNet and Restormer bring such a copy). Use an environment of its own, or install BasicSR 1.4.2 there.'
        )
    return f'{error.name} is missing in this environment: pip install {error.name}'


def _train(arguments: list[str]) -> int:
    prepare()
    from .training_run import TrainingRun

    sys.argv = ['basicsr train', *arguments]  # where upstream's pipeline looks for its options
    TrainingRun(os.getcwd()).start()
    return 0


def _test(arguments: list[str]) -> int:
    prepare()
    import basicsr.test

    sys.argv = ['basicsr test', *arguments]
    basicsr.test.test_pipeline(os.getcwd())
    return 0


def _check(arguments: list[str]) -> int:
    prepare()
    from .arguments import run_check

    return run_check(arguments)


def _profile(arguments: list[str]) -> int:
    prepare()
    from .profile import run_profile

    return run_profile(arguments)


COMMANDS = {'train': _train, 'test': _test, 'check': _check, 'profile': _profile}
