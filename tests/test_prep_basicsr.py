"""BasicSR's own reader and its own writer agree with what is prepared here."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from datasets_prep import Crop, Pair, gopro, write_pairs
from datasets_prep.images import encode
from tests.prep_trees import gopro_tree, picture, read_lmdb
from tools import preparation_benchmark as benchmark

pytestmark = pytest.mark.skipif(importlib.util.find_spec('basicsr') is None, reason='BasicSR is not installed')


@pytest.fixture
def paired_image_dataset(monkeypatch):
    """BasicSR's class; its 1.4.2 imports a module that torchvision 0.17 removed."""
    name = 'torchvision.transforms.functional_tensor'
    pytest.importorskip('torchvision')
    if importlib.util.find_spec(name) is None:
        stub = types.ModuleType(name)
        stub.rgb_to_grayscale = importlib.import_module('torchvision.transforms.functional').rgb_to_grayscale
        monkeypatch.setitem(sys.modules, name, stub)
    return importlib.import_module('basicsr.data.paired_image_dataset').PairedImageDataset


def options(lq, gt, *, phase):
    return {
        'name': 'test',
        'dataroot_lq': str(lq),
        'dataroot_gt': str(gt),
        'io_backend': {'type': 'lmdb'},
        'scale': 1,
        'phase': phase,
        'gt_size': 16,
        'use_hflip': True,
        'use_rot': False,
    }


def test_the_dataset_reads_what_is_prepared(tmp_path, paired_image_dataset):
    content = gopro_tree(tmp_path / 'archive')
    out = tmp_path / 'out'
    args = ['--input', str(tmp_path / 'archive'), '--output', str(out), '--partial', '--workers', '1']
    assert gopro.main([*args, '--crop-size', '32', '--crop-step', '16', '--val-crop', '16']) == 0

    test = paired_image_dataset(options(out / 'test/input.lmdb', out / 'test/target.lmdb', phase='val'))
    assert len(test) == 8
    for sample in (test[i] for i in range(len(test))):
        pair = content['test'][sample['lq_path']]
        for side, array in zip(('lq', 'gt'), pair):
            np.testing.assert_array_equal(np.rint(sample[side].numpy() * 255), array[:, :, ::-1].transpose(2, 0, 1))

    train = paired_image_dataset(options(out / 'train/blur_crops.lmdb', out / 'train/sharp_crops.lmdb', phase='train'))
    assert len(train) == 6 * 6
    assert {train[i][side].shape for i in range(len(train)) for side in ('lq', 'gt')} == {(3, 16, 16)}


def test_the_list_is_the_one_basicsr_writes(tmp_path):
    content = {f'p{i}': picture(i, height=40 + i) for i in (3, 1, 2)}
    write_pairs(
        [Pair(key, a, a) for key, a in content.items()],
        tmp_path / 'a.lmdb',
        tmp_path / 'b.lmdb',
        crop=Crop(32, 16),
        workers=1,
        progress=False,
    )
    keys = sorted(read_lmdb(tmp_path / 'a.lmdb'))
    (tmp_path / 'crops').mkdir()
    cut = {
        Crop(32, 16).key(key, index): array[row : row + 32, column : column + 32]
        for key, array in content.items()
        for index, (row, column) in enumerate(Crop(32, 16).windows(height=array.shape[0], width=array.shape[1]))
    }
    assert keys == sorted(cut)
    for key, array in cut.items():
        (tmp_path / f'crops/{key}.png').write_bytes(encode(array))
    make = benchmark.load_basicsr_lmdb_util().make_lmdb_from_imgs
    make(str(tmp_path / 'crops'), str(tmp_path / 'c.lmdb'), [f'{key}.png' for key in keys], keys)
    assert (tmp_path / 'a.lmdb/meta_info.txt').read_text() == (tmp_path / 'c.lmdb/meta_info.txt').read_text()


def test_the_benchmark_runs(tmp_path, capsys):
    pytest.importorskip('skimage')
    args = ['--pairs', '1', '--repeats', '1', '--workers', '1', '--folder', str(tmp_path)]
    assert benchmark.main(args) == 0
    assert 'the same, pixel for pixel' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
