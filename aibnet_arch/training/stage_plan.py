"""Which sub-decoder trains at which iteration (progressive training, Section 3.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Optional


@dataclass(frozen=True)
class StagePlan:
    """Lengths of the stages of a run, in iterations.

    Attributes:
        lengths: one number a stage; a stage of length 0 was trained before and is loaded.
        progressive: stage k trains sub-decoder k. Otherwise there is one stage that trains all.
    """

    lengths: tuple[int, ...]
    progressive: bool

    @classmethod
    def from_options(cls, opt: dict) -> 'StagePlan':
        """Read ``train.strategy``, ``train.stage_iter`` and ``train.total_iter``.

        Raises:
            ValueError: the message names the option.
        """
        train = opt['train']
        total = int(train['total_iter'])
        strategy = train.get('strategy', 'progressive')
        stage_iter = train.get('stage_iter')
        if strategy == 'direct':
            if stage_iter is not None:
                raise ValueError('train.stage_iter has no meaning with train.strategy: direct; leave it out')
            return cls(lengths=(total,), progressive=False)
        if strategy != 'progressive':
            raise ValueError(f"train.strategy: {strategy!r} is neither 'progressive' nor 'direct'")
        count = opt['network_g'].get('num_sub_decoders', 1)
        if stage_iter is None and count == 1:
            stage_iter = [total]
        cls._check(stage_iter, count=count, total=total)
        return cls(lengths=tuple(stage_iter), progressive=True)

    @staticmethod
    def _check(stage_iter: Optional[Sequence[int]], *, count: int, total: int) -> None:
        example = f'e.g. [{", ".join([str(total // count)] * count)}]'
        if not isinstance(stage_iter, Sequence) or isinstance(stage_iter, str) or len(stage_iter) != count:
            raise ValueError(
                f'train.stage_iter: {stage_iter!r}: give the iterations of each of the {count} stages, one number for '
                f'each sub-decoder of network_g, {example}'
            )
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in stage_iter):
            raise ValueError(f'train.stage_iter: {list(stage_iter)}: expected whole numbers from 0 up, {example}')
        trained = [n > 0 for n in stage_iter]
        if sorted(trained) != trained or not trained[-1]:
            raise ValueError(
                f'train.stage_iter: {list(stage_iter)}: only the first stages may be 0 (trained before, taken from '
                'path.pretrain_network_stages), and the last may not'
            )
        if sum(stage_iter) != total:
            raise ValueError(f'train.stage_iter: {stage_iter} adds up to {sum(stage_iter)}, total_iter is {total}')

    @property
    def trained_before(self) -> int:
        """How many stages come from another run's weights."""
        return self.lengths.count(0)

    def locate(self, iteration: int) -> tuple[int, int]:
        """Stage index (from 0) of an iteration of the run (from 1), and the iteration within the stage (from 1)."""
        for index, end in enumerate(accumulate(self.lengths)):
            if iteration <= end:
                return index, iteration - (end - self.lengths[index])
        raise ValueError(f'iteration {iteration} lies behind the end of the run, {sum(self.lengths)}')

    def stage_at(self, iteration: int) -> Optional[int]:
        """The argument for ``AIBNet.set_stage`` at an iteration (from 1) of the run."""
        return self.locate(iteration)[0] + 1 if self.progressive else None

    def last_of_stages(self, iterations: Iterable[int]) -> set[int]:
        """The last one of each stage, of iterations (from 1) that have a checkpoint."""
        last: dict[int, int] = {}
        for iteration in iterations:
            if iteration <= sum(self.lengths):
                stage = self.locate(iteration)[0]
                last[stage] = max(iteration, last.get(stage, 0))
        return set(last.values())

    def ends_stage(self, iteration: int) -> bool:
        """Whether a stage is over after this iteration."""
        return iteration in accumulate(self.lengths)
