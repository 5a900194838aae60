"""Queries that show what ``wakeful backfill`` filled in, too: there, a value is known at the end of each step.

Prometheus takes no sample older than five minutes for the present. Where STEP says that a history was filled in, what
was known at the end of a step lives until the next, at most an hour later. Live series, beside which there is no such
mark, end when they end.
"""

from __future__ import annotations

from wakeful.compile.about import STEP

__all__ = ["increase", "known", "rate"]

_HELD, _BETWEEN = "3599s", "7199s"  # an hour, and two, whose ends belong to the next
_FILLED_IN = f"and on (model) {STEP}"


def known(series: str) -> str:
    """The last value of some series."""
    return f"({series} or last_over_time({series}[{_HELD}]) {_FILLED_IN})"


def rate(counters: str) -> str:
    """How fast counters grow, by the second."""
    return f"(rate({counters}[$__rate_interval]) or rate({counters}[{_BETWEEN}]) {_FILLED_IN})"


def increase(counters: str, window: str) -> str:
    """By how much counters grew over a window; over the last step where none lies inside of it."""
    return f"(increase({counters}[{window}]) or increase({counters}[{_BETWEEN}]) / 2 {_FILLED_IN})"
