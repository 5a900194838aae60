"""Mean, standard deviation and quantiles of numeric columns."""

from __future__ import annotations

import numpy as np

from wakeful.arithmetic import maximum
from wakeful.errors import SignalError
from wakeful.evidence import Average, Quantile
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["mean", "quantile", "std"]


def _moments(live: ColumnCounts) -> tuple[float, float]:
    """Mean and variance from the fixed-point sums."""
    bins, n = live.numeric, live.n
    if not n > 0:
        return np.nan, np.nan
    steps, squares = live.steps / n, live.squared_steps / n
    return bins.origin + bins.step * steps, bins.step**2 * maximum(0.0, squares - steps**2)


@signal(kinds=("numeric",))
def mean(live: ColumnCounts) -> Average:
    """Mean of the values.

    Right to 1/65,536 of the range seen in training, as long as no value is farther than four ranges from
    the mean in training. Farther ones count as if they were four to eight ranges away: one absurd value
    cannot move the mean without bound.
    """
    value, variance = _moments(live)
    return Average(value, variance, live.n)


@signal(kinds=("numeric",))
def std(live: ColumnCounts) -> Average:
    """Standard deviation of the values (the root of their mean squared deviation, as numpy's).

    Values are counted as in ``mean``, and it is right to the same unit. Its interval rests on the kurtosis of
    the bins, which rare values far out escape: with log-normal values it errs more often than it says.
    """
    mean, variance = _moments(live)
    squares = (live.numeric.middles - mean) ** 2
    spread = (live.values * squares).sum()
    kurtosis = live.n * (live.values * squares**2).sum() / spread**2 if spread > 0 else 3.0
    return Average(float(np.sqrt(variance)), variance * (kurtosis - 1) / 4, live.n)


@signal(kinds=("numeric",))
def quantile(live: ColumnCounts, level: float) -> Quantile:
    """The value below which a share ``level`` of the rows lies, interpolated inside its bin.

    It lies in the bin of the row on which the quantile lies (numpy's method ``inverted_cdf``), so it is
    wrong by at most that bin's width; outside the seen range it is the range's border.
    """
    if not 0 <= level <= 1:
        raise SignalError(f"a quantile's level is a share between 0 and 1, not {level}.")
    bins = live.numeric
    points = np.concatenate(([bins.low], bins.edges))
    cumulative = np.cumsum(live.values) / live.n
    below = np.concatenate((cumulative[:1], cumulative[:-1]))
    points, below = np.append(points, bins.high), np.append(below, 1.0)
    return Quantile(level, np.minimum(points, bins.high), below, live.n)
