"""Camera shake, moving parts and the sensor: the generator of datasets_prep.shake."""

import copy
from dataclasses import replace

import cv2
import lmdb
import numpy as np
import pytest

from datasets_prep.camera_shake import FRAMES, MovingPart, Shake, random_path, random_turns, soft_blob
from datasets_prep.cli import run
from datasets_prep.focus import Defocus, disc
from datasets_prep.images import reduced
from datasets_prep.pairs import Pair
from datasets_prep.sensor import Sensor, to_light, to_picture
from datasets_prep.shake import _expose, _focused, _known_states, _random_numbers, main, pairs_of_files
from datasets_prep.shake_settings import ShakeSettings

STILL = np.zeros((FRAMES, 2))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def photograph(height=96, width=128):
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a) * np.cos(columns / b) for a, b in ((5, 7), (9, 4), (3, 11))]
    return np.round(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def shaken_pairs(key, sharp, *, settings):
    """All exposures of a picture, drawn one after the other."""
    rng, target = _random_numbers(key, settings), reduced(sharp, settings.largest_side)
    focused = [_focused(target, f'{key}-{number}', settings) for number in range(settings.exposures)]
    pairs = []
    for number, picture in enumerate(focused):
        before = copy.deepcopy(rng)
        sides = (_expose(picture, number, side, settings=settings, rng=each) for side, each in enumerate((rng, before)))
        pairs.append(Pair(f'{key}-{number}', *sides))
    return pairs


def made_pairs(folder, sharp, *, settings):
    """All exposures of a picture file, as they are when they are needed."""
    cv2.imwrite(str(folder / 'a.png'), sharp)
    return [
        Pair(pair.key, pair.lq.make(), pair.gt.make())
        for pair in pairs_of_files({'a': folder / 'a.png'}, settings=settings)
    ]


def steps(picture):
    return np.abs(np.diff(picture.astype(int), axis=1)).mean()


def entries(folder):
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as reader:
        return {
            key.decode(): cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR)
            for key, value in reader.cursor()
        }


def test_light_and_picture_are_each_others_inverse():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_picture(to_light(levels)), levels)
    assert to_light(np.array([188], np.uint8)) == pytest.approx(0.5029, abs=1e-4)  # sRGB's mid grey of light


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('part', [False, True])
def test_what_stands_between_pixels_is_seen_as_crisp_as_on_them(axis, part):
    # Stripes of four pixels: bilinear interpolation between two pixels leaves 0.71 of them.
    stripes = 0.5 + 0.4 * np.sin(np.pi / 2 * np.indices((40, 40))[1 - axis] + np.pi / 4)
    light = np.repeat(stripes[..., None], 3, axis=2).astype(np.float32)
    half, still = np.zeros((1, 2)), np.zeros((1, 2))
    half[0, axis] = 0.5
    everywhere = MovingPart(np.ones((40, 40), np.float32), half)
    shake = Shake(still, np.zeros(1), [everywhere]) if part else Shake(half, np.zeros(1))
    seen = shake.expose(light)[10:30, 10:30]
    assert np.ptp(seen) == pytest.approx(0.8, rel=0.04)  # the crests come to lie on pixels


@pytest.mark.parametrize('length', [0.0, 3.0, 18.0])
def test_a_path_has_its_length_and_its_mean_at_the_origin(length, rng):
    path = random_path(length, rng)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(length)
    assert path.mean(axis=0) == pytest.approx((0, 0), abs=1e-12)
    assert random_turns(length, rng).mean() == pytest.approx(0, abs=1e-12)


def test_paths_go_in_all_directions(rng):
    angles = [np.arctan2(*(path[-1] - path[0])[::-1]) for path in (random_path(10, rng) for _ in range(400))]
    counts = np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0]
    assert counts.min() > 25  # 50 each, if all are alike


def test_a_still_camera_gives_the_picture_back():
    picture = photograph()
    light = Shake(camera=STILL, turns=np.zeros(FRAMES)).expose(to_light(picture))
    assert np.array_equal(to_picture(light), picture)


def test_a_point_of_light_draws_the_path_about_its_place(rng):
    path = random_path(12, rng)
    light = np.zeros((65, 65, 3), np.float32)
    light[32, 32] = 1
    seen = Shake(camera=path, turns=np.zeros(FRAMES)).expose(light)[..., 0]
    assert seen.sum() == pytest.approx(1, abs=1e-3)  # no light is lost
    rows, columns = np.mgrid[:65, :65]
    centre = np.array([(columns * seen).sum(), (rows * seen).sum()]) - 32
    assert centre == pytest.approx((0, 0), abs=0.05)
    seen_path = np.round(path).astype(int) + 32
    assert (seen[seen_path[:, 1], seen_path[:, 0]] > 0).all()


def test_only_the_moving_part_is_blurred_before_a_still_camera(rng):
    picture = photograph()
    mask = np.zeros(picture.shape[:2], np.float32)
    mask[30:60, 40:80] = 1
    light = Shake(STILL, np.zeros(FRAMES), [MovingPart(mask, random_path(10, rng))]).expose(to_light(picture))
    changed = (to_picture(light) != picture).any(axis=-1)
    assert changed[35:55, 45:75].mean() > 0.5
    assert not changed[:15].any() and not changed[:, :25].any()


def test_turns_leave_the_centre_and_move_the_border(rng):
    picture = photograph()
    light = Shake(STILL, random_turns(8, rng)).expose(to_light(picture))
    change = np.abs(to_picture(light).astype(int) - picture).mean(axis=-1)
    assert change[44:52, 60:68].mean() < 0.3 * change[:, :16].mean()


def test_blobs_are_masks(rng):
    for _ in range(20):
        mask = soft_blob(96, 128, rng)
        assert mask.min() == 0 and mask.max() == 1 and mask.dtype == np.float32


def test_noise_has_the_variance_that_is_asked_for(rng):
    light = np.full((200, 200, 3), 0.4, np.float32)
    sensor = Sensor(shot_noise=1e-4, read_noise=0.01)
    seen = to_light(sensor.record(light, rng))
    assert np.var(seen) == pytest.approx(1e-4 * 0.4 + 1e-4, rel=0.05)


def test_clipped_lights_draw_bright_streaks(rng):
    picture = np.full((64, 64, 3), 20, np.uint8)
    picture[30:34, 30:34] = 255
    shake = Shake(random_path(20, rng), np.zeros(FRAMES))
    brightest = [
        to_picture(shake.expose(Sensor(boost=boost).unclipped(to_light(picture)))).max() for boost in (0.0, 5.0)
    ]
    assert brightest[1] > brightest[0] + 30


def test_jpeg_of_low_quality_changes_more(rng):
    light = to_light(photograph())
    errors = [np.abs(Sensor(quality=q).record(light, rng).astype(int) - photograph()).mean() for q in (30, 75, 98)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_pairs_hang_on_the_key_and_the_seed_alone():
    settings = ShakeSettings(exposures=3, sharp=0.4)
    first, again = (shaken_pairs('a', photograph(), settings=settings) for _ in range(2))
    other = shaken_pairs('b', photograph(), settings=settings)
    seed = shaken_pairs('a', photograph(), settings=ShakeSettings(exposures=3, sharp=0.4, seed=1))
    assert all(np.array_equal(one.lq, two.lq) for one, two in zip(first, again))
    assert not np.array_equal(first[-1].lq, other[-1].lq)
    assert not np.array_equal(first[-1].lq, seed[-1].lq)
    assert np.array_equal(first[0].lq, first[0].gt)  # one of three is left sharp
    assert all(not np.array_equal(pair.lq, pair.gt) for pair in first[1:])


@pytest.mark.parametrize('video', [0.0, 1.0])
def test_truth_is_what_the_same_camera_sees_at_rest_lights_included(video, tmp_path):
    still = {'steady': 1.0, 'path': 0, 'turn': 0, 'parts': 0, 'noise': 0, 'quality': 100, 'video': video}
    settings = ShakeSettings(exposures=6, sharp=0, boost=3.0, **still)
    monochrome = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], 64, axis=1).repeat(3, axis=2)
    pairs = made_pairs(tmp_path, monochrome, settings=settings)
    clipped = [pair.gt >= 250 for pair in pairs]
    assert np.mean(clipped) > 2 * (monochrome >= 250).mean()
    for pair, bright in zip(pairs, clipped):
        assert pair.lq[bright].min() >= 245, 'the camera hardly moves'


def test_truth_is_the_picture_where_no_light_was_brighter_than_white():
    settings = ShakeSettings(exposures=3, sharp=0.4, boost=0)
    pairs = shaken_pairs('a', photograph(), settings=settings)
    assert all(np.array_equal(pair.gt, photograph()) for pair in pairs[1:])


def test_out_of_focus_the_target_is_soft_too_and_the_rest_as_without():
    plain, soft = (
        shaken_pairs('a', photograph(), settings=ShakeSettings(exposures=3, sharp=0.4, defocus=share))
        for share in (0.0, 1.0)
    )
    assert np.array_equal(soft[0].lq, soft[0].gt) and not np.array_equal(soft[0].gt, plain[0].gt)
    for before, after in zip(plain, soft):
        assert (
            np.abs(np.diff(after.gt.astype(int), axis=1)).mean() < np.abs(np.diff(before.gt.astype(int), axis=1)).mean()
        )
    # The same noise and the same shake, of a softer picture.
    assert np.corrcoef(plain[2].lq.ravel(), soft[2].lq.ravel())[0, 1] > 0.8


def test_a_disc_takes_no_light_and_a_mask_says_where(rng):
    light = rng.random((40, 60, 3), np.float32)
    mask = np.zeros((40, 60), np.float32)
    mask[:, 30:] = 1
    soft = Defocus(2.5, mask).soften(light)
    assert np.array_equal(soft[:, :30], light[:, :30])
    assert soft[:, 33:].std() < 0.5 * light[:, 33:].std()
    assert [disc(radius).sum() for radius in (0.5, 2.0, 3.7)] == pytest.approx([1, 1, 1])
    assert disc(0.5).shape == (3, 3) and disc(3.7).shape == (9, 9)


@pytest.mark.parametrize('count', [3, 7, 11])
def test_a_video_has_few_frames_and_is_seen_from_the_one_in_the_middle(count, rng):
    path = random_path(24, rng)
    filmed = Shake(path, random_turns(1, rng), [MovingPart(np.ones((9, 9)), path)]).filmed(count)
    assert len(filmed.camera) == len(filmed.turns) == len(filmed.parts[0].path) == count
    assert not filmed.camera[count // 2].any() and not filmed.turns[count // 2]
    assert filmed.camera[-1] - filmed.camera[0] == pytest.approx(path[-1] - path[0])


def test_slow_video_shows_ghosts():
    light = np.zeros((65, 65, 3), np.float32)
    light[32, 32] = 1
    path = np.stack((np.linspace(-16, 16, FRAMES), np.zeros(FRAMES)), axis=1)
    seen = Shake(path, np.zeros(FRAMES)).filmed(3).expose(light)[32, :, 0]
    assert np.flatnonzero(seen > 0.3).tolist() == [16, 32, 48]


def test_frames_of_a_video_are_recorded_each_by_itself_the_target_too(tmp_path, monkeypatch):
    monkeypatch.setattr('datasets_prep.shake.draw_sensor', lambda *_: Sensor(read_noise=0.03))
    settings = ShakeSettings(exposures=12, sharp=0, steady=0, path=0, turn=0, parts=0, video=1.0)

    def noise(picture):
        return float(np.std(picture.astype(float) - photograph()))

    # Nothing moves: the mean of n frames has 1 / sqrt(n) of the noise that its frame in the middle, the target, has.
    shares = [noise(pair.lq) / noise(pair.gt) for pair in made_pairs(tmp_path, photograph(), settings=settings)]
    assert 0.28 < min(shares) < 0.4 and 0.5 < max(shares) < 0.62  # n = 11 and n = 3


def test_a_videos_target_is_the_frame_in_the_middle_where_the_picture_is(tmp_path):
    settings = ShakeSettings(exposures=6, sharp=0, noise=0, boost=0, quality=100, video=1.0)
    for pair in made_pairs(tmp_path, photograph(), settings=settings):
        errors = [np.abs(side.astype(int) - photograph()).mean() for side in (pair.lq, pair.gt)]
        assert errors[1] < errors[0]
        assert steps(pair.gt) > 0.9 * steps(photograph())


def test_what_is_no_video_is_as_it_would_be_without(tmp_path):
    settings = ShakeSettings(exposures=8, sharp=0.25)
    plain = made_pairs(tmp_path, photograph(), settings=settings)
    mixed = made_pairs(tmp_path, photograph(), settings=replace(settings, video=0.5))
    same = [np.array_equal(one.lq, two.lq) and np.array_equal(one.gt, two.gt) for one, two in zip(plain, mixed)]
    assert same[:2] == [True, True], 'sharp ones are left alone'
    assert 1 <= sum(same[2:]) <= 5
    assert all(not np.array_equal(two.gt, photograph()) for two, kept in list(zip(mixed, same))[2:] if not kept)


def test_a_folder_becomes_two_lmdb_folders(tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('one', 'two'):
        cv2.imwrite(str(tmp_path / 'in' / f'{name}.png'), photograph())
    arguments = ['--input', str(tmp_path / 'in'), '--output', str(tmp_path / 'out'), '--workers', '1']
    assert main([*arguments, '--exposures', '2', '--sharp', '0', '--largest-side', '64']) == 0
    lq, gt = (entries(tmp_path / 'out' / f'{name}.lmdb') for name in ('input', 'target'))
    assert sorted(lq) == sorted(gt) == ['one-0', 'one-1', 'two-0', 'two-1']
    assert all(lq[key].shape == gt[key].shape == (48, 64, 3) for key in lq)


@pytest.mark.parametrize(
    ('flags', 'told'),
    [
        (['--sharp', '1.5'], '--sharp 1.5: expected a share from 0 to 1'),
        (['--quality', '0'], '--quality 0: expected a quality from 1 to 100'),
        (['--path', '-3'], '--path -3.0: expected 0 or more'),
        (['--exposures', '0'], '--exposures 0: expected 1 or more'),
    ],
)
def test_settings_out_of_range_are_refused(flags, told, tmp_path):
    from datasets_prep.errors import PrepError

    with pytest.raises(PrepError, match=told):
        main(['--input', str(tmp_path), '--output', str(tmp_path / 'out'), *flags])
    assert not (tmp_path / 'out').exists()


def test_a_folder_without_pictures_is_refused(tmp_path):
    from datasets_prep.errors import PrepError

    with pytest.raises(PrepError, match='no pictures in'):
        main(['--input', str(tmp_path), '--output', str(tmp_path / 'out')])


@pytest.mark.parametrize('sharp', [0.0, 0.4])
def test_pictures_made_when_needed_are_those_made_at_once(sharp, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), photograph(150, 200))
    settings = ShakeSettings(exposures=4, sharp=sharp, largest_side=100)
    at_once = shaken_pairs('a', photograph(150, 200), settings=settings)
    lazy = pairs_of_files({'a': tmp_path / 'a.png'}, settings=settings)
    assert [pair.key for pair in lazy] == [pair.key for pair in at_once]
    for one, other in zip(lazy, at_once):
        for side in ('lq', 'gt'):
            np.testing.assert_array_equal(getattr(one, side).make(), getattr(other, side))


@pytest.mark.parametrize('order', [[3, 1, 4, 0, 2, 3], [0, 4, 4, 1], [2, 2]])
def test_pictures_are_the_same_in_whatever_order_they_are_made(order, tmp_path):
    for name, seed in (('a', 1), ('b', 2)):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8))
    files = {name: tmp_path / f'{name}.png' for name in 'ab'}
    pairs = pairs_of_files(files, settings=ShakeSettings(exposures=5, sharp=0.2, largest_side=50))
    at_once = [pair.lq.make() for pair in pairs]
    _known_states.cache_clear()
    for of_picture in (0, 5):
        for number in order:
            assert np.array_equal(pairs[of_picture + number].lq.make(), at_once[of_picture + number])


def test_a_picture_of_another_size_with_the_same_name_draws_its_own(tmp_path):
    files = []
    for folder, size in (('small', (40, 50)), ('large', (60, 70))):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / 'a.png'), np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
        files.append({'a': tmp_path / folder / 'a.png'})
    small, large = (pairs_of_files(each, settings=ShakeSettings(exposures=4))[-1].lq for each in files)
    alone = large.make()
    _known_states.cache_clear()
    small.make()
    assert np.array_equal(large.make(), alone)


def test_a_damaged_picture_is_named(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'a.png'), photograph())
    whole = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'b.png').write_bytes(whole[:-30])
    arguments = ['--input', str(tmp_path), '--output', str(tmp_path / 'out'), '--workers', '1', '--exposures', '2']
    assert run(main, arguments) == 2
    assert f'{tmp_path / "b.png"}: a truncated PNG' in capsys.readouterr().err
    (tmp_path / 'b.png').write_bytes(whole)
    assert run(main, arguments) == 0
    assert 'going on, 2 of 4 pairs' in capsys.readouterr().out


def test_a_second_start_shakes_nothing(tmp_path, monkeypatch, capsys):
    cv2.imwrite(str(tmp_path / 'a.png'), photograph())
    arguments = ['--input', str(tmp_path), '--output', str(tmp_path / 'out'), '--workers', '1', '--exposures', '2']
    assert main(arguments) == 0
    monkeypatch.setattr(Shake, 'expose', lambda *_: pytest.fail('it is all there'))
    capsys.readouterr()
    assert main(arguments) == 0
    assert 'already prepared' in capsys.readouterr().out
