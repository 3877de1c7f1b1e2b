"""Pairs from own video: datasets_prep.video."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from aibnet_arch.blurmap.truth import find_items
from datasets_prep.cli import run
from datasets_prep.clips import Scan, find_clips, frames_of, scan
from datasets_prep.flow import path_lengths
from datasets_prep.sensor import to_light, to_picture
from datasets_prep.storage import read_manifest
from datasets_prep.verify import verify
from datasets_prep.video import CURVES, Exposure, exposures_of, main
from tests.prep_trees import decode, read_lmdb

REPOSITORY = Path(__file__).resolve().parents[1]


def texture(seed=0, height=96, width=160):
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 20, 235, cv2.NORM_MINMAX)


def moving(frames, *, seed=0, speed=1.5, height=96, width=160):
    """Frames in which the right half moves to the right over the still left half's picture."""
    still, part = texture(seed, height, width), texture(seed + 50, height, width)
    made = []
    for frame in range(frames):
        shift = np.float32([[1, 0, speed * frame], [0, 1, 0]])
        moved = cv2.warpAffine(part, shift, (width, height), borderMode=cv2.BORDER_WRAP)
        made.append(np.round(np.hstack([still[:, : width // 2], moved[:, width // 2 :]])).astype(np.uint8))
    return made


def save_frames(folder: Path, frames) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{number:05d}.png'), frame)
    return folder


def save_video(path: Path, frames) -> Path:
    temporary = path.parent / 'ascii.avi'
    height, width = frames[0].shape[:2]
    video = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*'MJPG'), 240, (width, height))
    for frame in frames:
        video.write(frame)
    video.release()
    os.rename(temporary, path)
    return path


def prepared(*args):
    assert run(main, [*map(str, args)]) == 0


def refused(capsys, *args) -> str:
    assert run(main, [*map(str, args), '--workers', '1']) == 2
    message = capsys.readouterr().err
    assert message.startswith('error: ') and 'Traceback' not in message
    return message


def sets(output: Path) -> tuple[dict, dict]:
    return tuple(
        {key: decode(value) for key, value in read_lmdb(output / f'{side}.lmdb').items()}
        for side in ('input', 'target')
    )


@pytest.mark.parametrize('curve', CURVES)
def test_the_mean_of_light_and_the_frame_in_the_middle(tmp_path, curve):
    frames = moving(24)
    save_frames(tmp_path / 'clip', frames)
    prepared(
        '--input', tmp_path / 'clip', '--frames', 7, 5, '--search', 0, '--output', tmp_path / 'out', '--curve', curve
    )
    lq, gt = sets(tmp_path / 'out')
    assert sorted(gt) == ['clip-000003-f07', 'clip-000009-f05', 'clip-000015-f07', 'clip-000021-f05']
    for key, picture in gt.items():
        middle, count = int(key[5:11]), int(key[-2:])
        np.testing.assert_array_equal(picture, frames[middle])
        window = np.stack(frames[middle - count // 2 : middle + count // 2 + 1])
        if curve == 'srgb':
            expected = to_picture(to_light(window).mean(axis=0))
        else:
            power = {'none': 1.0, 'gamma': 2.2}[curve]  # GoPro's blur, and its blur_gamma
            expected = np.round(255 * ((window / 255.0) ** power).mean(axis=0) ** (1 / power))
        difference = np.abs(lq[key].astype(int) - expected)
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # float32 at the edge of a level
        half = picture.shape[1] // 2
        np.testing.assert_array_equal(lq[key][:, :half], picture[:, :half])
        assert np.abs(lq[key][:, half:].astype(int) - picture[:, half:]).mean() > 3


def test_nothing_is_averaged_over_a_cut(tmp_path):
    frames = [*moving(17, seed=1), *moving(9, seed=2), *moving(20, seed=3)]
    clip = save_video(tmp_path / 'cuts.avi', frames)
    scanned = scan(clip)
    assert scanned.shots() == [range(17), range(17, 26), range(26, 46)]
    exposures = exposures_of(clip, scanned, counts=[7], gap=0, search=2, min_sharpness=0)
    assert exposures
    used = [set(range(one.first, one.first + one.count)) for one in exposures]
    assert all(any(frames <= set(shot) for shot in scanned.shots()) for frames in used)
    assert sum(map(len, used)) == len(set().union(*used)), 'each frame once'


def test_a_fast_pan_is_no_cut_and_a_cut_beside_another_is_one():
    change = np.array([0, 18, 20, 19, 20, 18, 51, 8, 9, 60, 10, 8, 9, 20, 20, 18, 17], float)
    assert [shot.start for shot in Scan(np.ones(len(change)), change).shots()] == [0, 6, 9]


def test_the_sharpest_middle_is_searched_and_blurred_ones_are_left_out():
    sharpness = np.full(40, 100.0)
    sharpness[5] = 150  # frame 3 is the first middle, 5 the sharpest within 2
    sharpness[18:40] = 30
    scanned = Scan(sharpness, np.zeros(40))
    first, second = exposures_of(Path('c'), scanned, counts=[7], gap=1, search=2, min_sharpness=0.5)
    assert (first.first, first.middle) == (2, 5)
    assert second.first == 2 + 7 + 1
    kept = exposures_of(Path('c'), scanned, counts=[7], gap=0, search=0, min_sharpness=0.0)
    assert [one.first for one in kept] == [0, 7, 14, 21, 28]
    assert [one.count for one in exposures_of(Path('c'), scanned, counts=[7, 3, 5], gap=0, search=0, min_sharpness=0)][
        :4
    ] == [7, 3, 5, 7]


def test_exposures_are_chosen_by_how_far_the_fastest_tenth_moves(tmp_path, capsys):
    slow, fast = (
        save_frames(tmp_path / 'slow', moving(7, speed=0.75)),
        save_frames(tmp_path / 'fast', moving(7, speed=3)),
    )
    assert Exposure(slow, 0, 7).moves() == pytest.approx(6 * 0.75, rel=0.2)
    command = ['--input', slow, fast, '--frames', 7, '--search', 0, '--workers', 1]
    prepared(*command, '--output', tmp_path / 'out', '--moves', 3, 9)
    assert '1 of 2 exposures move 3 to 9 pixels' in capsys.readouterr().out
    assert list(sets(tmp_path / 'out')[0]) == ['slow-000003-f07']
    prepared(*command, '--output', tmp_path / 'all', '--moves', 3, 30)
    assert len(sets(tmp_path / 'all')[0]) == 2
    assert 'No exposure moves so far' in refused(capsys, *command[:-2], '--output', tmp_path / 'no', '--moves', 50, 60)
    with pytest.raises(SystemExit):
        main([*map(str, command), '--output', str(tmp_path / 'no'), '--moves', '9', '3'])
    assert 'LEAST is more than MOST' in capsys.readouterr().err
    assert not (tmp_path / 'no').exists()


def test_extents_are_the_lengths_of_the_paths(tmp_path):
    frames = moving(9, speed=1.5)
    extent = path_lengths(frames, at=4)
    assert extent.shape == (96, 160) and extent.dtype == np.float32
    assert np.abs(extent[10:-10, 96:-24] - 8 * 1.5).mean() < 0.5
    assert extent[:, :64].mean() < 0.1
    save_frames(tmp_path / 'clip', frames)
    prepared('--input', tmp_path / 'clip', '--frames', 9, '--output', tmp_path / 'out', '--extents')
    (item,) = find_items([tmp_path / 'out/input.lmdb'], gt=tmp_path / 'out/target.lmdb', extent=tmp_path / 'out/extent')
    item.check()
    np.testing.assert_allclose(item.extent.extent(), extent, atol=1 / 256)


@pytest.mark.parametrize('workers', [1, 2])
def test_videos_folders_crops_and_workers_give_the_same(tmp_path, workers):
    (tmp_path / 'in/deeper').mkdir(parents=True)
    save_video(tmp_path / 'in/a.avi', moving(40))
    save_video(tmp_path / 'in/deeper/b.avi', moving(40, seed=9))
    save_frames(tmp_path / 'in/frames', moving(21, seed=5))
    (tmp_path / 'in/notes.txt').write_text('no clip')
    args = ['--input', tmp_path / 'in', '--crop-size', 64, '--output', tmp_path / 'out', '--workers', workers]
    prepared(*args)
    lq, gt = sets(tmp_path / 'out')
    assert {key.split('-')[0] for key in lq} == {'a', 'b', 'frames'}
    assert {picture.shape for picture in lq.values()} == {(64, 64, 3)}
    frames = list(frames_of(tmp_path / 'in/deeper/b.avi'))
    for key in (key for key in gt if key.startswith('b-') and key.endswith('_s001')):
        np.testing.assert_array_equal(gt[key], frames[int(key.split('-')[1])][:64, :64])
    assert verify(tmp_path / 'out/input.lmdb', tmp_path / 'out/target.lmdb', progress=False) == []


def test_clips_of_one_name_and_a_second_start(tmp_path, capsys):
    for folder in ('day1', 'day2'):
        save_frames(tmp_path / folder / 'clip', moving(9, seed=len(folder)))
    args = ['--input', tmp_path, '--output', tmp_path / 'out', '--workers', 1, '--extents']
    prepared(*args)
    keys = sorted(read_lmdb(tmp_path / 'out/input.lmdb'))
    assert len(keys) == 2 and 'day1_clip' in keys[0] and 'day2_clip' in keys[1]
    shutil_before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').rglob('*.png')}
    capsys.readouterr()
    prepared('--input', tmp_path / 'day1', tmp_path / 'day2', *args[2:])
    assert 'already prepared' in capsys.readouterr().out
    assert shutil_before == {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').rglob('*.png')}
    message = refused(capsys, *args, '--curve', 'none')
    assert 'source video, curve srgb, now video, curve none' in message and '--overwrite' in message


@pytest.mark.parametrize('name', ['ünïcode.avi', os.fsdecode(b'latin\xe4.avi')])
def test_names_that_opencv_must_not_see(tmp_path, name):
    try:
        save_video(tmp_path / name, moving(9))
    except OSError:
        pytest.skip('this file system takes no such name')
    command = [sys.executable, '-m', 'datasets_prep.video', '--input', str(tmp_path / name), '--workers', '1']
    for locale in ('C', 'C.UTF-8'):
        out = tmp_path / locale
        done = subprocess.run(
            [*command, '--output', str(out)], cwd=REPOSITORY, env={**os.environ, 'LC_ALL': locale}, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        assert len(read_lmdb(out / 'input.lmdb')) == 1


def test_what_is_no_clip(tmp_path, capsys):
    out = ['--output', tmp_path / 'out']
    assert 'does not exist' in refused(capsys, '--input', tmp_path / 'nowhere', *out)
    (tmp_path / 'in').mkdir()
    assert 'no videos and no pictures' in refused(capsys, '--input', tmp_path / 'in', *out)
    (tmp_path / 'in/empty.mp4').write_bytes(b'')
    (tmp_path / 'in/noise.mp4').write_bytes(b'x' * 5000)
    message = refused(capsys, '--input', tmp_path / 'in', *out)
    assert 'empty.mp4: an empty file' in message and 'noise.mp4: not decodable as a video' in message
    for path in find_clips([tmp_path / 'in']):
        path.unlink()
    save_frames(tmp_path / 'in/short', moving(4))
    assert 'No shot has 7 frames in a row' in refused(capsys, '--input', tmp_path / 'in', *out)
    for flags in (
        ['--extents', '--crop-size', '8'],
        ['--frames', '8'],
        ['--frames', '1'],
        ['--min-sharpness', '2'],
        ['--gap', '-1'],
    ):
        with pytest.raises(SystemExit) as ended:
            run(main, ['--input', str(tmp_path / 'in'), '--output', str(tmp_path / 'out'), *flags])
        assert ended.value.code == 2
    assert not (tmp_path / 'out').exists()


def test_a_clip_that_ends_early_is_named(tmp_path):
    clip = save_frames(tmp_path / 'clip', moving(9))
    with pytest.raises(ValueError, match='clip ends before frame 12'):
        Exposure(clip, 6, 7).frames()


def test_killed_at_random_moments(tmp_path):
    """Nothing looks finished that is not; the next start completes it, and all is as if there had been no kill."""
    for number in range(3):
        save_video(tmp_path / f'{number}.avi', moving(60, seed=number, height=192, width=256))
    clips = [str(tmp_path / f'{number}.avi') for number in range(3)]

    def start(output: Path) -> subprocess.Popen:
        command = [sys.executable, '-m', 'datasets_prep.video', '--input', *clips, '--output', str(output)]
        return subprocess.Popen([*command, '--extents', '--workers', '2'], cwd=REPOSITORY, stdout=-1, stderr=-1)

    def content(output: Path) -> list:
        extents = {path.name: path.read_bytes() for path in (output / 'extent').glob('*.png')}
        return [read_lmdb(output / 'input.lmdb'), read_lmdb(output / 'target.lmdb'), extents]

    began = time.monotonic()
    undisturbed = start(tmp_path / 'undisturbed')
    out, err = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, out + err
    duration = time.monotonic() - began
    reference = content(tmp_path / 'undisturbed')
    kills, unfinished, rng = int(os.environ.get('AIBNET_PREP_KILLS', '3')), 0, np.random.default_rng()
    for trial in range(kills):
        output = tmp_path / f'killed_{trial}'
        process = start(output)
        time.sleep(duration * (trial + rng.random()) / kills)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        there = [output / name for name in ('input.lmdb', 'target.lmdb', 'extent') if (output / name).exists()]
        assert all(read_manifest(path)['complete'] for path in there)
        if (output / 'extent').exists():
            assert len(list((output / 'extent').glob('*.png'))) == len(reference[2])
        unfinished += len(there) < 3
        again = start(output)
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, out + err
        assert content(output) == reference
        assert sorted(path.name for path in output.iterdir()) == ['extent', 'input.lmdb', 'target.lmdb']
    print(f'{kills} kills, {unfinished} before the end')
    assert unfinished
