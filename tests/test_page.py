"""The page's files and its data, without a browser, and the page that `basicsr test` writes."""

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.config.checks import preflight
from aibnet_arch.errors import OptionError, RunError, UserError
from aibnet_arch.page import Page, usual_better
from tests.test_distributed import two_processes
from tests.training import make_dataset, model_class, options, run

HOSTILE = '../a/ü "b" </script>#1 50%&\n\x00\udcff'


def picture(value=0, *, height=9, width=12):
    return np.random.default_rng(value).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pair(**more):
    return {'before': picture(1), 'after': picture(2), **more}


def data_of(index):
    """What a page says, read as a browser does: up to the first end of the script element."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script', index.read_text('utf-8'), re.S)
    return json.loads(text.group(1))


def test_pictures_are_kept_to_the_last_bit_and_lie_below_the_page(tmp_path):
    page = Page(tmp_path / 'new/page', title='mine')
    pictures = pair(truth=picture(3))
    page.add('first', pictures=pictures, maps={'SFEM': picture(4), 'b': picture(5)}, metrics={'psnr': 31.25}, note='so')
    page.add('second', pictures=pair())
    data = data_of(page.write())
    first, second = data['pictures']
    assert (first['name'], first['width'], first['height'], first['note']) == ('first', 12, 9, 'so')
    for kind, expected in pictures.items():
        assert np.array_equal(cv2.imread(str(tmp_path / 'new/page/pictures' / first['files'][kind])), expected)
    assert [name for name, _ in first['maps']] == ['SFEM', 'b']
    written = {path.name for path in (tmp_path / 'new/page/pictures').iterdir()}
    named = {file for each in data['pictures'] for file in each['files'].values()} | {file for _, file in first['maps']}
    assert written == named
    assert len(written) == 6 + 3
    assert 'truth' not in second['files']
    assert [each['values'] for each in data['pictures']] == [[31.25], [None]]


def test_names_become_neither_markup_nor_paths(tmp_path):
    page = Page(tmp_path / 'page', title=HOSTILE)
    for _ in range(2):  # two pictures of one name
        page.add(HOSTILE, pictures=pair(), maps={HOSTILE: picture()}, metrics={HOSTILE: 1.0}, note=HOSTILE)
    index = page.write()
    data = data_of(index)
    assert {each['name'] for each in data['pictures']} == {HOSTILE}
    assert data['metrics'][0]['name'] == data['pictures'][0]['maps'][0][0] == data['pictures'][0]['note'] == HOSTILE
    assert index.read_text('utf-8').count('</script') == 2  # the page's own
    files = sorted(path.name for path in (tmp_path / 'page/pictures').iterdir())
    assert len(files) == 8
    assert all(re.fullmatch(r'000[12]-a-b-script-1-50_(before|after|map1|thumb)\.(png|jpg)', file) for file in files)
    assert sorted(path.name for path in tmp_path.rglob('*') if path.is_file()) == sorted(['index.html', *files])


@pytest.mark.parametrize(
    ('contents', 'told'),
    [
        ({'pictures': {'before': picture()}}, "no 'after'"),
        ({'pictures': pair(turth=picture())}, "an unknown 'turth'"),
        ({'pictures': pair(truth=picture(height=10))}, r'truth is \(10, 12, 3\), but after is \(9, 12, 3\)'),
        ({'pictures': pair(truth=picture()[..., 0])}, r'truth: expected a uint8 picture .*, got uint8 \(9, 12\)'),
        ({'pictures': pair(after=picture() / 255)}, 'after: expected a uint8 picture .* got float64'),
        ({'pictures': dict.fromkeys(('before', 'after'), picture(width=0))}, 'before: expected'),
        ({'pictures': pair(), 'maps': {'SFEM': picture(width=5)}}, 'SFEM is'),
    ],
)
def test_pictures_of_another_form_are_refused_and_nothing_is_written(tmp_path, contents, told):
    page = Page(tmp_path / 'page')
    with pytest.raises(ValueError, match=told):
        page.add('p', **contents)
    assert list((tmp_path / 'page/pictures').iterdir()) == []


@pytest.mark.parametrize('foreign', ['my.txt', 'index.html', 'pictures/mine.png', 'pictures/0001-a_before.png/x'])
def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text('mine')
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        Page(tmp_path)
    assert sorted(tmp_path.rglob('*')) == before
    assert (tmp_path / foreign).read_text() == 'mine'


def test_a_page_is_replaced_by_the_next_one(tmp_path):
    for name in ('old', 'new'):
        page = Page(tmp_path / 'page', title=name)
        page.add(name, pictures=pair())
        index = page.write()
    assert [each['name'] for each in data_of(index)['pictures']] == ['new']
    assert {path.name.split('_')[0] for path in (tmp_path / 'page/pictures').iterdir()} == {'0001-new'}
    Page(tmp_path / 'page')  # begun, and stopped
    assert data_of(index)['finished'] is False
    Page(tmp_path / 'page').write()
    assert data_of(index)['finished'] is True


def test_a_folder_or_a_file_that_cannot_be_written_ends_in_a_message(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot become the folder of a page'):
        Page(tmp_path / 'file')
    page = Page(tmp_path / 'page')
    (tmp_path / 'page/pictures').rmdir()
    (tmp_path / 'page/pictures').write_text('')
    with pytest.raises(RunError, match='cannot be written'):
        page.add('p', pictures=pair())


def test_means_leave_out_what_is_infinite_and_are_none_with_what_is_no_number(tmp_path):
    page = Page(tmp_path / 'page', better={'mine': 'lower'})
    page.add('a', pictures=pair(), metrics={'psnr': 20.0, 'ssim': 0.5, 'mine': math.inf})
    page.add('b', pictures=pair(), metrics={'psnr': math.inf, 'ssim': math.nan, 'mine': math.inf})
    page.add('c', pictures=pair(), metrics={'psnr': 30.0, 'lpips': np.float32(0.5)})
    data = data_of(page.write())
    assert [tuple(metric.values()) for metric in data['metrics']] == [
        ('psnr', 'higher', 25.0, 'without 1 infinite'),
        ('ssim', 'higher', 'nan', 'over the 2 of 3 pictures that have it, not a number in 1'),
        ('mine', 'lower', 'inf', 'over the 2 of 3 pictures that have it'),
        ('lpips', 'lower', 0.5, 'over the 1 of 3 pictures that have it'),
    ]
    assert data['pictures'][1]['values'] == ['inf', 'nan', 'inf', None]


def test_which_way_is_better():
    assert {name: usual_better(name) for name in ('psnr', 'calculate_ssim', 'LPIPS', 'calculate_niqe', 'seconds')} == {
        'psnr': 'higher',
        'calculate_ssim': 'higher',
        'LPIPS': 'lower',
        'calculate_niqe': 'lower',
        'seconds': 'lower',
    }
    with pytest.raises(ValueError, match="'psnr': 'up': expected higher or lower"):
        Page('nowhere', better={'psnr': 'up'})
    assert not Path('nowhere').exists()


# basicsr test


@pytest.fixture
def test_options(tmp_path):
    """Options of a test of an untrained network, in a folder with its weights and three pictures."""
    make_dataset(tmp_path, train=1, val=3)
    opt = options()
    net = AIBNet(**{key: value for key, value in opt['network_g'].items() if key != 'type'})
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g', 'manual_seed')}
    test.update(name='test_run', datasets={'test': {**opt['datasets']['val'], 'name': 'val'}})
    test.update(path={'pretrain_network_g': 'net.pth'}, val={'save_img': True, 'metrics': opt['val']['metrics']})
    test['val']['metrics']['mine'] = {'type': 'calculate_ssim_2d', 'better': 'lower'}
    test['val']['page'] = True
    return test


def assert_is_the_page_of(root):
    """Three pictures of `make_dataset`, in its order, with the figures of the table."""
    folder = root / 'results/test_run/page_val'
    data = data_of(folder / 'index.html')
    summary = json.loads((root / 'results/test_run/val.json').read_text())
    assert data['finished']
    assert [each['name'] for each in data['pictures']] == ['p0', 'p1', 'p2']
    expected = [[row['psnr'], row['mine']] for row in summary['pictures']]
    assert [each['values'] for each in data['pictures']] == expected
    assert [(m['name'], m['better'], m['mean']) for m in data['metrics']] == [
        ('psnr', 'higher', summary['metrics']['psnr']['mean']),
        ('mine', 'lower', summary['metrics']['mine']['mean']),
    ]
    for each in data['pictures']:
        shown = {kind: cv2.imread(str(folder / 'pictures' / file)) for kind, file in each['files'].items()}
        saved = cv2.imread(str(root / f'results/test_run/visualization/val/{each["name"]}_test_run.png'))
        assert np.array_equal(shown['after'], saved)
        error = np.mean((shown['after'].astype(float) - shown['truth']) ** 2)
        assert 10 * math.log10(255**2 / error) == pytest.approx(each['values'][0])
        assert 5 < np.std(shown['before'].astype(float) - shown['truth']) < 20  # the noise of `make_dataset`
    assert len(list((folder / 'pictures').iterdir())) == 3 * 4


def test_basicsr_test_writes_a_page(tmp_path, monkeypatch, test_options):
    assert run(test_options, root=tmp_path, monkeypatch=monkeypatch, command='test') == 0
    assert_is_the_page_of(tmp_path)
    log = next((tmp_path / 'results/test_run').glob('*.log')).read_text()
    assert f'Page: {tmp_path}/results/test_run/page_val/index.html' in log


def test_two_processes_write_one_page(tmp_path, test_options):
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump(test_options, sort_keys=False))
    done = two_processes(tmp_path, module='aibnet_arch', command='test')
    assert done.returncode == 0, done.stderr
    assert_is_the_page_of(tmp_path)


def test_a_larger_result_and_what_is_not_finite_are_told(tmp_path, monkeypatch, test_options):
    """Another network, which enlarges, and gives no numbers."""
    test_options.update(model_type='SRModel', scale=2)
    test_options['network_g'] = {
        'type': 'MSRResNet',
        'num_in_ch': 3,
        'num_out_ch': 3,
        'upscale': 2,
        'num_feat': 4,
        'num_block': 1,
    }
    model_class()
    from basicsr.archs.srresnet_arch import MSRResNet

    net = MSRResNet(3, 3, num_feat=4, num_block=1, upscale=2)
    net.conv_first.weight.data.fill_(1e38)  # finite, but its results are not
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    small = make_small(tmp_path)
    test_options['datasets']['test']['dataroot_lq'] = small
    assert run(test_options, root=tmp_path, monkeypatch=monkeypatch, command='test') == 0
    data = data_of(tmp_path / 'results/test_run/page_val/index.html')
    for each in data['pictures']:
        assert each['values'] == ['nan', 'nan']
        assert each['note'] == 'the network gave values that are not finite; before is enlarged from 20x20'


def make_small(root):
    """The blurred pictures of `make_dataset` at half their size."""
    from basicsr.utils import FileClient
    from basicsr.utils.lmdb_util import LmdbMaker

    client = FileClient('lmdb', db_paths=[str(root / 'data/val/lq.lmdb')], client_keys=['lq'])
    maker = LmdbMaker(str(root / 'small.lmdb'))
    for key in ('p0', 'p1', 'p2'):
        large = cv2.imdecode(np.frombuffer(client.get(key, 'lq'), np.uint8), cv2.IMREAD_COLOR)
        small = cv2.resize(large, (20, 20))
        maker.put(cv2.imencode('.png', small)[1].tobytes(), key, small.shape)
    maker.close()
    return 'small.lmdb'


@pytest.mark.parametrize(
    ('page', 'told'),
    [
        ('yes please', "val.page: 'yes please': expected true, or {blur_maps: true}"),
        ([True], 'val.page: [True]: expected true'),
        ({'blurmaps': True}, "val.page.blurmaps: nothing reads this key (did you mean 'blur_maps'?)"),
        ({'blur_maps': 3}, 'val.page.blur_maps: 3: expected true or false'),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(tmp_path, monkeypatch, test_options, page, told):
    monkeypatch.chdir(tmp_path)
    model_class()
    test_options['val']['page'] = page
    with pytest.raises(OptionError) as error:
        preflight(test_options, is_train=False)
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(told)


@pytest.mark.parametrize('page', [False, None, True, {}, {'blur_maps': False}])
def test_right_options_pass(tmp_path, monkeypatch, test_options, page):
    monkeypatch.chdir(tmp_path)
    model_class()
    test_options['val']['page'] = page
    preflight(test_options, is_train=False)


def test_training_writes_no_page_and_says_so(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    model_class()
    opt = options()
    opt['val']['page'] = True
    with pytest.raises(OptionError) as error:
        preflight(opt, is_train=True)
    assert error.value.problems == [
        'val.page: only `basicsr test` writes a page; leave it out of the options of a training'
    ]


def test_classes_that_validate_in_their_own_way_are_named(test_options):
    model_class()
    from basicsr.utils.registry import MODEL_REGISTRY

    from aibnet_arch.config.checks.page import check_page

    told = {
        name: [str(each) for each in check_page(test_options, MODEL_REGISTRY.get(name), is_train=False)]
        for name in ('AIBNetModel', 'SRModel', 'RealESRNetModel', 'VideoBaseModel')
    }
    assert told.pop('VideoBaseModel') == [
        'val.page: VideoBaseModel validates by a method of its own, which writes no page'
    ]
    assert set(map(tuple, told.values())) == {()}  # RealESRNetModel calls SRModel's from its own


def test_blur_maps_are_the_model_class_s_to_give(tmp_path, monkeypatch, test_options):
    """Whatever class has a method `blur_maps` can be asked for them."""
    maps = lambda self: {'SFEM': np.full((*self.lq.shape[2:], 3), 200, np.uint8)}  # noqa: E731
    monkeypatch.setattr(model_class(), 'blur_maps', maps, raising=False)
    test_options['val']['page'] = {'blur_maps': True}
    assert run(test_options, root=tmp_path, monkeypatch=monkeypatch, command='test') == 0
    folder = tmp_path / 'results/test_run/page_val'
    for each in data_of(folder / 'index.html')['pictures']:
        [[name, file]] = each['maps']
        assert name == 'SFEM'
        assert abs(cv2.imread(str(folder / 'pictures' / file)).astype(int) - 200).max() <= 2
