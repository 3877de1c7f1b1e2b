from __future__ import annotations

import numpy as np
import pytest

from datasets_prep import Crop


def test_the_published_positions_on_gopro():
    windows = Crop(512, 256).windows(height=720, width=1280)
    assert windows == [(row, column) for row in (0, 208) for column in (0, 256, 512, 768)]


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (64, 100), (95, 96)])
def test_windows_cover_every_pixel_and_stay_inside(height, width):
    covered = np.zeros((height, width), bool)
    windows = Crop(32, 16).windows(height=height, width=width)
    for row, column in windows:
        assert 0 <= row <= height - 32
        assert 0 <= column <= width - 32
        covered[row : row + 32, column : column + 32] = True
    assert covered.all()
    assert len(set(windows)) == len(windows)


def test_without_a_step_the_centre():
    assert Crop(256).windows(height=720, width=1280) == [(232, 512)]
    assert Crop(256).key('a', 0) == 'a'
    assert Crop(256, 128).key('a', 9) == 'a_s010'


def test_bad_sizes():
    with pytest.raises(ValueError, match='31x64 is smaller than the crop size 32'):
        Crop(32, 16).windows(height=31, width=64)
    for size, step in ((0, 1), (8, 0), (-1, None)):
        with pytest.raises(ValueError, match='positive'):
            Crop(size, step)
