"""`basicsr test` of what a run has just trained, and of files of weights beside each other."""

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from aibnet_arch.checkpoints.choice import best_weights, newest_weights
from aibnet_arch.checkpoints.folder import CheckpointFolder
from aibnet_arch.commands.main import main
from aibnet_arch.errors import UserError
from aibnet_arch.evaluation.several import labels_of
from aibnet_arch.inference.restorer import InferenceSettings, Restorer
from aibnet_arch.page import Page
from aibnet_arch.weights import read_any_network
from tests.browser import browser, visit  # noqa: F401  `browser` is a fixture
from tests.other_networks import save_other
from tests.test_page import data_of
from tests.training import log_of, make_dataset, options, reset_logger, run

pytest.importorskip('spandrel_extra_arches')
SIZE = 44
LATEST = 'experiments/run/models/net_g_latest.pth'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a run of four iterations, validated at 2 and 4, weights of others and a pair of folders."""
    root = tmp_path_factory.mktemp('trained')
    make_dataset(root, train=5, val=2, size=SIZE)
    opt = options(stage_iter=[2, 2], total_iter=4, ema_decay=0.5)
    opt['val']['val_freq'] = 2
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    for name in ('NAFNet', 'Restormer'):
        save_other(name, root / f'{name}.pth')
    rng = np.random.default_rng(0)
    for number, size in enumerate([(37, 61), (40, 48)]):
        sharp = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
        for folder, picture in (('sharp', sharp), ('blurred', cv2.blur(sharp, (5, 1)))):
            (root / 'my' / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / f'my/{folder}/p{number}.png'), picture)
    return root


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """The same folder without results, as the current directory."""
    shutil.copytree(trained, tmp_path / 'here')
    monkeypatch.chdir(tmp_path / 'here')
    return tmp_path / 'here'


def on_trial(*arguments, code=0):
    reset_logger()
    assert main(['test', *map(str, arguments)]) == code


def rows_of(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def refused(capsys, *arguments):
    on_trial(*arguments, code=2)
    assert not Path('results').exists()
    return capsys.readouterr().err


# What a run has trained


def test_an_option_file_of_training_tests_its_newest_weights(here, capsys):
    on_trial('-opt', 'opt.yml')
    assert f'{LATEST}, the newest of its run' in capsys.readouterr().out
    log = log_of(here, 'test_run_val')
    assert f'Loaded AIBNet from {here / LATEST}, entry params_ema.' in log
    psnr = log_of(here).rpartition('# psnr: ')[2].split()[0]  # of its last validation
    assert f'# psnr: {psnr}' in log
    assert len(rows_of('results/test_run_val/val.csv')) == 2
    assert data_of(Path('results/test_run_val/page_val/index.html'))['finished']


def test_the_best_weights_are_those_of_the_best_validation(here, capsys):
    history = Path('experiments/run/history.jsonl').read_text()
    values = [json.loads(line)['metrics']['psnr'] for line in history.splitlines()]
    best = (2, 4)[int(np.argmax(values))]
    for flags in (('--best',), ('--best', 'psnr')):
        on_trial('-opt', 'opt.yml', *flags)
        told = f'net_g_{best}.pth, the best psnr of its run on val: {max(values):.4f}'
        assert told in capsys.readouterr().out
    assert 'val.metrics has psnr (did you mean' in _error(capsys, '-opt', 'opt.yml', '--best', 'psrn')
    (here / f'experiments/run/models/net_g_{best}.pth').unlink()
    assert f'was best at iteration {best}, of which there is no' in _error(capsys, '-opt', 'opt.yml', '--best')


def _error(capsys, *arguments):
    on_trial(*arguments, code=2)
    return capsys.readouterr().err


def test_the_newest_is_not_the_latest_of_a_run_that_was_lengthened(here):
    folder = CheckpointFolder(models=here / 'experiments/run/models', states=here / 'experiments/run/training_states')
    latest, fourth, third = (folder.models / f'net_g_{name}.pth' for name in ('latest', 4, 3))
    assert newest_weights(folder) == (latest, [])
    content = torch.load(latest, weights_only=True)
    torch.save({**content, 'iter': 3}, latest)
    assert newest_weights(folder) == (fourth, [])
    fourth.write_bytes(fourth.read_bytes()[:-9])
    chosen, (skipped,) = newest_weights(folder)
    assert chosen == latest if not third.exists() else chosen == third
    assert skipped.startswith('net_g_4.pth (') and skipped.endswith('differs from what was saved: damaged')
    shutil.rmtree(folder.models)
    with pytest.raises(UserError, match='there are no weights in'):
        newest_weights(folder)


def test_without_a_validation_nothing_is_best(tmp_path):
    folder = CheckpointFolder(models=tmp_path, states=tmp_path)
    with pytest.raises(UserError, match='no validation of psnr on val is noted'):
        best_weights(folder, dataset='val', metric='psnr')


def test_other_pictures_may_take_the_place_of_the_validation_sets(here):
    on_trial('-opt', 'opt.yml', '--lq', 'my/blurred', '--gt', 'my/sharp')
    assert {row['image'] for row in rows_of('results/test_run_on_my/my.csv')} == {'p0', 'p1'}


# Files of weights


def test_weights_and_a_pair_of_folders_give_a_table_and_a_page(here):
    on_trial('--weights', 'Restormer.pth', '--lq', 'my/blurred', '--gt', 'my/sharp')
    assert list(rows_of('results/test_Restormer_on_my/my.csv')[0]) == [
        'image',
        *('psnr', 'psnr_input', 'psnr_gain'),
        *('ssim_3d', 'ssim_3d_input', 'ssim_3d_gain'),
        *('ssim', 'ssim_input', 'ssim_gain'),
        'seconds',
        'note',
    ]
    assert '# psnr: ' in log_of(here, 'test_Restormer_on_my')
    folder = Path('results/test_Restormer_on_my/page_my')
    net = read_any_network('Restormer.pth')
    for each in data_of(folder / 'index.html')['pictures']:
        before = torch.from_numpy(cv2.imread(f'my/blurred/{each["name"]}.png')[..., ::-1].copy())
        with torch.no_grad():
            expected = net(before.permute(2, 0, 1)[None].float() / 255)[0].clamp(0, 1).permute(1, 2, 0) * 255
        shown = cv2.imread(str(folder / 'pictures' / each['files']['after']))[..., ::-1]
        assert np.abs(shown - expected.numpy()).max() <= 0.501


def test_several_weights_give_one_table_and_a_page_with_each_of_them(here):
    files = ['NAFNet.pth', 'Restormer.pth', LATEST]
    on_trial('--weights', *files, '--lq', 'data/val/lq.lmdb', '--gt', 'data/val/gt.lmdb', '--window', '32')
    (root,) = Path('results').glob('test_NAFNet_Restormer_run_on_*-val')
    log = log_of(here, root.name)
    assert 'NAFNet: NAFNet, 0.0' in log and 'window 32, NAFNet.pth' in log
    assert 'Restormer: Restormer, 0.2' in log and 'window 32, Restormer.pth' not in log
    (name,) = (path.stem for path in root.glob('*.csv'))
    assert root.name.endswith(f'_on_{name}')
    rows = rows_of(root / f'{name}.csv')
    labels = ['NAFNet', 'Restormer', 'run']
    assert list(rows[0])[:4] == ['image', *(f'psnr {label}' for label in labels)]
    data = data_of(root / f'page_{name}/index.html')
    assert data['titles'] == {'after': 'NAFNet', 'after2': 'Restormer', 'after3': 'run'}
    assert data['kinds'] == ['before', 'after', 'after2', 'after3', 'truth']
    for each, row in zip(data['pictures'], rows):
        pictures = {
            kind: cv2.imread(str(root / f'page_{name}/pictures' / file)) for kind, file in each['files'].items()
        }
        for kind, label in zip(('after', 'after2', 'after3'), labels):
            error = np.mean((pictures[kind].astype(float) - pictures['truth']) ** 2)
            assert 10 * np.log10(255**2 / error) == pytest.approx(float(row[f'psnr {label}']))
    means = {label: np.mean([float(row[f'psnr {label}']) for row in rows]) for label in labels}
    for label, mean in means.items():
        assert re.search(rf'{label} +{mean:.4f}  ', log)
    assert len(set(means.values())) == 3
    # The settings are those of the network alone: NAFNet has a window.
    restorer = Restorer(read_any_network('NAFNet.pth'), InferenceSettings(window=32))
    before = torch.from_numpy(pictures['before'][..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    expected = restorer(before)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert np.abs(pictures['after'][..., ::-1] - expected).max() <= 0.501


def test_weights_may_take_the_place_of_those_in_an_option_file(here):
    for kind in ('opt.yml', 'test.yml'):
        if kind == 'test.yml':
            opt = yaml.safe_load(Path('opt.yml').read_text())
            opt['datasets'] = {'test': opt['datasets']['val']}
            opt['val']['page'] = {'blur_maps': True}
            del opt['train'], opt['logger']
            opt.update(name='test_file', path={'pretrain_network_g': 'nowhere.pth', 'param_key_g': 'params_ema'})
            Path(kind).write_text(yaml.safe_dump(opt))
        on_trial('-opt', kind, '--weights', 'NAFNet.pth', LATEST)
        (folder,) = Path('results').glob(f'test_{"run_val" if kind == "opt.yml" else "file"}_NAFNet_run')
        assert len(rows_of(folder / 'val.csv')) == 2
        shutil.rmtree('results')


def test_pictures_are_saved_under_the_networks_names(here):
    flags = ['--force_yml', 'val:save_img=true', 'name=test_mine']
    on_trial('--weights', 'NAFNet.pth', 'Restormer.pth', '--lq', 'my/blurred', '--gt', 'my/sharp', *flags)
    saved = sorted(path.name for path in Path('results/test_mine/visualization/my').iterdir())
    assert saved == ['p0_NAFNet.png', 'p0_Restormer.png', 'p1_NAFNet.png', 'p1_Restormer.png']


def test_a_network_that_only_its_options_tell_is_built_from_them(here):
    """Of a plugin, say: here one of BasicSR's own."""
    from basicsr.archs.srvgg_arch import SRVGGNetCompact

    arguments = {'num_feat': 4, 'num_conv': 1, 'upscale': 1}
    opt = yaml.safe_load(Path('opt.yml').read_text())
    opt['model_type'], opt['network_g'] = 'SRModel', {'type': 'SRVGGNetCompact', **arguments}
    del opt['train']['stage_iter']
    Path('plugin.yml').write_text(yaml.safe_dump(opt))
    torch.save({'params': SRVGGNetCompact(**arguments).state_dict()}, 'plugin.pth')
    on_trial('-opt', 'plugin.yml', '--weights', 'plugin.pth', 'NAFNet.pth')
    assert 'plugin: SRVGGNetCompact, ' in log_of(here, 'test_run_val_plugin_NAFNet')


def test_names_of_files_become_different_labels():
    files = ['a/NAFNet.pth', 'b/NAFNet.safetensors', 'runs/x/models/net_g_latest.pth', 'runs/x/models/net_g_5.pth']
    assert list(labels_of(files)) == ['NAFNet', 'NAFNet_NAFNet', 'x', 'x_net_g_5']
    assert list(labels_of(['n.pth', 'n.pth', 'n.pth'])) == ['n', 'n_n', 'n_n_2']


# Refusals


@pytest.mark.parametrize(
    ('flags', 'told'),
    [
        ([], 'give an option file (-opt), or files of weights and pictures'),
        (['--weights', 'NAFNet.pth'], 'give an option file (-opt), or files of weights and pictures'),
        (['-opt', 'opt.yml', '--lq', 'my/blurred'], '--lq and --gt: give both'),
        (['-opt', 'opt.yml', '--window', '32'], '--window goes with --weights'),
        (['-opt', 'opt.yml', '--weights', 'NAFNet.pth', '--best'], '--best chooses among the weights of the run'),
        (['-opt', 'opt.yml', '--lq', 'data/val/lq.lmdb', '--gt', 'my/sharp'], 'give two folders, or two LMDBs'),
        (['-opt', 'opt.yml', '--weights', 'nowhere.pth'], 'weights.nowhere: no file nowhere.pth'),
        (['-opt', 'opt.yml', '--weights', 'experiments/run'], f'the weights are in {LATEST}'),
        (
            ['-opt', 'opt.yml', '--weights', 'experiments/run/training_states/4.state'],
            'the weights are in experiments/run/models/net_g_4.pth',
        ),
        (['-opt', 'opt.yml', '--weights', 'NAFNet.pth', '--window', '33'], 'val.window: 33: expected a positive'),
        (['-opt', 'opt.yml', '--force_yml', 'name=other'], 'there are no weights in'),
    ],
)
def test_what_cannot_be_tested_is_refused_before_anything_is_written(flags, told, here, capsys):
    assert told in refused(capsys, *flags)


def test_without_validation_sets_pictures_must_be_named(here, capsys):
    opt = yaml.safe_load(Path('opt.yml').read_text())
    del opt['datasets']['val']
    Path('opt.yml').write_text(yaml.safe_dump(opt))
    assert 'there is no val to test on' in refused(capsys, '-opt', 'opt.yml')
    on_trial('-opt', 'opt.yml', '--lq', 'my/blurred', '--gt', 'my/sharp')


# The page


def test_the_page_shows_each_result_under_its_name(browser, tmp_path):  # noqa: F811
    page = Page(tmp_path / 'page', results=['NAFNet', '</script> mine'])
    colours = {'before': (255, 0, 0), 'after': (0, 0, 255), 'truth': (255, 255, 255)}
    plain = {kind: np.full((60, 80, 3), colour[::-1], np.uint8) for kind, colour in colours.items()}
    page.add('p', pictures=plain, more=[np.full((60, 80, 3), (0, 255, 0), np.uint8)])
    with visit(browser, page.write()) as opened:
        opened.settled()
        select = opened.page.locator('#right')
        assert select.locator('option').all_text_contents() == ['before', 'NAFNet', '</script> mine', 'truth']
        assert opened.page.locator('#tag-right').text_content() == 'NAFNet'
        assert opened.pixel(0.8)[2] > 200
        select.select_option(label='</script> mine')
        opened.settled()
        assert opened.page.locator('#tag-right').text_content() == '</script> mine'
        assert opened.pixel(0.8)[1] > 200
        opened.page.get_by_role('slider', name='Divider: before on the left, </script> mine on the right')
        assert opened.complaints == []


def test_a_files_own_window_is_taken_unless_another_is_named(here):
    content = torch.load(LATEST, weights_only=True)
    opt = yaml.safe_load(content['options'])
    opt['val']['window'] = 32
    torch.save({**content, 'options': yaml.safe_dump(opt)}, 'own.pth')
    pair = ('--lq', 'my/blurred', '--gt', 'my/sharp')
    on_trial('--weights', 'own.pth', *pair)
    assert 'window 32, own.pth' in log_of(here, 'test_own_on_my')
    shutil.rmtree('results')
    on_trial('--weights', 'own.pth', *pair, '--force_yml', 'val:window=~')
    assert 'window' not in log_of(here, 'test_own_on_my').rpartition('own: AIBNet')[2].partition('\n')[0]
