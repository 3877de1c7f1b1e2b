"""``basicsr dropin``: put AIBNet into a checkout of BasicSR, NAFNet or Restormer, and take it out again."""

import argparse
import os
from pathlib import Path

from ..dropin.checkout import installed_instead, kind_of
from ..dropin.contents import SUB_DECODERS
from ..dropin.record import put, take_out

DESCRIPTION = (
    'Write a few-line file that imports the network, and option files, into a checkout of BasicSR, so that its own '
    'basicsr/train.py trains AIBNet. No file that is there is touched.'
)


def run_dropin(argv: list[str]) -> int:
    """Drop in or undo; the exit code.

    Raises:
        UserError: the folder is no such checkout, or files are in the way or changed.
    """
    arguments = _parser().parse_args(argv)
    folder = Path(os.path.expanduser(arguments.checkout))
    if arguments.undo:
        for path in take_out(folder):
            print(f'removed {path}')
        return 0
    kind = kind_of(folder)
    files = kind.files(arguments.variant, data=arguments.data)
    written = put(folder, files)
    print(f'{folder} is {kind.told}.')
    for path in files:
        print(f'{"written" if written else "there already:"} {path}')
    print('\nTrain it there, in an environment that has what the checkout needs and the package aibnet-basicsr:\n')
    print(f'    cd {folder}')
    for path in files:
        if path.endswith('.yml'):
            print(f'    PYTHONPATH=. python basicsr/train.py -opt {path}')
    installed = installed_instead(folder)
    if installed:
        print(
            f'\nNot in this environment: it has a BasicSR in {installed}, and Python would take that, since the '
            "checkout's own has no __init__.py. Use an environment without it."
        )
    print(f'\nUndo: basicsr dropin {folder} --undo')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='basicsr dropin', allow_abbrev=False, description=DESCRIPTION)
    parser.add_argument('checkout', metavar='CHECKOUT', help='folder of the checkout')
    parser.add_argument('--undo', action='store_true', help='remove what was written, if it is as it was written')
    parser.add_argument('--variant', choices=list(SUB_DECODERS), default='S', help='AIBNet-S, B or L (default: S)')
    parser.add_argument(
        '--data',
        default='datasets/GoPro',
        metavar='FOLDER',
        help='of the data set for the option files, as seen from the checkout (default: datasets/GoPro)',
    )
    return parser
