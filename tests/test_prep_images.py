from __future__ import annotations

import cv2
import numpy as np
import pytest

from datasets_prep.images import check_png, encode, load
from tests.prep_trees import picture, save


def test_png_round_trip_and_header():
    array = picture(1)
    data = encode(array)
    header = check_png(data)
    assert (header.height, header.width, header.channels, header.is_rgb8) == (48, 64, 3, True)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), array)


def test_any_flipped_byte_and_any_truncation_is_found():
    data = encode(picture(1, height=6, width=7))
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(ValueError, match='PNG'):
            check_png(bytes(damaged))
        with pytest.raises(ValueError, match='PNG'):
            check_png(data[:position])


def test_rgb_png_files_are_kept_as_they_are(tmp_path):
    array = save(tmp_path / 'a.png', picture(1))
    loaded, data = load(tmp_path / 'a.png')
    np.testing.assert_array_equal(loaded, array)
    assert data == (tmp_path / 'a.png').read_bytes()


def test_other_kinds_become_three_channels_of_8_bits(tmp_path):
    grey = picture(1)[:, :, 0]
    kinds = {
        'grey.png': grey,
        'alpha.png': np.dstack([picture(1), grey]),
        'deep.png': picture(1).astype(np.uint16) * 257,
        'photo.jpg': picture(1),
    }
    for name, array in kinds.items():
        save(tmp_path / name, array)
        loaded, data = load(tmp_path / name)
        assert data is None, name
        assert (loaded.dtype, loaded.shape) == (np.uint8, (48, 64, 3)), name
        np.testing.assert_array_equal(loaded, cv2.imread(str(tmp_path / name), cv2.IMREAD_COLOR))
    np.testing.assert_array_equal(load(tmp_path / 'grey.png')[0], np.dstack([grey] * 3))


@pytest.mark.parametrize(('suffix', 'message'), [('.png', 'a truncated PNG'), ('.jpg', 'a truncated JPEG')])
def test_truncated_files_which_opencv_would_pass(tmp_path, suffix, message):
    path = tmp_path / f'a{suffix}'
    save(path, picture(1))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=message):
        load(path)


def test_what_is_no_picture(tmp_path):
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_text('<html>404</html>')
    with pytest.raises(ValueError, match='an empty file'):
        load(tmp_path / 'empty.png')
    with pytest.raises(ValueError, match='not decodable'):
        load(tmp_path / 'text.png')
    with pytest.raises(ValueError, match='not readable'):
        load(tmp_path / 'missing.png')
    for array in (picture(1)[:, :, 0], picture(1).astype(np.float32), picture(1)[:, :, :2], picture(1)[:0]):
        with pytest.raises(ValueError, match=r'uint8 of shape \(H, W, 3\)'):
            load(array)
