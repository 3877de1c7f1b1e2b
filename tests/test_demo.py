"""The demo's data and its comparison; the whole demo is `make demo`."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.demo.comparison import compare
from aibnet_arch.errors import UserError
from datasets_prep import demo, known_blur
from datasets_prep.motion_blur import Exposure, Motion, blur
from tests.training import make_dataset, options, reset_logger


@pytest.fixture
def texture():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def test_without_motion_the_picture_stays_as_it_is(texture):
    still = blur(texture, motion=Motion(camera=0, camera_turn=0, part=0), rng=np.random.default_rng(1))
    assert np.abs(still.astype(int) - texture).max() <= 1


def test_a_moving_part_blurs_a_part_and_a_moving_camera_all(texture):
    blurred = {
        name: blur(texture, motion=motion, rng=np.random.default_rng(1)).astype(float)
        for name, motion in {
            'part': Motion(camera=0, camera_turn=0, part=8),
            'camera': Motion(camera=8, camera_turn=0, part=0),
        }.items()
    }
    changed = {name: (np.abs(picture - texture).max(axis=2) > 8).mean() for name, picture in blurred.items()}
    assert 0.05 < changed['part'] < 0.6
    assert changed['camera'] > 0.9


def test_the_extent_says_where_a_picture_is_blurred_and_how_far(texture):
    rng = np.random.default_rng(1)
    exposure = Exposure.draw(96, 128, motion=Motion(camera=0, camera_turn=0, part=8), rng=rng)
    extent = exposure.extent()
    changed = np.abs(exposure.blur(texture).astype(int) - texture).max(axis=2) > 1
    assert not changed[extent == 0].any()
    assert 0.05 < (extent > 0).mean() < 0.6
    path = np.linalg.norm(np.diff(exposure.own, axis=0), axis=1).sum()
    assert extent.max() == pytest.approx(path, rel=1e-5)
    assert 8 <= path < 8.5  # a bent path is a little longer


def test_the_extent_of_a_turn_grows_with_the_distance_from_the_centre():
    exposure = Exposure.draw(96, 128, motion=Motion(0, camera_turn=2, part=0), rng=np.random.default_rng(2))
    rows, columns = np.mgrid[:96, :128]
    distance = np.hypot(rows - 48, columns - 64)
    assert np.abs(exposure.extent() - distance * np.deg2rad(2)).max() < 1e-3


def test_frames_are_averaged_in_linear_light():
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, 32:] = 255
    blurred = blur(picture, motion=Motion(camera=12, camera_turn=0, part=0), rng=np.random.default_rng(3))
    half = 255 * 0.5 ** (1 / 2.2)  # half of the light, not half of the value
    assert np.abs(blurred[16, 29:35, 0].astype(float) - half).min() < 16


def test_the_sets_have_different_pictures_and_are_made_anew_the_same():
    assert not set(demo.TRAIN_PICTURES) & set(demo.VAL_PICTURES)
    draws = [demo.draw_shots(('coffee.png',), shots=2, steady_every=0, rng=np.random.default_rng(5)) for _ in range(2)]
    for first, second in zip(*([shot.pair() for shot in shots] for shots in draws)):
        assert first.key == second.key
        assert np.array_equal(first.lq, second.lq)
        assert np.array_equal(first.gt, demo.shipped_picture('coffee.png'))


def test_all_pictures_are_shipped():
    for name in demo.TRAIN_PICTURES + demo.VAL_PICTURES:
        assert max(demo.shipped_picture(name).shape[:2]) <= demo.LARGEST_SIDE
    with pytest.raises(demo.PrepError, match='does not ship'):
        demo.shipped_picture('nothing.png')


def test_the_comparison_measures_every_sub_decoder_and_writes_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path)
    opt = options()
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump(opt))
    reset_logger()
    with pytest.raises(UserError, match='has the training of run finished'):
        compare('opt.yml')
    net = AIBNet(**{key: value for key, value in opt['network_g'].items() if key != 'type'})
    models = tmp_path / 'experiments/run/models'
    models.mkdir(parents=True)
    torch.save({'params': net.state_dict()}, models / 'net_g_latest.pth')
    means = compare('opt.yml')
    assert list(means) == ['blurred input', 'sub-decoder 1', 'sub-decoder 2']
    # A fresh network gives the image back.
    assert means['blurred input'] == means['sub-decoder 1'] == means['sub-decoder 2']
    printed = capsys.readouterr().out
    assert str(tmp_path / 'experiments/run/before_after_truth.png') in printed
    assert cv2.imread(str(tmp_path / 'experiments/run/before_after_truth.png')).shape == (80, 120, 3)


def test_known_blur_holds_the_validation_pictures_with_their_extent(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(known_blur, 'PARTLY_PICTURES', ('brick.png',))
    output = tmp_path / 'known'
    assert known_blur.main(['--output', str(output)]) == 0
    shots = demo.demo_shots()[1]
    assert sorted(path.stem for path in (output / 'demo/extent').iterdir()) == sorted(shot.key for shot in shots)
    for shot in shots[:1]:
        stored = cv2.imread(str(output / f'demo/extent/{shot.key}.png'), cv2.IMREAD_UNCHANGED)
        assert np.abs(stored / 256 - shot.exposure.extent()).max() < 0.003
        assert np.array_equal(cv2.imread(str(output / f'demo/input/{shot.key}.png')), shot.pair().lq)
    for path in (output / 'partly/extent').iterdir():
        extent = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 256
        assert np.quantile(extent, 0.5) < 1 < 3 < extent.max()  # sharp but for a part
    with pytest.raises(demo.PrepError, match='there already'):
        known_blur.main(['--output', str(output)])


def test_without_arguments_it_trains_the_shipped_options():
    from aibnet_arch.demo import __main__ as demo

    assert Path(__file__).parent.parent / 'options' / 'AIBNet_demo.yml' == demo.OPTIONS
    assert demo.OPTIONS.is_file()
