"""Each archive, in each of its layouts, comes out complete and rightly paired."""

from __future__ import annotations

import json

import numpy as np
import pytest

from datasets_prep import Crop, Pair, folder_pair, gopro, hide, realblur, safe_key, write_pairs
from tests.prep_trees import (
    assert_holds,
    centre,
    crops_of,
    decode,
    gopro_tree,
    hide_tree,
    picture,
    read_lmdb,
    realblur_tree,
    save,
    save_pair,
)

CROP_STARTS = [(0, 0), (0, 16), (0, 32), (16, 0), (16, 16), (16, 32)]  # 32 by 16 in 48x64
SMALL = ['--workers', '1', '--crop-size', '32', '--crop-step', '16', '--val-count', '3', '--val-crop', '16']


@pytest.mark.parametrize('wrapping', ['', 'GOPRO_Large'])
def test_gopro(tmp_path, wrapping, monkeypatch):
    content = gopro_tree(tmp_path / 'archive' / wrapping)
    monkeypatch.setattr(gopro, 'EXPECTED_PAIRS', {'train': 6, 'test': 8})
    out = tmp_path / 'out'
    assert gopro.main(['--input', str(tmp_path / 'archive'), '--output', str(out), *SMALL]) == 0
    crops = crops_of(content['train'], size=32, starts=CROP_STARTS)
    assert len(crops) == 6 * 6
    assert_holds(out / 'train/blur_crops.lmdb', out / 'train/sharp_crops.lmdb', crops)
    assert_holds(out / 'test/input.lmdb', out / 'test/target.lmdb', content['test'])
    keys = sorted(content['test'])
    chosen = {key: content['test'][key] for key in (keys[0], keys[2], keys[5])}
    assert_holds(out / 'val/input.lmdb', out / 'val/target.lmdb', centre(chosen, size=16))


def test_gopro_at_its_real_size(tmp_path):
    content = gopro_tree(tmp_path / 'archive', train=1, test=1, scenes=1, height=720, width=1280)
    out = tmp_path / 'out'
    assert gopro.main(['--input', str(tmp_path / 'archive'), '--output', str(out), '--partial', '--workers', '2']) == 0
    starts = [(row, column) for row in (0, 208) for column in (0, 256, 512, 768)]
    crops = crops_of(content['train'], size=512, starts=starts)
    assert_holds(out / 'train/blur_crops.lmdb', out / 'train/sharp_crops.lmdb', crops)
    (value,) = read_lmdb(out / 'val/input.lmdb').values()
    np.testing.assert_array_equal(decode(value), next(iter(content['test'].values()))[0][232:488, 512:768])


@pytest.mark.parametrize('names', [('input', 'target'), ('blur', 'sharp')])
@pytest.mark.parametrize('inner', ['', 'GoPro'])
def test_gopro_repackaged_gives_the_same_keys(tmp_path, names, inner):
    content = gopro_tree(tmp_path / 'original')
    for part, pairs in content.items():
        for key, pair in pairs.items():
            for name, array in zip(names, pair):
                save(tmp_path / 'flat' / part / inner / name / f'{key}.png', array)
    for archive in ('original', 'flat'):
        args = ['--input', str(tmp_path / archive), '--output', str(tmp_path / f'{archive}_out'), '--partial', *SMALL]
        assert gopro.main(args) == 0
    for name in ('train/blur_crops', 'train/sharp_crops', 'test/input', 'test/target', 'val/input', 'val/target'):
        assert read_lmdb(tmp_path / f'original_out/{name}.lmdb') == read_lmdb(tmp_path / f'flat_out/{name}.lmdb')


def test_gopro_variant_and_parts(tmp_path, monkeypatch):
    gopro_tree(tmp_path / 'archive')
    monkeypatch.chdir(tmp_path)
    args = ['--input', 'archive', '--variant', 'blur_gamma', '--parts', 'test', '--partial', '--workers', '1']
    assert gopro.main(args) == 0
    assert [path.name for path in (tmp_path / 'datasets').iterdir()] == ['GoPro_gamma']
    folder = tmp_path / 'datasets/GoPro_gamma/test'
    assert [path.name for path in folder.parent.iterdir()] == ['test']
    np.testing.assert_array_equal(decode(read_lmdb(folder / 'input.lmdb')['GOPR0372_07_00-000047']), picture(10_007))
    assert json.loads((folder / 'input.lmdb/prepared.json').read_text())['plan']['source'] == 'GoPro test, blur_gamma'


def test_gopro_published_counts():
    assert gopro.EXPECTED_PAIRS == {'train': 2103, 'test': 1111}
    assert realblur.EXPECTED_PAIRS == {'train': 3758, 'test': 980}
    assert hide.EXPECTED_PAIRS == 2025
    assert len(Crop(512, 256).windows(height=720, width=1280)) * 2103 == 16824


def test_validation_pictures_are_evenly_spread():
    pairs = [Pair(f'{i:04d}', picture(0), picture(0)) for i in range(1111)]
    chosen = [int(pair.key) for pair in gopro.evenly_spread(pairs, count=100)]
    assert len(set(chosen)) == 100
    assert set(np.diff(chosen)) == {11, 12}
    assert len(gopro.evenly_spread(pairs[:7], count=100)) == 7


@pytest.mark.parametrize('wrapping', ['', 'HIDE_dataset'])
def test_hide(tmp_path, wrapping, monkeypatch):
    content = hide_tree(tmp_path / 'archive' / wrapping)
    monkeypatch.setattr(hide, 'EXPECTED_PAIRS', 6)
    out = tmp_path / 'out'
    assert hide.main(['--input', str(tmp_path / 'archive'), '--output', str(out), '--workers', '1']) == 0
    assert '0fromGOPR1096_MP4' in content
    assert_holds(out / 'test/input.lmdb', out / 'test/target.lmdb', content)


@pytest.mark.parametrize('place', ['.', 'HIDE', 'test', 'test/HIDE'])
def test_hide_repackaged(tmp_path, place):
    content = {}
    for number in range(3):
        name = f'{number}fromGOPR1096.MP4.png'
        folder = tmp_path / 'archive' / place
        content[f'{number}fromGOPR1096_MP4'] = save_pair(folder / 'input' / name, folder / 'target' / name, seed=number)
    args = ['--input', str(tmp_path / 'archive'), '--output', str(tmp_path / 'out'), '--workers', '1', '--partial']
    assert hide.main(args) == 0
    assert_holds(tmp_path / 'out/test/input.lmdb', tmp_path / 'out/test/target.lmdb', content)


@pytest.mark.parametrize('subset', ['J', 'R'])
@pytest.mark.parametrize(('wrapping', 'newline'), [('', '\n'), ('RealBlur', '\r\n')])
def test_realblur(tmp_path, subset, wrapping, newline, monkeypatch):
    content = realblur_tree(tmp_path / 'archive' / wrapping, subset=subset, train=3, newline=newline)
    monkeypatch.setattr(realblur, 'EXPECTED_PAIRS', {'train': 6, 'test': 4})
    monkeypatch.chdir(tmp_path)
    assert realblur.main(['--input', 'archive', '--subset', subset, '--workers', '1']) == 0
    for part, pairs in content.items():
        folder = tmp_path / f'datasets/RealBlur-{subset}' / part
        assert_holds(folder / 'input.lmdb', folder / 'target.lmdb', pairs)
    assert 'scene230_1' in content['test']


def test_folder_pair(tmp_path):
    content = {}
    for stem, key in (('a/x.1', 'a_x_1'), ('b/x.1', 'b_x_1'), ('b/c d', 'b_c_d'), ('b/图', 'b_u56fe')):
        content[key] = save_pair(tmp_path / f'lq/{stem}.png', tmp_path / f'gt/{stem}.PNG', seed=len(content))
    (tmp_path / 'lq/b/Thumbs.db').write_bytes(b'x')
    (tmp_path / 'lq/.hidden').mkdir()
    (tmp_path / 'lq/.hidden/y.png').write_bytes(b'x')
    folders = ['--lq', str(tmp_path / 'lq'), '--gt', str(tmp_path / 'gt'), '--workers', '1', '--recursive']
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    assert folder_pair.main([*folders, '--output', str(whole)]) == 0
    assert_holds(whole / 'input.lmdb', whole / 'target.lmdb', content)
    assert folder_pair.main([*folders, '--output', str(cut), '--crop-size', '32']) == 0
    assert_holds(cut / 'input.lmdb', cut / 'target.lmdb', crops_of(content, size=32, starts=CROP_STARTS))


def test_arrays_in_memory_with_several_processes(tmp_path):
    content = {f'p{number}': (picture(number), picture(number + 50)) for number in range(7)}
    pairs = [Pair(key, lq, gt) for key, (lq, gt) in content.items()]
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    assert write_pairs(pairs, *paths, crop=Crop(32, 16), workers=2, progress=False) == 7 * 6
    assert_holds(*paths, crops_of(content, size=32, starts=CROP_STARTS))


@pytest.mark.parametrize(
    ('name', 'key'),
    [('109fromGOPR1096.MP4', '109fromGOPR1096_MP4'), ('a/b c', 'a_b_c'), ('ä', 'u00e4'), ('A-1_z', 'A-1_z')],
)
def test_safe_key(name, key):
    assert safe_key(name) == key
