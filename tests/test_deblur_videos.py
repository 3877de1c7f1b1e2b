"""Videos by PyAV and by the program ffmpeg: sound, frame times, colour tags, codec; and without either."""

import importlib.util
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from aibnet_arch.commands.main import main
from aibnet_arch.photos import PictureError, video, video_ffmpeg
from aibnet_arch.photos.video import AV, FFMPEG, OPENCV, read_video_shape, restore_video, video_writer
from tests.deblurring import network, save

av = pytest.importorskip('av')
TIMES = (0, 1, 2, 3, 7, 8, 12, 13)  # of frames, in 25ths of a second: uneven
TAGS = {'color_range': 1, 'color_primaries': 1, 'color_trc': 1, 'colorspace': 1}  # BT.709, limited range


def write_source(path, *, times=TIMES, sound='aac'):
    """A video of grey steps, with a tone."""
    with av.open(str(path), 'w') as target:
        picture = target.add_stream('libx264', rate=25, options={'bf': '0'})
        picture.width, picture.height, picture.pix_fmt = 48, 32, 'yuv420p'
        picture.codec_context.time_base = Fraction(1, 25)
        for tag, value in TAGS.items():
            setattr(picture.codec_context, tag, value)
        tone = target.add_stream(sound, rate=8000, layout='mono') if sound else None
        for number, time in enumerate(times):
            pixels = np.full((32, 48, 3), 40 + 20 * (number % 8), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24').reformat(format='yuv420p', dst_colorspace=1)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            target.mux(picture.encode(frame))
        target.mux(picture.encode(None))
        if tone is not None:
            wave = (8000 * np.sin(np.arange(4096) * 0.3)).astype(np.int16)[None]
            samples = av.AudioFrame.from_ndarray(wave, format='s16', layout='mono')
            samples.sample_rate, samples.pts = 8000, 0
            target.mux(tone.encode(samples))
            target.mux(tone.encode(None))
    return path


def told(path):
    """Codec, tags, times of frames, their mean values, packets of sound."""
    with av.open(str(path)) as source:
        context = source.streams.video[0].codec_context
        frames = list(source.decode(video=0))
        times = [round(float(frame.time - frames[0].time) * 25, 2) for frame in frames]
        means = [float(frame.to_ndarray(format='rgb24').mean()) for frame in frames]
        tags = {tag: int(getattr(context, tag)) for tag in TAGS}
    with av.open(str(path)) as source:
        sound = [bytes(packet) for packet in source.demux(audio=0) if packet.size] if source.streams.audio else []
    return context.name, tags, times, means, sound


def by(monkeypatch, writer):
    if writer == FFMPEG and not shutil.which('ffmpeg'):
        pytest.skip('no ffmpeg on the PATH')
    monkeypatch.setattr(video, 'video_writer', lambda: writer)


def restored(path, output, restore=lambda frame: frame):
    return restore_video(path, output, read_video_shape(path), restore)


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.avi'])
def test_pyav_keeps_sound_times_and_tags(tmp_path, suffix, monkeypatch):
    by(monkeypatch, AV)
    times = tuple(range(8)) if suffix == '.avi' else TIMES
    source = write_source(tmp_path / f'in{suffix}', times=times)
    assert restored(source, tmp_path / f'out{suffix}') == (8, [])
    _, tags, before, means, sound = told(source)
    codec, kept, after, same, again = told(tmp_path / f'out{suffix}')
    assert codec == 'h264'
    assert kept == tags == TAGS
    assert after == pytest.approx(before, abs=0.05)
    assert same == pytest.approx(means, abs=2)
    assert sound
    assert again == sound


def test_ffmpeg_keeps_sound_and_tags_and_tells_of_uneven_times(tmp_path, monkeypatch):
    by(monkeypatch, FFMPEG)
    source = write_source(tmp_path / 'in.mp4')
    written, notes = restored(source, tmp_path / 'out.mp4')
    assert written == 8
    assert 'constant rate' in notes[0]
    codec, tags, _, means, sound = told(tmp_path / 'out.mp4')
    assert (codec, tags) == ('h264', TAGS)
    assert means == pytest.approx(told(source)[3], abs=3)
    assert sound == told(source)[4]


def test_ffmpeg_says_why_it_fails_and_is_not_left_running(tmp_path, monkeypatch):
    by(monkeypatch, FFMPEG)
    source = write_source(tmp_path / 'in.mp4', sound=None)
    with pytest.raises(PictureError, match=r'ffmpeg cannot write it: .*none\.mp4'):
        restored(source, tmp_path / 'no' / 'none.mp4')
    started = []
    popen = video_ffmpeg.subprocess.Popen
    monkeypatch.setattr(
        video_ffmpeg.subprocess, 'Popen', lambda *words, **how: started.append(popen(*words, **how)) or started[-1]
    )
    with pytest.raises(ZeroDivisionError):
        restored(source, tmp_path / 'out.mp4', lambda frame: 1 // 0)
    assert started[-1].returncode is not None


def test_sound_that_the_container_cannot_hold_is_told(tmp_path, monkeypatch):
    by(monkeypatch, AV)
    source = write_source(tmp_path / 'in.mkv', sound='pcm_s16le')
    assert restored(source, tmp_path / 'out.m4v') == (8, ['its sound (pcm_s16le) is not kept: .m4v cannot hold it'])


@pytest.mark.skipif(not shutil.which('ffmpeg'), reason='ffmpeg writes the turn')
def test_a_turned_video_comes_out_upright(tmp_path, monkeypatch):
    by(monkeypatch, AV)
    source = write_source(tmp_path / 'in.mp4', sound=None)
    turned = tmp_path / 'turned.mp4'
    command = ['ffmpeg', '-v', 'error', '-i', source, '-c', 'copy', '-metadata:s:v', 'rotate=90', turned]
    subprocess.run(command, check=True)
    with av.open(str(turned)) as opened:
        turns = next(opened.decode(video=0)).rotation
    if not turns:
        pytest.skip('this ffmpeg writes no turn')
    seen = []
    restored(turned, tmp_path / 'out.mp4', lambda frame: seen.append(frame.shape) or frame)
    assert set(seen) == {(48, 32, 3)}
    shape = read_video_shape(tmp_path / 'out.mp4')
    assert (shape.height, shape.width) == (48, 32)


def test_a_damaged_video_is_an_error(tmp_path, monkeypatch):
    by(monkeypatch, AV)
    source = write_source(tmp_path / 'in.mkv')
    content = source.read_bytes()
    shape = read_video_shape(source)
    source.write_bytes(content[:300])
    with pytest.raises(PictureError, match='damaged'):
        restore_video(source, tmp_path / 'out.mkv', shape, lambda frame: frame)


def test_a_video_that_ends_early_is_an_error(tmp_path, monkeypatch):
    by(monkeypatch, AV)
    source = write_source(tmp_path / 'in.mkv', times=range(150), sound=None)
    shape, content = read_video_shape(source), source.read_bytes()
    source.write_bytes(content[: len(content) // 3])
    with pytest.raises(PictureError, match=r'it ends after|damaged'):
        restore_video(source, tmp_path / 'out.mkv', shape, lambda frame: frame)


def test_what_is_there_is_used(monkeypatch):
    assert video_writer() == AV
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(shutil, 'which', lambda name: '/bin/ffmpeg')
    assert video_writer() == FFMPEG
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    assert video_writer() == OPENCV


def test_the_command_restores_with_sound(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(network(changes=False), tmp_path / 'net.pth')
    write_source(tmp_path / 'v.mp4')
    assert main(['deblur', 'v.mp4', '-o', 'out', '--weights', 'net.pth', '--device', 'cpu', '--tile', 'whole']) == 0
    assert '8 frames\n' in capsys.readouterr().out
    assert told(tmp_path / 'out/v.mp4')[4] == told(tmp_path / 'v.mp4')[4]
