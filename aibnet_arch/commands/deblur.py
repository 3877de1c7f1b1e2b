"""``basicsr deblur``: restore pictures, folders and videos with a file of weights."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..photos.deblurring import deblur
from ..photos.memory import LARGEST_TILE, parse_size
from ..weights.box import BOX
from .arguments import add_window, pixels


def run_deblur(argv: Sequence[str]) -> int:
    """Restore what the command line names; the exit code: 0, or 1 if a file could not be restored."""
    arguments = _parser().parse_args(argv)
    if arguments.overwrite and arguments.skip_existing:
        raise UserError('--overwrite and --skip-existing: give one of them')
    if arguments.blur_maps and not arguments.page:
        raise UserError('--blur-maps are shown on a page: give --page FOLDER, too. `basicsr blurmap` makes pictures.')
    return deblur(**vars(arguments))


def _parser() -> argparse.ArgumentParser:
    what = 'Restore pictures, folders and videos, with the weights in the box or a file of them.'
    parser = argparse.ArgumentParser(prog='basicsr deblur', allow_abbrev=False, description=what)
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='pictures, videos, and folders of them')
    parser.add_argument('-o', '--output', required=True, type=_folder, metavar='OUT', help='folder of the results')
    parser.add_argument(
        '--weights', default=BOX, metavar='FILE', help='of AIBNet, NAFNet, Restormer, ... (those in the box)'
    )
    parser.add_argument('--param-key', metavar='KEY', help='entry of FILE (params_ema if it has that, else params)')
    parser.add_argument(
        '--format', dest='picture_format', choices=['png', 'jpg', 'webp', 'bmp', 'tif'], help='of pictures (their own)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace results that are there')
    parser.add_argument('--skip-existing', action='store_true', help='leave results that are there, do the others')
    parser.add_argument('--shard', type=_shard, default=(1, 1), metavar='I/N', help='part I of N, on as many machines')
    parser.add_argument('--device', default='auto', help='auto (a GPU if there is one), cpu, cuda, cuda:1')
    limit = f'limit, e.g. 2GB (half of what is free, and on a CPU no tile over {LARGEST_TILE} pixels)'
    parser.add_argument('--memory', type=memory, metavar='SIZE', help=limit)
    parser.add_argument('--tile', type=pixels, metavar='N', help='restore in tiles of N pixels; whole: without tiles')
    parser.add_argument('--overlap', type=int, default=32, metavar='N', help='of tiles, in pixels (32)')
    add_window(parser)
    parser.add_argument('--up-to', type=int, metavar='K', help='stop after sub-decoder K')
    parser.add_argument('--self-ensemble', type=int, choices=[4, 8], help='mean over 4 flips, or 8 with transposes')
    parser.add_argument('--page', type=_folder, metavar='FOLDER', help='also an HTML page of before and after there')
    parser.add_argument('--blur-maps', action='store_true', help='on the page, of pictures restored whole')
    parser.add_argument(
        '--autocast',
        choices=['bf16', 'fp16'],
        help='lower precision: bf16 is faster on CPUs with avx512_bf16, fp16 is for GPUs',
    )
    parser.add_argument(
        '--triton-kernels', action='store_true', help='norms, gates and sums by kernels in Triton: not measured yet'
    )
    return parser


def _folder(text: str) -> Path:
    if not text:  # as an unset variable of a script leaves it; a path of it would be the current directory
        raise argparse.ArgumentTypeError('the name is empty')
    return Path(text)


def memory(text: str) -> int:
    """An amount of memory, such as 2GB, in bytes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'([0-9]{1,9})/([0-9]{1,9})', text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f'{text!r}: expected e.g. 3/16, the third of 16 parts')
    return number, count
