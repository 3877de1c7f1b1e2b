"""The `basicsr` command: which words it knows, and what runs them."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Optional

from ..basicsr_patches.preparation import prepare
from ..exit_codes import noted
from ..messages import did_you_mean
from ..streams import outlived

# What follows `basicsr`, and what it does. `run_WORD` of the file of that name takes the arguments and returns the exit
# code; it is imported when it is called, since most of the modules take seconds to load.
COMMANDS = {
    'train': 'train the network of an option file',
    'test': 'test trained weights',
    'check': 'check an option file and its data, and do nothing else',
    'profile': 'time, memory and multiply-accumulates of a network, part by part',
    'deblur': 'restore pictures, folders and videos with a file of weights',
    'app': 'a page in the browser to drop photos on',
    'blurmap': 'where a network sees blur, and how well',
    'dropin': 'put AIBNet into a checkout of BasicSR, NAFNet or Restormer, for its own train.py',
    'info': 'what a file of weights is: network, stage, training options, checksum',
    'convert': 'weights from .pth to .safetensors and back',
    'export': 'a network as ONNX, checked',
    'compare': 'tests of the same pictures, picture by picture',
    'table': 'one table for a paper, of tests and of published rows',
    'study': 'several option files with several seeds: a table and plots',
}
# For these BasicSR is imported, mended and has its plugins registered first.
WITH_BASICSR = ('train', 'test', 'check', 'profile', 'study')


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = '\n'.join(f'  {name:{width}}  {told}' for name, told in COMMANDS.items())
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
    return noted(f'basicsr {name}', lambda: _run(name, rest))


def _run(name: str, arguments: list[str]) -> int:
    if name in WITH_BASICSR:
        prepare()
    return getattr(import_module(f'aibnet_arch.commands.{name}'), f'run_{name}')(arguments)
