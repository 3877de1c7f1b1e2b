"""Heat maps over pictures, and the panel that shows all of a picture side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

COLOURS = cv2.COLORMAP_VIRIDIS  # its lightness grows with the value, also for the colour-blind and in grey print
STRENGTH = 0.8  # of the colours over the picture
LARGEST = 420  # pixels of a tile's picture
SMALLEST = 300  # of a tile, for its text
COLUMNS = 3
MARGIN, LINE, BAR, LABELS = 14, 22, 16, 62
INK, PAPER = (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """One cell of a panel.

    Attributes:
        title, note: two lines above it.
        picture: (H, W, 3) uint8 BGR.
        values: a map to lay over the picture, (H, W); None shows the picture itself.
        ends: the values at the two ends of the colours.
    """

    title: str
    note: str
    picture: np.ndarray
    values: Optional[np.ndarray] = None
    unit: str = ''
    ends: tuple[float, float] = (0.0, 1.0)


def colour_ends(*maps: np.ndarray, from_zero: bool) -> tuple[float, float]:
    """The values at the ends of the colours for maps that share them: 0.5 % of the pixels lie beyond each.

    Args:
        maps: (H, W) each.
        from_zero: the lower end is 0 instead.
    """
    low = 0.0 if from_zero else min(float(np.quantile(values, 0.005)) for values in maps)
    high = max(float(np.quantile(values, 0.995)) for values in maps)
    return low, high if high > low else low + 1


def lay_over(picture: np.ndarray, values: np.ndarray, *, ends: tuple[float, float]) -> np.ndarray:
    """Colours of a map over the grey picture.

    Args:
        picture: (H, W, 3) uint8 BGR.
        values: (H, W).
        ends: get the first and the last colour, as does what lies beyond.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colours(values, ends=ends), STRENGTH, grey, 1 - STRENGTH, 0)


def colours(values: np.ndarray, *, ends: tuple[float, float]) -> np.ndarray:
    """A map (H, W) in colours, (H, W, 3) uint8 BGR; `ends` as in :func:`lay_over`."""
    shares = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
    return cv2.applyColorMap(np.round(255 * shares).astype(np.uint8), COLOURS)


def panel(tiles: Sequence[Tile]) -> np.ndarray:
    """All tiles of one picture in rows of three, (H, W, 3) uint8 BGR."""
    cells = [_cell(tile) for tile in tiles]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)])


def _cell(tile: Tile) -> np.ndarray:
    shown = _fit(tile.picture if tile.values is None else lay_over(tile.picture, tile.values, ends=tile.ends))
    height, width = shown.shape[:2]
    inner_height, inner_width = max(height, SMALLEST // 3), max(width, SMALLEST)
    top, bar_left = MARGIN + 2 * LINE, MARGIN + inner_width + 8
    cell = np.full((top + inner_height + LINE + MARGIN, bar_left + BAR + LABELS + MARGIN, 3), PAPER, np.uint8)
    cell[top : top + height, MARGIN : MARGIN + width] = shown
    _write(cell, tile.title, left=MARGIN, bottom=MARGIN + LINE - 8, size=0.6, weight=2)
    _write(cell, tile.note, left=MARGIN, bottom=MARGIN + 2 * LINE - 8, size=0.48)
    if tile.values is not None:
        ramp = np.linspace(255, 0, inner_height).round().astype(np.uint8)[:, None].repeat(BAR, axis=1)
        cell[top : top + inner_height, bar_left : bar_left + BAR] = cv2.applyColorMap(ramp, COLOURS)
        for share in (0, 0.5, 1):
            label = _number(tile.ends[0] + share * (tile.ends[1] - tile.ends[0]))
            bottom = top + round((1 - share) * (inner_height - 1)) + round(10 * share)
            _write(cell, label, left=bar_left + BAR + 5, bottom=bottom, size=0.45)
        _write(cell, tile.unit, left=bar_left - 8, bottom=top + inner_height + LINE - 5, size=0.45)
    return cell


def _number(value: float) -> str:
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'


def _fit(picture: np.ndarray) -> np.ndarray:
    """Reduced or enlarged so that its longer side is LARGEST pixels."""
    height, width = picture.shape[:2]
    scale = LARGEST / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def _write(canvas: np.ndarray, text: str, *, left: int, bottom: int, size: float, weight: int = 1) -> None:
    plain = text.encode('ascii', 'replace').decode()  # OpenCV's fonts have no other letters
    cv2.putText(canvas, plain, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, INK, weight, cv2.LINE_AA)
