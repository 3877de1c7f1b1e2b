"""Runs of two processes (gloo on the CPU) through torchrun."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.training import assert_equal_weights, log_of, make_dataset, options, run, weights

REPOSITORY = Path(__file__).parent.parent


def two_processes(root, *flags, accident='', module='tests.distributed_child', command='train'):
    """Run the command with torchrun, two processes."""
    return subprocess.run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc_per_node=2',
            '--standalone',
            '-m',
            module,
            command,
            '-opt',
            'opt.yml',
            '--launcher',
            'pytorch',
            *flags,
        ],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'ACCIDENT': accident or '-1 -1 none', 'PYTHONPATH': str(REPOSITORY)},
    )


def one_process(root):
    command = [sys.executable, '-m', 'tests.distributed_child', 'train', '-opt', 'opt.yml']
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)


def write_options(root, batch):
    opt = options()
    opt['datasets']['train'].update(batch_size_per_gpu=batch, gt_size=24)
    opt['val']['val_freq'] = 5
    (root / 'opt.yml').write_text(yaml.safe_dump(opt))


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """A finished run of two processes with batches of 2, three pictures to validate on."""
    root = tmp_path_factory.mktemp('two')
    make_dataset(root, val=3)
    write_options(root, 2)
    done = two_processes(root)
    assert done.returncode == 0, done.stderr[-5000:]
    assert 'iteration 3 of 9, stage 1 of 2, loss 0.' in done.stderr  # no other process knows that this line is due
    return root


def test_two_processes_train_like_one_with_the_doubled_batch(uninterrupted, tmp_path):
    """Both stages, to 1e-9 of each weight's size: float64's rounding, which Adam's division enlarges."""
    shutil.copytree(uninterrupted / 'data', tmp_path / 'data')
    write_options(tmp_path, 4)
    one_process(tmp_path)
    start, one, two = weights(tmp_path, 1), weights(tmp_path, 'latest'), weights(uninterrupted, 'latest')
    assert one.keys() == two.keys()
    for key, value in one.items():
        if value.is_floating_point():
            torch.testing.assert_close(two[key], value, rtol=1e-9, atol=1e-9, msg=lambda m, key=key: f'{key}: {m}')
    assert any((start[key] - value).abs().max() > 1e-3 for key, value in one.items() if value.is_floating_point())
    found = [re.findall(r'# psnr: ([\d.]+)', log_of(root)) for root in (tmp_path, uninterrupted)]
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_only_the_first_process_writes(uninterrupted):
    logs = list((uninterrupted / 'experiments/run').glob('*.log'))
    assert len(logs) == 1
    assert len(re.findall(r'iter: +9, lr', logs[0].read_text())) == 1
    assert len(list((uninterrupted / 'experiments').iterdir())) == 1


@pytest.mark.parametrize(('accident', 'told'), [('1 7 kill', 'SIGKILL'), ('0 3 raise', 'an accident')])
def test_all_stop_when_one_fails_and_go_on_bit_equal(accident, told, uninterrupted, tmp_path):
    """Killed in stage 2, or failing in stage 1; iteration 2 or 6 is the newest checkpoint then."""
    shutil.copytree(uninterrupted / 'data', tmp_path / 'data')
    write_options(tmp_path, 2)
    done = two_processes(tmp_path, accident=accident)
    assert done.returncode != 0
    assert told in done.stderr
    assert not (tmp_path / 'experiments/run/models/net_g_latest.pth').exists()
    done = two_processes(tmp_path, '--auto_resume', '--verbose')
    assert done.returncode == 0, done.stderr[-5000:]
    assert re.search(r'Resuming training from epoch: \d, iter: [26]\.', done.stderr + done.stdout)
    assert_equal_weights(weights(uninterrupted, 'latest'), weights(tmp_path, 'latest'))


def test_testing_is_spread_too_and_told_once(tmp_path, monkeypatch):
    make_dataset(tmp_path, val=3)
    opt = options(stage_iter=[1, 1], total_iter=2)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    logged = re.findall(r'# psnr: ([\d.]+)', log_of(tmp_path))[-1]
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g', 'manual_seed')}
    test['name'] = 'test_run'
    test['datasets'] = {'test': {**opt['datasets']['val'], 'name': 'val'}}
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    test['val'] = {'save_img': True, 'metrics': opt['val']['metrics']}
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump(test))
    done = two_processes(tmp_path, module='aibnet_arch', command='test')
    assert done.returncode == 0, done.stderr[-5000:]
    assert re.findall(r'# psnr: ([\d.]+)', log_of(tmp_path, 'test_run')) == [logged]
    assert (tmp_path / 'results/test_run/val.csv').read_text().count('\np') == 3
    assert len(list((tmp_path / 'results/test_run/visualization/val').glob('*.png'))) == 3


def test_without_torchrun_the_launcher_says_so(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch, flags=('--launcher', 'pytorch')) == 2
    assert 'torchrun --nproc_per_node=2' in capsys.readouterr().err
    assert not (tmp_path / 'experiments').exists()
