"""Cases with late outcomes as counts by window, class and age, as of a date: what delay curves are estimated from."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import DataError

__all__ = ["Delays", "delays"]

_DAY = np.timedelta64(1, "D")
_ROUNDING = 1e-6  # of a bin: an age that is a whole number of bins lies in the bin that it begins


class Delays(NamedTuple):
    """What is known as of a date, in counts that add up over cases.

    Ages fall into bins of equal length; the last holds what is as old as the horizon or older. An outcome counts as
    known from the end of its bin on, and as pending before: so all cases in a bin are equally far, and wide bins bias
    nothing. Parts of the data that were counted as of the same date, with the same windows, horizon and bins, merge
    by ``plus``.

    Attributes:
        arrived: outcomes by window, class (negative, positive) and age at which they became known; (w, 2, bins + 1).
        followed: the same outcomes by the age of their case as of the date; (w, 2, bins + 1).
        pending: cases without an outcome by their age as of the date; (w, bins + 1).
    """

    arrived: Floats
    followed: Floats
    pending: Floats

    def plus(self, other: Delays) -> Delays:
        """The counts of both."""
        if self.arrived.shape != other.arrived.shape:
            raise DataError(
                f"counts of other windows or ages cannot be added: {self.arrived.shape}, {other.arrived.shape}."
            )
        return Delays(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def rows(self) -> Floats:
        """Cases by window and age as of the date; (w, bins + 1)."""
        return np.asarray(self.followed.sum(axis=1) + self.pending)


def delays(
    predicted: Any,
    known: Any,
    outcome: Any,
    as_of: Any,
    *,
    edges: Any,
    horizon: Any,
    term: Any = None,
    bins: int = 1_000,
) -> Delays:
    """Count cases by window, class and age, as of a date.

    Args:
        predicted: when each case was predicted; datetime64 or a number of days; (n,).
        known: when its outcome became known; NaT or NaN where it has not; later than ``as_of`` counts as pending; (n,).
        outcome: 1 or 0, True or False; anything where it is not known; (n,).
        as_of: the date. Predictions after it are left out.
        edges: of the windows by time of prediction, increasing; cases outside are left out; (w + 1,).
        horizon: age at which no more outcomes are expected: timedelta64 or days; with ``term``, a number of terms.
        term: days after which each case is due, such as the term of a loan, (n,): ages are then measured in terms,
            so that loans over 36 and 60 months share a curve.
        bins: of age up to the horizon.

    Raises:
        DataError: shapes differ, a time is missing, an outcome is neither 0 nor 1 or known before its prediction.
    """
    start, end, now, cuts = _days(predicted), _days(known), float(_days(as_of)), _days(edges)
    labels = np.asarray(outcome)
    unit = np.ones(start.shape) if term is None else np.asarray(term, dtype=np.float64)
    limit = float(_days(horizon, length=True))
    _demand(start, end, labels, now, cuts, unit, limit, bins)
    at = np.searchsorted(cuts, start, side="right") - 1
    inside = (at >= 0) & (at < len(cuts) - 1) & (start <= now)
    at, start, end, labels = at[inside], start[inside], end[inside], labels[inside]
    per_bin = unit[inside] * limit / bins
    age = (end - start) / per_bin
    follow = np.minimum((now - start) / per_bin + _ROUNDING, bins).astype(np.int64)
    in_time = (end <= now) & (age <= bins + _ROUNDING)  # of NaN neither
    arrival = np.minimum(np.where(in_time, age, 0.0) + _ROUNDING, bins - 1).astype(np.int64)
    there = in_time & (arrival < follow)
    positive = labels[there].astype(np.float64) == 1
    size, ages = len(cuts) - 1, bins + 1

    def count(cells: Any, shape: tuple[int, ...]) -> Floats:
        flat = np.ravel_multi_index(cells, shape)
        return np.bincount(flat, minlength=math.prod(shape)).reshape(shape).astype(np.float64)

    groups = (at[there], positive.astype(np.int64))
    arrived = count((*groups, arrival[there]), (size, 2, ages))
    followed = count((*groups, follow[there]), (size, 2, ages))
    return Delays(arrived, followed, count((at[~there], follow[~there]), (size, ages)))


def _days(times: Any, length: bool = False) -> Floats:
    """Times or lengths as days, NaN where there is none."""
    values = np.asarray(times)
    if values.dtype.kind == "O":
        values = values.astype("timedelta64[us]" if length else "datetime64[us]")
    if values.dtype.kind in "mM":
        origin = np.timedelta64(0, "us") if values.dtype.kind == "m" else np.datetime64(0, "us")
        return np.asarray((values - origin) / _DAY, dtype=np.float64)
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"times have to be datetime64 or numbers of days, not {values.dtype}.") from error


def _demand(
    start: Floats, end: Floats, labels: Any, now: float, cuts: Floats, unit: Floats, limit: float, bins: int
) -> None:
    """Raise DataError where cases, windows or horizon are none."""
    if start.ndim != 1 or not start.shape == end.shape == labels.shape == unit.shape:
        told = ", ".join(str(one.shape) for one in (start, end, labels, unit))
        raise DataError(f"predicted, known, outcome and term need one value a case, not shapes {told}.")
    if not math.isfinite(now) or not np.isfinite(start).all():
        raise DataError("as_of and every prediction need a time; some have none.")
    if cuts.ndim != 1 or len(cuts) < 2 or not (np.diff(cuts) > 0).all():
        raise DataError("edges of windows have to be two times or more, increasing.")
    if not (math.isfinite(limit) and limit > 0 and np.isfinite(unit).all() and (unit > 0).all() and bins >= 1):
        raise DataError(f"horizon, term and bins have to be above 0; horizon is {limit:g}, bins {bins}.")
    there = end <= now
    if labels.dtype.kind not in "biuf" or not np.isin(labels[there], (0, 1)).all():
        raise DataError("an outcome that is known has to be 1 or 0. For several classes, ask for one against the rest.")
    early = int((end < start).sum())
    if early:
        raise DataError(f"{early:,} outcomes are known before their prediction: check time zones and the join.")
