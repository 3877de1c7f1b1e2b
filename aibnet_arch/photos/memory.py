"""How large a piece of a picture the network can take within a memory limit: measured on this very network."""

import ctypes
import gc
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import psutil
import torch

from ..errors import PictureError
from ..profiling.peak_memory import peak_memory as watched

UNITS = {'B': 1}
UNITS.update({f'{prefix}{end}': 1000**n for n, prefix in enumerate('KMGT', start=1) for end in ('', 'B')})
UNITS.update({f'{prefix}IB': 1024**n for n, prefix in enumerate('KMGT', start=1)})
MULTIPLE = 16  # of pixels: sides of tiles, unless a network needs another one
MARGIN = 1.1  # on what the network takes: where freed memory lies about in pieces, it varies
OTHERS_MARGIN = 1.4  # FFTformer's grows by a third over a picture of many tiles
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's numbers
STRIP_BYTES = 32 << 20  # a strip's maps are smaller, whole maps larger
WHOLE_MAP_BYTES = 1 << 30
LARGEST_TILE = 2048  # that is chosen on a CPU without a limit: 24 megapixels took twice as long whole
BAND_BYTES = 24  # for each pixel of a row of tiles, while they are blended


class LimitError(PictureError):
    """The memory limit is too low for the smallest tile; the message says the least that works."""


def parse_size(text: str) -> int:
    """'2GB' (1000s) or '2GiB' (1024s) in bytes.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r'\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*', text)
    size = float(match[1]) * UNITS.get(match[2].upper(), 0) if match else 0
    if size < 1:
        raise ValueError(f'{text!r} is no amount of memory: expected e.g. 2GB or 1500MiB')
    return int(size)


def shown_size(size: float) -> str:
    """Bytes for people, rounded up, so that it is enough."""
    return f'{math.ceil(size / 1e7) / 100:.2f} GB'


def used_memory(device: torch.device) -> int:
    """Bytes that this process holds: on a GPU, of its memory."""
    if device.type == 'cuda':
        return torch.cuda.memory_reserved(device)
    if device.type == 'mps':
        return torch.mps.driver_allocated_memory()
    return psutil.Process().memory_info().rss


def available_memory(device: torch.device) -> int:
    """Bytes that this process could still take."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    if device.type == 'mps':  # the machine's own memory, of which the GPU may have a part
        left = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return max(min(left, psutil.virtual_memory().available), 0)
    return int(min(psutil.virtual_memory().available, _available_in_container()))


def _available_in_container(group: Path = Path('/sys/fs/cgroup')) -> float:
    """What a Linux container's limit leaves, without the files that are cached in it."""
    try:
        most = int((group / 'memory.max').read_text())
        statistics = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines())
        used = int((group / 'memory.current').read_text()) - int(statistics['inactive_file'])
    except (OSError, ValueError, KeyError):  # no container, no limit ('max'), another system
        return math.inf
    return max(most - used, 0)


def release_freed_memory(device: torch.device) -> None:
    """Give memory that is free, but kept for the next request, back to the system.

    On a CPU the C library keeps it, in pieces that a larger request may not fit into. glibc can be asked.
    """
    if device.type == 'cuda':
        torch.cuda.empty_cache()
    elif device.type == 'mps':
        torch.mps.empty_cache()
    elif _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)


def keep_freed_memory(largest: int) -> None:
    """Let the C library keep all that is freed for the next request, until :func:`release_freed_memory`.

    It gives large pieces back at once, and the system clears their pages anew for the next map of a network, which
    takes up to half of a picture's time. The price is memory, up to two fifths more, since freed pieces lie about; much
    less with STRIP_BYTES, where whole maps are given back, and what is free beyond two pieces.
    glibc alone can be asked; it holds for the whole process, from now on.

    Args:
        largest: bytes of a piece that is kept.
    """
    if _MALLOPT is not None:
        _MALLOPT(MMAP_THRESHOLD, largest)
        _MALLOPT(TRIM_THRESHOLD, min(2 * largest, (1 << 31) - 1))  # the most that it takes


def _of_glibc(name: str) -> Optional[Callable[..., int]]:
    """A function of glibc, or None with another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


_MALLOC_TRIM, _MALLOPT = _of_glibc('malloc_trim'), _of_glibc('mallopt')


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """The most that :func:`used_memory` was while `run` ran."""
    release_freed_memory(device)
    with watched(device, reserved=True) as highest:
        run()
    return highest[0]


class TileChooser:
    """Chooses the largest tile that keeps the process within a limit.

    The network is run on squares, each twice (in the end 1.4 times) as wide as the one before, until it is known that
    the piece fits, or that the next square would not. Beyond what was measured, memory is taken to grow with the area
    as between the last two; the true growth is slower, since its fixed parts weigh less and less.

    Args:
        restore_square: runs the network on a square of that side.
        device: where.
        limit: bytes, for the whole process; on a GPU for its memory. None: what is taken already and half of what is
            free, and on a CPU no piece of more than LARGEST_TILE x LARGEST_TILE, since larger maps are slower there.
        smallest: side of the smallest tile.
        least_slope: bytes that a pixel takes in any case. What a square takes may hide in memory that is free again.
        multiple: sides of tiles are multiples of it.
        padded: the size that the network runs at for a picture of this height and width.
        margin: what the network is reckoned with over what was measured.
    """

    def __init__(
        self,
        restore_square: Callable[[int], object],
        *,
        device: torch.device,
        limit: Optional[int],
        smallest: int,
        least_slope: float,
        multiple: int = MULTIPLE,
        padded: Callable[[int, int], tuple[int, int]] = lambda height, width: (height, width),
        margin: float = MARGIN,
    ) -> None:
        self._restore_square, self._device, self._least_slope = restore_square, device, least_slope
        self._multiple, self._padded, self._margin = multiple, padded, margin
        # The system clears the pages of each large map anew.
        self._largest_area = LARGEST_TILE**2 if limit is None and device.type == 'cpu' else math.inf
        self.limit = used_memory(device) + available_memory(device) // 2 if limit is None else int(limit)
        self.smallest = smallest
        self._points: list[tuple[int, int]] = []  # area, peak

    def choose(self, height: int, width: int, *, held: int) -> Optional[int]:
        """The side of the tiles for a picture, or None: it is one piece.

        Args:
            height, width: of the picture.
            held: bytes that the picture itself takes meanwhile.

        Raises:
            LimitError: not even the smallest tile fits.
        """
        if not self._points:
            self._restore_square(self._multiple)  # what the first run sets up for all others is none of a square's need
            gc.collect()
            release_freed_memory(self._device)
            self._points.append((0, used_memory(self._device)))
            self._measure(self.smallest)
        on_cpu = self._device.type == 'cpu'
        budget = self.limit - (held if on_cpu else 0)
        band_bytes = BAND_BYTES * width if on_cpu else 0
        area = math.prod(map(self._rounded_up, self._padded(height, width)))
        fits = self._area_within(budget)
        while fits < min(area, self._largest_area):
            last = math.isqrt(self._points[-1][0])
            steps = (last * 2, last * 7 // 5 // self._multiple * self._multiple)
            larger = next((side for side in steps if side > last and side * side <= fits), None)
            if larger is None:
                break
            self._measure(larger)
            fits = self._area_within(budget)
        fits = int(min(fits, self._largest_area))
        if area <= fits:
            return None
        side = max(math.isqrt(max(fits, 0)) // self._multiple * self._multiple, self.smallest)
        while self._area_within(budget - side * band_bytes) < side * side:
            if side == self.smallest:
                least = self._need(1) + side * band_bytes + self.limit - budget
                raise LimitError(
                    f'the memory limit of {shown_size(self.limit)} is too low: tiles of {side} pixels, the smallest, '
                    f'need {shown_size(least)}'
                )
            side = max(side - self._multiple, self.smallest)
        return side

    def _measure(self, side: int) -> None:
        peak = peak_memory(lambda: self._restore_square(side), self._device)
        self._points.append((side * side, max(peak, self._points[-1][1])))

    def _need(self, index: int) -> float:
        """What is reckoned with where a peak was measured."""
        base = self._points[0][1]
        return base + self._margin * (self._points[index][1] - base)

    def _area_within(self, budget: int) -> int:
        """The largest area whose need is within `budget`, less than 0 if none."""
        last = len(self._points) - 1
        index = next((index for index in range(1, last) if self._need(index) > budget), last)
        (area, _), (larger, _) = self._points[index - 1 : index + 1]
        need, higher = self._need(index - 1), self._need(index)
        slope = max((higher - need) / (larger - area), self._least_slope)
        return int(area + (budget - need) / slope)

    def _rounded_up(self, length: int) -> int:
        return -(-length // self._multiple) * self._multiple
