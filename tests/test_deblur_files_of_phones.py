"""`basicsr deblur` on HEIC, AVIF and RAW, its parts for many machines, and how it tells where it is."""

import sys

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from aibnet_arch.commands.main import main
from aibnet_arch.photos import Deblurrer, progress
from aibnet_arch.photos.picture_file import read_picture
from aibnet_arch.photos.progress import Progress
from tests.deblurring import network, save
from tests.odd_pictures import colours

SMOOTH = np.asarray(Image.fromarray(colours(4, 6)).resize((48, 32), Image.Resampling.BICUBIC))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with weights that leave pictures as they are."""
    monkeypatch.chdir(tmp_path)
    save(network(changes=False), tmp_path / 'net.pth')
    (tmp_path / 'in').mkdir()
    return tmp_path


def run(*arguments):
    return main(['deblur', *arguments, '--weights', 'net.pth', '--device', 'cpu', '--tile', 'whole'])


def save_heic(path, **options):
    pytest.importorskip('pillow_heif').register_heif_opener(thumbnails=False)
    Image.fromarray(SMOOTH).save(path, 'HEIF', quality=95, chroma=444, **options)


def exif():
    directory = Image.Exif()
    directory[ExifTags.Base.Make] = 'maker'
    return directory.tobytes()


def test_heic_stays_heic_and_keeps_its_metadata(folder, capsys):
    save_heic(folder / 'in/a.HEIC', exif=exif(), icc_profile=b'profile')
    assert run('in', '-o', 'out') == 0
    with Image.open(folder / 'out/a.HEIC') as image:
        assert image.format == 'HEIF'
        assert np.abs(np.asarray(image).astype(int) - SMOOTH).mean() < 3
        assert image.getexif()[ExifTags.Base.Make] == 'maker'
        assert image.info['icc_profile'] == b'profile'


def test_heic_by_another_name_is_read_and_other_formats_can_be_asked_for(folder):
    save_heic(folder / 'in/a.jpg')
    assert run('in', '-o', 'out', '--format', 'png') == 0
    with Image.open(folder / 'out/a.png') as image:
        assert image.format == 'PNG'


@pytest.mark.skipif(not features.check('avif'), reason='this Pillow has no AVIF')
def test_avif_stays_avif(folder):
    Image.fromarray(SMOOTH).save(folder / 'in/a.avif', quality=95, subsampling='4:4:4', exif=exif())
    assert run('in', '-o', 'out') == 0
    restored = read_picture(folder / 'out/a.avif')
    assert np.abs(restored.pixels.astype(int) - SMOOTH).mean() < 3
    assert b'maker' in restored.metadata.exif


def test_heic_without_its_package_is_named_and_told_how(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    (folder / 'in/a.heic').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic')
    Image.fromarray(SMOOTH).save(folder / 'in/b.png')
    assert run('in', '-o', 'out') == 1
    printed = capsys.readouterr().out
    assert 'a.heic: FAILED: it is HEIC, which needs a package: pip install pillow-heif' in printed
    assert '1 restored' in printed


def test_avif_that_pillow_cannot_read_is_told_how(folder, capsys, monkeypatch):
    monkeypatch.setattr(features, 'check', lambda name: False)
    (folder / 'in/a.avif').write_bytes(b'\0\0\0\x18ftypavif\0\0\0\0mif1miaf')
    assert run('in', '-o', 'out') == 1
    assert 'pip install --upgrade "pillow>=11.3"' in capsys.readouterr().out


def test_raw_files_are_named_with_what_to_do(folder, capsys):
    (folder / 'in/a.NEF').touch()
    assert run('in/a.NEF', '-o', 'out') == 2
    assert 'in/a.NEF is RAW of a camera, which is to be developed first' in capsys.readouterr().err
    assert run('in', '-o', 'out') == 2
    assert '1 left alone, in/a.NEF: RAW of a camera' in capsys.readouterr().err
    Image.fromarray(SMOOTH).save(folder / 'in/b.png')
    assert run('in', '-o', 'out') == 0
    assert '1 left alone, in/a.NEF: RAW of a camera' in capsys.readouterr().out


# Many machines


def test_the_parts_of_all_machines_are_all_files_and_no_file_twice(folder, capsys):
    for index in range(5):
        Image.fromarray(SMOOTH[:4, :4]).save(folder / f'in/{index}.png')
    seen = []
    for number in (1, 2, 3):
        assert run('in', '-o', f'out{number}', '--shard', f'{number}/3') == 0
        seen += [path.name for path in (folder / f'out{number}').iterdir()]
    assert sorted(seen) == [f'{index}.png' for index in range(5)]


def test_a_part_stays_the_same_when_some_of_it_is_done(folder, capsys):
    for index in range(4):
        Image.fromarray(SMOOTH[:4, :4]).save(folder / f'in/{index}.png')
    assert run('in', '-o', 'out', '--shard', '1/2') == 0
    assert run('in', '-o', 'out', '--shard', '1/2', '--skip-existing') == 0
    assert sorted(path.name for path in (folder / 'out').iterdir()) == ['0.png', '2.png']
    assert '2 left as they were there' in capsys.readouterr().out


def test_a_part_without_files_is_no_failure(folder, capsys):
    Image.fromarray(SMOOTH[:4, :4]).save(folder / 'in/a.png')
    assert run('in', '-o', 'out', '--shard', '2/2') == 0
    assert '0 restored' in capsys.readouterr().out


@pytest.mark.parametrize('part', ['0/3', '4/3', '3', '1/0', 'a/b', '-1/3'])
def test_parts_that_are_none_are_refused(folder, capsys, part):
    with pytest.raises(SystemExit):
        run('in', '-o', 'out', f'--shard={part}')
    assert 'expected e.g. 3/16' in capsys.readouterr().err


# Where it is


@pytest.mark.parametrize('count', [None, 4])
def test_a_picture_that_is_restored_whole_tells_how_far_it_is(count):
    net, pixels, parts = network(num_sub_decoders=2), colours(33, 20), []
    deblur = Deblurrer(net, device='cpu', tile='whole', self_ensemble=count)
    quiet = deblur(pixels)
    assert np.array_equal(deblur(pixels, progress=parts.append), quiet)
    assert len(parts) > 20
    assert sum(parts) == pytest.approx(1)
    assert max(parts) < 0.1
    assert not any(module._forward_hooks for module in net.modules())


def test_without_a_terminal_a_line_is_written_now_and_then(monkeypatch, capfd):
    monkeypatch.setattr(progress, 'EVERY', 0.02)
    with Progress(8.0) as shown:
        shown.begin('photo.jpg')
        shown.update(2.0)
        shown._started -= 60
        shown._ended.wait(0.2)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith('photo.jpg: 25% of 8.0 megapixels, 01:0')
    assert 'about 03:0' in lines[0]
    assert 'left' in lines[0]


def test_where_nothing_is_done_no_time_is_promised():
    shown = Progress(8.0)
    shown.begin('photo.jpg')
    assert shown.line().endswith('time left not known yet')
