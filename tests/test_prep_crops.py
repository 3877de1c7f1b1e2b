from __future__ import annotations

import cv2
import numpy as np
import pytest

from datasets_prep import Crop
from datasets_prep.crops import DetailedCrop
from datasets_prep.encoding import encode_pair
from datasets_prep.images import decode
from datasets_prep.pairs import Pair


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
    assert Crop(1, 1).windows(height=1, width=2) == [(0, 0), (0, 1)]


def test_windows_without_detail_are_left_out_but_never_all():
    rng = np.random.default_rng(0)
    picture = np.full((64, 128, 3), 90, np.uint8)
    picture[:, :64] = rng.integers(0, 256, (64, 64, 3))
    crop = DetailedCrop(32, 32)
    assert Crop(32, 32).chosen(picture) == crop.windows(height=64, width=128)
    assert crop.chosen(picture) == [(row, column) for row in (0, 32) for column in (0, 32)]
    # Faint noise changes by less than 34 dB: the window with most of it stays.
    faint = np.full((64, 128, 3), 90, np.uint8)
    faint[40:60, 70:90] = rng.integers(89, 92, (20, 20, 3))
    assert crop.chosen(faint) == [(32, 64)]
    assert DetailedCrop(32, 32, most_db=70).chosen(faint) == [(32, 64)]
    assert len(crop.chosen(np.zeros_like(faint))) == len(crop.windows(height=64, width=128))


def test_the_limit_is_a_psnr_of_the_blurred_window():
    rng = np.random.default_rng(0)
    picture = np.full((32, 64, 3), 90, np.uint8)
    picture[:, :32] = rng.integers(0, 256, (32, 32, 3))
    picture[:, 32:] = rng.integers(85, 96, (32, 32, 3))
    blurred = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 2)
    psnr = 10 * np.log10(255**2 / np.square(picture - blurred)[:, 32:].mean())
    assert DetailedCrop(32, 32, most_db=psnr + 0.01).chosen(picture) == [(0, 0), (0, 32)]
    assert DetailedCrop(32, 32, most_db=psnr - 0.01).chosen(picture) == [(0, 0)]


def test_what_is_stored_of_detailed_crops_is_numbered_without_gaps():
    picture = np.full((32, 128, 3), 90, np.uint8)
    picture[:, 96:] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    encoded = encode_pair(Pair('a', picture, picture), crop=DetailedCrop(32, 32))
    assert [key for key, _, _ in encoded.entries] == ['a_s001']
    assert np.array_equal(decode(encoded.entries[0][2]), picture[:, 96:])
