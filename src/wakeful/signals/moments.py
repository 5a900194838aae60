"""Mean, standard deviation and quantiles of numeric columns."""

from __future__ import annotations

import numpy as np

from wakeful.errors import SignalError
from wakeful.evidence import Average, Quantile
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["mean", "quantile", "std"]


def _moments(live: ColumnCounts) -> tuple[float, float]:
    """Mean and variance from the fixed-point sums."""
    bins, n = live.numeric, live.n
    if not n:
        return np.nan, np.nan
    steps, squares = live.sums / n
    return bins.center + bins.step * steps, bins.step**2 * max(0.0, squares - steps**2)


@signal(kinds=("numeric",))
def mean(live: ColumnCounts) -> Average:
    """Mean of the values.

    Every value is counted to 1/65,536 of the seen range, and at most four ranges away from its middle:
    one absurd value cannot move the mean without bound.
    """
    value, variance = _moments(live)
    return Average(value, variance, live.n)


@signal(kinds=("numeric",))
def std(live: ColumnCounts) -> Average:
    """Standard deviation of the values, counted as in ``mean``; its interval assumes a normal kurtosis."""
    _, variance = _moments(live)
    return Average(float(np.sqrt(variance)), variance / 2, live.n)


@signal(kinds=("numeric",))
def quantile(live: ColumnCounts, level: float) -> Quantile:
    """The value below which a share ``level`` of the rows lies, interpolated inside its bin.

    It is right to the bin in which the quantile lies; outside the seen range it is the range's border.
    """
    if not 0 <= level <= 1:
        raise SignalError(f"a quantile's level is a share between 0 and 1, not {level}.")
    bins = live.numeric
    points = np.concatenate(([bins.low], bins.edges))
    cumulative = np.cumsum(live.values) / live.n
    below = np.concatenate((cumulative[:1], cumulative[:-1]))
    points, below = np.append(points, bins.high), np.append(below, 1.0)
    return Quantile(level, np.minimum(points, bins.high), below, live.n)
