"""Heat maps over pictures, and the panel that shows all of a picture side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

COLOURS = cv2.COLORMAP_VIRIDIS  # its lightness grows with the value, also for the colour-blind and in grey print
STRENGTH = 0.75  # of the colours over the picture
LARGEST = 420  # pixels of a tile's picture
SMALLEST = 300  # of a tile, for its text
COLUMNS = 3
MARGIN, LINE, BAR = 14, 22, 16
INK, PAPER = (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """One cell of a panel.

    Attributes:
        title, note: two lines above it.
        picture: (H, W, 3) uint8 BGR.
        values: a map to lay over the picture, (H, W); None shows the picture itself.
        unit: of the values.
        highest: the value at the upper end of the colours.
    """

    title: str
    note: str
    picture: np.ndarray
    values: Optional[np.ndarray] = None
    unit: str = ''
    highest: float = 1.0


def upper_end(*maps: np.ndarray) -> float:
    """The value at the upper end of the colours for maps that share them: what 0.5 % of the pixels exceed."""
    end = max((float(np.quantile(values, 0.995)) for values in maps), default=0.0)
    return end if end > 0 else 1.0


def lay_over(picture: np.ndarray, values: np.ndarray, *, highest: float) -> np.ndarray:
    """Colours of a map over the grey picture.

    Args:
        picture: (H, W, 3) uint8 BGR.
        values: (H, W), from 0 up.
        highest: gets the last colour, as does all above it.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    colours = cv2.applyColorMap(np.round(255 * np.clip(values / highest, 0, 1)).astype(np.uint8), COLOURS)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colours, STRENGTH, grey, 1 - STRENGTH, 0)


def panel(tiles: Sequence[Tile]) -> np.ndarray:
    """All tiles of one picture in rows of three, (H, W, 3) uint8 BGR."""
    cells = [_cell(tile) for tile in tiles]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)])


def _cell(tile: Tile) -> np.ndarray:
    shown = tile.picture if tile.values is None else lay_over(tile.picture, tile.values, highest=tile.highest)
    shown = _fit(shown)
    height, width = shown.shape[:2]
    inner_height, inner_width = max(height, SMALLEST // 3), max(width, SMALLEST)
    top = MARGIN + 2 * LINE
    bar_left = MARGIN + inner_width + 8
    scale_width = BAR + 62
    cell = np.full((top + inner_height + MARGIN + LINE, bar_left + scale_width + MARGIN, 3), PAPER, np.uint8)
    cell[top : top + height, MARGIN : MARGIN + width] = shown
    _write(cell, tile.title, (MARGIN, MARGIN + LINE - 8), size=0.6, weight=2)
    _write(cell, tile.note, (MARGIN, MARGIN + 2 * LINE - 8), size=0.48)
    if tile.values is not None:
        bar = cell[top : top + inner_height, bar_left : bar_left + BAR]
        ramp = np.linspace(255, 0, inner_height).round().astype(np.uint8)[:, None].repeat(BAR, axis=1)
        bar[:] = cv2.applyColorMap(ramp, COLOURS)
        for share in (0, 0.5, 1):
            place = (bar_left + BAR + 5, top + round((1 - share) * (inner_height - 1)) + (10 if share == 1 else 4))
            _write(cell, f'{share * tile.highest:.3g}', place, size=0.45)
        _write(cell, tile.unit, (bar_left + BAR + 62 - 9 * len(tile.unit), top + inner_height + LINE - 4), size=0.45)
    return cell


def _fit(picture: np.ndarray) -> np.ndarray:
    """Reduced or enlarged so that its longer side is LARGEST pixels."""
    height, width = picture.shape[:2]
    scale = LARGEST / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], *, size: float, weight: int = 1) -> None:
    plain = text.encode('ascii', 'replace').decode()  # OpenCV's fonts have no other letters
    cv2.putText(canvas, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, weight, cv2.LINE_AA)
