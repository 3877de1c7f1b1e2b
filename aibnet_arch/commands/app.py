"""``basicsr app``: a page in the browser to drop photos on."""

import argparse
from collections.abc import Sequence

from ..app.serving import serve
from ..weights.box import BOX
from .arguments import SEVERAL, pixels
from .deblur import memory


def run_app(argv: Sequence[str]) -> int:
    """Serve the page until Ctrl-C; the exit code."""
    arguments = _parser().parse_args(argv)
    arguments.weights = arguments.weights or [BOX]
    return serve(**vars(arguments))


def _parser() -> argparse.ArgumentParser:
    what = 'A page in the browser to drop photos on. It is served to this machine alone; nothing is sent anywhere.'
    parser = argparse.ArgumentParser(prog='basicsr app', allow_abbrev=False, description=what)
    parser.add_argument('--weights', **SEVERAL, metavar='FILE', help='to choose from on the page (box)')
    parser.add_argument('--port', type=_port, metavar='N', help='of this machine (the first that is free from 7860 on)')
    parser.add_argument('--no-browser', dest='browser', action='store_false', help='do not open the browser')
    parser.add_argument('--device', default='auto', help='auto (a GPU if there is one), cpu, cuda, cuda:1')
    parser.add_argument('--memory', type=memory, metavar='SIZE', help='limit, e.g. 2GB (half of what is free)')
    parser.add_argument('--window', type=pixels, metavar='N', help='take statistics over N pixels; whole: over all')
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number from 1 to 65535')
    return int(text)
