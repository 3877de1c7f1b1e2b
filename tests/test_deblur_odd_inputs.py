"""`basicsr deblur` over a folder of odd inputs: each has the outcome that odd_pictures.py says."""

import io

import numpy as np
import pytest
from PIL import Image

from aibnet_arch.commands.main import main
from aibnet_arch.photos.picture_file import Picture, read_picture, write_picture
from tests.deblurring import network, save
from tests.odd_pictures import (
    FAILING,
    ICC,
    RESTORED,
    SKIPPED,
    colours,
    described,
    kind_of,
    make_odd_pictures,
    pixels_of,
)


@pytest.fixture(scope='module')
def restored(tmp_path_factory):
    """The folder, restored by a network whose output is its input: root, exit code, what was printed."""
    root, printed = tmp_path_factory.mktemp('odd'), io.StringIO()
    make_odd_pictures(root / 'in')
    weights = save(network(changes=False), root / 'net.pth')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.stdout', printed)
        code = main(['deblur', str(root / 'in'), '-o', str(root / 'out'), '--weights', str(weights), '--device', 'cpu'])
    return root, code, printed.getvalue()


@pytest.fixture
def root(restored):
    return restored[0]


@pytest.fixture
def console(restored):
    return restored[2]


def test_the_exit_code_says_that_some_failed(restored):
    assert restored[1] == 1


@pytest.mark.parametrize('name', RESTORED)
def test_a_picture_is_restored_in_its_own_kind(root, name):
    source, result = root / 'in' / name, root / 'out' / name
    expected_kind = RESTORED[name].replace('RGB+', 'RGBA')
    assert kind_of(result) == expected_kind
    with Image.open(source) as before, Image.open(result) as after:
        named = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.tif': 'TIFF', '.tiff': 'TIFF'}
        assert after.format == named.get(result.suffix.lower(), result.suffix[1:].upper())
        clear = before.has_transparency_data
        if 'turned' not in name:
            assert before.size == after.size
    if 'turned' in name:
        return
    expected, found = pixels_of(source), pixels_of(result)
    if clear and not expected_kind.endswith('16'):
        with Image.open(source) as before:
            expected = np.asarray(before.convert(expected_kind))
    if name.endswith(('jpg', 'jpeg')):
        assert np.abs(expected.astype(int) - found).mean() < 3
    else:
        assert np.array_equal(expected, found)


@pytest.mark.parametrize('name', FAILING)
def test_a_file_that_fails_is_named_with_the_reason_and_leaves_nothing(root, console, name):
    assert not (root / 'out' / name).exists()
    summary = console[console.rindex('FAILED:') :]
    (line,) = (line for line in summary.splitlines() if f'/in/{name}: ' in line)
    assert FAILING[name] in line


def test_the_summary_counts(console):
    counts = f'{len(RESTORED)} restored into'
    assert counts in console
    assert f'{len(SKIPPED)} skipped' in console
    assert f'{len(FAILING)} FAILED' in console
    assert 'new\\nline.png: 30x20; whole' in console
    (line,) = (line for line in console.splitlines() if line.startswith('damaged_exif.jpg: '))
    assert 'its EXIF data is damaged' in line


def test_nothing_else_is_written_and_the_inputs_are_as_they_were(root, tmp_path):
    written = {str(path.relative_to(root / 'out')) for path in (root / 'out').rglob('*') if path.is_file()}
    assert written == set(RESTORED)
    make_odd_pictures(tmp_path / 'again')
    for path in (tmp_path / 'again').rglob('*'):
        if path.is_file():
            assert path.read_bytes() == (root / 'in' / path.relative_to(tmp_path / 'again')).read_bytes()


def test_a_turned_picture_comes_out_upright_with_its_metadata(root):
    with Image.open(root / 'in/turned.jpg') as before, Image.open(root / 'out/turned.jpg') as after:
        assert after.size == (20, 30)
        expected = np.rot90(np.asarray(before), -1)
        assert np.abs(expected.astype(int) - np.asarray(after)).mean() < 3
        tags = after.getexif()
        assert tags[274] == 1
        assert tags[271].encode('latin-1').decode() == 'Kamera & Söhne'
        assert tags.get_ifd(0x8769)[33434] == 0.5
        assert tags.get_ifd(0x8825)[1] == 'N'
        assert after.info['icc_profile'] == ICC
        assert after.info['dpi'] == (300, 300)
        assert after.info['comment'] == b'hello'
        assert b'<x:xmpmeta' in after.info['xmp']
        assert b'Orientation' not in after.info['xmp']


def test_a_turned_picture_of_16_bits_does_so_too(root):
    before, after = pixels_of(root / 'in/turned16.png'), pixels_of(root / 'out/turned16.png')
    assert np.array_equal(np.rot90(before, 1), after)
    with Image.open(root / 'out/turned16.png') as picture:
        assert picture.getexif()[274] == 1
        assert picture.getexif()[306] == '2024:05:06 07:08:09'


@pytest.mark.parametrize('orientation', range(1, 9))
def test_all_orientations_of_16_bits_are_those_of_pillow(tmp_path, orientation):
    from tests.odd_pictures import exif, png16, with_exif

    deep = colours(5, 7, dtype=np.uint16) // 257 * 257  # so that 8 bits say all
    path = tmp_path / 'deep.png'
    path.write_bytes(with_exif(png16(deep), exif(orientation=orientation)))
    shallow = tmp_path / 'shallow.png'
    Image.fromarray((deep // 257).astype(np.uint8)).save(shallow, exif=exif(orientation=orientation))
    assert np.array_equal(read_picture(path).pixels // 257, read_picture(shallow).pixels)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.jpg', '.webp'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_metadata_reach_every_format(tmp_path, suffix, dtype):
    from tests.odd_pictures import exif

    source = tmp_path / 'source.png'
    source.write_bytes(described(Image.fromarray(colours()), exif=exif(orientation=1), icc_profile=ICC))
    picture = read_picture(source)
    picture.pixels = picture.pixels.astype(dtype)
    result = tmp_path / f'result{suffix}'
    with open(result, 'wb') as file:
        write_picture(file, picture, suffix)
    with Image.open(result) as after:
        after.load()
        tags = after.getexif()
        assert tags[271].encode('latin-1').decode() == 'Kamera & Söhne'
        assert tags.get_ifd(0x8769)[33434] == 0.5
        assert tags.get_ifd(0x8825)[1] == 'N'
        assert after.info['icc_profile'] == ICC
        if suffix in ('.png', '.tif', '.jpg'):
            assert after.info['dpi'] == pytest.approx((300, 150), rel=1e-3)
        if suffix == '.png':
            assert after.text == {'Title': 'a title', 'Author': '名前'}
            assert after.info['gamma'] == pytest.approx(0.45455)


def test_metadata_of_a_tiff_are_kept_without_its_layout(tmp_path):
    source, result = tmp_path / 'a.tif', tmp_path / 'b.png'
    Image.fromarray(colours()).save(source, compression='tiff_lzw', software='scanner', icc_profile=ICC)
    picture = read_picture(source)
    with open(result, 'wb') as file:
        write_picture(file, picture, '.png')
    with Image.open(result) as after:
        assert dict(after.getexif()) == {305: 'scanner'}
        assert after.info['icc_profile'] == ICC


def test_a_png_is_deflated_in_half_the_time():
    file = io.BytesIO()
    write_picture(file, Picture(colours()), '.png')
    content = file.getvalue()
    deflate = content[content.index(b'IDAT') + 4 :]
    assert deflate[1] >> 6 == 1  # zlib's levels 2 to 5; Pillow's 6 is 2
    assert np.array_equal(np.asarray(Image.open(file)), colours())


def test_a_pipe_does_not_hang_and_a_folder_named_as_a_picture_is_a_folder(tmp_path, capsys):
    (tmp_path / 'in/album.png').mkdir(parents=True)
    Image.fromarray(colours()).save(tmp_path / 'in/album.png/p.png')
    weights = save(network(changes=False), tmp_path / 'net.pth')
    command = ['deblur', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--weights', str(weights)]
    assert main(command) == 0
    assert (tmp_path / 'out/album.png/p.png').is_file()


def test_at_least_thirty():
    assert len(RESTORED) + len(FAILING) >= 30
