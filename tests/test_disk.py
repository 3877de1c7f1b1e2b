"""How much disk a training takes: told by `check`, refused where it is not there, and kept small while it runs."""

import shutil
from collections import namedtuple

import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.config.checks import disk
from aibnet_arch.training.stage_plan import StagePlan
from tests.training import make_dataset, options, run

Usage = namedtuple('Usage', 'total used free')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_dataset(root)
    return root / 'data'


@pytest.fixture
def root(tmp_path, data):
    (tmp_path / 'data').symlink_to(data)
    return tmp_path


def small():
    opt = options(stage_iter=[3, 4], total_iter=7, ema_decay=0.5)
    opt['val']['val_freq'] = 100
    opt['logger']['save_checkpoint_freq'] = 1
    opt['logger'].pop('keep_checkpoints', None)
    return opt


def test_by_default_the_newest_and_the_last_of_each_stage_stay(root, monkeypatch, capsys):
    assert run(small(), root=root, monkeypatch=monkeypatch) == 0
    states = sorted(int(path.stem) for path in (root / 'experiments/run/training_states').glob('*.state'))
    assert states == [3, 5, 6, 7]
    capsys.readouterr()
    assert run(small(), root=root, monkeypatch=monkeypatch, command='check') == 0
    told = capsys.readouterr().out
    estimate = float(told.partition('disk: ')[2].partition(' MB')[0])
    files = [*(root / 'experiments/run').glob('models/net_g_7.pth'), *(root / 'experiments/run').glob('*/7.state')]
    written = sum(path.stat().st_size for path in files) / 1e6
    assert 0.8 < estimate / written < 1.3
    assert 'at most 7 at a time' in told


def test_all_of_them_stay_on_request(root, monkeypatch):
    opt = small()
    opt['logger']['keep_checkpoints'] = None
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    assert len(list((root / 'experiments/run/training_states').glob('*.state'))) == 7


def test_a_checkpoint_holds_the_networks_and_the_moments_of_what_trains():
    opt = {**small(), 'path': {}}
    linear = torch.nn.Linear(1000, 1000)
    assert disk.disk_use(opt, {'network_g': linear}).each == 4 * 1001000 * (2 + 2)  # averaged weights, Adam
    opt['train'].update(ema_decay=0, optim_g={'type': 'SGD', 'lr': 0.1})
    assert disk.disk_use(opt, {'network_g': linear}).each == 4 * 1001000 * (1 + 1)
    assert disk.disk_use({**opt, 'logger': None}, {'network_g': linear}) is None


@pytest.mark.parametrize(('room', 'code'), [(2.9, 2), (3.1, 0)])
def test_a_disk_that_cannot_hold_three_is_refused(room, code, root, monkeypatch, capsys):
    opt = small()
    network = AIBNet(**{key: value for key, value in opt['network_g'].items() if key != 'type'})
    each = disk.disk_use({**opt, 'path': {}}, {'network_g': network}).each
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(0, 0, int(room * each)))
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == code
    assert ('too little for 3 checkpoints of' in capsys.readouterr().err) == (code == 2)


def test_the_last_checkpoint_of_each_stage():
    plan = StagePlan(lengths=(0, 10, 20), progressive=True)
    assert plan.last_of_stages([30, 25, 9, 5, 12]) == {9, 30}
    assert plan.last_of_stages([31, 10]) == {10}  # of a run that was longer
