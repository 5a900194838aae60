"""Shares of rows: what is missing, unseen, invalid, out of range, or one particular value."""

from __future__ import annotations

from typing import Any

import numpy as np

from wakeful.bins import NumericBins
from wakeful.errors import UnknownName
from wakeful.evidence import Share
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["invalid", "missing", "off_grid", "out_of_range", "share", "unseen"]


@signal(dispersion="missing")
def missing(live: ColumnCounts) -> Share:
    """Share of all rows without a value (None, NaN, or no such column)."""
    return Share(live.missing, live.rows)


@signal(dispersion="none")
def invalid(live: ColumnCounts) -> Share:
    """Share of all rows whose value is of the wrong type, or infinite."""
    return Share(live.invalid, live.rows)


@signal(dispersion="none")
def unseen(live: ColumnCounts, reference: ColumnCounts) -> Share:
    """Share of rows with a value that training did not show.

    Categories: a name that is not in the reference. Numbers that are nearly all among a few single values: a
    value between them, in a gap where training had none. In the reference itself it is the share to expect
    of new categories in healthy traffic (Good 1953: the share of values seen once).
    """
    if live is reference:
        return Share(live.unseen, live.n)
    return Share(live.within(reference.not_shown), live.n)


@signal(kinds=("numeric",), dispersion="none")
def out_of_range(live: ColumnCounts) -> Share:
    """Share of rows below the smallest or above the largest value seen in training."""
    return Share(live.within(live.outside), live.n)


@signal(kinds=("numeric",), dispersion="none")
def off_grid(live: ColumnCounts) -> Share:
    """Share of rows with more decimals than nearly all values had in training; 0 where those lay on no grid.

    A unit change, an imputed mean or a feature computed anew shows there, even inside the range seen in training.
    """
    return Share(live.off_grid, live.n)


@signal
def share(live: ColumnCounts, value: Any) -> Share:
    """Share of rows that hold ``value``.

    Exact for categories, booleans and numbers with a bin of their own; other numbers have no count of
    their own, and asking for one raises UnknownName.
    """
    return Share(live.rows_of(_bin_of(live, value)), live.n)


def _bin_of(live: ColumnCounts, value: Any) -> int:
    bins = live.bins
    if isinstance(bins, NumericBins):
        if isinstance(value, int | float) and float(value) in bins.singles:
            return int(bins.cells(np.array([float(value)]))[0])
        raise UnknownName(f"frequent value of {live.name}", value, bins.singles)
    at = bins.index.get((type(value), value))
    if at is None or at >= len(bins.categories):
        raise UnknownName(f"frequent value of {live.name}", value, bins.categories)
    return at
