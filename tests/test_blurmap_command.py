"""``basicsr blurmap`` as its user meets it."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

from aibnet_arch.commands.blurmap import run_blurmap
from aibnet_arch.commands.main import main
from aibnet_arch.errors import UserError
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from aibnet_arch.weights.weight_file import WeightFile
from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.motion_blur import Exposure, Motion
from datasets_prep.pairs import Pair
from tests.test_signature import noisy

MAPS = ['sfem', 'hfs_block', 'predicted_residual', 'local_variance', 'gradient_energy']


def write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Three pictures, partly blurred, in folders and as LMDB, and the weights of a tiny AIBNet and a tiny NAFNet."""
    root = tmp_path_factory.mktemp('blurmap')
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(3):
        sharp = rng.integers(0, 256, (48, 70, 3), dtype=np.uint8)
        motion = Motion(camera=0, camera_turn=0, part=8, frames=9)
        exposure = Exposure.draw(48, 70, motion=motion, rng=rng)
        pairs.append(Pair(f'p{number}', exposure.blur(sharp), sharp))
        write(root / f'lq/p{number}.png', pairs[-1].lq)
        write(root / f'gt/p{number}.png', sharp)
        write(root / f'extent/p{number}.png', np.round(256 * exposure.extent()).astype(np.uint16))
    write_pairs(pairs, root / 'lq.lmdb', root / 'gt.lmdb', workers=1, progress=False)
    torch.manual_seed(0)
    torch.save({'params': noisy().state_dict()}, root / 'net.pth')
    nafnet = OTHER_NETWORKS['NAFNet'].cls()(width=4, enc_blk_nums=[1], middle_blk_num=1, dec_blk_nums=[1])
    torch.save({'params': nafnet.state_dict()}, root / 'nafnet.pth')
    return root


def blurmap(root, out, *arguments, inputs=('lq',)):
    inputs = [str(root / name) for name in inputs]
    paths = [str(root / word) if (root / word).exists() else word for word in arguments]
    return run_blurmap([*inputs, '-o', str(out), '--weights', str(root / 'net.pth'), *paths])


def test_maps_without_truth(root, tmp_path, capsys):
    assert blurmap(root, tmp_path / 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['p0', 'p1', 'p2']
    assert {path.stem for path in (tmp_path / 'out/p1').iterdir()} == {*MAPS, 'panel'}
    assert cv2.imread(str(tmp_path / 'out/p1/sfem.png')).shape == (48, 70, 3)
    assert '3 picture(s)' in capsys.readouterr().out


def test_figures_against_both_truths(root, tmp_path, capsys):
    out = tmp_path / 'out'
    assert blurmap(root, out, '--gt', 'gt', '--extent', 'extent', '--beside', 'nafnet.pth', '--no-pictures') == 0
    document = json.loads((out / 'figures.json').read_text())
    names = [*MAPS, 'nafnet_residual']
    assert list(document['means']['residual']) == list(document['means']['extent']) == names
    # Noise that moves loses its gradients: what the figures must find here, and not in the sharp picture.
    found = document['means']['extent']['gradient_energy']
    assert found['auc']['mean'] > 0.9 and found['auc']['pictures'] == 3
    assert abs(found['sharp_auc']['mean'] - 0.5) < 0.15
    assert found['spearman']['mean'] > 0.4
    with open(out / 'figures.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * len(names)
    values = [float(row['auc']) for row in rows if (row['map'], row['truth']) == ('sfem', 'residual')]
    assert np.mean(values) == pytest.approx(document['means']['residual']['sfem']['auc']['mean'])
    assert {row['sign'] for row in rows if row['truth'] == 'residual'} == {'1'}
    assert {row['map'] for row in rows if row['sign'] == '-1'} == {'local_variance', 'gradient_energy'}
    printed = capsys.readouterr().out
    assert 'Against the true extent: blurred is above 2 pixels' in printed
    assert not any((out / name).exists() for name in ('p0', 'p1', 'p2'))


def test_a_mask_gives_the_area_of_the_extent_above_the_same_limit_and_no_correlation(root, tmp_path):
    for number in range(3):
        extent = cv2.imread(str(root / f'extent/p{number}.png'), cv2.IMREAD_UNCHANGED)
        mask = np.zeros((*extent.shape, 3), np.uint8)
        mask[extent > 2 * 256] = (0, 0, 7)  # whatever the colour, as the authors of ReLoBlur read theirs
        write(tmp_path / f'mask/p{number}.png', mask)
    out = tmp_path / 'out'
    assert blurmap(root, out, '--extent', 'extent', '--mask', str(tmp_path / 'mask'), '--no-pictures') == 0
    means = json.loads((out / 'figures.json').read_text())['means']
    for name in MAPS:
        assert means['mask'][name]['auc'] == means['extent'][name]['auc']
        assert means['mask'][name]['spearman']['mean'] is None
    assert blurmap(root, out, '--mask', str(tmp_path / 'mask'), inputs=['lq/p0.png', 'lq/p1.png', 'lq/p2.png']) == 0
    assert (out / 'p0/panel.png').is_file()


@pytest.mark.parametrize('ending', ['', '.lmdb'])
def test_a_prepared_set_is_one_argument(root, tmp_path, ending):
    for name, there in (('input', 'lq'), ('target', 'gt')):
        (tmp_path / f'set/{name}{ending}').parent.mkdir(exist_ok=True)
        (tmp_path / f'set/{name}{ending}').symlink_to(root / f'{there}{ending}')
    (tmp_path / 'set/extent').symlink_to(root / 'extent')
    assert blurmap(root, tmp_path / 'out', '--no-pictures', inputs=[tmp_path / 'set']) == 0
    assert blurmap(root, tmp_path / 'apart', '--gt', 'gt', '--extent', 'extent', '--no-pictures') == 0
    results = [(tmp_path / name / 'figures.json').read_text() for name in ('out', 'apart')]
    assert results[0] == results[1]


def test_lmdb_folders_give_what_folders_give(root, tmp_path):
    for name in ('', '.lmdb'):
        blurmap(root, tmp_path / f'out{name}', '--gt', f'gt{name}', '--no-pictures', inputs=[f'lq{name}'])
    results = [(tmp_path / name / 'figures.json').read_text() for name in ('out', 'out.lmdb')]
    assert results[0] == results[1]


def test_single_files_are_a_pair_whatever_their_names(root, tmp_path):
    write(tmp_path / 'sharp.png', cv2.imread(str(root / 'gt/p0.png')))
    blurmap(root, tmp_path / 'out', '--gt', str(tmp_path / 'sharp.png'), inputs=['lq/p0.png'])
    assert (tmp_path / 'out/p0/panel.png').is_file()


def test_parts_are_maps_of_their_own(root, tmp_path):
    blurmap(root, tmp_path / 'out', '--gt', 'gt', '--parts', '--no-pictures', inputs=['lq/p0.png'])
    names = json.loads((tmp_path / 'out/figures.json').read_text())['means']['residual']
    assert {f'{kind}_1_{level}' for kind in ('sfem', 'hfs_block') for level in range(4)} < set(names)


def test_pictures_without_blur_have_no_area_under_roc(root, tmp_path, capsys):
    blurmap(root, tmp_path / 'out', '--gt', 'gt', '--no-pictures', inputs=['gt'])
    figures = json.loads((tmp_path / 'out/figures.json').read_text())['means']['residual']['sfem']
    assert figures['auc'] == {'mean': None, 'deviation': None, 'pictures': 0}
    printed = capsys.readouterr().out
    assert 'undefined' in printed and '3 picture(s) blurred everywhere or nowhere' in printed


def bad(root, tmp_path, kind):
    """Arguments that must be refused."""
    picture = cv2.imread(str(root / 'lq/p0.png'))
    if kind == 'sizes':
        write(tmp_path / 'gt/p0.png', picture[:40])
        return ['lq/p0.png'], ['--gt', str(tmp_path / 'gt')]
    if kind == 'grey extent':
        write(tmp_path / 'extent/p0.png', picture)
        return ['lq/p0.png'], ['--extent', str(tmp_path / 'extent')]
    if kind == 'no pair':
        write(tmp_path / 'gt/p0.png', picture)
        return ['lq'], ['--gt', str(tmp_path / 'gt')]
    if kind == 'text':
        (tmp_path / 'p0.png').write_text('not a picture')
        return [str(tmp_path / 'p0.png')], []
    if kind == 'truncated':
        (tmp_path / 'p0.png').write_bytes((root / 'lq/p0.png').read_bytes()[:-40])
        return [str(tmp_path / 'p0.png')], []
    if kind == 'twice':
        return ['lq', 'gt'], []
    if kind == 'empty':
        (tmp_path / 'none').mkdir()
        return [str(tmp_path / 'none')], []
    if kind == 'over its input':
        return ['lq'], ['-o', str(root)]
    if kind == 'into its input':
        return ['lq.lmdb'], ['-o', str(root / 'lq.lmdb')]
    return {
        'no input': (['nowhere'], []),
        'no gt': (['lq'], ['--gt', 'nowhere']),
        'gt file': (['lq'], ['--gt', 'gt/p0.png']),
        'no weights': (['lq'], ['--weights', 'nowhere.pth']),
        'weights of another': (['lq'], ['--weights', 'nafnet.pth']),
        'beside is missing': (['lq'], ['--beside', 'nowhere.pth']),
        'param key': (['lq'], ['--param-key', 'params_ema']),
    }[kind]


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('no input', 'there is no'),
        ('no gt', 'there is no'),
        ('gt file', 'no picture for 2 of 3: p1, p2'),
        ('sizes', '70x48 pixels, .* has 70x40'),
        ('grey extent', 'is no extent of blur'),
        ('no pair', 'no picture for 2 of 3'),
        ('text', 'not decodable'),
        ('truncated', 'truncated PNG'),
        ('twice', "two pictures are called 'p0'"),
        ('empty', 'no pictures in'),
        ('over its input', 'lies in the output folder'),
        ('into its input', 'lies in the output folder'),
        ('no weights', 'no file nowhere.pth'),
        ('weights of another', 'no checkpoint of AIBNet'),
        ('beside is missing', 'no file nowhere.pth'),
        ('param key', "no entry 'params_ema'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(root, tmp_path, capsys, kind, message):
    inputs, flags = bad(root, tmp_path, kind)
    arguments = [str(root / word) if (root / word).exists() else word for word in [*inputs, *flags]]
    out = tmp_path / 'out'
    defaults = ['--weights', str(root / 'net.pth'), '-o', str(out)]  # a flag given again replaces the first
    assert main(['blurmap', *arguments[: len(inputs)], *defaults, *arguments[len(inputs) :]]) == 2
    error = capsys.readouterr().err
    assert error.startswith('basicsr blurmap: ')
    assert_matches(message, error)
    assert not out.exists()


def assert_matches(message, text):
    with pytest.raises(UserError, match=message):
        raise UserError(text)


def test_the_averaged_weights_are_taken_if_there_are_some(root, tmp_path, monkeypatch):
    content = torch.load(root / 'net.pth', weights_only=True)
    torch.save({**content, 'params_ema': content['params']}, tmp_path / 'averaged.pth')
    taken = []
    real = WeightFile._taken
    monkeypatch.setattr(WeightFile, '_taken', lambda file, key: taken.append(key) or real(file, key))
    for flags in ([], ['--param-key', 'params']):
        assert blurmap(root, tmp_path / 'out', '--weights', str(tmp_path / 'averaged.pth'), *flags) == 0
    assert taken == ['params_ema', 'params']


def test_an_aibnet_may_stand_beside_an_aibnet(root, tmp_path):
    blurmap(root, tmp_path / 'out', '--gt', 'gt', '--no-pictures', '--beside', 'net.pth', inputs=['lq/p0.png'])
    figures = json.loads((tmp_path / 'out/figures.json').read_text())['means']['residual']
    assert figures['aibnet_residual']['spearman'] == figures['predicted_residual']['spearman']


def test_weights_that_spandrel_does_not_know_are_refused(root, tmp_path, capsys):
    torch.save({'params': {'conv.weight': torch.zeros(1, 1)}}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='spandrel makes no network'):
        blurmap(root, tmp_path / 'out', '--beside', str(tmp_path / 'other.pth'))


def test_results_that_cannot_be_written_are_no_traceback(root, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    out = tmp_path / 'file/out'
    assert main(['blurmap', str(root / 'lq'), '--weights', str(root / 'net.pth'), '-o', str(out)]) == 1
    assert 'the results cannot be written to' in capsys.readouterr().err


def test_a_threshold_that_is_none_is_refused(root, tmp_path):
    for value in ('0', '-1', 'nan', 'much'):
        with pytest.raises(SystemExit) as stopped:
            blurmap(root, tmp_path / 'out', '--residual-above', value)
        assert stopped.value.code == 2


def test_keys_cannot_lead_out_of_the_output_folder(root, tmp_path):
    import lmdb

    folder = tmp_path / 'odd.lmdb'
    folder.mkdir()
    with lmdb.open(str(folder)) as store, store.begin(write=True) as transaction:
        transaction.put(b'../../up', (root / 'lq/p0.png').read_bytes())
    blurmap(root, tmp_path / 'a/b/out', inputs=[str(folder)])
    assert [path.name for path in (tmp_path / 'a/b/out').iterdir()] == ['_.._up']
    assert not (tmp_path / 'up').exists() and not (tmp_path / 'a/up').exists()


def test_figures_alone_need_the_truth(root, tmp_path, capsys):
    assert main(['blurmap', 'lq', '-o', str(tmp_path / 'out'), '--weights', 'net.pth', '--no-pictures']) == 2
    assert 'give --gt or --extent' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
