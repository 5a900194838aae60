"""What training leads to expect at the hours of the week of the rows that came, as counters.

For every row, one row's worth of what training had at its hour is added up (``Reference.hourly``). Increases of these
counters over any window are what ``Reference.at_hours_of`` says of it, but for a factor that is the same for all: rows
of hours that training knows, over the sum of the squared increases of ``wakeful_usual_hour_total``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from wakeful.bins import Floats
from wakeful.counts import CLOCK
from wakeful.live.export.series import HOUR, KNOWN, REFERENCE, TIMED, Series
from wakeful.reference import Reference

__all__ = ["at_hours", "series_of_hours"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def at_hours(reference: Reference, some: Iterable[Series]) -> Iterator[Series]:
    """The same series of rows to expect, for those of a column's live rows; all are sums over the clock's cells."""
    live = [one for one in some if one.name not in REFERENCE]
    first, last = (end(end(one.cells) for one in live) for end in (min, max))
    of_one_row = reference.hourly(slice(first, last + 1))
    for one in live:
        weights = np.maximum(0.0, of_one_row[:, np.subtract(one.cells, first)] @ one.weights)  # rounding aside
        yield _of_clock(reference, one.name.replace("wakeful_", "wakeful_usual_", 1), weights, **one.labels)


def series_of_hours(reference: Reference) -> list[Series]:
    """Rows that have a time, those whose hour training knows, and these by hour."""
    assert reference.seasons is not None
    rows = reference.seasons[:, 0]
    found = [_of_clock(reference, TIMED, np.ones(168)), _of_clock(reference, KNOWN, np.sign(rows))]
    for hour in np.flatnonzero(rows).tolist():
        name = f"{_DAYS[hour // 24]} {hour % 24:02d}"
        found.append(_of_clock(reference, HOUR, np.eye(168)[hour] / np.sqrt(rows[hour] + 1), hour=name))
    return found


def _of_clock(reference: Reference, name: str, weights: Floats, **labels: str) -> Series:
    """A sum of so much of every hour's rows; hours that weigh nothing are left out, but for one."""
    start = reference.layout.cells[CLOCK].start
    hours = np.flatnonzero(weights) if weights.any() else np.zeros(1, dtype=np.intp)
    return Series(name, labels, (start + hours).tolist(), weights[hours].tolist())
