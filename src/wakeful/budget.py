"""The alarm budget: how many false alarms a team can bear, and what each comparison gets of it."""

from __future__ import annotations

import math
from typing import NamedTuple

from wakeful.errors import DataError

__all__ = ["AlarmBudget", "duration", "rate"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def duration(text: str) -> float:
    """Seconds of a duration such as ``30m``, ``24h``, ``7d``; raises DataError on anything else."""
    number, unit = str(text)[:-1], str(text)[-1:]
    if unit not in _UNITS or not number.isdecimal() or int(number) == 0:
        raise DataError(f"{text!r} is no duration. Write a whole number and a unit: 30m, 24h, 7d, 2w.")
    return int(number) * _UNITS[unit]


def rate(text: str) -> float:
    """How many per second of a rate such as ``20000/d``, ``5/s`` or ``3e6/30d``; raises DataError on anything else."""
    count, period = _per(text, "is no rate. Write how many per time: 20000/d, 5/s, 300/15m.")
    return count / duration("1" + period if period in _UNITS else period)


def _per(text: str, otherwise: str) -> tuple[float, str]:
    """A positive number and what stands behind its slash; a DataError that ends with ``otherwise`` on anything else."""
    number, slash, period = str(text).partition("/")
    try:
        count = float(number)
    except ValueError:
        count = math.nan
    if not slash or not count > 0 or math.isinf(count):
        raise DataError(f"{text!r} {otherwise}")
    return count, period


class AlarmBudget(NamedTuple):
    """How many false alarms a team can bear: ``pages`` in ``seconds``.

    It is shared out over every comparison (assert x column x segment) of every evaluation, so adding
    columns does not add alarms (Bonferroni: the error rates sum to the budget).
    """

    pages: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> AlarmBudget:
        """Read ``1/90d``: one false page in ninety days; raises DataError on anything else."""
        pages, period = _per(text, "is no alarm budget. Write pages per period: 1/90d is one false page in 90 days.")
        return cls(pages, duration(period))

    def alpha(self, asserts: int, elements: int, window: float) -> float:
        """Error rate of one comparison.

        Every assert gets the same part of the budget, and shares it out over its elements (columns x
        segments) and the lengths of its window. A window that slides is looked at more often than once per
        length: it crosses a normal quantile z in about 1 + z² times as many lengths as one look would
        (Slepian's process; Pickands 1969), and z² is about 2 ln(1/alpha). Alarms less than a length
        apart count as one.

        Args:
            asserts: number of comparisons that the monitor's checks make.
            elements: number of values that this one compares.
            window: its length in seconds.
        """
        each = self.pages / (max(asserts, 1) * max(elements, 1) * max(1.0, self.seconds / window))
        return float(min(0.05, each / (1.0 + 2.0 * math.log(max(1.0, 1.0 / each)))))
