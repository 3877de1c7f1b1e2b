"""`basicsr deblur`: the array interface, names of results, refusals, videos, stopping."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from aibnet_arch.commands.deblur import _parser
from aibnet_arch.commands.main import main
from aibnet_arch.photos import Deblurrer, PictureError, batch, video
from aibnet_arch.photos.batch import Batch
from aibnet_arch.photos.inputs import plan_jobs
from aibnet_arch.photos.restoring import find_device
from tests.deblurring import network, save
from tests.odd_pictures import colours


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with weights that change pictures."""
    monkeypatch.chdir(tmp_path)
    save(network(), tmp_path / 'net.pth')
    return tmp_path


def run(*arguments, weights='net.pth'):
    how = [] if '--memory' in arguments else ['--tile', 'whole']
    return main(['deblur', *arguments, '--weights', weights, '--device', 'cpu', *how])


def write(path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours() if pixels is None else pixels).save(path)
    return path


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def by_hand(net, pixels):
    peak = np.iinfo(pixels.dtype).max
    with torch.no_grad():
        image = torch.from_numpy(pixels.astype(np.float32) / peak).permute(2, 0, 1)[None]
        return (net(image)[0].clamp(0, 1) * peak).round().permute(1, 2, 0).numpy().astype(pixels.dtype)


# Arrays


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('size', [(1, 1), (3, 70), (33, 20)])
def test_a_picture_comes_out_as_from_the_network(dtype, size):
    net, pixels = network(), colours(*size, dtype=dtype)
    restored = Deblurrer(net, device='cpu')(pixels)
    assert restored.dtype == dtype
    assert np.abs(restored.astype(int) - by_hand(net, pixels)).max() <= (dtype == np.uint16)
    assert not np.array_equal(restored, pixels)


def test_grey_is_the_mean_of_three_equal_channels():
    net, grey = network(), colours()[..., 0]
    restored = Deblurrer(net, device='cpu')(grey)
    with torch.no_grad():
        image = torch.from_numpy(grey.astype(np.float32) / 255).expand(1, 3, *grey.shape)
        expected = (net(image)[0].mean(dim=0).clamp(0, 1) * 255).round().numpy()
    assert restored.shape == grey.shape
    assert np.abs(restored - expected).max() <= 1


def test_tiles_report_progress_and_are_near_the_whole():
    net, pixels, parts = network(), colours(60, 100), []
    tiled = Deblurrer(net, device='cpu', tile=48, overlap=16)(pixels, progress=parts.append)
    assert len(parts) == 2 * 3
    assert sum(parts) == pytest.approx(1)
    whole = Deblurrer(net, device='cpu', tile='whole')(pixels)
    assert 0 < np.abs(tiled.astype(int) - whole).mean() < 0.5 * np.abs(whole.astype(int) - pixels).mean()


def test_up_to_stops_after_a_sub_decoder():
    net, pixels = network(num_sub_decoders=2), colours()
    first, second = (Deblurrer(net, device='cpu', up_to=k)(pixels) for k in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(second, Deblurrer(net, device='cpu')(pixels))


@pytest.mark.parametrize('count', [4, 8])
def test_the_ensemble_is_the_mean_of_flips_and_transposes(count):
    net, pixels = network(), colours(24, 36)
    views = [lambda x: x, lambda x: x[::-1], lambda x: x[:, ::-1], lambda x: x[::-1, ::-1]]
    results = []
    for transposed in (False, True)[: count // 4]:
        for view in views:
            turned = view(pixels.swapaxes(0, 1) if transposed else pixels)
            with torch.no_grad():
                image = torch.from_numpy(turned.astype(np.float32) / 255).permute(2, 0, 1)[None]
                result = view(net(image)[0].permute(1, 2, 0).numpy())
            results.append(result.swapaxes(0, 1) if transposed else result)
    expected = (np.mean(results, axis=0).clip(0, 1) * 255).round()
    restored = Deblurrer(net, device='cpu', self_ensemble=count)(pixels)
    assert np.abs(restored - expected).max() <= 1
    assert np.abs(restored - expected).mean() < 0.01
    assert not np.array_equal(restored, by_hand(net, pixels))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'up_to': 2}, '--up-to: 2: the network has sub-decoders 1 to 1'),
        ({'window': 100}, '--window: 100'),
        ({'tile': 64}, '--tile 64: expected'),
        ({'tile': 128, 'memory': 10**9}, 'give one of them'),
        ({'overlap': -1}, '--overlap -1'),
        ({'self_ensemble': 3}, 'expected 4 or 8'),
        ({'device': 'gpu'}, 'expected auto, cpu, cuda'),
        ({'device': 'cuda:99'}, 'PyTorch sees'),
        ({'autocast': 'fp16'}, 'needs a GPU'),
        ({'autocast': 'fp8'}, 'expected bf16'),
    ],
)
def test_settings_that_do_not_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Deblurrer(network(), **{'device': 'cpu', **settings})


@pytest.mark.parametrize('pixels', [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)])
def test_arrays_that_are_no_pictures_are_refused(pixels):
    with pytest.raises((TypeError, ValueError), match='expected'):
        Deblurrer(network(), device='cpu')(pixels)


def test_output_that_is_not_finite_is_an_error():
    net = network()
    with torch.no_grad():
        net.sub_decoders[0].to_residual.bias.fill_(float('nan'))
    with pytest.raises(PictureError, match='not finite'):
        Deblurrer(net, device='cpu')(colours())


def test_auto_is_a_device():
    assert find_device('auto').type in ('cpu', 'cuda')


# Names


def test_results_keep_names_and_places_and_are_those_of_the_network(folder, capsys):
    write(folder / 'in/b/x.png')
    write(folder / 'in/a.png', colours(seed=1))
    assert run('in', '-o', 'out') == 0
    assert np.array_equal(read(folder / 'out/b/x.png'), by_hand(network(), colours()))
    assert sorted(str(p.relative_to(folder / 'out')) for p in (folder / 'out').rglob('*.*')) == ['a.png', 'b/x.png']
    assert '2 restored into out' in capsys.readouterr().out


def test_the_averaged_weights_are_taken_if_there_are_some(folder):
    write(folder / 'x.png')
    save(network(), folder / 'net.pth', params_ema=network(changes=False).state_dict())
    assert run('x.png', '-o', 'out') == 0
    assert np.array_equal(read(folder / 'out/x.png'), colours())
    assert run('x.png', '-o', 'out2', '--param-key', 'params') == 0
    assert not np.array_equal(read(folder / 'out2/x.png'), colours())
    assert main(['convert', 'net.pth', 'averaged.safetensors', '--param-key', 'params_ema']) == 0
    assert run('x.png', '-o', 'out3', weights='averaged.safetensors') == 0
    assert np.array_equal(read(folder / 'out3/x.png'), colours())


def test_format_changes_pictures_alone(folder):
    write(folder / 'in/a.jpg')
    write(folder / 'in/b.TIF')
    assert run('in', '-o', 'out', '--format', 'tif') == 0
    assert sorted(p.name for p in (folder / 'out').iterdir()) == ['a.tif', 'b.TIF']


@pytest.mark.parametrize(
    ('inputs', 'options', 'messages'),
    [
        (['missing.png'], [], ['there is no missing.png']),
        (['notes.txt'], [], ['notes.txt is of no known kind']),
        (['missing.png', 'notes.txt'], [], ['missing.png', 'notes.txt']),
        (['none'], [], ['nothing to do: no picture and no video among 1 files']),
        (['a', 'b'], [], ['a/x.png and b/x.png would both become out/x.png']),
        (['c'], ['--format', 'jpg'], ['c/y.png and c/y.webp would both become out/y.jpg']),
        (['a', 'a/x.png'], ['--overwrite', '--skip-existing'], ['give one of them']),
        (['a'], ['--memory', '1MB'], ['the memory limit of 0.01 GB is too low']),
        (['a'], ['--up-to', '3'], ['sub-decoders 1 to 1']),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(folder, capsys, inputs, options, messages):
    for name in ('a/x.png', 'b/x.png', 'c/y.png', 'c/y.webp'):
        write(folder / name)
    (folder / 'none').mkdir()
    for name in ('notes.txt', 'none/notes.txt'):
        (folder / name).write_text('no picture')
    assert run(*inputs, '-o', 'out', *options) == 2
    printed = capsys.readouterr().err
    for message in messages:
        assert message in printed
    assert not (folder / 'out').exists() or not any((folder / 'out').iterdir())


@pytest.mark.parametrize('option', ['--memory=2', '--memory=2XB', '--tile=big', '--format=gif', '--self-ensemble=2'])
def test_options_that_mean_nothing_are_refused(folder, capsys, option):
    with pytest.raises(SystemExit) as stopped:
        run('in', '-o', 'out', option)
    assert stopped.value.code == 2
    assert option.split('=')[0] in capsys.readouterr().err


def test_relative_folders_distinguish_and_a_file_given_twice_is_done_once(folder, capsys):
    for name in ('in/a/x.png', 'in/b/x.png'):
        write(folder / name)
    assert run('in', 'in/', '-o', 'out') == 0
    assert '2 restored' in capsys.readouterr().out


@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_a_result_never_takes_the_place_of_an_input(folder, capsys, link):
    write(folder / 'in/x.png')
    before = (folder / 'in/x.png').read_bytes()
    assert run('in', '-o', 'in', '--overwrite') == 2
    assert 'would lie on an input' in capsys.readouterr().err
    (folder / 'linked').symlink_to('in')
    assert run('in', '-o', 'linked', '--overwrite') == 2
    (folder / 'out').mkdir()
    link(folder / 'in/x.png', folder / 'out/x.png')
    assert run('in', '-o', 'out', '--overwrite') == 2
    assert (folder / 'in/x.png').read_bytes() == before


def test_results_below_the_input_are_no_input(folder):
    write(folder / 'in/x.png')
    for _ in range(2):
        assert run('in', '-o', 'in/out', '--overwrite') == 0
    assert [p.name for p in (folder / 'in/out').iterdir()] == ['x.png']


def test_a_page_is_replaced_only_by_one_with_pictures(folder, capsys):
    write(folder / 'in/x.png')
    assert run('in', '-o', 'out', '--page', 'page') == 0
    made = sorted(path.name for path in (folder / 'page/pictures').iterdir())
    before = next(path for path in (folder / 'page/pictures').iterdir() if path.stem.endswith('before'))
    capsys.readouterr()
    assert run('in', '-o', 'other', '--page', 'page', '--memory', '1MB') == 2
    assert run(str(before), '-o', 'other', '--page', 'page') == 2
    assert f'the input {before} lies there' in capsys.readouterr().err
    assert run('in', '-o', 'out', '--page', 'page', '--skip-existing') == 0
    assert sorted(path.name for path in (folder / 'page/pictures').iterdir()) == made


@pytest.mark.parametrize('option', ['-o', '--page'])
def test_a_folder_without_a_name_is_refused(folder, capsys, option):
    write(folder / 'in/x.png')
    with pytest.raises(SystemExit) as stopped:
        run('in', '-o', 'out', option, '')
    assert stopped.value.code == 2
    assert 'the name is empty' in capsys.readouterr().err
    assert not (folder / 'x.png').exists()


def test_results_that_are_there_are_replaced_or_left_only_if_told(folder, capsys):
    for name in ('in/x.png', 'in/y.png'):
        write(folder / name)
    write(folder / 'out/x.png', colours(5, 5))
    assert run('in', '-o', 'out') == 2
    assert '1 of 2 results are there already: out/x.png' in capsys.readouterr().err
    assert run('in', '-o', 'out', '--skip-existing') == 0
    assert read(folder / 'out/x.png').shape == (5, 5, 3)
    assert '1 restored into out; 1 left' in capsys.readouterr().out
    assert run('in', '-o', 'out', '--overwrite') == 0
    assert read(folder / 'out/x.png').shape == (20, 30, 3)


@pytest.mark.parametrize('place', ['file', 'file/below', '/proc/out', 'out.png'])
def test_a_folder_that_cannot_be_written_is_refused_at_the_start(folder, capsys, place):
    write(folder / 'in/x.png')
    (folder / 'file').write_text('no folder')
    assert run('in', '-o', place) == 2
    assert '-o ' in capsys.readouterr().err


def test_unreadable_weights_are_told(folder, capsys):
    write(folder / 'in/x.png')
    (folder / 'bad.pth').write_text('no weights')
    assert run('in', '-o', 'out', weights='bad.pth') == 2
    assert run('in', '-o', 'out', weights='none.pth') == 2
    assert 'none.pth' in capsys.readouterr().err
    assert not (folder / 'out').exists()


def test_a_failed_write_is_that_files_error_and_leaves_nothing(folder, monkeypatch, capsys):
    for name in ('in/x.png', 'in/y.png'):
        write(folder / name)

    def full(file, picture, suffix):
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('aibnet_arch.photos.batch.write_picture', full)
    assert run('in', '-o', 'out') == 1
    assert capsys.readouterr().out.count('No space left on device') == 4  # when it happens, and at the end
    assert list((folder / 'out').iterdir()) == []


def test_each_finished_picture_is_told(folder):
    write(folder / 'in/a/x.png')
    told = []
    whole = Deblurrer(network(), device='cpu', tile='whole')
    files = Batch(whole, root=folder / 'out', on_picture=lambda *picture: told.append(picture))
    files.run(plan_jobs(['in'], folder / 'out').jobs)
    ((name, before, after),) = told
    assert name == 'a/x.png'
    assert np.array_equal(before, colours())
    assert np.array_equal(after, read(folder / 'out/a/x.png'))


# The docs page

PAGE = (Path(__file__).parent.parent / 'docs/own_photos.md').read_text()


def test_the_page_lists_all_options():
    options = {option for action in _parser()._actions for option in action.option_strings} - {'-h', '--help'}
    rows = ' '.join(line.split('|')[1] for line in PAGE.splitlines() if line.startswith('| `-'))
    assert set(re.findall(r'`(--?[a-z-]+)', rows)) == options


def test_the_python_of_the_page_runs(folder):
    save(network(), folder / 'net_g_latest.pth')
    blurred, names = colours(), {}
    (snippet,) = re.findall(r'^    from aibnet_arch.photos[^#]*', PAGE, re.M)
    exec(textwrap.dedent(snippet).replace('2_000_000_000', '20_000_000_000'), {'blurred': blurred}, names)
    assert names['restored'].shape == blurred.shape


# Videos


def write_video(path, frames, fps=24.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    codec = cv2.VideoWriter_fourcc(*('MJPG' if path.suffix == '.avi' else 'mp4v'))
    writer = cv2.VideoWriter(str(path), codec, fps, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()


def read_video(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        done, frame = capture.read()
        if not done:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


@pytest.mark.parametrize('suffix', ['.mp4', '.avi'])
def test_a_video_keeps_size_rate_and_frames(folder, capsys, suffix, monkeypatch):
    monkeypatch.setattr(video, 'video_writer', lambda: video.OPENCV)
    save(network(changes=False), folder / 'net.pth')
    frames = [np.full((32, 48, 3), (20 * index, 200 - 15 * index, 128), np.uint8) for index in range(5)]
    write_video(folder / f'in/v{suffix}', frames)
    assert run('in', '-o', 'out') == 0
    restored, fps = read_video(folder / f'out/v{suffix}')
    expected, _ = read_video(folder / f'in/v{suffix}')
    assert fps == pytest.approx(24)
    assert len(restored) == 5
    for before, after in zip(expected, restored):
        assert np.abs(before.astype(int) - after).mean() < 4
    assert '5 frames; sound is not kept' in capsys.readouterr().out


def test_a_truncated_video_is_an_error_and_leaves_nothing(folder, capsys):
    write_video(folder / 'in/v.avi', [colours(32, 32, seed=index) for index in range(10)])
    content = (folder / 'in/v.avi').read_bytes()
    (folder / 'in/v.avi').write_bytes(content[: len(content) // 2])
    assert run('in', '-o', 'out') == 1
    assert 'it ends after' in capsys.readouterr().out
    assert list((folder / 'out').iterdir()) == []


# Stopping


def test_ctrl_c_stops_without_a_half_file(folder, monkeypatch, capsys):
    for name in ('in/x.png', 'in/y.png', 'in/z.png'):
        write(folder / name)
    write_picture = batch.write_picture

    def interrupted(file, picture, suffix):
        if any((folder / 'out').glob('[!.]*.png')):
            file.write(b'half')
            raise KeyboardInterrupt
        return write_picture(file, picture, suffix)

    monkeypatch.setattr(batch, 'write_picture', interrupted)
    assert run('in', '-o', 'out') == 75
    assert 'stopped: 1 of 3 files were restored' in capsys.readouterr().err
    assert [path.name for path in (folder / 'out').iterdir()] == ['x.png']
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run('in', '-o', 'out', '--skip-existing') == 0
    assert '2 restored into out; 1 left' in capsys.readouterr().out


def test_a_signal_stops_without_a_half_file(folder):
    for index in range(300):
        write(folder / f'in/{index:03}.png', colours(64, 64, seed=index))
    command = [sys.executable, '-m', 'aibnet_arch', 'deblur', 'in', '-o', 'out', '--weights', 'net.pth']
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and len(list(folder.glob('out/[!.]*.png'))) < 3:
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, message = child.communicate(timeout=60)
    assert child.returncode == 75
    assert '--skip-existing goes on' in message
    left = list((folder / 'out').iterdir())
    assert 3 <= len(left) < 300
    for path in left:
        assert read(path).shape == (64, 64, 3)


@pytest.mark.parametrize('skip', [True, False])
def test_results_of_another_run_in_the_meantime_are_left_alone(skip, folder, monkeypatch, capsys):
    for name in 'ab':
        write(folder / 'in' / f'{name}.png')
    restored = Deblurrer.restore

    def slow(self, *arguments, **options):
        (folder / 'out').mkdir(exist_ok=True)
        for name in 'ab':
            (folder / 'out' / f'{name}.png').write_bytes(b'of another run')
        seen.append(1)
        return restored(self, *arguments, **options)

    seen = []
    monkeypatch.setattr(Deblurrer, 'restore', slow)
    assert run('in', '-o', 'out', *(['--skip-existing'] if skip else [])) == (0 if skip else 1)
    assert len(seen) == 1  # the second was not begun
    assert all((folder / 'out' / f'{name}.png').read_bytes() == b'of another run' for name in 'ab')
    told = capsys.readouterr().out
    assert ('2 left as they were there' in told) if skip else (told.count('is there already: --overwrite') >= 2)
