"""A real browser for tests of pages, driven by Playwright: Chromium as the system has it.

Playwright's own browsers are another download; Debian's package (chromium-headless-shell, or chromium) serves as well.
Where there is none the tests are skipped, or fail if AIBNET_NEED_BROWSER=1. AIBNET_BROWSER names another one.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

NAMES = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')


@pytest.fixture(scope='module')
def browser():
    """A headless Chromium; ended with the file of tests, since one process can drive one at a time."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _missing('playwright is not installed: pip install playwright')
    with sync_playwright() as playwright:
        found = [os.environ.get('AIBNET_BROWSER'), *map(shutil.which, NAMES), playwright.chromium.executable_path]
        path = next((path for path in found if path and Path(path).is_file()), None)
        if path is None:
            _missing('no Chromium is found: apt-get install chromium-headless-shell, or set AIBNET_BROWSER to its path')
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


def _missing(reason: str) -> None:
    if os.environ.get('AIBNET_NEED_BROWSER') == '1':
        pytest.fail(reason)
    pytest.skip(reason)


class Visit:
    """A page that is open.

    Attributes:
        page: Playwright's.
        requests: URLs that were asked for.
        complaints: errors and warnings of the console, exceptions, requests that failed.
    """

    def __init__(self, page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on('request', lambda request: self.requests.append(request.url))
        page.on('requestfailed', self._failed)
        page.on('console', lambda message: self.complaints.append(f'{message.type}: {message.text}'))
        page.on('pageerror', lambda error: self.complaints.append(f'exception: {error}'))

    def _failed(self, request) -> None:
        # A page that goes on to the next picture takes back what it has asked for: that is no failure.
        if request.failure != 'net::ERR_ABORTED':
            self.complaints.append(f'failed: {request.url}: {request.failure}')

    def settled(self) -> 'Visit':
        """Wait until the pictures that were asked for are drawn."""
        self.page.wait_for_selector('#frame:not([aria-busy]) .left', state='attached')
        return self

    def names(self) -> list[str]:
        """Of the list, from above."""
        return self.page.locator('#rows .pick').all_text_contents()

    def pixel(self, across: float, *, down: float = 0.3) -> tuple[int, int, int]:
        """Red, green, blue that the screen shows at a place of the frame, as parts of its width and height."""
        box = self.page.locator('#frame').bounding_box()
        shot = cv2.imdecode(np.frombuffer(self.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        blue, green, red = shot[int(box['y'] + down * box['height']), int(box['x'] + across * box['width'])]
        return int(red), int(green), int(blue)


@contextmanager
def visit(browser, index: Path, *, width: int = 1280, height: int = 800, **options) -> Iterator[Visit]:
    """Open a page from the disk.

    Args:
        options: of Playwright's `new_context`, e.g. color_scheme.
    """
    context = browser.new_context(viewport={'width': width, 'height': height}, **options)
    try:
        opened = Visit(context.new_page())
        opened.page.set_default_timeout(10_000)
        opened.page.goto(index.absolute().as_uri())
        yield opened
    finally:
        context.close()
