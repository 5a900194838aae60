"""Distances between the live distribution of a column and its reference.

Only rows that have a value count; what is missing or invalid has signals of its own. Small windows are
judged on few bins: neighbours are merged to about 5 below 400 rows and to 10 below 1,000, since noise
in d1 is about 0.8 sqrt(bins/n). Categories that training did not show are expected as often as the
categories that it showed once let expect (Good 1953).
"""

from __future__ import annotations

import math

import numpy as np

from wakeful.arithmetic import maximum, minimum, number
from wakeful.bins import Floats
from wakeful.evidence import Distance, Divergence
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["LEVELS", "d1", "jensen_shannon", "ks", "linf", "noise_of", "psi", "total_variation", "wasserstein"]

LEVELS = ((400, 5), (1_000, 10))  # below so many rows, so many bins


def shares(live: ColumnCounts, reference: ColumnCounts) -> tuple[Floats, Floats]:
    """Live and reference share per bin, neighbours merged where rows are few; both shape (k,)."""
    expected = reference if live is reference else reference.expected
    q, p = live.values, expected.values
    rows = minimum(live.n, reference.n) if reference.n > 0 else live.n
    for below, wanted in LEVELS:
        if rows < below:
            groups = reference.groups(wanted)
            q, p = live.grouped(groups), expected.grouped(groups)
            break
    return q / q.sum(), p / p.sum()


def noise_of(p: Floats) -> float:
    """Mean of d1 without change, in units of sqrt(1/n + 1/m): sum of sqrt(2 p (1-p) / pi)."""
    return number(np.sqrt(2 * p * (1 - p) / np.pi).sum())


@signal
def d1(live: ColumnCounts, reference: ColumnCounts) -> Distance:
    """Sum of |p - q| over the bins, in [0, 2]; half of it is the share of rows that moved.

    Breck et al. 2019, "Data validation for machine learning", section 4.
    """
    q, p = shares(live, reference)
    return Distance(np.abs(q - p).sum(), noise_of(p), 2.0, live.n, reference.n)


@signal
def total_variation(live: ColumnCounts, reference: ColumnCounts) -> Distance:
    """Half of d1, in [0, 1]: the share of rows that would have to move."""
    q, p = shares(live, reference)
    return Distance(np.abs(q - p).sum() / 2, noise_of(p) / 2, 1.0, live.n, reference.n)


@signal
def linf(live: ColumnCounts, reference: ColumnCounts) -> Distance:
    """Largest |p - q| of any bin, in [0, 1] (Breck et al. 2019)."""
    q, p = shares(live, reference)
    spread = np.sqrt(2 * np.log(2 * p.size) * (p * (1 - p)).max())
    return Distance(np.abs(q - p).max(), minimum(spread, noise_of(p) / 2), 1.0, live.n, reference.n)


@signal
def psi(live: ColumnCounts, reference: ColumnCounts) -> Divergence:
    """Population stability index: sum of (q - p) ln(q/p).

    Half a row is added to each live bin and 1/10,000 to each reference share, so that a bin which is empty
    on one side counts.
    Without change it is (1/n + 1/m) chi² of bins - 1 degrees (Yurdakul & Naranjo 2020), so a fixed
    limit means nothing at low traffic.
    """
    q, p = shares(live, reference)
    used, bins = (q > 0) | (p > 0), number((p > 0).sum())
    q = (q * live.n + 0.5) / (live.n + 0.5 * q.size)
    p = (p + 1e-4) / (1 + 1e-4 * p.size)
    ratio = np.where(used, np.log(q / p), 0.0)
    slope = np.where(used, ratio + 1 - p / q, 0.0)
    variance = (q * slope**2).sum() - (q * slope).sum() ** 2
    return Divergence(number(((q - p) * ratio).sum()), bins, 1.0, number(variance), live.n, reference.n)


@signal
def jensen_shannon(live: ColumnCounts, reference: ColumnCounts) -> Divergence:
    """Jensen-Shannon divergence in bits, in [0, 1] (Lin 1991); the square of scipy's distance, base 2."""
    q, p = shares(live, reference)
    middle = (p + q) / 2
    from_p = np.where(p > 0, p * np.log2(np.where(p > 0, p, 1) / np.where(p > 0, middle, 1)), 0.0)
    slope = np.where(q > 0, np.log2(np.where(q > 0, q, 1) / np.where(q > 0, middle, 1)), 0.0)
    value = maximum(0.0, number((from_p.sum() + (q * slope).sum()) / 2))
    variance = ((q * slope**2).sum() - (q * slope).sum() ** 2) / 4
    bins = number((p > 0).sum())
    return Divergence(value, bins, 1 / (8 * math.log(2)), number(variance), live.n, reference.n)


@signal(kinds=("numeric",))
def ks(live: ColumnCounts, reference: ColumnCounts) -> Distance:
    """Kolmogorov-Smirnov distance on bins: largest difference of the two distribution functions.

    At most the distance on rows, and less by no more than the largest reference or live share of a bin
    that holds more than one value.
    """
    q, p = live.share, reference.share
    return Distance(np.abs(np.cumsum(q - p)).max(), np.sqrt(np.pi / 8) * 1.4, 1.0, live.n, reference.n)


@signal(kinds=("numeric",))
def wasserstein(live: ColumnCounts, reference: ColumnCounts) -> Distance:
    """Earth mover's distance in the column's unit: the area between the two distribution functions.

    Exact for values that have bins of their own. Otherwise rows count at the middle of their bin and
    outside the seen range at its border, which is wrong by at most the widest bin plus the mean distance
    by which live rows lie outside the range.
    """
    bins = live.numeric
    middle = bins.middles
    q, p = np.cumsum(live.share), np.cumsum(reference.share)
    widths = np.diff(middle)
    noise = (widths * np.sqrt(2 * p[:-1] * np.maximum(0, 1 - p[:-1]) / np.pi)).sum()
    value = (np.abs(q - p)[:-1] * widths).sum()
    return Distance(float(value), float(noise), bins.high - bins.low, live.n, reference.n)
