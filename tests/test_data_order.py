"""The order of the samples and their random numbers: functions of seed, epoch and position alone."""

import multiprocessing
import random
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from aibnet_arch.basicsr_patches.functional_tensor import ImportableDataset
from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.data.loading import train_loader
from aibnet_arch.data.order import SampleError, ScheduledSampler, TracedDataset, seeded
from aibnet_arch.data.prefetch import prefetched
from aibnet_arch.errors import UserError
from tests.training import make_dataset, options


class Numbers(Dataset):
    """Each sample is its index and random numbers of all three generators."""

    def __init__(self, count, broken=None):
        self.count, self.broken = count, broken
        self.opt = {'name': 'numbers', 'dataroot_lq': 'lq.lmdb', 'dataroot_gt': 'gt.lmdb'}
        self.paths = [{'lq_path': f'key{i}', 'gt_path': f'key{i}'} for i in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.broken:
            raise AttributeError("'NoneType' object has no attribute 'astype'")
        return index, random.random(), float(np.random.rand()), float(torch.rand(1))


def batches(count, *, batch, total, first=0, workers=0, seed=1, replicas=1, rank=0, ratio=1, fixed=None):
    """All batches of a run from iteration `first` on, as the trainer's loop sees them."""
    dataset = TracedDataset(Numbers(count))
    sampler = ScheduledSampler(
        dataset,
        processes=replicas,
        rank=rank,
        ratio=ratio,
        batch_size=batch,
        total_iter=total,
        first_iter=first,
        seed=seed,
        fixed_crops=fixed,
    )
    loader = DataLoader(dataset, batch_size=batch, sampler=sampler, num_workers=workers, drop_last=True)
    result = []
    for epoch in range(first // sampler.batches_per_epoch, sampler.last_epoch + 1):
        sampler.set_epoch(epoch)
        result += [torch.stack([part.double() for part in data]).tolist() for data in loader]
    return result


@pytest.mark.parametrize(
    ('count', 'batch', 'total'), [(20, 8, 60), (20, 8, 5), (7, 3, 1), (7, 3, 4), (5, 5, 9), (100, 8, 12)]
)
def test_a_run_has_exactly_total_iter_batches(count, batch, total):
    assert len(batches(count, batch=batch, total=total)) == total


@pytest.mark.parametrize(('replicas', 'samples', 'loaded'), [(1, 20, 2), (3, 7, 0)])
def test_a_loader_can_tell_its_length(replicas, samples, loaded):
    dataset = Numbers(10)
    sampler = ScheduledSampler(
        dataset, processes=replicas, rank=0, ratio=2, batch_size=1, total_iter=9, first_iter=3, seed=1
    )
    assert len(sampler) == samples  # of a process and epoch, whatever was done before
    assert len(DataLoader(dataset, batch_size=8, sampler=sampler, drop_last=True)) == loaded


@pytest.mark.parametrize('first', [1, 3, 4, 6, 11])
def test_a_resumed_run_goes_on_with_the_next_batch(first):
    whole = batches(10, batch=3, total=12)
    assert batches(10, batch=3, total=12, first=first) == whole[first:]


def test_workers_change_nothing():
    assert batches(10, batch=3, total=7, workers=2) == batches(10, batch=3, total=7)


def of_loader(workers: int, **changes) -> tuple[DataLoader, list]:
    """The loader of a run of three epochs, and what it gives, each epoch's processes beside it."""
    opt = {**options(total_iter=9), 'dist': False, 'world_size': 1, 'rank': 0}
    opt['datasets']['train'].update(batch_size_per_gpu=3, num_worker_per_gpu=workers, **changes)
    loader = train_loader(TracedDataset(Numbers(10)), opt, first_iter=0)
    found = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        given = [torch.stack([part.double() for part in data]).tolist() for data in loader]
        found.append((given, {process.pid for process in multiprocessing.active_children()}))
    return loader, found


def test_workers_that_live_on_change_nothing_but_the_time():
    _, without = of_loader(0)
    _, anew = of_loader(1, persistent_workers=False)
    loader, living = of_loader(1)
    assert loader.persistent_workers
    assert [given for given, _ in living] == [given for given, _ in anew] == [given for given, _ in without]
    assert len(set.union(*(processes for _, processes in living))) == 1


def test_memory_is_pinned_where_a_gpu_takes_it(monkeypatch):
    def pinned(num_gpu: int, **changes) -> bool:
        opt = {**options(), 'dist': False, 'world_size': 1, 'rank': 0, 'num_gpu': num_gpu}
        opt['datasets']['train'].update(changes)
        return train_loader(TracedDataset(Numbers(10)), opt, first_iter=0).pin_memory

    assert not pinned(1)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert pinned(1)
    assert not pinned(0)
    assert not pinned(1, pin_memory=False)


def test_random_numbers_differ_from_sample_to_sample_and_epoch_to_epoch():
    drawn = [number for batch in batches(6, batch=3, total=8) for number in batch[1]]
    assert len(set(drawn)) == len(drawn) == 24


@pytest.mark.parametrize('fixed', [4, 12, 30])
def test_fixed_crops_are_the_same_in_every_epoch_and_spread_over_the_pictures(fixed):
    every = batches(12, batch=2, total=fixed, fixed=fixed)  # two epochs
    samples = [sample for batch in every for sample in zip(*batch)]
    first, second = samples[:fixed], samples[fixed:]
    assert sorted(first) == sorted(second)
    assert first != second
    assert len({sample[1] for sample in first}) == fixed
    counts = [sum(sample[0] == picture for sample in first) for picture in range(12)]
    assert max(counts) - min(counts) <= 1
    assert batches(12, batch=2, total=fixed, fixed=fixed, seed=2)[0] != every[0]
    halves = [batches(12, batch=1, total=fixed, fixed=fixed, replicas=2, rank=rank) for rank in (0, 1)]
    shared = [tuple(part[0] for part in batch) for both in zip(*halves) for batch in both]
    assert sorted(shared[:fixed]) == sorted(first)  # two processes, one sample after the other


def test_every_sample_comes_once_an_epoch_and_the_seed_changes_the_order():
    first = [index for batch in batches(12, batch=4, total=3) for index in batch[0]]
    assert sorted(first) == list(range(12))
    other = [index for batch in batches(12, batch=4, total=3, seed=2) for index in batch[0]]
    assert sorted(other) == sorted(first)
    assert other != first


def test_processes_share_an_epoch_without_overlap():
    shares = [
        {index for batch in batches(12, batch=3, total=2, replicas=2, rank=rank) for index in batch[0]}
        for rank in (0, 1)
    ]
    assert shares[0] | shares[1] == set(range(12))
    assert not shares[0] & shares[1]


def test_a_dataset_smaller_than_a_batch_says_what_to_do():
    with pytest.raises(UserError, match='dataset_enlarge_ratio to 4'):
        batches(20, batch=64, total=5)
    assert len(batches(20, batch=64, total=5, ratio=4)) == 5


def test_random_numbers_of_the_process_go_on_as_before():
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), float(torch.rand(1))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    with seeded(1):
        random.random(), np.random.rand(), torch.rand(1)
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == expected


@pytest.mark.parametrize('workers', [0, 2])
def test_an_error_names_dataset_sample_and_key(workers):
    dataset = TracedDataset(Numbers(4, broken=2))
    loader = DataLoader(dataset, batch_size=2, num_workers=workers)
    with pytest.raises(UserError, match=r"'numbers': sample 2 \(lq_path 'key2', gt_path 'key2'\) of lq.lmdb, gt.lmdb"):
        list(loader)


def test_workers_that_are_spawned_import_what_they_need(tmp_path, monkeypatch):
    """They start from nothing, and a plain `import basicsr` fails there with new versions of torchvision."""
    prepare()
    from basicsr.data import build_dataset

    make_dataset(tmp_path, train=2, val=1)
    monkeypatch.chdir(tmp_path)
    opt = {**options()['datasets']['val'], 'dataroot_lq': 'data/val/lq.lmdb', 'phase': 'val', 'scale': 1}
    loader = DataLoader(ImportableDataset(build_dataset(opt)), num_workers=1, multiprocessing_context='spawn')
    assert [sample['lq_path'] for sample in loader] == [['p0']]


def test_prefetching_keeps_order_and_hands_errors_over():
    def items():
        yield 1
        yield 2
        raise ValueError('third')

    stream = prefetched(items(), ahead=1)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ValueError, match='third'):
        next(stream)
    assert list(prefetched(range(5), ahead=2)) == list(range(5))


def test_prefetching_starts_nothing_before_it_is_asked():
    before = threading.active_count()
    stream = prefetched(range(3), ahead=1)
    time.sleep(0.05)
    assert threading.active_count() <= before  # those of earlier tests may end
    assert next(stream) == 0


def test_an_error_from_a_worker_is_told_by_its_last_line():
    """A loader hands it over as the text of a traceback."""
    assert str(SampleError('Traceback ...\n  File ...\naibnet_arch.data.order.SampleError: sample 3 is bad\n')) == (
        'sample 3 is bad'
    )
    assert str(SampleError('sample 3 is bad')) == 'sample 3 is bad'


def test_everything_else_is_the_wrapped_datasets():
    class Dataset:
        opt, paths = {'name': 'x'}, ['a']

    assert TracedDataset(Dataset()).opt == {'name': 'x'}
    assert TracedDataset(Dataset()).paths == ['a']


def test_a_sampler_begins_with_the_first_epoch():
    sampler = ScheduledSampler(
        range(10), processes=1, rank=0, ratio=1, batch_size=2, total_iter=20, first_iter=0, seed=0
    )
    begun = list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == begun


@pytest.mark.parametrize(('total', 'last'), [(1, 0), (5, 0), (6, 1), (10, 1), (11, 2)])
def test_the_last_epoch_holds_the_last_iteration(total, last):
    sampler = ScheduledSampler(
        range(10), processes=1, rank=0, ratio=1, batch_size=2, total_iter=total, first_iter=0, seed=0
    )
    assert sampler.last_epoch == last
