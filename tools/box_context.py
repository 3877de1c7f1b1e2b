"""How much the weights in the box gain by what they see around a place: for their model card.

    python -m tools.box_context --shaken datasets/box/test --around 128 192 256 320

Restores cutouts of several sizes around the same places of the shaken pictures, and the whole pictures, and measures
each in its place alone, of 64x64 pixels. Prints the mean gains, and how far each lies from the whole pictures'. Places
that hardly moved (50 dB and more) are left out: there, a few pixels that change by one are many decibels.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from tqdm import tqdm

from aibnet_arch.errors import UserError
from aibnet_arch.exit_codes import exit_code_of
from aibnet_arch.messages import markdown_table
from aibnet_arch.photos import Deblurrer
from aibnet_arch.weights.box import BOX
from tools.box_measures import Sample, psnr, samples

SIDE = 64  # of a place, pixels
PLACES = 3  # of a picture
SEED = 3
BLURRED = 50.0  # dB that a place has less than, to be measured


@dataclass(frozen=True)
class Place:
    """What is measured: a square of :data:`SIDE` pixels in a picture of `height` and `width`, from (top, left) on."""

    top: int
    left: int
    height: int
    width: int

    def cutout(self, size: Optional[int]) -> tuple[slice, slice]:
        """Rows and columns of the square of `size` pixels around it, less what lies outside; None: all."""
        if size is None:
            return slice(0, self.height), slice(0, self.width)
        margin = (size - SIDE) // 2
        rows, columns = (
            slice(max(0, start - margin), min(length, start + SIDE + margin))
            for start, length in ((self.top, self.height), (self.left, self.width))
        )
        return rows, columns

    def within(self, cutout: tuple[slice, slice]) -> tuple[slice, slice]:
        """Its rows and columns, counted from the cutout's corner."""
        top, left = self.top - cutout[0].start, self.left - cutout[1].start
        return slice(top, top + SIDE), slice(left, left + SIDE)


def places(height: int, width: int, *, largest: int) -> list[Place]:
    """:data:`PLACES` of a picture at random, the same at each call, the largest cutout inside where there is room.

    Raises:
        UserError: the picture is smaller than a place.
    """
    if min(height, width) < SIDE:
        raise UserError(f'a picture of {width}x{height}: a place has {SIDE}x{SIDE} pixels')
    rng = np.random.default_rng(SEED)
    margin = (largest - SIDE) // 2

    def start(length: int) -> int:
        room = length - SIDE - 2 * margin
        return margin + int(rng.integers(0, room + 1)) if room >= 0 else (length - SIDE) // 2

    return [Place(start(height), start(width), height, width) for _ in range(PLACES)]


def blurred_places(sample: Sample, *, around: Sequence[int]) -> list[Place]:
    """Those of a picture's :func:`places`, for cutouts of the sizes `around`, that have less than :data:`BLURRED`."""
    here = [(place, place.cutout(SIDE)) for place in places(*sample.lq.shape[:2], largest=max(around))]
    return [place for place, cutout in here if psnr(sample.lq[cutout], sample.gt[cutout]) < BLURRED]


def gains(
    sample: Sample, chosen: Sequence[Place], restore: Callable[[np.ndarray], np.ndarray], *, around: Sequence[int]
) -> list[dict[Optional[int], float]]:
    """For each place of a picture the gain in dB by the cutout's size; that of the whole picture is at None."""
    whole = restore(sample.lq)

    def gain(place: Place, size: Optional[int]) -> float:
        here, cutout = place.cutout(SIDE), place.cutout(size)
        restored = whole if size is None else restore(np.ascontiguousarray(sample.lq[cutout]))
        gt = sample.gt[here]
        return psnr(restored[place.within(cutout)], gt) - psnr(sample.lq[here], gt)

    return [{size: gain(place, size) for size in (None, *around)} for place in chosen]


def table(found: Sequence[dict[Optional[int], float]], *, around: Sequence[int]) -> str:
    """Markdown: mean gains by the cutouts' size, less those of whole pictures, and that difference's standard error."""
    lines = [('around', 'gain', 'less than whole pictures', 'standard error')]
    for size in around:
        less = np.array([place[None] - place[size] for place in found])
        told = (f'{np.mean([place[size] for place in found]):+.2f} dB', f'{less.mean():.2f}')
        lines.append((f'{size}x{size}', *told, f'{less.std(ddof=1) / len(less) ** 0.5:.2f}'))
    lines.append(('whole pictures', f'{np.mean([place[None] for place in found]):+.2f} dB', '', ''))
    return f'{len(found)} places of {SIDE}x{SIDE}\n\n{markdown_table(lines)}'


def measure(arguments: argparse.Namespace) -> int:
    """Print the table; 0.

    Raises:
        UserError, CheckpointError: the input is refused.
    """
    wrong = [size for size in arguments.around if size < SIDE or size % 2]
    if wrong:
        raise UserError(f'--around {wrong[0]}: expected an even number of {SIDE} or more')
    restore = Deblurrer.from_file(arguments.weights, window='whole', tile='whole', device='cpu')
    blurred = [sample for sample in samples(arguments.shaken) if not sample.is_sharp]
    if not blurred:
        raise UserError(f'{arguments.shaken}: no blurred pictures')
    chosen = [(sample, blurred_places(sample, around=arguments.around)) for sample in blurred]
    if sum(len(of_it) for _, of_it in chosen) < 2:
        raise UserError(f'{arguments.shaken}: no two places of less than {BLURRED:g} dB')
    found = []
    for sample, of_it in tqdm([pair for pair in chosen if pair[1]], unit='picture', disable=None):
        found += gains(sample, of_it, restore, around=arguments.around)
    print(table(found, around=arguments.around))
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', default=BOX, metavar='FILE', help='(those in the box)')
    parser.add_argument('--shaken', type=Path, required=True, metavar='FOLDER', help='of input.lmdb and target.lmdb')
    parser.add_argument(
        '--around', nargs='+', type=int, default=[128, 192, 256, 320], metavar='PIXELS', help='sides of the cutouts'
    )
    arguments = parser.parse_args(argv)

    return exit_code_of('box_context', lambda: measure(arguments))


if __name__ == '__main__':
    sys.exit(main())
