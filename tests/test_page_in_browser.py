"""The page in a real headless browser: what moves, what is sorted, what is fetched. See tests/browser.py."""

import math
import shutil

import numpy as np
import pytest

from aibnet_arch.page import Page
from tests.browser import browser, visit  # noqa: F401  `browser` is a fixture

RED, BLUE, WHITE, GREEN = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 255, 0)
HOSTILE = 'a "b" </script><b>#1 50% & ü 雪'
FIGURES = {  # name to psnr and lpips; 'lost' has no lpips
    HOSTILE: (30.0, 0.4),
    'equal': (math.inf, 0.0),
    'good': (40.0, 0.3),
    'lost': (math.nan, None),
    'poor': (20.0, 0.9),
}


def plain(colour, *, height=300, width=400):
    return np.full((height, width, 3), colour[::-1], np.uint8)


@pytest.fixture(scope='module')
def index(tmp_path_factory):
    """Red before, blue after, white truth, a green map."""
    page = Page(tmp_path_factory.mktemp('pages') / 'my #1 page 50% ü', title='Demo <&> "set"')
    for name, (psnr, lpips) in FIGURES.items():
        metrics = {'psnr': psnr} if lpips is None else {'psnr': psnr, 'lpips': lpips}
        pictures = {'before': plain(RED), 'after': plain(BLUE), 'truth': plain(WHITE)}
        maps = {'SFEM </b>': plain(GREEN), 'residual': plain(WHITE)}
        if name == 'good':
            del pictures['truth']
            maps = {}
        page.add(name, pictures=pictures, metrics=metrics, maps=maps, note=f'note of {name}')
    return page.write()


@pytest.fixture
def opened(browser, index):  # noqa: F811
    """The page on a wide screen; afterwards nothing came from elsewhere and nobody complained."""
    with visit(browser, index) as opened:
        yield opened.settled()
        home = index.parent.as_uri()
        assert [url for url in opened.requests if not url.startswith((f'{home}/', 'data:'))] == []
        assert f'{home}/pictures/' in ' '.join(opened.requests)
        assert opened.complaints == []


def close(found, wanted):
    return all(abs(f - w) <= 12 for f, w in zip(found, wanted))


def test_the_divider_moves_by_keyboard(opened):
    assert close(opened.pixel(0.4), RED)
    assert close(opened.pixel(0.6), BLUE)
    divider = opened.page.get_by_role('slider', name='Divider: before on the left, after on the right')
    divider.focus()
    for _ in range(5):
        opened.page.keyboard.press('ArrowRight')
    assert float(divider.input_value()) == 55
    opened.page.keyboard.press('Shift+ArrowRight')
    opened.page.keyboard.press('Shift+ArrowRight')
    assert divider.get_attribute('aria-valuetext') == '75 %'
    assert close(opened.pixel(0.7), RED)
    opened.page.keyboard.press('Home')
    assert close(opened.pixel(0.1), BLUE)
    opened.page.keyboard.press('End')
    assert close(opened.pixel(0.97), RED)


def test_the_divider_moves_by_pointer(opened):
    box = opened.page.locator('#frame').bounding_box()
    across = lambda share: (box['x'] + share * box['width'], box['y'] + 0.7 * box['height'])  # noqa: E731
    opened.page.mouse.move(*across(0.5))
    opened.page.mouse.down()
    opened.page.mouse.move(*across(0.2))
    assert close(opened.pixel(0.3), BLUE)
    opened.page.mouse.move(*across(1.5))  # out of the frame, and held at its end
    assert close(opened.pixel(0.97), RED)
    opened.page.mouse.move(*across(0.25))
    opened.page.mouse.up()
    opened.page.mouse.move(*across(0.9))
    assert float(opened.page.locator('#split').input_value()) == pytest.approx(25, abs=0.5)
    opened.page.keyboard.press('ArrowLeft')  # the keyboard goes on where the pointer was
    assert float(opened.page.locator('#split').input_value()) == pytest.approx(24, abs=0.5)
    assert close(opened.pixel(0.22), RED)
    assert close(opened.pixel(0.27), BLUE)


def test_a_finger_moves_it_too(browser, index):  # noqa: F811
    with visit(browser, index, width=360, height=740, has_touch=True, is_mobile=True) as opened:
        box = opened.settled().page.locator('#frame').bounding_box()
        touch = opened.page.context.new_cdp_session(opened.page)
        for kind, share in (('touchStart', 0.5), ('touchMove', 0.6), ('touchMove', 0.8), ('touchEnd', None)):
            point = [] if share is None else [{'x': box['x'] + share * box['width'], 'y': box['y'] + 20}]
            touch.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': point})
        assert float(opened.page.locator('#split').input_value()) == pytest.approx(80, abs=1)


def test_worst_first_and_by_any_column(opened):
    head = lambda name: opened.page.get_by_role('columnheader', name=name)  # noqa: E731
    assert opened.names() == ['lost', 'poor', HOSTILE, 'good', 'equal']
    assert head('psnr').get_attribute('aria-sort') == 'ascending'
    assert opened.page.locator('#order').text_content() == '5, by psnr, worst first'
    head('lpips').get_by_role('button').click()
    assert opened.names() == ['poor', HOSTILE, 'good', 'equal', 'lost']  # lower is better; no figure comes last
    assert head('lpips').get_attribute('aria-sort') == 'descending'
    assert head('psnr').get_attribute('aria-sort') is None
    head('lpips').get_by_role('button').press('Enter')
    assert opened.names() == ['equal', 'good', HOSTILE, 'poor', 'lost']
    head('psnr').get_by_role('button').click()
    head('psnr').get_by_role('button').click()
    assert opened.names() == ['equal', 'good', HOSTILE, 'poor', 'lost']  # not a number is the worst
    head('name').get_by_role('button').click()
    assert opened.names() == [HOSTILE, 'equal', 'good', 'lost', 'poor']


def test_figures_that_are_none_and_their_means(opened):
    cells = {
        name: opened.page.get_by_role('row', name=name).get_by_role('cell').all_text_contents()
        for name in ('lost', 'equal', 'poor', 'mean')
    }
    assert cells == {
        'lost': ['NaN', '\N{EN DASH}'],
        'equal': ['∞', '0.0000'],
        'poor': ['20.00', '0.9000'],
        'mean': ['NaN', '0.4000'],
    }
    assert 'not a number in 1' in opened.page.get_by_role('rowheader', name='mean').text_content()


def test_names_and_notes_are_text(opened):
    opened.page.get_by_role('button', name=HOSTILE, exact=True).click()
    opened.settled()
    assert opened.page.locator('#name').text_content() == HOSTILE
    assert opened.page.locator('#note').text_content() == f'note of {HOSTILE}'
    assert opened.page.locator('h1').text_content() == opened.page.title() == 'Demo <&> "set"'
    assert opened.page.locator('main b').count() == 0
    assert close(opened.pixel(0.4), RED)


def test_left_and_right_are_chosen(opened):
    opened.page.get_by_role('combobox', name='Right').select_option('truth')
    opened.settled()
    assert close(opened.pixel(0.6), WHITE)
    opened.page.get_by_role('combobox', name='Left').select_option('after')
    opened.settled()
    assert close(opened.pixel(0.4), BLUE)
    opened.page.get_by_role('button', name='good').click()  # it has no truth: after stands in for it
    opened.settled()
    assert opened.page.get_by_role('combobox', name='Right').input_value() == 'after'
    opened.page.get_by_role('button', name='poor').click()
    opened.settled()
    assert opened.page.get_by_role('combobox', name='Right').input_value() == 'truth'


def test_a_map_is_switched_on(opened):
    opened.page.get_by_role('radio', name='SFEM </b>').check(force=True)  # what is seen of it is its label
    opened.settled()
    assert close(opened.pixel(0.4), (102, 153, 0))  # 60 % of it
    opened.page.get_by_role('slider', name='Opacity').fill('100')
    assert close(opened.pixel(0.4), GREEN)
    opened.page.locator('#split').focus()
    opened.page.keyboard.press('m')
    opened.settled()
    assert close(opened.pixel(0.6), WHITE)
    opened.page.get_by_role('button', name='good').click()  # it has none
    opened.settled()
    assert not opened.page.get_by_role('group', name='Blur map').is_visible()
    assert close(opened.pixel(0.4), RED)


def test_from_picture_to_picture(opened):
    place = opened.page.locator('#place')
    assert (opened.page.locator('#name').text_content(), place.text_content()) == ('lost', '1 of 5')
    assert opened.page.get_by_role('button', name='Previous').is_disabled()
    opened.page.keyboard.press('n')
    opened.page.get_by_role('button', name='Next').click()
    assert (opened.page.locator('#name').text_content(), place.text_content()) == (HOSTILE, '3 of 5')
    opened.page.keyboard.press('p')
    assert opened.page.locator('#name').text_content() == 'poor'
    opened.page.locator('[aria-current] .pick').focus()
    opened.page.keyboard.press('End')
    assert opened.page.evaluate('document.activeElement.textContent') == 'equal'
    opened.page.keyboard.press('ArrowUp')
    assert opened.page.locator('#name').text_content() == 'good'
    opened.page.reload()
    opened.settled()
    assert opened.page.locator('#name').text_content() == 'good'  # the address says which


def test_pixel_by_pixel_the_divider_stays_in_sight(browser, tmp_path):  # noqa: F811
    page = Page(tmp_path / 'page')
    stripes = np.tile(np.repeat(np.uint8([0, 255]), 1), (900, 1200))  # columns of one pixel: black, white, black ...
    page.add('stripes', pictures={'before': np.dstack([stripes] * 3), 'after': plain(BLUE, height=900, width=2400)})
    with visit(browser, page.write(), width=1000, height=700) as opened:
        opened.settled().page.get_by_role('radio', name='100 %').check(force=True)
        scroller, frame = opened.page.locator('#scroller'), opened.page.locator('#frame').bounding_box()
        assert scroller.evaluate('e => e.scrollWidth') == 2400
        assert scroller.evaluate('e => e.scrollLeft + e.clientWidth / 2') == pytest.approx(1200, abs=2)
        found = {opened.pixel(0.3 + shift / frame['width']) for shift in range(4)}
        assert found == {(0, 0, 0), WHITE}  # nothing in between: no pixel is mixed with its neighbour
        assert close(opened.pixel(0.6), BLUE)
        before = scroller.evaluate('e => e.scrollLeft')
        opened.page.mouse.move(frame['x'] + 100, frame['y'] + 100)
        opened.page.mouse.down()
        opened.page.mouse.move(frame['x'] + 40, frame['y'] + 100)
        opened.page.mouse.up()
        assert scroller.evaluate('e => e.scrollLeft') == before + 60
        assert opened.pixel(0.3) in ((0, 0, 0), WHITE)
        assert close(opened.pixel(0.6), BLUE)


def overflowing(page):
    """What is wider than the screen: the page, or an element that sticks out of it."""
    return page.evaluate("""() => {
        const width = document.documentElement.clientWidth;
        const out = [...document.querySelectorAll('body *')].filter((e) => {
            const box = e.getBoundingClientRect();
            return box.width && !e.closest('.frame > *') && (box.right > width + 0.5 || box.left < -0.5);
        });
        return [document.documentElement.scrollWidth > width, ...out.map((e) => e.outerHTML.slice(0, 80))];
    }""")


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_nothing_sticks_out_of_a_narrow_screen(browser, index, scheme):  # noqa: F811
    with visit(browser, index, width=360, height=640, color_scheme=scheme, reduced_motion='reduce') as opened:
        page = opened.settled().page
        page.get_by_role('radio', name='SFEM </b>').check(force=True)
        for zoom in ('Fit', '400 %'):
            page.get_by_role('radio', name=zoom).check(force=True)
            for split in ('0', '100'):
                page.get_by_role('slider', name='Divider').fill(split)
                assert overflowing(page) == [False]
        page.get_by_role('button', name='equal').click()
        assert page.locator('#viewer').evaluate('e => e.getBoundingClientRect().top') == pytest.approx(0, abs=1)
        ground = page.evaluate('getComputedStyle(document.body).backgroundColor')  # rgb(1, 2, 3)
        assert (sum(map(int, ground[4:-1].split(','))) > 600) == (scheme == 'light')
        assert opened.complaints == []


CONTRAST = """(pairs) => {
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
        const hex = style.getPropertyValue(name).trim();
        const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
        const linear = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05;
    };
    return Math.min(...pairs.map(([a, b]) => Math.max(light(a) / light(b), light(b) / light(a))));
}"""


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_everything_has_a_name_and_can_be_read(browser, index, scheme):  # noqa: F811
    with visit(browser, index, color_scheme=scheme) as opened:
        page = opened.settled().page
        nodes = page.context.new_cdp_session(page).send('Accessibility.getFullAXTree')['nodes']
        roles = ('button', 'slider', 'combobox', 'radio', 'searchbox', 'columnheader', 'rowheader', 'table')
        controls = [
            (node['role']['value'], node.get('name', {}).get('value'))
            for node in nodes
            if not node['ignored'] and node['role']['value'] in roles
        ]
        assert len(controls) > 25
        assert [role for role, name in controls if not name and role != 'table'] == []
        texts, grounds = ('--ink', '--faint', '--accent', '--alarm'), ('--paper', '--card', '--chosen')
        assert page.evaluate(CONTRAST, [(text, ground) for text in texts for ground in grounds]) >= 4.5


def test_focus_is_seen(opened):
    """Each control looks different once Tab has reached it."""
    opened.page.get_by_role('radio', name='residual').check(force=True)
    seen = set()
    for _ in range(40):  # more than once round
        opened.page.keyboard.press('Tab')
        target, outlined = opened.page.evaluate("""() => {
            const e = document.activeElement;
            const shown = e.id === 'split' ? e.parentElement : e.type === 'radio' ? e.nextElementSibling : e;
            const style = getComputedStyle(shown);
            const name = e === document.body ? '' : e.id || e.name || e.textContent;
            return [name, parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== 'none'];
        }""")
        assert outlined or not target, target
        seen.add(target)
    assert {'next', 'split', 'left', 'right', 'zoom', 'maps', 'opacity', 'name', 'psnr', 'lpips', 'lost'} <= seen


def test_a_thousand_pictures_load_only_what_is_seen(browser, tmp_path):  # noqa: F811
    page = Page(tmp_path / 'page', title='many')
    tiny = {'before': plain(RED, height=4, width=6), 'after': plain(BLUE, height=4, width=6)}
    for number in range(1111):
        page.add(f'GOPR{number:04}', pictures=tiny, metrics={'psnr': 20 + number % 97 / 7, 'ssim': 0.9})
    with visit(browser, page.write()) as opened:
        opened.settled().page.wait_for_timeout(300)
        assert len(opened.requests) < 120
        opened.page.get_by_label('Find a name').fill('gopr11')
        assert len(opened.names()) == 11
        assert opened.page.locator('#order').text_content() == '11 of 1111, by psnr, worst first'
        opened.page.get_by_label('Find a name').fill('nothing')
        assert opened.page.get_by_text('No name has these letters in it.').is_visible()
        assert opened.page.get_by_role('button', name='Next').is_disabled()
        assert opened.complaints == []


@pytest.mark.parametrize('finished', [True, False])
def test_a_page_without_pictures_says_so(browser, tmp_path, finished):  # noqa: F811
    page = Page(tmp_path / 'page', title='empty')
    if finished:
        page.write()
    with visit(browser, tmp_path / 'page/index.html') as opened:
        told = 'There are no pictures on this page.' if finished else 'This page is not finished'
        assert opened.page.get_by_text(told).is_visible()
        assert opened.complaints == []


def test_pictures_that_are_gone_are_named(browser, index, tmp_path):  # noqa: F811
    shutil.copy(index, tmp_path / 'index.html')
    with visit(browser, tmp_path / 'index.html') as opened:
        told = opened.page.get_by_role('alert')
        told.wait_for()
        assert 'Cannot be shown: pictures/0004-lost_after.png, pictures/0004-lost_before.png' in told.text_content()
        assert not any(complaint.startswith('exception') for complaint in opened.complaints)


def test_the_browser_itself_refuses_what_is_elsewhere(opened):
    refused = opened.page.evaluate("""() => new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.blockedURI));
        document.body.append(Object.assign(new Image(), { src: 'https://example.invalid/picture.png' }));
    })""")
    assert refused == 'https://example.invalid/picture.png'
    assert len(opened.complaints) == 2
    assert all('example.invalid' in complaint for complaint in opened.complaints)
    opened.complaints.clear()
    opened.requests[:] = [url for url in opened.requests if 'example.invalid' not in url]
