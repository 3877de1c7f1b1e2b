"""Whether two networks differ, by the pictures that both were measured on: sign test and bootstrap. Numpy alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

RESAMPLES, LEVEL, SEED = 10_000, 0.95, 0


@dataclass(frozen=True)
class Paired:
    """Differences of pairs, second minus first.

    Attributes:
        pairs: how many.
        mean: of the differences; None without pairs.
        low, high: 95 % interval of the mean (percentile bootstrap over the pictures); None for less than two pairs.
        above, below, equal: pairs whose difference is above 0, below 0, and 0.
        sign_test: probability of such a split or one more uneven if above and below were equally likely (two-sided,
            equal pairs left out); None if there are no others.
    """

    pairs: int
    mean: Optional[float]
    low: Optional[float]
    high: Optional[float]
    above: int
    below: int
    equal: int
    sign_test: Optional[float]

    @classmethod
    def of(cls, differences: Sequence[float]) -> 'Paired':
        """From finite differences.

        Frames of one video resemble each other: pictures that are not independent make the interval too narrow and
        the probability too small.
        """
        values = np.asarray(differences, dtype=np.float64)
        above, below = int((values > 0).sum()), int((values < 0).sum())
        low, high = bootstrap_interval(values) if len(values) > 1 else (None, None)
        return cls(
            pairs=len(values),
            mean=float(values.mean()) if len(values) else None,
            low=low,
            high=high,
            above=above,
            below=below,
            equal=len(values) - above - below,
            sign_test=sign_test(above, below) if above + below else None,
        )


def sign_test(above: int, below: int) -> float:
    """Two-sided probability of a split at least as uneven, both sides being equally likely: exact binomial."""
    count, fewer = above + below, min(above, below)
    # Whole numbers until the end: 2 ** -1111 is no float.
    tail = sum(math.comb(count, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**count)


def bootstrap_interval(
    values: np.ndarray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """Percentile interval of the mean, of pictures drawn with replacement (Efron 1979). The same for the same seed."""
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, 500):  # 500 at a time: a set of thousands would fill the memory
        chosen = generator.integers(len(values), size=(min(500, resamples - start), len(values)))
        means[start : start + len(chosen)] = values[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
