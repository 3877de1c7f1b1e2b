"""The `basicsr` command: which words it knows, and what runs them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Optional

from ..basicsr_patches.preparation import prepare
from ..exit_codes import noted
from ..messages import did_you_mean
from ..streams import outlived


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
        """Import the command's module and call it with what follows its word; the exit code."""
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
    'app': Command('a page in the browser to drop photos on', 'commands.app:run_app'),
    'blurmap': Command('where a network sees blur, and how well', 'commands.blurmap:run_blurmap'),
    'dropin': Command(
        'put AIBNet into a checkout of BasicSR, NAFNet or Restormer, for its own train.py', 'commands.dropin:run_dropin'
    ),
    'info': Command('what a file of weights is: network, stage, training options, checksum', 'commands.info:run_info'),
    'convert': Command('weights from .pth to .safetensors and back', 'commands.convert:run_convert'),
    'export': Command('a network as ONNX, checked', 'commands.export:run_export'),
    'compare': Command('tests of the same pictures, picture by picture', 'commands.compare:run_compare'),
    'table': Command('one table for a paper, of tests and of published rows', 'commands.table:run_table'),
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
        with outlived():
            print(usage())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f'basicsr: no command {name!r}{did_you_mean(name, list(COMMANDS))}\n\n{usage()}', file=sys.stderr)
        return 2
    return noted(f'basicsr {name}', lambda: COMMANDS[name].run(rest))
