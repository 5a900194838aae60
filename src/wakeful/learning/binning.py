"""Which bins a column gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from wakeful.bins import Category, CategoryBins, Floats, NumericBins, are_finer, can_tell

__all__ = ["bins_of_categories", "bins_of_clock", "bins_of_numbers", "bins_of_scores"]

_QUANTILES = 20  # bins of about equal mass
_ROWS_PER_BIN = 10  # fewer rows say nothing about a bin
_VISIBLE = 0.01  # a single value with this share gets a bin of its own
_MOST_SINGLES = 40
_TAIL = 0.001  # rare values at both ends are kept apart: a wrong unit shows there first
_ROWS_PER_TAIL = 5
_MOST_DECIMALS = 4  # values with more look continuous
_ON_GRID = 0.999  # share of the values that make a grid
_FEWEST_ON_GRID = 20
_ZERO = 1e-12  # of the largest value: what is nearer to zero is meant to be
_MOST_BINS = 30  # categories with a bin of their own
_MOST_REMEMBERED = 5_000  # categories known by name; beyond, new ones cannot be told from old ones


def bins_of_numbers(sample: Floats, low: float, high: float, borders: Iterable[float] = ()) -> NumericBins:
    """Quantile bins, single values that hold a visible share, and the seen range.

    Args:
        sample: values, NaN and infinity included.
        low: smallest of all finite values, not only of the sample.
        high: the largest.
        borders: cuts that must be there, such as a decision threshold.
    """
    finite = sample[np.isfinite(sample)]
    if not len(finite) or low > high:
        return NumericBins(0.0, 0.0, (), (), 0.0)
    values, times = np.unique(finite + 0.0, return_counts=True)
    visible = (times >= max(_VISIBLE * len(finite), 5)) | (len(values) == 1)
    singles = values[visible][np.argsort(-times[visible], kind="stable")][:_MOST_SINGLES]
    rest = finite[~np.isin(finite, singles)]
    cuts = {float(border) for border in borders}
    wanted = min(round(_QUANTILES * len(rest) / len(finite)), len(rest) // _ROWS_PER_BIN)
    if wanted > 1:
        tail = max(_TAIL, _ROWS_PER_TAIL / len(finite))
        places = np.concatenate(([tail], np.linspace(0, 1, wanted + 1)[1:-1], [1 - tail]))
        quantiles = np.unique(np.quantile(rest, np.sort(places)))
        cuts |= {_rounded(cut, high - low) for cut in quantiles[np.isfinite(quantiles)]}
    inner = sorted(cut for cut in cuts if low < cut <= high)
    center = finite.mean() if np.isfinite(finite.mean()) else low / 2 + high / 2  # a sum of huge values overflows
    known = tuple(sorted(map(float, singles)))
    return NumericBins(float(low), float(high), tuple(inner), known, float(center), _decimals(finite))


def _decimals(finite: Floats) -> int | None:
    """The fewest decimals with which nearly all values can be written; None where four are not enough.

    Only values speak for it with which a finer one could be told, and tiny ones are not taken for zeros: else any
    column of huge or tiny values would have a grid, and leave it with the first value of another size.
    """
    zero = _ZERO * np.abs(finite).max()
    for decimals in range(_MOST_DECIMALS + 1):
        told = finite[can_tell(finite, decimals)]
        finer = are_finer(told, 10.0**decimals) | ((np.abs(told) > zero) & (np.abs(told) < 0.5 / 10**decimals))
        if len(finer) >= _FEWEST_ON_GRID and finer.sum() <= (1 - _ON_GRID) * len(finer):
            return decimals
    return None


def _rounded(value: float, spread: float) -> float:
    """Four digits are enough to place a border, and can be read."""
    digits = 4 - int(np.floor(np.log10(min(spread, abs(value) or spread) or 1.0)))
    return round(float(value), digits)


def bins_of_scores(sample: Floats, low: float, high: float, threshold: float | None) -> NumericBins:
    """Bins of a score: the threshold is a border, and a probability's range is 0 to 1."""
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    return bins_of_numbers(sample, low, high, [] if threshold is None else [threshold])


def bins_of_categories(known: Counter[Category], truncated: bool, most: int = _MOST_BINS) -> CategoryBins:
    """The most frequent values get a bin each, the others share one."""
    total = sum(known.values())
    ranked = sorted(known, key=lambda value: (-known[value], str(value)))
    if total and all(isinstance(value, bool) for value in ranked):
        return CategoryBins((False, True))
    own = [value for value in ranked[:most] if known[value] >= 5 or len(ranked) <= most]
    tail = ranked[len(own) :]
    is_open = truncated or len(tail) > _MOST_REMEMBERED
    once = sum(1 for times in known.values() if times == 1)
    return CategoryBins(
        tuple(own), () if is_open else tuple(tail), is_open, 0.0 if is_open or not total else once / total
    )


def bins_of_clock(kind: str) -> CategoryBins:
    """24 hours, 7 days from Monday, or their 168 hours."""
    return CategoryBins(tuple(range({"hour": 24, "weekday": 7, "hour_of_week": 168}[kind])))
