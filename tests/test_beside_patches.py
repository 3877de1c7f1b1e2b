"""Restormer's progressive learning: patches that grow, batches that shrink."""

import pytest
import torch

from aibnet_arch.data.patch_schedule import PatchSchedule
from tests.training import assert_equal_weights, log_of, make_dataset, options, run, weights

SCHEDULE = {'iters': [2, 3, 1], 'gt_sizes': [8, 16, 32], 'mini_batch_sizes': [4, 3, 1]}


def schedule(**changes):
    dataset = {'batch_size_per_gpu': 4, **SCHEDULE, **changes}
    return PatchSchedule.from_options({'datasets': {'train': dataset}, 'manual_seed': 3, 'world_size': 1, 'rank': 0})


def batch(scale=1):
    lq = torch.arange(4 * 3 * 32 * 32, dtype=torch.float32).view(4, 3, 32, 32)
    gt = lq.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return {'lq': lq, 'gt': gt, 'lq_path': ['a', 'b', 'c', 'd'], 'gt_path': ['a', 'b', 'c', 'd']}


@pytest.mark.parametrize('scale', [1, 2])
def test_each_phase_has_its_size_and_number(scale):
    sizes = [8] * 2 + [16] * 3 + [32]
    numbers = [4] * 2 + [3] * 3 + [1]
    for iteration, (size, number) in enumerate(zip(sizes, numbers), start=1):
        given = batch(scale)
        cut = schedule().cut(given, iteration=iteration)
        assert cut['lq'].shape == (number, 3, size // scale, size // scale)
        assert cut['gt'].shape == (number, 3, size, size)
        assert torch.equal(cut['gt'][..., ::scale, ::scale], cut['lq'])  # the same place of the same picture
        for place, path in enumerate(cut['lq_path']):
            assert torch.isin(cut['lq'][place], given['lq']['abcd'.index(path)]).all()
        assert cut['gt_path'] == cut['lq_path']


def test_places_differ_from_iteration_to_iteration_and_come_again_after_a_resume():
    first, again, other = (schedule().cut(batch(), iteration=i)['lq'] for i in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_batch_of_several_gpus_in_one_process_keeps_its_share():
    two = {key: torch.cat([v, v]) if torch.is_tensor(v) else v + v for key, v in batch().items()}
    assert len(schedule().cut(two, iteration=6)['lq']) == 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'gt_sizes': None}, 'datasets.train.gt_sizes is missing: iters, gt_sizes, mini_batch_sizes go together'),
        ({'gt_sizes': [8, 16]}, 'need equally many numbers'),
        ({'iters': [2, 3, 2]}, 'datasets.train.iters add up to 7, train.total_iter is 6'),
        ({'gt_sizes': [8, 16, 64]}, 'datasets.train.gt_sizes: 64 is more than gt_size (32)'),
        ({'mini_batch_sizes': [8, 3, 2]}, 'mini_batch_sizes: 8 is more than batch_size_per_gpu (4)'),
        ({'mini_batch_sizes': [4, 3, 1]}, 'datasets.train.mini_batch_sizes: 1: AIBNet needs at least 2'),
        ({'iters': 6}, 'datasets.train.iters: 6: expected a list of whole numbers'),
        ({'gt_sices': [1]}, "datasets.train.gt_sices: nothing reads this key (did you mean 'gt_sizes'?)"),
    ],
)
def test_wrong_schedules_are_refused(change, message, tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    opt = options(stage_iter=[3, 3], total_iter=6)
    opt['datasets']['train'].update({**SCHEDULE, 'mini_batch_sizes': [4, 3, 2], **change})
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_run_goes_on_the_same_and_validates_on_whole_pictures(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    opt = options(stage_iter=[3, 3], total_iter=6)
    opt['datasets']['train'].update(**{**SCHEDULE, 'mini_batch_sizes': [4, 3, 2]})
    opt['val']['save_img'] = True
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    whole, log = weights(tmp_path, 'latest'), log_of(tmp_path)
    import cv2

    pictures = list((tmp_path / 'experiments/run/visualization').rglob('*.png'))
    assert {cv2.imread(str(path)).shape for path in pictures} == {(40, 40, 3)}
    for path in (*tmp_path.glob('experiments/run/*/*5.*'), *tmp_path.glob('experiments/run/*/*6.*')):
        path.unlink()
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert 'iter: 4.' in log_of(tmp_path)
    assert_equal_weights(whole, weights(tmp_path, 'latest'))
    assert log.count('# psnr') == 2
