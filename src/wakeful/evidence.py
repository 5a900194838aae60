"""What counts say with which certainty: intervals, noise, and the alarm budget.

A signal returns what it is: a Share, an Average, a Distance … Each knows its value and, for any
error rate, its interval. Intervals are one-sided on each side: the truth lies below ``low`` with
probability at most ``alpha``, and above ``high`` with probability at most ``alpha``.

``rho`` is the learnt dispersion (see ``reference.Dispersion``): n rows of real traffic say as much as
1 / (1/n + rho) independent ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, Protocol

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import DataError

__all__ = [
    "AlarmBudget",
    "Average",
    "Distance",
    "Divergence",
    "Estimate",
    "Evidence",
    "Exact",
    "Lost",
    "Quantile",
    "Share",
    "Smooth",
    "Worst",
    "duration",
    "share_bounds",
]

NAN = math.nan


class Estimate(NamedTuple):
    """A value with its interval.

    Attributes:
        value: the point estimate; NaN where there are no rows to estimate from.
        low, high: the truth is outside on either side with probability at most alpha.
        n: number of rows behind it.
        noise: mean absolute deviation from the reference that sampling alone brings, without change.
    """

    value: float
    low: float
    high: float
    n: float
    noise: float = 0.0


NOTHING = Estimate(NAN, -math.inf, math.inf, 0.0)


class Evidence(Protocol):
    """What a signal returns."""

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The value with its interval at error rate ``alpha`` on each side."""


def z_of(alpha: float) -> float:
    """Standard normal quantile that is exceeded with probability alpha."""
    return NormalDist().inv_cdf(1.0 - alpha) if alpha > 1e-15 else math.sqrt(-2.0 * math.log(alpha))


def share_bounds(part: float, whole: float, alpha: float, rho: float = 0.0) -> tuple[float, float]:
    """Bounds of a share, valid for every n and every true share.

    They invert the inequalities of Zubkov & Serov (2013, Theory Probab. Appl. 57(3)): for X ~ Bin(n, p),
    P(X <= k) >= Phi(sign(k/n - p) sqrt(2 n KL(k/n, p))), and the same with k + 1 from above. They are
    about as tight as Clopper & Pearson's, and closed formulas.

    Args:
        part: rows counted; may be fractional where rows are weighted.
        whole: out of so many.
        alpha: error rate on each side.
        rho: learnt dispersion.
    """
    if whole <= 0:
        return 0.0, 1.0
    n = 1.0 / (1.0 / whole + rho)
    z = z_of(alpha)
    low = _solve((part - 1.0) / whole, n, z, -1) if part > 0 else 0.0
    high = _solve((part + 1.0) / whole, n, z, 1) if part < whole else 1.0
    return low, high


def _solve(share: float, n: float, z: float, side: int) -> float:
    """The p on one side of an observed share whose signed root 2nKL equals z; bisection."""
    if share <= 0.0:
        return 0.0 if side < 0 else 1.0 - math.exp(-z * z / (2 * n))
    if share >= 1.0:
        return 1.0 if side > 0 else math.exp(-z * z / (2 * n))
    inner, outer = share, (1.0 if side > 0 else 0.0)
    limit = z * z / (2.0 * n)
    constant = share * math.log(share) + (1.0 - share) * math.log1p(-share)
    for _ in range(60):
        p = 0.5 * (inner + outer)
        if p in (inner, outer):
            break
        if constant - share * math.log(p) - (1.0 - share) * math.log1p(-p) < limit:
            inner = p
        else:
            outer = p
    return inner


class Share(NamedTuple):
    """So many rows out of so many.

    Attributes:
        part, whole: rows, weighted where they stand for others.
        n: number of independent rows that say as much; ``whole`` where none is weighted.
    """

    part: float
    whole: float
    n: float | None = None

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The share with its bounds."""
        if not self.whole > 0:
            return NOTHING
        n = self.whole if self.n is None else self.n
        value = float(self.part / self.whole)
        low, high = share_bounds(value * n, n, alpha, rho)
        noise = math.sqrt(2 / math.pi * value * (1 - value) * (1 / n + rho))
        return Estimate(value, min(low, value), max(high, value), float(n), noise)


class Average(NamedTuple):
    """A mean of n values, or a smooth function of means.

    Its interval is Student's: exact for normal values, approximate for others by the central limit
    theorem. Far in the tails (alarm budgets) that takes many rows where values are very skewed.
    """

    value: float
    variance: float
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The mean with its bounds; ``variance`` is that of a single value."""
        if not self.n > 1:
            return NOTHING if not self.n else Estimate(float(self.value), -math.inf, math.inf, float(self.n))
        error = math.sqrt(max(0.0, self.variance) * (1.0 / self.n + rho))
        reach = student(alpha, self.n - 1) * error
        value = float(self.value)
        return Estimate(value, value - reach, value + reach, float(self.n), math.sqrt(2 / math.pi) * error)


def student(alpha: float, freedom: float) -> float:
    """Upper quantile of Student's t by its Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5)."""
    z = z_of(alpha)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


class Distance(NamedTuple):
    """A distance between two samples that one row can move by at most ``step`` / n.

    Below: value - noise - reach, with reach = step * sqrt(ln(1/alpha)/2 * (1/n + 1/m)) by McDiarmid's
    bounded differences. Above: value + reach, since noise never makes a distance smaller on average.
    The noise includes how much healthy windows differ by themselves.

    Attributes:
        value: the distance.
        spread: noise without change is spread * sqrt(1/n + 1/m + rho).
        step: n times the most that one row moves the distance, which is also the most it can be.
        n, m: rows live and in the reference.
    """

    value: float
    spread: float
    step: float
    n: float
    m: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The distance with its bounds."""
        if not (self.n > 0 and self.m > 0):
            return NOTHING
        rows = 1 / self.n + 1 / self.m
        noise, reach = (
            self.spread * math.sqrt(rows + rho),
            self.step * math.sqrt(math.log(1 / alpha) / 2 * rows),
        )
        value = float(self.value)
        return Estimate(value, max(0.0, value - noise - reach), min(value + reach, self.step), float(self.n), noise)


class Divergence(NamedTuple):
    """A divergence that is scale * (1/n + 1/m + rho) * chi² of ``bins`` - 1 degrees without change.

    Its square root behaves like a distance from the origin with unit normal noise in every direction
    (PSI: Yurdakul & Naranjo 2020; Jensen-Shannon: Lin 1991), so the bounds are those of a noncentral
    chi²; ``variance`` adds what single rows contribute when the samples do differ.
    """

    value: float
    bins: int
    scale: float
    variance: float
    n: float
    m: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The divergence with its bounds."""
        if not (self.n > 0 and self.m > 0):
            return NOTHING
        unit = 1 / self.n + 1 / self.m + rho
        scale, freedom, z = self.scale * unit, max(1, self.bins - 1), z_of(alpha)
        value = float(self.value)
        noise = scale * freedom
        root = math.sqrt(value / scale)
        extra = z * math.sqrt(max(0.0, self.variance) * unit)
        low = max(0.0, scale * (max(0.0, root - z) ** 2 - freedom))
        high = scale * ((root + z) ** 2 - min(freedom, (root + z) ** 2))
        return Estimate(
            value, max(0.0, min(low, value - noise - extra)), max(high, value + extra), float(self.n), noise
        )


class Quantile(NamedTuple):
    """A quantile read from a binned distribution function.

    Attributes:
        level: which quantile.
        points: borders of the bins, increasing, shape (k,).
        cumulative: share of rows below each border, shape (k,).
        n: rows.
    """

    level: float
    points: Floats
    cumulative: Floats
    n: float

    def _at(self, level: float) -> float:
        """The smallest point below which so many rows lie; for none, where the first row's bin begins."""
        at = int(np.searchsorted(self.cumulative, level, side="left" if level > 0 else "right"))
        ends = slice(max(at - 1, 0), at + 1)
        return float(np.interp(level, self.cumulative[ends], self.points[ends]))

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The quantile; its bounds are the quantiles at the bounds of the share below it."""
        if not self.n > 0:
            return NOTHING
        low, high = share_bounds(self.level * self.n, self.n, alpha, rho)
        below = self._at(low) if low > 0 else float(self.points[0])
        above = self._at(high) if high < 1 else float(self.points[-1])
        return Estimate(self._at(self.level), below, above, float(self.n))


class Exact(NamedTuple):
    """A number that is known, not estimated."""

    value: float
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The number itself."""
        return Estimate(float(self.value), float(self.value), float(self.value), float(self.n))


@dataclass(frozen=True)
class Worst:
    """The largest of several shares over what it is allowed and chance adds; never below 0.

    Attributes:
        parts: rows, shape (k,).
        usual: share of each in the reference, shape (k,): healthy windows stray from it by rho.
        allowed: share that each may have, shape (k,).
        whole: out of so many rows.
        m: rows in the reference, which makes the allowance uncertain.
    """

    parts: Floats
    usual: Floats
    allowed: Floats
    whole: float
    m: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The largest excess; its bounds hold for all k shares at once (Bonferroni)."""
        if not self.whole > 0:
            return NOTHING
        each = alpha / len(self.parts)
        allowed = self.allowed + z_of(each) * np.sqrt(rho * self.usual * (1 - self.usual))
        excess = self.parts / self.whole - allowed
        uncertain = 1 / self.m if self.m else 0.0
        spread = np.sqrt(allowed * np.maximum(0.0, 1 - allowed) * (1 / self.whole + uncertain))
        chance = math.sqrt(2 * math.log(len(self.parts))) * spread  # mean of the largest of so many (at most)
        # Only the leaders can decide; bounding the others would cost time and change nothing.
        leaders = np.argsort(excess)[-4:]
        bounds = [share_bounds(float(self.parts[at]), self.whole, each, uncertain) for at in leaders]
        low = max(bound[0] - float(allowed[at]) for bound, at in zip(bounds, leaders, strict=True))
        high = max(bound[1] - float(allowed[at]) for bound, at in zip(bounds, leaders, strict=True))
        value = max(0.0, float((excess - chance).max()))
        return Estimate(value, min(value, max(0.0, low)), max(value, high), float(self.whole), float(chance.max()))


@dataclass(frozen=True)
class Lost:
    """Reference share of the values that no longer occur.

    A value counts towards ``low`` only if seeing none of it would be incredible even at a fraction of its
    reference share, and if healthy windows do not stray that far by themselves.

    Attributes:
        usual: reference share of each value, shape (k,).
        counts: live rows of each, shape (k,).
        n: live rows.
        fraction: of its share to which each value may fall, shape (k,).
    """

    usual: Floats
    counts: Floats
    n: float
    fraction: Floats

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The share lost with its bounds."""
        if not self.n > 0:
            return NOTHING
        p, gone, each = self.usual, self.counts == 0, alpha / max(1, len(self.usual))
        rare = -self.n * np.log1p(-p * self.fraction) <= math.log(1 / each)
        stray = p <= z_of(each) * np.sqrt(rho * p * (1 - p))
        value = float(p[gone].sum())
        return Estimate(value, float(p[gone & ~rare & ~stray].sum()), value, float(self.n))


class Smooth(NamedTuple):
    """A smooth function of counts, with its standard error by the delta method.

    Attributes:
        value: the function.
        error: its standard error for independent rows.
        n: rows behind it.
        bounded: the value lies in [0, 1]; the interval is then built on the logit scale.
    """

    value: float
    error: float
    n: float
    bounded: bool = False

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The value with its bounds."""
        if not self.n > 1 or math.isnan(self.value):
            return NOTHING
        error = self.error * math.sqrt(1 + rho * self.n)
        value, reach = float(self.value), student(alpha, self.n - 1) * error
        noise = math.sqrt(2 / math.pi) * error
        if not self.bounded:
            return Estimate(value, value - reach, value + reach, float(self.n), noise)
        if error == 0.0 or not 0.0 < value < 1.0:
            low, high = share_bounds(value * self.n, self.n, alpha, rho)
            return Estimate(value, low, high, float(self.n), noise)
        logit, scaled = math.log(value / (1 - value)), reach / (value * (1 - value))
        return Estimate(value, _expit(logit - scaled), _expit(logit + scaled), float(self.n), noise)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def duration(text: str) -> float:
    """Seconds of a duration such as ``30m``, ``24h``, ``7d``; raises DataError on anything else."""
    number, unit = str(text)[:-1], str(text)[-1:]
    if unit not in _UNITS or not number.isdecimal() or int(number) == 0:
        raise DataError(f"{text!r} is no duration. Write a whole number and a unit: 30m, 24h, 7d, 2w.")
    return int(number) * _UNITS[unit]


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
        pages, slash, period = str(text).partition("/")
        try:
            number = float(pages)
        except ValueError:
            number = NAN
        if not slash or not number > 0 or math.isinf(number):
            raise DataError(f"{text!r} is no alarm budget. Write pages per period: 1/90d is one false page in 90 days.")
        return cls(number, duration(period))

    def alpha(self, asserts: int, elements: int, window: float) -> float:
        """Error rate of one comparison.

        Every assert gets the same part of the budget, and shares it out over its elements (columns x
        segments) and the times it is looked at. A window that slides is looked at more often than once
        per length; its extremes are those of at most four independent windows per length (simulated in
        the tests).

        Args:
            asserts: number of comparisons that the monitor's checks make.
            elements: number of values that this one compares.
            window: its length in seconds.
        """
        looks = max(1.0, self.seconds / window) * _LOOKS
        return float(min(0.05, self.pages / (max(asserts, 1) * max(elements, 1) * looks)))


_LOOKS = 4.0
