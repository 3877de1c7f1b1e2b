"""The `basicsr` command: which words it knows, and what runs them."""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Optional

from ..errors import RunError, UserError
from ..messages import LAYOUT, did_you_mean, printable

# No fault of the code: disks that are full, read-only, broken or not ours.
_OF_THE_MACHINE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENAMETOOLONG,
)
INTERRUPTED = 130  # 128 and the number of the signal, as of a shell


@dataclass(frozen=True)
class Command:
    """A word after `basicsr`.

    Attributes:
        told: what it does, for the list of commands.
        place: 'module:function' below `aibnet_arch`; takes the arguments, returns the exit code. It is imported when
            it is called, since most of the modules take seconds to load.
        with_basicsr: BasicSR is imported, mended and has its plugins registered first.
    """

    told: str
    place: str
    with_basicsr: bool = False

    def run(self, arguments: list[str]) -> int:
        if self.with_basicsr:
            prepare()
        module, _, function = self.place.partition(':')
        return getattr(import_module(f'aibnet_arch.{module}'), function)(arguments)


COMMANDS = {
    'train': Command('train the network of an option file', 'commands.train:run_train', with_basicsr=True),
    'test': Command('test trained weights', 'commands.test:run_test', with_basicsr=True),
    'check': Command(
        'check an option file and its data, and do nothing else', 'commands.check:run_check', with_basicsr=True
    ),
    'profile': Command(
        'time, memory and multiply-accumulates of a network, part by part',
        'commands.profile:run_profile',
        with_basicsr=True,
    ),
    'deblur': Command('restore pictures, folders and videos with a file of weights', 'commands.deblur:run_deblur'),
    'blurmap': Command('where a network sees blur, and how well', 'commands.blurmap:run_blurmap'),
    'dropin': Command(
        'put AIBNet into a checkout of BasicSR, NAFNet or Restormer, for its own train.py', 'commands.dropin:run_dropin'
    ),
    'info': Command('what a file of weights is: network, stage, training options, checksum', 'commands.info:run_info'),
    'convert': Command('weights from .pth to .safetensors and back', 'commands.convert:run_convert'),
    'export': Command('a network as ONNX, checked', 'commands.export:run_export'),
    'study': Command(
        'several option files with several seeds: a table and plots', 'commands.study:run_study', with_basicsr=True
    ),
}


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = '\n'.join(f'  {name:{width}}  {command.told}' for name, command in COMMANDS.items())
    return (
        f'usage: basicsr COMMAND ...\n\ncommands:\n{lines}\n\n'
        '`basicsr COMMAND --help` lists the flags. Experiments and results go below the current directory,\n'
        'unless the options set path.experiments_root or path.results_root.'
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command line (without the program's name); return the exit code.

    0: done; 1: the run failed; 2: the user's input was refused; 75: stopped by a signal, and saved; 130: stopped
    by Ctrl-C, and nothing to go on with. The message is on standard error.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(usage())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f'basicsr: no command {name!r}{did_you_mean(name, list(COMMANDS))}\n\n{usage()}', file=sys.stderr)
        return 2
    try:
        return COMMANDS[name].run(rest)
    except UserError as error:
        print(f'basicsr {name}: {printable(error, keep=LAYOUT)}', file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f'basicsr {name}: stopped by Ctrl-C', file=sys.stderr)
        return INTERRUPTED
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
    from ..basicsr_patches import mends

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

    from ..registries.plugins import load_plugins

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
