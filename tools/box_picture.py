"""A held-out photograph before and after, with a detail of both: the first picture of the README.

    python -m tools.box_picture --shaken datasets/box/test --picture parking-sign-3 --detail 205 110

Left the blurred picture, right what the weights in the box make of it; below, the detail, enlarged.
"""

import argparse
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aibnet_arch.errors import UserError
from aibnet_arch.exit_codes import exit_code_of
from aibnet_arch.files import write_bytes
from aibnet_arch.messages import did_you_mean
from aibnet_arch.photos import Deblurrer
from aibnet_arch.weights.box import BOX
from tools.box_measures import Sample, psnr, samples

WIDTH = 480  # of each half, pixels
DETAIL = 120  # side of the part that is shown enlarged, in pixels of the picture; its height is half of it
MOST_BYTES = 200_000
GAP = 6


def side_by_side(before: np.ndarray, after: np.ndarray, *, corner: tuple[int, int]) -> Image.Image:
    """Both pictures, (H, W, 3) uint8 RGB, and below them the detail whose upper left corner is at (x, y)."""
    columns = []
    for name, pixels in (('before', before), ('after', after)):
        picture = Image.fromarray(pixels)
        x, y = corner
        detail = picture.crop((x, y, x + DETAIL, y + DETAIL // 2)).resize((WIDTH, WIDTH // 2), Image.Resampling.BICUBIC)
        whole = picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS)
        scale = WIDTH / picture.width
        box = [round(scale * value) for value in (x, y, x + DETAIL, y + DETAIL // 2)]
        ImageDraw.Draw(whole).rectangle(box, outline='white')
        column = Image.new('RGB', (WIDTH, whole.height + GAP + detail.height), 'white')
        column.paste(whole, (0, 0))
        column.paste(detail, (0, whole.height + GAP))
        draw = ImageDraw.Draw(column)
        font = ImageFont.load_default(size=20)
        draw.text((10, 8), name, fill='white', font=font, stroke_width=2, stroke_fill='black')
        columns.append(column)
    sheet = Image.new('RGB', (2 * WIDTH + GAP, columns[0].height), 'white')
    for number, column in enumerate(columns):
        sheet.paste(column, (number * (WIDTH + GAP), 0))
    return sheet


def jpeg(sheet: Image.Image) -> bytes:
    """The best JPEG that is no larger than :data:`MOST_BYTES`."""
    for quality in range(95, 20, -5):
        file = BytesIO()
        sheet.save(file, 'JPEG', quality=quality, optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


def find(folder: Path, key: str) -> Sample:
    """The pair of that key.

    Raises:
        UserError: there is none.
    """
    names = []
    for sample in samples(folder):
        if sample.key == key:
            return sample
        names.append(sample.key)
    raise UserError(f'{folder} has no picture {key!r}{did_you_mean(key, names)}')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the picture; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', default=BOX, metavar='FILE', help='(those in the box)')
    parser.add_argument('--shaken', type=Path, required=True, metavar='FOLDER', help='of input.lmdb and target.lmdb')
    parser.add_argument('--picture', required=True, metavar='KEY', help='of the pair')
    parser.add_argument('--detail', nargs=2, type=int, default=(0, 0), metavar=('X', 'Y'), help='its upper left corner')
    parser.add_argument('--output', type=Path, default=Path('docs/box.jpg'), help='(%(default)s)')
    arguments = parser.parse_args(argv)

    def work() -> int:
        sample = find(arguments.shaken, arguments.picture)
        after = Deblurrer.from_file(arguments.weights, tile='whole', device='cpu')(sample.lq)
        write_bytes(arguments.output, jpeg(side_by_side(sample.lq, after, corner=tuple(arguments.detail))))
        before, restored = psnr(sample.lq, sample.gt), psnr(after, sample.gt)
        print(f'{arguments.output}: {arguments.output.stat().st_size / 1e3:.0f} kB; {before:.2f} -> {restored:.2f} dB')
        return 0

    return exit_code_of('box_picture', work)


if __name__ == '__main__':
    sys.exit(main())
