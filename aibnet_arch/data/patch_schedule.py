"""Patches that grow while training goes on, and batches that shrink: Restormer's progressive learning, for any network.

The options have the names that Restormer's own option files give them::

    datasets:
      train:
        batch_size_per_gpu: 8              # read and cropped to gt_size,
        gt_size: 384
        iters: [92000, 64000, 144000]      # but for so many iterations each,
        gt_sizes: [128, 256, 384]          # cropped again, to these sizes,
        mini_batch_sizes: [8, 4, 1]        # so many of them.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Optional

from torch import Tensor

KEYS = ('iters', 'gt_sizes', 'mini_batch_sizes')
LIMITS = {'gt_sizes': 'gt_size', 'mini_batch_sizes': 'batch_size_per_gpu'}


@dataclass(frozen=True)
class PatchSchedule:
    """What each iteration keeps of its batch.

    Attributes:
        ends: the last iteration of each phase.
        sizes: height and width of the patches of gt in each phase.
        shares: how much of a batch each phase keeps, from 0 to 1.
        seed: of the choice of pictures and places; with the iteration it fixes them, so that a resumed run goes on as
            the uninterrupted one would.
    """

    ends: tuple[int, ...]
    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    seed: int

    @classmethod
    def from_options(cls, opt: Mapping[str, Any]) -> Optional['PatchSchedule']:
        """The schedule of a run, of options that have no :meth:`problems`; None if there is none."""
        dataset = opt['datasets']['train']
        if dataset.get('iters') is None:
            return None
        return cls(
            ends=tuple(accumulate(dataset['iters'])),
            sizes=tuple(map(int, dataset['gt_sizes'])),
            shares=tuple(count / dataset['batch_size_per_gpu'] for count in dataset['mini_batch_sizes']),
            seed=opt['manual_seed'] * opt['world_size'] + opt['rank'],
        )

    @staticmethod
    def problems(opt: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the options, a message each."""
        dataset = opt['datasets'].get('train') or {}
        given: dict[str, Any] = {key: dataset.get(key) for key in KEYS if dataset.get(key) is not None}
        numbers = [number for values in given.values() for number in (values if isinstance(values, list) else [None])]
        if not given or not all(isinstance(number, (int, float)) for number in numbers):
            return  # of types other checks tell
        missing = [key for key in KEYS if key not in given]
        if missing:
            yield f'datasets.train.{missing[0]} is missing: {", ".join(KEYS)} go together'
            return
        lengths = {len(values) for values in given.values()}
        if len(lengths) > 1:
            yield f'datasets.train.iters: {", ".join(KEYS)} need equally many numbers, one for each phase'
        total = opt['train']['total_iter']
        if sum(given['iters']) != total:
            yield f'datasets.train.iters add up to {sum(given["iters"])}, train.total_iter is {total}'
        for key, limit in LIMITS.items():
            if max(given[key]) > (dataset.get(limit) or 0):
                yield f'datasets.train.{key}: {max(given[key])} is more than {limit} ({dataset.get(limit)})'
        scale = opt.get('scale') or 1
        uneven = [size for size in given['gt_sizes'] if size % scale]
        if uneven:
            yield f'datasets.train.gt_sizes: {uneven[0]} is no multiple of scale ({scale})'

    def cut(self, data: Mapping[str, Any], *, iteration: int) -> dict[str, Any]:
        """The part of a batch that an iteration (from 1) trains on.

        Args:
            data: a batch of BasicSR: 'lq' (B, C, h, w), 'gt' (B, C, H, W), H a multiple of h, and lists of length B.
        """
        phase = bisect_left(self.ends, iteration)
        lq, gt = data['lq'], data['gt']
        scale = gt.shape[-1] // lq.shape[-1]
        size = self.sizes[phase] // scale
        draw = random.Random(f'{self.seed} {iteration}')
        chosen = sorted(draw.sample(range(len(lq)), max(1, round(len(lq) * self.shares[phase]))))
        top, left = (draw.randint(0, side - size) for side in lq.shape[2:])

        def crop(images: Tensor, factor: int) -> Tensor:
            rows = slice(factor * top, factor * (top + size))
            return images[chosen][:, :, rows, factor * left : factor * (left + size)]

        kept = {key: [values[index] for index in chosen] for key, values in data.items() if isinstance(values, list)}
        return {**data, **kept, 'lq': crop(lq, 1), 'gt': crop(gt, scale)}
