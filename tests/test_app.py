"""`basicsr app`: a real upload in a real browser, what the page shows, and that nothing leaves the machine."""

import io
import os
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aibnet_arch.app.restoring import SHOWN_SIDE, Workshop
from aibnet_arch.commands.main import main
from aibnet_arch.errors import CheckpointError, PictureError, UserError
from aibnet_arch.photos import Deblurrer
from aibnet_arch.photos.picture_file import read_picture
from tests.browser import Visit, browser  # noqa: F401
from tests.deblurring import network, save
from tests.odd_pictures import colours

SMOOTH = np.asarray(Image.fromarray(colours(4, 6)).resize((96, 64), Image.Resampling.BICUBIC))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    return save(network(), tmp_path_factory.mktemp('weights') / 'net.pth')


# Without gradio


@pytest.fixture
def workshop(tmp_path):
    (tmp_path / 'results').mkdir()
    return Workshop(tmp_path / 'results', device='cpu', tile='whole')


def test_a_picture_is_restored_as_by_the_command_and_shown(workshop, weights, tmp_path):
    deep = (SMOOTH.astype(np.uint16) * 257) | 2
    from aibnet_arch.photos.picture_file import Picture, write_picture

    with open(tmp_path / 'a.png', 'xb') as file:
        write_picture(file, Picture(deep), '.png')
    told = []
    shown = workshop.restore(
        tmp_path / 'a.png', str(weights), maps=True, progress=lambda part, what: told.append((part, what))
    )
    expected = Deblurrer.from_file(weights, device='cpu')(deep)
    assert np.array_equal(read_picture(shown.result).pixels, expected)
    after = np.asarray(Image.open(shown.after))
    assert np.array_equal(after, (expected // 257).astype(np.uint8))
    assert np.array_equal(np.asarray(Image.open(shown.before)), SMOOTH)
    assert [title for title, _ in shown.maps] == ['SFEM', 'HFSBlock', 'predicted residual']
    assert shown.note.startswith('96x64; whole')
    parts = [part for part, _ in told]
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert any('a.png: about 0:0' in what and 'left' in what for _, what in told)


def test_tiles_have_no_map_and_say_so(weights, tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / 'a.jpg')
    shop = Workshop(tmp_path, device='cpu', tile=48, overlap=8)
    shown = shop.restore(tmp_path / 'a.jpg', str(weights), maps=True, progress=lambda part, what: None)
    assert shown.maps == []
    assert 'no blur map: it was restored in tiles' in shown.note


def test_what_is_shown_is_reduced_and_what_is_downloaded_is_not(workshop, weights, tmp_path):
    Image.fromarray(np.zeros((4, SHOWN_SIDE + 100, 3), np.uint8)).save(tmp_path / 'wide.png')
    shown = workshop.restore(tmp_path / 'wide.png', str(weights), maps=False, progress=lambda part, what: None)
    assert Image.open(shown.result).width == SHOWN_SIDE + 100
    assert Image.open(shown.before).width == SHOWN_SIDE


def test_bad_files_are_told(workshop, weights, tmp_path):
    (tmp_path / 'a.png').write_text('no picture')
    with pytest.raises(PictureError, match='no picture'):
        workshop.restore(tmp_path / 'a.png', str(weights), maps=False, progress=lambda part, what: None)
    with pytest.raises(CheckpointError, match='no file'):
        workshop.deblurrer(str(tmp_path / 'none.pth'))


# In a browser


@contextmanager
def served(*arguments, **how):
    """The page's address, in this process, until the end of the block."""
    pytest.importorskip('gradio')
    from aibnet_arch.app.serving import serve

    ready, end, found = threading.Event(), threading.Event(), []

    def wait(page):
        found.append(page)
        ready.set()
        end.wait()

    before = dict(os.environ)
    thread = threading.Thread(
        target=serve, args=arguments, kwargs={'browser': False, 'wait': wait, 'device': 'cpu', **how}, daemon=True
    )
    thread.start()
    try:
        assert ready.wait(60)
        yield found[0]
    finally:
        end.set()
        thread.join(20)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope='module')
def page(weights):
    with served([str(weights)], tile='whole') as opened:
        yield opened


@pytest.fixture(scope='module')
def visited(page, browser, tmp_path_factory):  # noqa: F811
    """The page after two photos were dropped and restored."""
    folder = tmp_path_factory.mktemp('photos')
    Image.fromarray(SMOOTH).save(folder / 'first.png')
    Image.fromarray(SMOOTH[::-1]).save(folder / 'second.jpg', quality=95)
    (folder / 'broken.png').write_text('no picture')
    context = browser.new_context(viewport={'width': 1400, 'height': 1100}, accept_downloads=True)
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(30_000)
    visit.page.goto(page.local_url)
    files = [folder / 'first.png', folder / 'broken.png', folder / 'second.jpg']
    visit.page.set_input_files('#photos input[type=file]', files)
    visit.page.wait_for_selector('#photos >> text=second')
    visit.page.click('#start')
    visit.page.wait_for_selector('#slider img')
    visit.page.wait_for_selector('#gallery img')
    visit.page.wait_for_timeout(500)
    shot = os.environ.get('AIBNET_SCREENSHOTS')
    if shot:
        visit.page.screenshot(path=Path(shot) / 'app.png', full_page=True)
    yield visit
    context.close()


def test_before_and_after_stand_beside_a_divider(visited):
    assert visited.page.locator('#slider img').count() == 2
    sources = [image.get_attribute('src') for image in visited.page.locator('#slider img').all()]
    shown = [Image.open(io.BytesIO(visited.page.request.get(source).body())).convert('RGB') for source in sources]
    assert {image.size for image in shown} == {(96, 64)}
    assert np.array_equal(np.asarray(shown[0]), SMOOTH)
    assert not np.array_equal(np.asarray(shown[1]), SMOOTH)


def test_every_file_is_told_of(visited):
    told = visited.page.locator('#told textarea').input_value()
    assert 'first.png: 96x64; whole' in told
    assert 'broken.png: FAILED: it is no picture' in told
    assert 'second.jpg: 96x64; whole' in told


def test_the_blur_maps_are_shown(visited):
    assert visited.page.locator('#gallery img').count() >= 3


def test_the_result_is_downloaded_as_the_command_gives_it(visited, weights):
    with visited.page.expect_download() as download:
        visited.page.locator('#results a').first.click()
    pixels = np.asarray(Image.open(download.value.path()))
    assert np.array_equal(pixels, Deblurrer.from_file(weights, device='cpu')(SMOOTH))


def test_nothing_is_asked_of_other_hosts_and_nothing_complains(visited, page):
    hosts = {url.split('/')[2] for url in visited.requests if not url.startswith(('data:', 'blob:'))}
    assert hosts == {page.local_url.split('/')[2]}
    assert [text for text in visited.complaints if text.startswith(('error', 'exception', 'failed'))] == []


def test_only_this_machine_and_its_own_pages_are_answered(page):
    import httpx

    assert page.local_url.startswith('http://127.0.0.1:')
    assert page.share_url is None
    assert not page.analytics_enabled
    answer = httpx.get(page.local_url, trust_env=False)
    assert "connect-src 'self'" in answer.headers['content-security-policy']
    assert httpx.get(page.local_url, headers={'host': 'evil.example'}, trust_env=False).status_code == 400


# Refusals


def test_a_port_that_is_taken_and_weights_that_are_none_are_refused(page, weights, tmp_path, monkeypatch):
    from aibnet_arch.app.serving import serve

    for name in ('GRADIO_TEMP_DIR', 'NO_PROXY'):
        monkeypatch.setenv(name, os.environ.get(name, ''))
    with pytest.raises(UserError, match='is taken'):
        serve([str(weights)], port=page.server_port, browser=False, device='cpu')
    with pytest.raises(CheckpointError):
        serve([str(tmp_path / 'none.pth')], browser=False, device='cpu')


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, 'gradio', None)
    for name in ('GRADIO_ANALYTICS_ENABLED', 'HF_HUB_DISABLE_TELEMETRY', 'HF_HUB_OFFLINE'):
        monkeypatch.setenv(name, '1')
    assert main(['app', '--weights', 'x.pth']) == 2
    assert 'basicsr app needs gradio: pip install gradio' in capsys.readouterr().err


@pytest.mark.parametrize('port', ['0', '65536', '-1', 'x', ''])
def test_a_port_that_there_cannot_be_is_refused(port, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['app', f'--port={port}'])
    assert f'argument --port: {port!r}: expected a number from 1 to 65535' in capsys.readouterr().err
