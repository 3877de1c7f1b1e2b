"""What paired differences can tell: interval, smallest difference that would have been seen, seeds that it takes.

Two-sided paired t test and its power (Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., 1988,
chapter 2). The spread is taken from the differences themselves. Of few seeds it is rough: that of three may be half or
six times what it really is (95 % interval of a deviation with 2 degrees of freedom).
"""

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .table import Figure

LEVEL = 0.05  # how often chance alone is taken for a difference
POWER = 0.8  # how often a difference is to be seen
TARGET = 0.05  # dB
MOST_SEEDS = 1000
GRID = 2000  # quantiles; the power is exact to 1e-4 with them


@dataclass(frozen=True)
class Evidence:
    """What the paired differences of two entries say.

    Attributes:
        difference: over the seeds.
        low, high: the interval that holds the true difference in 95 of 100 studies; None for less than two seeds.
        visible: the smallest true difference that a study of so many seeds would have seen (80 % power, 5 % level).
        seeds: so many would see :data:`TARGET`; None: unknown, or more than :data:`MOST_SEEDS`.
    """

    difference: Figure
    low: Optional[float] = None
    high: Optional[float] = None
    visible: Optional[float] = None
    seeds: Optional[int] = None

    @classmethod
    def of(cls, difference: Figure) -> 'Evidence':
        """What a mean of paired differences over seeds can tell, and could have told."""
        from scipy import stats  # BasicSR needs it

        deviation, runs = difference.deviation, difference.runs
        if difference.mean is None or deviation is None or not math.isfinite(deviation):
            return cls(difference)
        reach = float(stats.t.ppf(1 - LEVEL / 2, runs - 1)) * deviation / math.sqrt(runs)
        return cls(
            difference,
            low=difference.mean - reach,
            high=difference.mean + reach,
            visible=smallest_visible(deviation, runs),
            seeds=seeds_for(TARGET, deviation),
        )

    @property
    def sign(self) -> Optional[int]:
        """1 or -1 where the interval leaves 0 out, 0 where it does not; None: nothing is known."""
        if self.low is None or self.high is None:
            return None
        return int(self.low > 0) - int(self.high < 0)


def power_of(difference: float, deviation: float, runs: int) -> float:
    """How often a study sees a true difference.

    Args:
        difference: the true one.
        deviation: standard deviation of a paired difference, above 0.
        runs: pairs, 2 or more.
    """
    from scipy import stats

    critical = stats.t.ppf(1 - LEVEL / 2, runs - 1)
    shift = abs(difference) / deviation * math.sqrt(runs)
    # t = (Z + shift) / sqrt(V / (n - 1)), Z normal, V chi-squared: the mean over quantiles of V. (scipy's noncentral t
    # gives NaN where the shift is large.)
    quantiles = (np.arange(GRID) + 0.5) / GRID
    reach = critical * np.sqrt(stats.chi2.ppf(quantiles, runs - 1) / (runs - 1))
    return float(np.mean(stats.norm.cdf(shift - reach) + stats.norm.cdf(-shift - reach)))


def smallest_visible(deviation: float, runs: int) -> float:
    """The true difference that is seen with :data:`POWER`; arguments as :func:`power_of`."""
    from scipy.optimize import brentq

    if deviation == 0:
        return 0.0
    most = 1.0  # in deviations
    while power_of(most, 1, runs) < POWER:
        most *= 2
    return deviation * float(brentq(lambda size: power_of(size, 1, runs) - POWER, 1e-9, most, xtol=1e-6))


def seeds_for(difference: float, deviation: float) -> Optional[int]:
    """The smallest number of pairs that sees a true difference with :data:`POWER`; None: beyond the most."""
    if deviation == 0:
        return 2
    low, high = 2, MOST_SEEDS
    if power_of(difference, deviation, high) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(difference, deviation, middle) >= POWER else (middle + 1, high)
    return low
