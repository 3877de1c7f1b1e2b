"""The loaders of training and of validation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..distributed import share_of_process
from .order import ScheduledSampler, TracedDataset
from .prefetch import PrefetchingLoader, SteadyLoader


def train_loader(dataset: TracedDataset, opt: Mapping[str, Any], *, first_iter: int) -> DataLoader:
    """Batches of this process, in the order of its :class:`.ScheduledSampler`, which is the loader's `sampler`.

    Args:
        dataset: what ``datasets.train`` describes.
        opt: BasicSR's options. ``batch_size_per_gpu`` and ``num_worker_per_gpu`` are multiplied by the GPUs that one
            process has; ``prefetch_mode: cpu`` fetches ``num_prefetch_queue`` batches ahead. Workers live as
            long as the run, and memory is pinned for a GPU, unless ``persistent_workers`` and ``pin_memory`` say else.
        first_iter: iterations done before (0 for a new run).

    Raises:
        UserError: an epoch is shorter than one batch.
    """
    options = opt['datasets']['train']
    gpus = 1 if opt['dist'] else max(opt['num_gpu'], 1)
    batch_size = options['batch_size_per_gpu'] * gpus
    sampler = ScheduledSampler(
        dataset,
        processes=opt['world_size'],
        rank=opt['rank'],
        ratio=options.get('dataset_enlarge_ratio', 1),
        batch_size=batch_size,
        total_iter=int(opt['train']['total_iter']),
        first_iter=first_iter,
        seed=opt['manual_seed'],
        fixed_crops=options.get('fixed_crops'),
    )
    workers = options['num_worker_per_gpu'] * gpus
    # Whether workers are new or not makes no difference to the samples, each has its own seed.
    persistent, pinned = options.get('persistent_workers'), options.get('pin_memory')
    arguments: dict[str, Any] = {
        'batch_size': batch_size,
        'sampler': sampler,
        'num_workers': workers,
        'pin_memory': opt['num_gpu'] != 0 and torch.cuda.is_available() if pinned is None else pinned,
        'persistent_workers': workers > 0 if persistent is None else persistent,
        'generator': _own_generator(opt['manual_seed']),
    }
    if options.get('prefetch_mode') == 'cpu':
        return PrefetchingLoader(dataset, ahead=options.get('num_prefetch_queue', 1), **arguments)
    return SteadyLoader(dataset, **arguments)


def val_loader(dataset: TracedDataset, *, seed: int) -> DataLoader:
    """The pictures of a set that this process measures, one at a time."""
    return DataLoader(dataset, batch_size=1, sampler=share_of_process(len(dataset)), generator=_own_generator(seed))


def _own_generator(seed: int) -> torch.Generator:
    """By default each pass over a loader draws from the generator that training uses."""
    return torch.Generator().manual_seed(seed)
