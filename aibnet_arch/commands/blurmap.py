"""``basicsr blurmap``: where a network sees blur, and how well it finds it."""

import argparse
from pathlib import Path

from ..blurmap.evaluation import evaluate
from ..blurmap.truth import parts_of_set
from ..errors import UserError
from ..weights.box import BOX
from .arguments import SEVERAL, above_0, add_window

DESCRIPTION = """Heat maps over a picture: what SFEM and HFSBlock contribute, and the predicted residual. With the sharp
pictures also how well each map finds the blurred regions, beside simple baselines."""
EPILOG = """Partners have the same name; a file goes with a single picture. OUT/PICTURE/panel.png shows everything side
by side, the other pictures there are single maps; OUT/figures.csv and OUT/figures.json hold the figures."""


def run_blurmap(argv: list[str]) -> int:
    """Make the maps and print the figures; the exit code."""
    arguments = _parser().parse_args(argv)
    known = arguments.gt or arguments.extent or arguments.mask or any(map(parts_of_set, arguments.inputs))
    if not (arguments.pictures or known):
        raise UserError(
            '--no-pictures leaves the figures alone, and those need the truth: give --gt or --extent (or --mask)'
        )
    evaluate(**vars(arguments))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr blurmap',
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('inputs', nargs='+', type=Path, metavar='INPUT', help='picture, folder, LMDB folder, or a set of datasets_prep')
    add('-o', '--output', type=Path, required=True, metavar='OUT', help='folder for the results')
    add('--weights', default=BOX, metavar='FILE', help='weights of an AIBNet (those in the box)')
    add_window(parser)
    add('--gt', type=Path, metavar='PATH', help='the sharp pictures: file, folder or LMDB folder')
    add('--extent', type=Path, metavar='PATH', help='how far each pixel is blurred: grey, 16 bit, 256 a pixel of blur')
    add('--mask', type=Path, metavar='PATH', help='pictures above 0 where it is blurred (ReLoBlur)')
    add('--beside', **SEVERAL, type=Path, default=[], metavar='FILE', help="weights of others' networks, e.g. NAFNet")
    add('--param-key', help='which entry of the files (params_ema where there is one, else params)')
    add('--residual-above', type=above_0, default=8.0, metavar='X', help='blurred: grey levels (default: %(default)g)')
    add('--extent-above', type=above_0, default=2.0, metavar='X', help='blurred: pixels (default: %(default)g)')
    add('--parts', action='store_true', help='also maps of each sub-decoder and level (0: the finest)')
    add('--no-pictures', dest='pictures', action='store_false', help='figures alone')
    return parser
