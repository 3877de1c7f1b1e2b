"""Blurred pairs of your own video of a fast camera: means of consecutive frames, and the frame in the middle.

    python -m datasets_prep.video --input clips/ --frames 7 11 13 --output datasets/mine

makes input.lmdb and target.lmdb below the output and, with --extents, extent/: how far each pixel moved during the
exposure, by optical flow, as `basicsr blurmap --extent` reads it. The input is videos, folders of videos, or folders
of numbered frames. Frames are never interpolated, nor averaged over a cut; each is used at most once.

An exposure takes one of the numbers of frames in turn. It may begin up to --search frames later than it could, where
that makes the frame in its middle, the truth, sharper; and where that frame has less than --min-sharpness of the
sharpness of its shot's sharp frames (variance of the Laplacian, its 90th percentile), there is no pair.

Light adds up, grey levels do not: --curve srgb averages what the levels of sRGB stand for. GoPro was made with "none"
(its blur, that published results use) and with "gamma" (its blur_gamma, 2.2). The camera should be fast: at 240 frames
a second 7 to 13 frames are 1/34 to 1/18 s. Of slow video the frames lie so far apart that the mean shows ghosts:
--moves 3 9 keeps the exposures whose fastest tenth of the pixels moves 3 to 9 pixels, by optical flow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from aibnet_arch.terminal import is_interactive
from datasets_prep.cli import add_writing_arguments, new_parser, number, run
from datasets_prep.clips import Scan, clip_bytes, find_clips, reader, scan
from datasets_prep.errors import PrepError, raise_if_any
from datasets_prep.extents import write_extents
from datasets_prep.flow import path_lengths
from datasets_prep.lmdb_writer import prepare
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Made, Pair, safe_key
from datasets_prep.parts import add_crop_arguments, crop_of
from datasets_prep.pool import ordered_map
from datasets_prep.sensor import mean_light, to_light, to_picture

ODD = number(int, 'an odd number from 3 on, so that one frame is in the middle', lambda value: value >= 3 and value % 2)
NATURAL = number(int, 'a whole number from 0 up', lambda value: value >= 0)
PIXELS = number(float, 'a number of pixels from 0 up', lambda value: value >= 0)
SHARE = number(float, 'a number from 0 to 1', lambda value: 0 <= value <= 1)
GAMMA = 2.2
SHARP_PERCENTILE = 90
FAST_PERCENTILE = 90


@dataclass(frozen=True)
class Curve:
    """What grey levels stand for.

    Attributes:
        light: of each level, (256,) float32.
        picture: light as float32 to levels as uint8.
    """

    light: np.ndarray
    picture: Callable[[np.ndarray], np.ndarray]


_LEVELS = np.arange(256, dtype=np.uint8)
CURVES = {
    'srgb': Curve(to_light(_LEVELS), to_picture),
    'gamma': Curve(
        ((_LEVELS / 255) ** GAMMA).astype(np.float32),
        lambda light: np.round(255 * np.clip(light, 0, 1) ** (1 / GAMMA)).astype(np.uint8),
    ),
    'none': Curve(_LEVELS.astype(np.float32), lambda levels: np.round(levels).astype(np.uint8)),
}


@dataclass(frozen=True)
class Exposure:
    """Consecutive frames of a clip: an odd number from `first` on."""

    clip: Path
    first: int
    count: int

    @property
    def middle(self) -> int:
        """Number of the frame in the middle, in the clip."""
        return self.first + self.count // 2

    def frames(self) -> list[np.ndarray]:
        """Its frames in order, each (H, W, 3) uint8 BGR."""
        return reader(self.clip).read(self.first, self.count)

    def extent(self) -> np.ndarray:
        """How far what is seen at each pixel of the middle frame moves, (H, W) float32 pixels."""
        return path_lengths(self.frames(), at=self.count // 2)

    def moves(self) -> float:
        """How far the fastest tenth of the pixels moves at least, pixels."""
        return float(np.percentile(self.extent(), FAST_PERCENTILE))


@dataclass(frozen=True)
class Blurred(Made):
    """The mean of an exposure's frames."""

    exposure: Exposure
    curve: str

    def make(self) -> np.ndarray:
        """The frames' mean in light, (H, W, 3) uint8 BGR."""
        curve = CURVES[self.curve]
        return curve.picture(mean_light(cv2.LUT(frame, curve.light) for frame in self.exposure.frames()))

    def source_bytes(self) -> int:
        """Size of the whole clip."""
        return clip_bytes(self.exposure.clip)


@dataclass(frozen=True)
class Sharp(Made):
    """The frame in the middle of an exposure."""

    exposure: Exposure

    def make(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR."""
        return self.exposure.frames()[self.exposure.count // 2]

    def source_bytes(self) -> int:
        """Size of the whole clip."""
        return clip_bytes(self.exposure.clip)


def exposures_of(
    clip: Path, scanned: Scan, *, counts: Sequence[int], gap: int, search: int, min_sharpness: float
) -> list[Exposure]:
    """The exposures of a clip, in order.

    Args:
        counts: numbers of frames, taken in turn; odd.
        search: how many frames later an exposure may begin, for a sharper frame in its middle.
        min_sharpness: of the middle frame, as a share of that of the shot's sharp frames.
    """
    found: list[Exposure] = []
    for shot in scanned.shots():
        sharp = np.percentile(scanned.sharpness[shot.start : shot.stop], SHARP_PERCENTILE)
        start = shot.start
        while start + (count := counts[len(found) % len(counts)]) <= shot.stop:
            begins = range(start, min(start + search, shot.stop - count) + 1)
            of_middle = scanned.sharpness[start + count // 2 : begins.stop + count // 2]
            first = start + int(of_middle.argmax())
            if of_middle.max() >= min_sharpness * sharp:
                found.append(Exposure(clip, first, count))
                start = first + count + gap
            else:
                start = begins.stop
    return found


def moving(exposures: Mapping[str, Exposure], least: float, most: float, *, workers: int) -> dict[str, Exposure]:
    """Those whose fastest tenth of the pixels moves from `least` to `most` pixels."""
    found = ordered_map(Exposure.moves, list(exposures.values()), workers=min(workers, len(exposures)))
    bar = tqdm(found, total=len(exposures), desc='following motion', unit='exposure', disable=not is_interactive())
    kept = {key: exposures[key] for key, moves in zip(exposures, bar) if least <= moves <= most}
    print(f'{len(kept)} of {len(exposures)} exposures move {least:g} to {most:g} pixels')
    return kept


def key_of(exposure: Exposure, name: str) -> str:
    """``<clip>-<middle frame>-f<frames>``."""
    return f'{safe_key(name)}-{exposure.middle:06d}-f{exposure.count:02d}'


def scan_all(clips: Sequence[Path], *, workers: int) -> list[Scan]:
    """Scans of all clips.

    Raises:
        PrepError: some cannot be read; all of them are named.
    """
    results = ordered_map(_scan_one, clips, workers=min(workers, len(clips)))
    bar = tqdm(results, total=len(clips), desc='looking through', unit='clip', disable=not is_interactive())
    scans = list(bar)
    raise_if_any([result for result in scans if isinstance(result, str)])
    return [result for result in scans if isinstance(result, Scan)]


def _scan_one(clip: Path) -> Scan | str:
    try:
        return scan(clip)
    except ValueError as error:
        return f'{clip}: {error}'


def _names(clips: Sequence[Path]) -> list[str]:
    """A name for each clip: of its file, or of its path where two are alike."""
    stems = [safe_key(clip.stem if clip.is_file() else clip.name) for clip in clips]
    return [
        stem if stems.count(stem) == 1 else safe_key(clip.as_posix().lstrip('/')) for stem, clip in zip(stems, clips)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare sets from videos, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('video', description=__doc__)
    add = parser.add_argument
    add('--input', type=Path, nargs='+', required=True, help='videos, or folders of videos or frames')
    add('--frames', type=ODD, nargs='+', default=[7, 11, 13], help='of an exposure: odd numbers (default 7 11 13)')
    add('--curve', choices=tuple(CURVES), default='srgb', help='of light (default %(default)s)')
    add('--gap', type=NATURAL, default=0, help='frames between two exposures (default %(default)s)')
    add('--search', type=NATURAL, default=4, help='how many frames later one may begin (default %(default)s)')
    add('--min-sharpness', type=SHARE, default=0.5, help='of the truth, as a share of its shot (default %(default)s)')
    add(
        '--moves',
        type=PIXELS,
        nargs=2,
        metavar=('LEAST', 'MOST'),
        help='pixels that the fastest tenth of a picture moves; other exposures are left out (default: none is)',
    )
    add('--extents', action='store_true', help='also write how far each pixel moved, to extent/')
    add_crop_arguments(parser, of='')
    add_writing_arguments(parser, output=None)
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)
    if crop and args.extents:
        parser.error('--extents are those of whole pictures: give no --crop-size')
    if args.moves and args.moves[0] > args.moves[1]:
        parser.error('--moves: LEAST is more than MOST')
    raise_if_any([f'{path.absolute()} does not exist' for path in args.input if not path.exists()])
    clips = find_clips(args.input)
    if not clips:
        raise PrepError(f'There are no videos and no pictures in {", ".join(map(str, args.input))}.')

    scans, names = scan_all(clips, workers=args.workers), _names(clips)
    how = {'gap': args.gap, 'search': args.search, 'min_sharpness': args.min_sharpness}
    exposures: dict[str, Exposure] = {}
    for clip, name, scanned in zip(clips, names, scans):
        of_clip = exposures_of(clip, scanned, counts=args.frames, **how)
        exposures.update((key_of(exposure, name), exposure) for exposure in of_clip)
        frames, shots = len(scanned.sharpness), len(scanned.shots())
        print(f'{clip}: {frames} frames, {shots} shot(s), {len(of_clip)} exposures')
    if not exposures:
        raise PrepError(
            f'No shot has {min(args.frames)} frames in a row with a sharp one in the middle: give fewer --frames, or '
            'a lower --min-sharpness.'
        )
    if args.moves:
        exposures = moving(exposures, *args.moves, workers=args.workers)
        if not exposures:
            raise PrepError('No exposure moves so far: give other --moves, or other numbers of --frames.')
    pairs = [Pair(key, Blurred(exposure, args.curve), Sharp(exposure)) for key, exposure in exposures.items()]
    source = f'video, curve {args.curve}'
    paired_set = PairedSet(pairs, args.output / 'input.lmdb', args.output / 'target.lmdb', crop, source)
    prepare([paired_set], workers=args.workers, overwrite=args.overwrite)
    if args.extents:
        extent = args.output / 'extent'
        write_extents(extent, exposures, source='optical flow', workers=args.workers, overwrite=args.overwrite)
    return 0


if __name__ == '__main__':
    sys.exit(run(main))
