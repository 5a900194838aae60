"""What counts say with which certainty: intervals and noise.

A signal returns what it is: a Share, an Average, a Distance … Each knows its value and, for any
error rate, its interval. Intervals are one-sided on each side: the truth lies below ``low`` with
probability at most ``alpha``, and above ``high`` with probability at most ``alpha``.

``rho`` is the learnt dispersion (see ``reference.Dispersion``): n rows of real traffic say as much as
1 / (1/n + rho) independent ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, product
from typing import NamedTuple, Protocol

import numpy as np

from wakeful.arithmetic import choose, hypot, maximum, minimum, number, sqrt
from wakeful.bins import Floats
from wakeful.bounds import least, least_usual, pair_moments, repeat_bounds, share_bounds, student, z_of

__all__ = [
    "NOTHING",
    "Average",
    "Combined",
    "Distance",
    "Divergence",
    "Estimate",
    "Evidence",
    "Exact",
    "Lost",
    "Quantile",
    "Ratio",
    "Repeats",
    "Share",
    "Smooth",
    "Worst",
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
        value = number(self.part / self.whole)
        low, high = share_bounds(value * n, n, alpha, rho)
        noise = sqrt(2 / math.pi * value * (1 - value) * (1 / n + rho))
        return Estimate(value, minimum(low, value), maximum(high, value), number(n), noise)


class Average(NamedTuple):
    """A mean of n values, or a smooth function of means.

    Its interval is Student's: exact for normal values, approximate for others by the central limit
    theorem. Skewed values make it err on one side: means of exponential values lie above ``high`` in 4.5%
    of windows of 100 rows and 3% of 1,000 where 2.5% are claimed, those of log-normal ones in 9% and 4.5%,
    and farther in the tails (alarm budgets) more rows are needed. ``low`` errs to the safe side for them.
    """

    value: float
    variance: float
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The mean with its bounds; ``variance`` is that of a single value."""
        if not self.n > 2:
            return NOTHING if not self.n > 0 else Estimate(number(self.value), -math.inf, math.inf, number(self.n))
        error = sqrt(maximum(0.0, self.variance) * (1.0 / self.n + rho))
        reach = student(alpha, self.n - 1) * error
        value = number(self.value)
        return Estimate(value, value - reach, value + reach, number(self.n), math.sqrt(2 / math.pi) * error)


class Distance(NamedTuple):
    """A distance between two samples that one row can move by at most ``step`` / n.

    Below: value - noise - reach, with reach = step * sqrt(ln(1/alpha)/2 * (1/n + 1/m + rho)) by McDiarmid's
    bounded differences, and for the part of rho by the concentration of normal vectors (Borell-TIS), whose
    constant is the same. Above: value + reach, since noise never makes a distance smaller on average.

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
        unit = 1 / self.n + 1 / self.m + rho
        noise, reach = self.spread * sqrt(unit), self.step * sqrt(math.log(1 / alpha) / 2 * unit)
        value = number(self.value)
        low, high = maximum(0.0, value - noise - reach), minimum(value + reach, self.step)
        return Estimate(value, low, high, number(self.n), noise)


class Divergence(NamedTuple):
    """A divergence that is scale * (1/n + 1/m + rho) * chi² of ``bins`` - 1 degrees without change.

    Its square root behaves like a distance from the origin with unit normal noise in every direction
    (PSI: Yurdakul & Naranjo 2020; Jensen-Shannon: Lin 1991), so the bounds are those of a noncentral
    chi²; ``variance`` adds what single rows contribute when the samples do differ.
    """

    value: float
    bins: float
    scale: float
    variance: float
    n: float
    m: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The divergence with its bounds."""
        if not (self.n > 0 and self.m > 0):
            return NOTHING
        unit = 1 / self.n + 1 / self.m + rho
        scale, freedom, z = self.scale * unit, maximum(1, self.bins - 1), z_of(alpha)
        value = number(self.value)
        noise = scale * freedom
        root = sqrt(value / scale)
        extra = z * sqrt(maximum(0.0, self.variance) * unit)
        low = maximum(0.0, scale * (maximum(0.0, root - z) ** 2 - freedom))
        high = scale * ((root + z) ** 2 - minimum(freedom, (root + z) ** 2))
        low, high = maximum(0.0, minimum(low, value - noise - extra)), maximum(high, value + extra)
        return Estimate(value, low, high, number(self.n), noise)


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

    def _least_share(self, level: float, alpha: float, rho: float) -> float:
        """The least share of the rows that may lie below a quantile."""
        z = z_of(alpha)
        move = level - least(level, z * z / (2.0 * self.n)) + 1.0 / self.n
        stray = level - least_usual(level, rho, z) if rho > 0 else 0.0
        return max(0.0, level - math.hypot(move, stray))

    def _at(self, level: float) -> float:
        """The smallest point below which so many rows lie; for none, where the first row's bin begins."""
        at = int(np.searchsorted(self.cumulative, level, side="left" if level > 0 else "right"))
        ends = slice(max(at - 1, 0), at + 1)
        return float(np.interp(level, self.cumulative[ends], self.points[ends]))

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The quantile; its bounds are the values below which so few, or so many, rows would be incredible.

        They are those of order statistics, with the inequalities of ``share_bounds``; a bound that the rows
        cannot give is the border of the seen range.
        """
        if not self.n > 0:
            return NOTHING
        low = self._least_share(self.level, alpha, rho)
        high = 1.0 - self._least_share(1.0 - self.level, alpha, rho)
        below = self._at(low) if low > 0 else float(self.points[0])
        above = self._at(high) if high < 1 else float(self.points[-1])
        return Estimate(self._at(self.level), below, above, float(self.n))


class Repeats(NamedTuple):
    """Share of rows whose id came before, from how many pairs of rows share one of ``cells`` cells of a hash.

    Pairs of one id share their cell, and of the others one in ``cells``: the share is what is left of them. The
    bounds hold for ids that come at most twice (``repeat_bounds``); for others they lie too close together.

    Attributes:
        pairs: of rows in one cell.
        n: rows.
        cells: of the hash.
    """

    pairs: float
    n: float
    cells: int

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The share with its bounds."""
        if not self.n > 0:
            return NOTHING
        by_chance, variance, _ = pair_moments(self.n, 0.0, self.cells)
        rows = (self.pairs - by_chance) / (1 - 1 / self.cells)
        value = max(0.0, min(rows, self.n - 1)) / self.n
        low, high = (bound / self.n for bound in repeat_bounds(self.pairs, self.n, self.cells, alpha))
        noise = math.sqrt(2 / math.pi * variance) / self.n
        return Estimate(value, min(low, value), max(high, value), float(self.n), noise)


_MOST_PAIRED = 8  # of more parts, each has rows enough by itself


class Combined(NamedTuple):
    """A function of estimates from different rows, monotone in each.

    Every part is moved to its bounds alone; the moves add as independent errors do, each side by itself
    (method of variance estimates recovery, Zou & Donner 2008). What two parts move together beyond that is one
    more move, as in the variance of a product (Goodman 1960, JASA 55:708): of few rows, it can be most of it.

    Attributes:
        formula: the function of the parts' values; NaN where it is not defined.
        parts: the estimates.
        n: rows behind them.
    """

    formula: Callable[..., float]
    parts: tuple[Evidence, ...]
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The function of the values with its bounds."""
        found = [part.estimate(alpha, rho) for part in self.parts]
        values = [one.value for one in found]
        value = self.formula(*values)
        if value != value:  # NaN
            return NOTHING

        def move(*to: tuple[int, float]) -> float:
            ends = dict(to)
            moved = self.formula(*(ends.get(at, one) for at, one in enumerate(values))) - value
            return choose(moved == moved, lambda: moved, lambda: 0.0)

        sides = [(move((at, one.low)), move((at, one.high))) for at, one in enumerate(found)]
        below = [-minimum(0.0, minimum(*pair)) for pair in sides]
        above = [maximum(0.0, maximum(*pair)) for pair in sides]
        for i, j in combinations(range(len(found)), 2) if len(found) <= _MOST_PAIRED else ():
            both = [move((i, a), (j, b)) for a, b in product(found[i][1:3], found[j][1:3])]
            below.append(maximum(0.0, -reduce(minimum, both) - below[i] - below[j]))
            above.append(maximum(0.0, reduce(maximum, both) - above[i] - above[j]))
        noise = hypot(*(abs(move((at, one.value + one.noise))) for at, one in enumerate(found)))
        return Estimate(value, value - hypot(*below), value + hypot(*above), number(self.n), noise)


class Exact(NamedTuple):
    """A number that is known, not estimated."""

    value: float
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The number itself."""
        value = number(self.value)
        return Estimate(value, value, value, number(self.n))


_CHANCE = 0.05


@dataclass(frozen=True)
class Worst:
    """The largest of several shares over what it is allowed, as far as chance does not explain it.

    The fullest of many bins is over its share by chance alone, so the value is what remains after the
    chance of one window in twenty; it is 0 where nothing does. Where shares are those of the reference,
    ``low`` is above 0 with probability at most alpha, however small the reference; where they have grown as
    far as they are allowed to, the same holds once the reference has some 100 rows of each.

    Attributes:
        parts: rows, shape (k,).
        usual: share of each in the reference, shape (k,): healthy windows stray from it by rho.
        allowed: share that each may have, shape (k,).
        whole: out of so many rows.
        m: rows in the reference, which knows the usual shares no better than that.
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
        stray = z_of(each) * np.sqrt(rho * self.usual * (1 - self.usual))
        allowed = self.allowed + stray
        excess = self.parts / self.whole - allowed
        spread = np.sqrt(allowed * np.maximum(0.0, 1 - allowed) * (1 / self.whole + (1 / self.m if self.m else 0.0)))
        # Only the leaders can decide; bounding the others would cost time and change nothing.
        leaders = {*np.argsort(excess)[-3:], *np.argsort(excess - z_of(each) * spread)[-3:]}

        def beyond(at: int, rate: float) -> float:
            """Least excess of one share."""
            share, usual = self.parts[at] / self.whole, self.usual[at]
            low = share_bounds(float(self.parts[at]), self.whole, rate)[0]
            known = share_bounds(float(usual * self.m), self.m, rate)[1] if self.m else usual
            change = share - usual - math.hypot(share - low, known - usual, stray[at])
            return float(min(low - allowed[at], change))

        value = max(0.0, *(beyond(at, _CHANCE / len(self.parts)) for at in leaders))
        low = max(0.0, *(beyond(at, each) for at in leaders))
        high = max(share_bounds(float(self.parts[at]), self.whole, each)[1] - float(allowed[at]) for at in leaders)
        noise = float(z_of(_CHANCE / len(self.parts)) * spread.max())
        return Estimate(value, min(value, low), max(value, high), float(self.whole), noise)


@dataclass(frozen=True)
class Lost:
    """Reference share of the values that no longer occur.

    ``low`` is what the most frequent of them had, less what they may still have although none was seen. They
    count only if seeing none would be incredible even at a fraction of their reference share, and if healthy
    windows do not stray that far by themselves. It holds for every choice of values out of all (Bonferroni).

    Attributes:
        usual: reference share of each value, shape (k,).
        counts: live rows of each, shape (k,).
        n: live rows.
        fraction: of its share to which a value may fall.
    """

    usual: Floats
    counts: Floats
    n: float
    fraction: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The share lost with its bounds; it is 0 where one window in twenty would miss as much by chance."""
        if not self.n > 0:
            return NOTHING
        missed = float(self.usual[self.counts == 0].sum())
        low = self._surely(alpha, rho)
        value = missed if low > 0 or self._surely(_CHANCE, 0.0) > 0 else 0.0
        return Estimate(value, low, missed, float(self.n))

    def _surely(self, alpha: float, rho: float) -> float:
        p, gone, k = self.usual, self.counts == 0, len(self.usual)
        stray = z_of(alpha / max(1, k)) * np.sqrt(rho * p * (1 - p))
        had = np.cumsum(np.sort(p[gone & (p > stray)])[::-1])
        choices = [math.lgamma(k + 1) - math.lgamma(j + 1) - math.lgamma(k - j + 1) for j in range(1, len(had) + 1)]
        still = -np.expm1(-(math.log(k / alpha) + np.array(choices)) / self.n)
        return float(np.where(still < self.fraction * had, had - still, 0.0).max(initial=0.0))


class Ratio(NamedTuple):
    """A sum over live rows, over what the reference leads to expect of it.

    Its bounds are the ratios r at which ``top - r bottom`` would be as far from zero as chance allows: the roots of
    (top - r bottom)² = z² (fixed + growing r + own r²) (Fieller 1954; for a share it is Wilson's interval). Where
    the reference hardly knows ``bottom``, there is no upper bound, or none at all.

    Attributes:
        top, bottom: both sums.
        fixed, growing: variance of ``top`` from live rows, whatever the ratio, and in proportion to it.
        own: variance from the reference's rows, in proportion to the square of the ratio.
        n: live rows.
    """

    top: float
    bottom: float
    fixed: float
    growing: float
    own: float
    n: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The ratio with its bounds."""
        if not (self.n > 1 and self.bottom > 0):
            return NOTHING
        value, stray = self.top / self.bottom, 1 + rho * self.n
        fixed, growing = self.fixed * stray, self.growing * stray
        z = student(alpha, self.n - 1)
        noise = math.sqrt(2 / math.pi * (fixed + growing + self.own)) / self.bottom
        square = self.bottom**2 - z * z * self.own
        half = self.top * self.bottom + z * z * growing / 2
        root = half * half - square * (self.top**2 - z * z * fixed)
        if not (square > 0 and root >= 0):
            return Estimate(value, -math.inf, math.inf, float(self.n), noise)
        low, high = (half - math.sqrt(root)) / square, (half + math.sqrt(root)) / square
        return Estimate(value, min(low, value), max(high, value), float(self.n), noise)


class Smooth(NamedTuple):
    """A smooth function of counts, with its standard error by the delta method.

    The interval is approximate. It takes about 30 rows of every kind that the function weighs (positives,
    negatives, held-out rows); with fewer, Student's t for few degrees of freedom makes it wide.

    Attributes:
        value: the function.
        error: its standard error for independent rows.
        n: rows behind it.
        bounded: the value lies in [0, 1]; the interval is then built on the logit scale.
        freedom: degrees of freedom of the standard error; n - 1 where it says nothing.
    """

    value: float
    error: float
    n: float
    bounded: bool = False
    freedom: float = math.inf

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The value with its bounds."""
        if not self.n > 1 or math.isnan(self.value):
            return NOTHING
        error, freedom = self.error * math.sqrt(1 + rho * self.n), min(self.n - 1, self.freedom)
        value = float(self.value)
        reach = student(alpha, freedom) * error if freedom >= 2 else math.inf
        noise = math.sqrt(2 / math.pi) * error
        if not self.bounded or math.isinf(reach):
            return Estimate(value, value - reach, value + reach, float(self.n), noise)
        if error == 0.0 or not 0.0 < value < 1.0:
            low, high = share_bounds(value * self.n, self.n, alpha, rho)
            return Estimate(value, low, high, float(self.n), noise)
        logit, scaled = math.log(value / (1 - value)), reach / (value * (1 - value))
        return Estimate(value, _expit(logit - scaled), _expit(logit + scaled), float(self.n), noise)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
