"""RSBlur, ReLoBlur, REDS and BSD: from trees like the authors' to LMDB folders."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from aibnet_arch.blurmap.truth import find_items
from datasets_prep import bsd, reds, reloblur, rsblur
from datasets_prep.cli import run
from datasets_prep.storage import read_manifest
from datasets_prep.verify import verify
from tests.prep_trees import (
    assert_holds,
    bsd_tree,
    decode,
    picture,
    read_lmdb,
    reds_tree,
    reloblur_tree,
    rsblur_tree,
    save,
)

REPOSITORY = Path(__file__).resolve().parents[1]


def folders(output, part):
    return output / part / 'input.lmdb', output / part / 'target.lmdb'


def prepared(main, *args):
    assert run(main, [*map(str, args), '--workers', '1']) == 0


def refused(main, capsys, *args) -> str:
    assert run(main, [*map(str, args), '--workers', '1']) == 2
    message = capsys.readouterr().err
    assert message.startswith('error: ') and 'Traceback' not in message
    return message


@pytest.fixture
def small_counts(monkeypatch):
    monkeypatch.setattr(rsblur, 'EXPECTED_PAIRS', {'train': 4, 'val': 4, 'test': 4})
    monkeypatch.setattr(reloblur, 'EXPECTED_PAIRS', {'train': 4, 'test': 2})
    monkeypatch.setattr(reds, 'EXPECTED_PAIRS', {'train': 40, 'val': 4})
    monkeypatch.setattr(bsd, 'EXPECTED_PAIRS', {'train': 6, 'val': 6, 'test': 6})


def test_published_counts():
    assert rsblur.EXPECTED_PAIRS == {'train': 8878, 'val': 1120, 'test': 3360}
    assert sum(rsblur.EXPECTED_PAIRS.values()) == 13358
    assert reloblur.EXPECTED_PAIRS == {'train': 2010, 'test': 395}
    assert sum(reloblur.EXPECTED_PAIRS.values()) == 2405
    assert reds.EXPECTED_PAIRS == {'train': 240 * 100, 'val': 30 * 10}
    assert bsd.EXPECTED_PAIRS == {'train': 60 * 100, 'val': 20 * 100, 'test': 20 * 150}


# RSBlur


@pytest.mark.parametrize('wrapping', ['.', 'downloads/RSBlur_zip'])
def test_rsblur(tmp_path, wrapping, small_counts, monkeypatch):
    content = rsblur_tree(tmp_path / 'archive' / wrapping, lists=tmp_path / 'datalist/RSBlur')
    monkeypatch.chdir(tmp_path)
    lists = tmp_path / 'datalist/RSBlur'
    prepared(rsblur.main, '--input', 'archive', '--lists', lists, '--val-count', 2, '--val-crop', 32)
    out = tmp_path / 'datasets/RSBlur'
    for part in ('train', 'test'):
        assert_holds(*folders(out, part), content[part])
        assert verify(*folders(out, part), progress=False) == []
    keys = sorted(content['val'])
    chosen = {key: tuple(side[8:40, 16:48] for side in content['val'][key]) for key in (keys[0], keys[2])}
    assert_holds(*folders(out, 'val'), chosen)
    assert '0019_000022' in content['train']


@pytest.mark.parametrize('place', ['', 'datalist/RSBlur'])
def test_rsblur_finds_the_lists_beside_the_archive(tmp_path, place, small_counts):
    rsblur_tree(tmp_path / 'archive', lists=tmp_path / 'archive' / place)
    prepared(rsblur.main, '--input', tmp_path / 'archive/RSBlur', '--output', tmp_path / 'out', '--parts', 'test')
    prepared(rsblur.main, '--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--parts', 'test')
    assert len(read_lmdb(folders(tmp_path / 'out', 'test')[0])) == 4


def test_rsblur_synthetic_is_for_training_alone(tmp_path, small_counts, monkeypatch):
    content = rsblur_tree(tmp_path / 'archive', lists=tmp_path / 'archive')
    monkeypatch.chdir(tmp_path)
    prepared(rsblur.main, '--input', 'archive', '--blur', 'synthetic', '--parts', 'train', 'test')
    out = tmp_path / 'datasets/RSBlur_synthetic'
    assert_holds(*folders(out, 'test'), content['test'])
    stored = read_lmdb(folders(out, 'train')[0])
    np.testing.assert_array_equal(decode(stored['0001_000022']), picture(20_301))


def test_rsblur_without_its_lists_and_with_missing_pictures(tmp_path, small_counts, capsys):
    rsblur_tree(tmp_path / 'archive', lists=tmp_path / 'lists')
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out']
    message = refused(rsblur.main, capsys, *args)
    assert 'There is no RSBlur_real_train.txt' in message and '--lists' in message
    (tmp_path / 'archive/RSBlur/0001/000022/real_blur/real_blur.png').unlink()
    listed = tmp_path / 'lists/RSBlur_real_val.txt'
    listed.write_text(listed.read_text() + 'RSBlur/0001/000022/gt/gt_sharp.png RSBlur/0001/000023/gt/gt_sharp.png\n')
    message = refused(rsblur.main, capsys, *args, '--lists', tmp_path / 'lists')
    assert '1 file(s) that' in message and '000022/real_blur/real_blur.png' in message
    assert f'{listed}, line 5' in message
    assert not (tmp_path / 'out').exists()


# ReLoBlur


@pytest.mark.parametrize('layout', ['one folder', 'three', 'zips'])
def test_reloblur(tmp_path, layout, small_counts, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content, truth = reloblur_tree(tmp_path / 'data', masks=tmp_path / 'data')
    inputs = ['data']
    if layout != 'one folder':
        for part in ('train', 'test'):
            (tmp_path / 'data/dataset' / part).rename(tmp_path / part)
        (tmp_path / 'data/masks').rename(tmp_path / 'masks')
        inputs = ['train', 'test', 'masks']
        if layout == 'zips':
            for name in inputs:
                shutil.make_archive(name, 'zip', '.', name)
                shutil.rmtree(name)
            inputs = [f'{name}.zip' for name in inputs]
        else:
            inputs = ['.']
    prepared(reloblur.main, '--input', *inputs, '--output', 'out')
    for part, pairs in content.items():
        assert_holds(*folders(tmp_path / 'out', part), pairs)
        extents = tmp_path / 'out' / part / 'extent'
        assert {path.stem for path in extents.glob('*.png')} == set(pairs)
        for key in pairs:
            extent = cv2.imread(str(extents / f'{key}.png'), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(extent, np.where(truth[key], 16 * 256, 0))
    # They are what basicsr blurmap takes.
    items = find_items([tmp_path / 'out/test/input.lmdb'], gt=None, extent=tmp_path / 'out/test/extent')
    assert [item.name for item in items] == sorted(content['test'])
    for item in items:
        item.check()
        assert item.extent is not None and set(np.unique(item.extent.extent())) == {0.0, 16.0}


def test_reloblur_in_crops_has_no_extents_of_them(tmp_path, small_counts, capsys):
    reloblur_tree(tmp_path / 'data', masks=tmp_path / 'data')
    prepared(reloblur.main, '--input', tmp_path / 'data', '--output', tmp_path / 'out', '--crop-size', 16)
    assert 'train: stored as crops' in capsys.readouterr().out
    assert {path.parent.name for path in (tmp_path / 'out').glob('*/extent')} == {'test'}


def test_reloblur_without_masks_and_with_some(tmp_path, small_counts, capsys):
    reloblur_tree(tmp_path / 'data')
    args = ['--input', tmp_path / 'data', '--output', tmp_path / 'out']
    prepared(reloblur.main, *args)
    assert 'there is no folder masks/train' in capsys.readouterr().out
    assert not (tmp_path / 'out/train/extent').exists()
    reloblur_tree(tmp_path / 'data', masks=tmp_path / 'data')
    (tmp_path / 'data/masks/test/scene1/00/01.png').unlink()
    assert 'has no mask of 1 pair(s): scene1-00-01' in refused(reloblur.main, capsys, *args)
    reloblur_tree(tmp_path / 'data', masks=tmp_path / 'data')
    bad = tmp_path / 'data/masks/test/scene1/00/01.png'
    bad.write_bytes(bad.read_bytes()[:-20])
    message = refused(reloblur.main, capsys, *args)
    assert "the extent of 'scene1-00-01'" in message and 'a truncated PNG' in message
    assert not (tmp_path / 'out/test/extent').exists()
    reloblur_tree(tmp_path / 'data', masks=tmp_path / 'data')
    prepared(reloblur.main, *args)
    assert (tmp_path / 'out/test/extent').exists()
    assert not list((tmp_path / 'out/test').glob('*.partial'))


# REDS


@pytest.mark.parametrize(('variant', 'suffix'), [('blur', '.png'), ('blur_comp', '.png'), ('blur_jpeg', '.png')])
def test_reds(tmp_path, variant, suffix, small_counts, monkeypatch):
    content = reds_tree(tmp_path / 'REDS', variant=variant, suffix=suffix)
    monkeypatch.chdir(tmp_path)
    prepared(reds.main, '--input', 'REDS', '--variant', variant)
    for part, pairs in content.items():
        assert_holds(*folders(tmp_path / 'datasets' / f'REDS{variant[4:]}', part), pairs)
    assert sorted(content['val']) == ['000_00000009', '000_00000019', '001_00000009', '001_00000019']


def test_reds_from_its_zips_in_one_folder_and_flattened(tmp_path, small_counts):
    content = reds_tree(tmp_path / 'whole')
    (tmp_path / 'zips').mkdir()
    for part in content:
        for kind in ('blur', 'sharp'):
            name = f'{part}/{part}_{kind}'
            shutil.make_archive(str(tmp_path / f'zips/{part}_{kind}'), 'zip', tmp_path / 'whole', name)
    prepared(reds.main, '--input', tmp_path / 'zips', '--output', tmp_path / 'out')
    for folder in (tmp_path / 'whole').glob('*/*'):
        for path in folder.glob('*/*'):
            path.rename(folder / f'{path.parent.name}_{path.name}')
    prepared(reds.main, '--input', tmp_path / 'whole', '--output', tmp_path / 'flat')
    for out in ('out', 'flat'):
        for part, pairs in content.items():
            assert_holds(*folders(tmp_path / out, part), pairs)


def test_reds_jpegs(tmp_path, small_counts):
    reds_tree(tmp_path / 'REDS', variant='blur_jpeg', suffix='.jpg')
    prepared(reds.main, '--input', tmp_path / 'REDS', '--variant', 'blur_jpeg', '--output', tmp_path / 'out')
    source = cv2.imread(str(tmp_path / 'REDS/val/val_blur_jpeg/001/00000019.jpg'))
    np.testing.assert_array_equal(decode(read_lmdb(tmp_path / 'out/val/input.lmdb')['001_00000019']), source)


def test_reds_missing_variant_and_regrouped_clips(tmp_path, small_counts, capsys):
    reds_tree(tmp_path / 'REDS')
    args = ['--input', tmp_path / 'REDS', '--output', tmp_path / 'out']
    message = refused(reds.main, capsys, *args, '--variant', 'blur_comp')
    assert all(f'no folder {part}_blur_comp' in message for part in ('train', 'val'))
    for kind in ('blur', 'sharp'):
        save(tmp_path / f'REDS/train/train_{kind}/240/00000000.png', picture(1))
    message = refused(reds.main, capsys, *args)
    assert '1 frames of clips from 240 on' in message
    assert '41 pairs instead of 40' in message


# BSD


@pytest.mark.parametrize('wrapping', ['.', 'BSD', 'BSD/BSD'])
def test_bsd(tmp_path, wrapping, small_counts, monkeypatch):
    content = bsd_tree(tmp_path / 'archive' / wrapping)
    bsd_tree(tmp_path / 'archive' / wrapping, exposure='3ms24ms', frames=1)
    monkeypatch.chdir(tmp_path)
    prepared(bsd.main, '--input', 'archive', '--exposure', '2ms16ms', '--val-count', 3)
    out = tmp_path / 'datasets/BSD-2ms16ms'
    for part in ('train', 'test'):
        assert_holds(*folders(out, part), content[part])
    keys = sorted(content['val'])
    assert_holds(*folders(out, 'val'), {key: content['val'][key] for key in keys[::2]})


def test_bsd_repackaged_and_exposures_that_are_not_there(tmp_path, small_counts, capsys):
    content = bsd_tree(tmp_path / 'archive')
    for part in ('train', 'valid', 'test'):
        for clip in ('000', '117'):
            for own, other in (('Blur', 'blur'), ('Sharp', 'GT')):
                source = tmp_path / 'archive/BSD_2ms16ms' / part / clip / own / 'RGB'
                shutil.copytree(source, tmp_path / 'repacked/BSD_2ms16ms' / part / other / clip)
    args = ['--input', tmp_path / 'repacked', '--output', tmp_path / 'out', '--exposure']
    prepared(bsd.main, *args, '2ms16ms')
    assert_holds(*folders(tmp_path / 'out', 'test'), content['test'])
    assert 'There is no BSD_1ms8ms' in refused(bsd.main, capsys, *args, '1ms8ms')
    shutil.rmtree(tmp_path / 'archive/BSD_2ms16ms/valid')
    shutil.rmtree(tmp_path / 'archive/BSD_2ms16ms/test/000/Sharp')
    message = refused(bsd.main, capsys, '--input', tmp_path / 'archive', *args[2:], '2ms16ms')
    assert 'BSD_2ms16ms/valid is missing (--parts can leave it out)' in message
    assert 'test/000/Sharp/RGB is missing' in message
    assert '3 file(s) without the sharp partner' in message


# All of them

TREES = {
    rsblur: ([], lambda root, **size: rsblur_tree(root, lists=root, **size)),
    reloblur: ([], partial(reloblur_tree)),
    reds: ([], partial(reds_tree, frames=10)),
    bsd: (['--exposure', '2ms16ms'], bsd_tree),
}


@pytest.mark.parametrize('module', TREES, ids=lambda module: module.__name__.partition('.')[2])
def test_crops_counts_and_a_second_start(module, tmp_path, capsys):
    extra, tree = TREES[module]
    tree(tmp_path / 'archive')
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', *extra]
    message = refused(module.main, capsys, *args)
    published = module.EXPECTED_PAIRS['train']
    assert re.search(rf'\d+ pairs instead of {published}', message) and '--partial' in message
    assert not (tmp_path / 'out').exists()
    args += ['--partial', '--crop-size', '16', '--parts', 'train']
    prepared(module.main, *args)
    assert {decode(value).shape for value in read_lmdb(tmp_path / 'out/train/input.lmdb').values()} == {(16, 16, 3)}
    capsys.readouterr()
    prepared(module.main, *args)
    assert 'already prepared' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(module.main, [*map(str, args[:-4]), '--crop-step', '8'])


@pytest.mark.parametrize('module', TREES, ids=lambda module: module.__name__.partition('.')[2])
def test_a_wrong_tree_and_nothing_at_all(module, tmp_path, capsys):
    extra, _ = TREES[module]
    save(tmp_path / 'wrong/pictures/a.png', picture(1))
    for given, told in (('wrong', 'pictures is there'), ('nowhere', 'does not exist')):
        message = refused(module.main, capsys, '--input', tmp_path / given, '--output', tmp_path / 'out', *extra)
        assert told in message and 'Expected' in message and 'https://' in message
    assert not (tmp_path / 'out').exists()


MANY = {
    rsblur: partial(TREES[rsblur][1], count=30, height=96, width=128),
    reloblur: lambda root: reloblur_tree(root, masks=root, count=60),
    reds: partial(reds_tree, frames=60),
    bsd: partial(bsd_tree, frames=40),
}
# Small batches, so that a kill falls between commits, too.
COMMAND = """
import sys
from importlib import import_module
from datasets_prep import lmdb_writer
lmdb_writer.BATCH_BYTES = 2**17
if __name__ == '__main__':
    sys.exit(import_module('datasets_prep.' + sys.argv[1]).main(sys.argv[2:]))
"""


@pytest.mark.parametrize('module', MANY, ids=lambda module: module.__name__.partition('.')[2])
def test_killed_at_random_moments(module, tmp_path):
    """From a zip. AIBNET_PREP_KILLS=40 makes ten a set."""
    MANY[module](tmp_path / 'archive')
    shutil.make_archive(str(tmp_path / 'archive'), 'zip', tmp_path / 'archive')
    name = module.__name__.partition('.')[2]
    args = ['--input', str(tmp_path / 'archive.zip'), '--partial', '--workers', '2', *TREES[module][0]]
    if module in (rsblur, bsd):
        args += ['--parts', 'train', 'test']

    def start(output):
        command = [sys.executable, '-c', COMMAND, name, *args, '--output', str(output)]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def content(output):
        extents = {path.relative_to(output): path.read_bytes() for path in output.glob('*/extent/*.png')}
        return {path.relative_to(output): read_lmdb(path) for path in output.glob('*/*.lmdb')}, extents

    began = time.monotonic()
    undisturbed = start(tmp_path / 'undisturbed')
    out, err = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, out + err
    duration = time.monotonic() - began
    reference = content(tmp_path / 'undisturbed')
    assert len(reference[0]) == 4 and bool(reference[1]) == (module is reloblur)
    kills = max(1, int(os.environ.get('AIBNET_PREP_KILLS', '4')) // 4)
    rng, unfinished = random.Random(), 0
    for trial in range(kills):
        output = tmp_path / f'killed_{trial}'
        process = start(output)
        time.sleep(duration * (trial + rng.random()) / kills)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        there = [path for pattern in ('*/*.lmdb', '*/extent') for path in output.glob(pattern)]
        assert all(read_manifest(path)['complete'] for path in there)
        unfinished += len(there) < 4 + 2 * (module is reloblur)
        again = start(output)
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, out + err
        assert content(output) == reference
        assert not list(output.glob('*/*.partial')) and not list(output.glob('*/*.discarded'))
    print(f'{name}: {kills} kills, {unfinished} before the end')
