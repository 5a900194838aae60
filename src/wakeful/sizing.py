"""How large a holdout has to be, how long it takes to fill, and what it costs.

Sizes are those that wakeful's own intervals and checks need (``bounds.share_bounds``), found by bisection; the
textbook's normal approximation, which promises too much near 0 and 1, is given beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wakeful.bounds import share_bounds, z_of
from wakeful.budget import duration, rate
from wakeful.errors import DataError

__all__ = ["HoldoutSize", "holdout_size"]

_MOST = 10_000_000
_DAY = 86_400.0


class HoldoutSize(NamedTuple):
    """A holdout that is large enough.

    Attributes:
        precision, detect: as asked.
        n: flagged cases to hold out whose outcome becomes known.
        textbook: what the normal approximation says.
        low, high: interval of a precision that is seen on so many.
        alpha: error rate on each side of an interval; with ``detect``, of false alarms at exactly the precision.
        power: with ``detect``, probability that the check fails at that precision, for n and more cases.
        share: of flagged cases to hold out; None where neither traffic nor a share is known.
        per_day: cases held out a day; None without traffic.
        days: until n are held out, to which comes the time until their outcomes are known; None without traffic.
        cost: of n held-out cases; None without one. Negative where holding out brings in more than it costs.
        cost_per_day: while the holdout goes on; None without traffic.
    """

    precision: float
    detect: float | None
    n: int
    textbook: int
    low: float
    high: float
    alpha: float
    power: float | None
    share: float | None
    per_day: float | None
    days: float | None
    cost: float | None
    cost_per_day: float | None

    def lines(self) -> list[str]:
        """The answer in words."""
        lines = [f"{self.n:,} held-out cases with a known outcome (normal approximation: {self.textbook:,})"]
        if self.detect is None:
            lines.append(
                f"  a precision of {self.precision:.4g} then has the interval {self.low:.3f} to {self.high:.3f};"
            )
            lines.append(f"  {1 - 2 * self.alpha:.4g} of such intervals hold the truth")
        else:
            lines.append(f"  live.holdout.precision() >= {self.precision:.4g} then fails")
            lines.append(f"  with probability {self.power:.4g} or more where the truth is {self.detect:.4g},")
            lines.append(f"  with probability {self.alpha:.4g} or less where it is {self.precision:.4g}")
        if self.per_day is not None and self.days is not None and self.share is not None:
            lines.append(
                f"{self.share:.2%} of flagged cases held out: {self.per_day:,.3g} a day for {self.days:,.3g} days, "
                "and until the last outcome is known"
            )
        if self.cost is not None:
            paid, total = "cost" if self.cost >= 0 else "gain", abs(self.cost)
            daily = "" if self.cost_per_day is None else f", {abs(self.cost_per_day):,.0f} a day"
            lines.append(f"{paid}: {total:,.0f}, {total / self.n:,.2f} a case{daily}")
        return lines


def holdout_size(
    precision: float,
    *,
    margin: float | None = None,
    detect: float | None = None,
    alpha: float | None = None,
    power: float = 0.9,
    traffic: str | None = None,
    flagged: float | None = None,
    share: float | None = None,
    within: str | None = None,
    cost: float | None = None,
    saved: float = 0.0,
) -> HoldoutSize:
    """How many flagged cases have to be held out to know the precision, or to notice that it has dropped.

    Args:
        precision: expected; with ``detect``, the limit x of a check ``live.holdout.precision() >= x``.
        margin: half the width that the interval of this precision may have.
        detect: a lower precision at which the check has to fail.
        alpha: error rate on each side; 0.025 with a margin (a 95% interval), 0.01 with ``detect``. The checks of a
            monitor are judged at what its alarm budget leaves: ``monitor.alpha(check, assertion)``.
        power: probability of failing at ``detect``.
        traffic: cases per time, such as ``20000/d`` or ``5/s``.
        flagged: share of them that is flagged.
        share: of flagged cases that is held out; gives the time.
        within: time such as ``30d``; gives the share in its place.
        cost: of a held-out case that was flagged rightly: what acting on it would have saved, such as the price of
            the credit report that is now bought for an applicant whom it rejects.
        saved: by a held-out case that was flagged wrongly: what acting on it would have lost, such as the margin of a
            customer who would have been turned away.

    Raises:
        DataError: a number is out of its range, or what is asked for is contradictory or takes over ten million cases.
    """
    _demand(precision, margin, detect, alpha, power, flagged, share, cost, saved)
    if margin is not None:
        alpha = 0.025 if alpha is None else alpha
        n, textbook = _for_margin(precision, margin, alpha)
    else:
        assert detect is not None
        alpha = 0.01 if alpha is None else alpha
        n, textbook = _for_power(precision, detect, alpha, power)
    low, high = share_bounds(precision * n, n, alpha)
    held, days, per_day = _filled(n, traffic, flagged, share, within)
    each = None if cost is None else precision * cost - (1 - precision) * saved
    return HoldoutSize(
        precision, detect, n, textbook, low, high, alpha, None if detect is None else power, held, per_day, days,
        None if each is None else n * each, None if each is None or per_day is None else per_day * each,
    )  # fmt: skip


def _demand(
    precision: float, margin: float | None, detect: float | None, alpha: float | None, power: float,
    flagged: float | None, share: float | None, cost: float | None, saved: float,
) -> None:  # fmt: skip
    """Raise DataError where a number is out of range."""
    shares = {"precision": precision, "detect": detect, "power": power, "flagged": flagged, "share": share}
    for name, value in shares.items():
        if value is not None and not (0 < value < 1 or (name in ("flagged", "share") and value == 1)):
            raise DataError(f"{name} has to lie between 0 and 1, not {value!r}: 95% is 0.95.")
    for name, value in (("margin", margin), ("alpha", alpha)):
        if value is not None and not 0 < value < 0.5:
            raise DataError(f"{name} has to lie between 0 and 0.5, not {value!r}: two points are 0.02.")
    for name, value in (("cost", cost), ("saved", saved)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise DataError(f"{name} has to be an amount of money, 0 or more, not {value!r}.")
    if (margin is None) == (detect is None):
        raise DataError("give either a margin (how close to know the precision) or detect (which drop to notice).")
    if detect is not None and not detect < precision:
        raise DataError(
            f"detect ({detect!r}) is the drop to notice: it has to lie below the precision ({precision!r})."
        )
    if saved and cost is None:
        raise DataError("saved is set off against a cost: give both, or a cost of 0.")


def _for_margin(precision: float, margin: float, alpha: float) -> tuple[int, int]:
    """Rows at which wakeful's interval is at most twice the margin wide, and those of Wald's."""

    def narrow(n: int) -> bool:
        low, high = share_bounds(precision * n, n, alpha)
        return high - low <= 2 * margin

    wald = math.ceil(z_of(alpha) ** 2 * precision * (1 - precision) / margin**2)
    return _least(narrow, wald), wald


def _for_power(precision: float, detect: float, alpha: float, power: float) -> tuple[int, int]:
    """Rows from which on a check fails with the power wanted, and those of the normal approximation.

    A check fails from so many misses on. As rows grow, the power rises while that number stays, and drops where it
    goes up by one: the rows returned are such a drop, so more rows are never worse.
    """
    spread = z_of(alpha) * math.sqrt(precision * (1 - precision)) + z_of(1 - power) * math.sqrt(detect * (1 - detect))
    textbook = math.ceil((spread / (precision - detect)) ** 2) if spread > 0 else 1

    def too_few(misses: int, n: int) -> bool:
        return share_bounds(n - misses, n, alpha)[1] >= precision

    def drop(misses: int) -> int:
        """The least number of rows among which so many misses are needed, because one fewer does not do."""
        return _least(lambda n: n >= misses and too_few(misses - 1, n), misses)

    def powerful(misses: int) -> bool:
        return _tail(misses, drop(misses), 1 - detect) >= power

    return drop(_least(powerful, max(1, round(textbook * (1 - detect))))), textbook


def _tail(least: int, n: int, p: float) -> float:
    """Probability that a binomial number of n trials is ``least`` or more."""
    k = np.arange(1, least, dtype=np.float64)
    steps = np.log((n - k + 1) / k) + math.log(p / (1 - p))
    logs = n * math.log1p(-p) + np.insert(np.cumsum(steps), 0, 0.0)
    return 1.0 - float(np.exp(logs).sum())


def _least(holds: Callable[[int], bool], guess: int) -> int:
    """The least number from 1 on for which something holds that holds for all larger ones."""
    high = max(1, guess)
    while high > _MOST or not holds(high):
        high *= 2
        if high > _MOST:
            raise DataError(f"that takes more than {_MOST:,} held-out cases: ask for a wider margin or a larger drop.")
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _filled(
    n: int, traffic: str | None, flagged: float | None, share: float | None, within: str | None
) -> tuple[float | None, float | None, float | None]:
    """Share held out, days until n are, and cases held out a day; None where it is not known."""
    if traffic is None:
        if within is not None or flagged is not None:
            raise DataError("how long it takes depends on the traffic: give it, such as 20000/d.")
        return share, None, None
    if flagged is None:
        raise DataError("only flagged cases are held out: give the share that is flagged, such as 0.2.")
    if (share is None) == (within is None):
        raise DataError("give either the share to hold out, such as 0.05, or the time to do it in, such as 30d.")
    a_day = rate(traffic) * flagged * _DAY
    if within is not None:
        days = duration(within) / _DAY
        share = n / (a_day * days)
        if share > 1:
            raise DataError(
                f"{n:,} held-out cases within {within} cannot be: only {a_day * days:,.0f} are flagged by then. "
                f"Holding out every one takes {n / a_day:,.1f} days."
            )
        return share, days, n / days
    assert share is not None
    return share, n / (a_day * share), a_day * share
