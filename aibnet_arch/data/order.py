"""Which training sample comes when, as a pure function of seed, epoch and position.

BasicSR counts epochs with ceil while its loader drops the last batch, so that runs end early; it
reseeds its workers identically each epoch, so that crops repeat; and a resumed run starts its epoch
again. Here the order of the samples and the random numbers of each sample follow from
``manual_seed``, the epoch and the position in it, whatever the number of workers: a run has exactly
``total_iter`` iterations, and a resumed one goes on with the next batch.
"""

import math
import random
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..errors import RunError, UserError


class ScheduledSampler(Sampler):
    """Yields (index, seed of the sample) for the iterations of one epoch, whole batches only.

    Args:
        processes, rank: of the run, and which of them this is.
        ratio: how often each sample stands in an epoch (`dataset_enlarge_ratio`).
        batch_size: samples of a batch of this process.
        first_iter: iterations done before (0 for a new run).
        seed: manual_seed.
        fixed_crops: an epoch has so many samples, spread evenly over the pictures, in place of `ratio`, and each draws
            the same random numbers in every epoch.

    Raises:
        UserError: the epoch is shorter than one batch.
    """

    def __init__(
        self,
        dataset: Sized,
        *,
        processes: int,
        rank: int,
        ratio: int,
        batch_size: int,
        total_iter: int,
        first_iter: int,
        seed: int,
        fixed_crops: Optional[int] = None,
    ) -> None:
        self._dataset, self._fixed_crops = dataset, fixed_crops
        self._processes, self._rank = processes, rank
        self._num_samples = math.ceil((fixed_crops or len(dataset) * ratio) / processes)
        self.batches_per_epoch = self._num_samples // batch_size
        if not self.batches_per_epoch:
            raise UserError(
                f'datasets.train: {len(dataset)} images make {self._num_samples} samples per process and epoch, '
                f'less than one batch of {batch_size}: lower batch_size_per_gpu, or set dataset_enlarge_ratio to '
                f'{math.ceil(batch_size * processes / len(dataset))} or more'
            )
        self._batch_size, self._total_iter, self._first_iter, self._seed = batch_size, total_iter, first_iter, seed
        self._epoch = 0

    @property
    def last_epoch(self) -> int:
        """The epoch (from 0) that holds the last iteration."""
        return math.ceil(self._total_iter / self.batches_per_epoch) - 1

    def set_epoch(self, epoch: int) -> None:
        """From the next iterator on it gives the samples of this epoch, from 0."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        done_before = self._epoch * self.batches_per_epoch
        start = max(self._first_iter - done_before, 0)
        stop = min(self._total_iter - done_before, self.batches_per_epoch)
        generator = torch.Generator().manual_seed(_seed(self._seed, self._epoch))
        order = torch.randperm(self._num_samples * self._processes, generator=generator).tolist()
        mine = order[self._rank :: self._processes]
        for position in range(start * self._batch_size, stop * self._batch_size):
            # N processes with batches of B see the samples that one process with batches of N B sees.
            place = position * self._processes + self._rank
            if self._fixed_crops:
                crop = mine[position] % self._fixed_crops
                yield crop * len(self._dataset) // self._fixed_crops, _seed(self._seed, crop)
            else:
                yield mine[position] % len(self._dataset), _seed(self._seed, self._epoch, place)

    def __len__(self) -> int:
        return self._num_samples


class SampleError(RunError):
    """A sample that cannot be loaded."""

    def __init__(self, message: str) -> None:
        # A loader's worker hands it over as a traceback; its last line is ours.
        super().__init__(message.rpartition(f'{SampleError.__name__}: ')[2].strip())


class TracedDataset(Dataset):
    """A dataset whose samples draw their random numbers from a seed of their own, and whose errors name the sample.

    Everything but ``__getitem__`` is the wrapped dataset's.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str):
        return getattr(self.dataset, name)

    def __getitem__(self, where):
        index, seed = where if isinstance(where, tuple) else (where, None)
        try:
            if seed is None:
                return self.dataset[index]
            with seeded(seed):
                return self.dataset[index]
        except UserError:
            raise
        except Exception as error:
            raise SampleError(self._describe(index, error)) from error

    def _describe(self, index: int, error: Exception) -> str:
        opt = self.dataset.opt
        place = self.dataset.paths[index] if hasattr(self.dataset, 'paths') else index
        if isinstance(place, dict):
            place = ', '.join(f'{key} {value!r}' for key, value in place.items())
        roots = ', '.join(str(value) for key, value in opt.items() if key.startswith('dataroot'))
        return (
            f'dataset {opt.get("name")!r}: sample {index} ({place}) of {roots} cannot be loaded: '
            f'{type(error).__name__}: {error}. Check the file with `basicsr check -opt FILE --decode all`.'
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of Python, numpy and torch follow from `seed` inside, and go on as before after it."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed(*parts: int) -> int:
    """A well-mixed 32-bit seed."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
