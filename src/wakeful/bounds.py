"""Tails of the normal, binomial, beta, Student and chi² distributions, as closed formulas on plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

from wakeful.arithmetic import choose, exp, expm1, hypot, log, maximum, minimum, sqrt

__all__ = ["least", "least_usual", "pair_moments", "repeat_bounds", "share_bounds", "student", "z_of"]


def z_of(alpha: float) -> float:
    """Standard normal quantile that is exceeded with probability alpha."""
    return -NormalDist().inv_cdf(alpha)  # 1 - alpha would lose the digits of a small alpha


def share_bounds(part: float, whole: float, alpha: float, rho: float = 0.0) -> tuple[float, float]:
    """Bounds of a share, valid for every n and every true share.

    They invert the inequalities of Zubkov & Serov (2013, Theory Probab. Appl. 57(3)): for X ~ Bin(n, p),
    P(X <= k) >= Phi(sign(k/n - p) sqrt(2 n KL(k/n, p))), and the same with k + 1 from above. They are
    about as tight as Clopper & Pearson's, and closed formulas. With dispersion they hold for the
    Dirichlet-multinomial model: how far n rows and how far a window may stray add as independent errors do.

    Args:
        part: rows counted; may be fractional where rows are weighted.
        whole: out of so many.
        alpha: error rate on each side.
        rho: learnt dispersion.
    """
    return _known_bounds(part, whole, alpha, rho) if isinstance(part, float) else _bounds(part, whole, alpha, rho)


def _bounds(part: float, whole: float, alpha: float, rho: float) -> tuple[float, float]:
    if whole <= 0:
        return 0.0, 1.0
    z = z_of(alpha)
    limit = z * z / (2.0 * whole)
    low = _least_true((part - 1.0) / whole, limit)
    high = 1.0 - _least_true(1.0 - (part + 1.0) / whole, limit)
    if rho > 0:
        share, row = part / whole, 1.0 / whole
        low = share - hypot(share - low, share - least_usual(minimum(share, 1.0 - row), rho, z))
        high = share + hypot(high - share, 1.0 - share - least_usual(1.0 - maximum(share, row), rho, z))
    return maximum(0.0, low), minimum(1.0, high)


_known_bounds = lru_cache(maxsize=4096)(_bounds)  # most shares of healthy traffic are 0, of equally many rows


def least_usual(share: float, rho: float, z: float) -> float:
    """The least usual share p of which a window may show ``share``.

    The tail of a beta distribution is about Phi(-sqrt(2/rho KL(p, share))), that of a binomial one of
    1/rho rows about Phi(-sqrt(2/rho KL(share, p))). The first reaches farther for rare values, the second
    for frequent ones: the farther is taken.
    """
    limit = z * z * rho / 2.0
    return minimum(least(share, limit), _least_true(share, limit))


def least(share: float, limit: float) -> float:
    """The least p with KL(p, share) <= limit, within 1e-7.

    Halley's method in p. KL grows about as the square of share - p, which gives the start.
    """

    def inside() -> float:
        most = -log(1.0 - share)  # KL(0, share)
        return choose(limit < most, lambda: _halley(share, limit, most), lambda: 0.0)

    is_inside = (share > 0.0) & (share < 1.0) & (limit > 0.0)
    return choose(is_inside, inside, lambda: minimum(maximum(share, 0.0), 1.0))


def _halley(share: float, limit: float, most: float) -> float:
    p = share * maximum(1.0 - sqrt(limit / most), 1e-12)
    for _ in range(4):
        slope = log(p / (1.0 - p) * (1.0 - share) / share)
        value = p * slope + log(1.0 - p) + most - limit
        p = p - 2.0 * value * slope / (2.0 * slope * slope - value / (p * (1.0 - p)))
    return p


def _least_true(share: float, limit: float) -> float:
    """The least p with KL(share, p) <= limit, within 1e-7.

    Halley's method in the logit of p, from Wilson's bound (1927, JASA 22), which has the same limit for many rows.
    """

    def inside() -> float:
        start = share * share / (share + limit + sqrt(limit * (2.0 * share * (1.0 - share) + limit)))
        logit = maximum(log(start / (1.0 - start)), -700.0)
        constant = share * log(share) + (1.0 - share) * log(1.0 - share) - limit
        for _ in range(2):
            p = 1.0 / (1.0 + exp(-logit))
            value, slope = share * logit + log(1.0 - p) - constant, share - p
            logit = maximum(logit - 2.0 * value * slope / (2.0 * slope * slope + value * p * (1.0 - p)), -700.0)
        return 1.0 / (1.0 + exp(-logit))

    is_inside = (share > 0.0) & (share < 1.0) & (limit > 0.0)
    return choose(is_inside, inside, lambda: choose(share < 1.0, lambda: maximum(share, 0.0), lambda: exp(-limit)))


def student(alpha: float, freedom: float) -> float:
    """Upper quantile of Student's t by Peizer & Pratt (1968, JASA 63), for freedom >= 2.

    It is exceeded with probability 1.02 alpha at most, and down to half of alpha where freedom is below 10.
    """
    scale = (freedom - 5 / 6) / (freedom - 2 / 3 + 0.1 / freedom) ** 2
    return sqrt(freedom * expm1(minimum(700.0, scale * z_of(alpha) ** 2)))


def repeat_bounds(pairs: float, n: float, cells: int, alpha: float) -> tuple[float, float]:
    """Bounds of the number of rows that repeat the id of another, where ids fall into cells of a hash.

    Pairs of rows in one cell follow, shifted and scaled, a chi² distribution with the mean, variance and
    skewness of ``pair_moments`` (Pearson's type III): for many rows a cell the chi² of cells - 1 degrees, for
    few next to Poisson's. Its quantiles are those of Wilson & Hilferty (1931, PNAS 17(12)). One pair is given
    away on either side, since pairs are whole. Bisection.

    Args:
        pairs: of rows in one cell.
        n: rows.
        cells: of the hash, all as likely.
        alpha: error rate on each side.
    """
    z = z_of(alpha)
    low = _last(lambda rows: _pairs_at(z, n, rows, cells) < pairs - 1, n - 1)
    high = _last(lambda rows: _pairs_at(-z, n, rows, cells) <= pairs + 1, n - 1)
    return low, high


def _last(holds: Callable[[float], bool], most: float) -> float:
    """The largest number up to ``most`` for which something holds that holds for none above; 0 where none does."""
    if holds(most):
        return most
    inner, outer = 0.0, most
    for _ in range(40):
        middle = 0.5 * (inner + outer)
        inner, outer = (middle, outer) if holds(middle) else (inner, middle)
    return inner if holds(inner) else 0.0


def pair_moments(n: float, repeats: float, cells: int) -> tuple[float, float, float]:
    """Mean, variance and third central moment of the pairs among n rows in one cell, ``repeats`` of one id.

    With w rows of an id (1 or 2) and p = 1/cells, pairs are sum w(w-1)/2 + sum w_i w_j I_ij, where I_ij tells that
    two ids fall into one cell. These are independent two by two, and three of them are dependent only in a
    triangle, so all moments are power sums of w.
    """
    p = 1.0 / cells
    w2, w3, w4, w6 = n + 2 * repeats, n + 6 * repeats, n + 14 * repeats, n + 62 * repeats
    twos, triples = (w2 * w2 - w4) / 2, (w2**3 - 3 * w2 * w4 + 2 * w6) / 6
    mean = repeats + (n * (n - 1) / 2 - repeats) * p
    third = p * (1 - p) * ((1 - 2 * p) * (w3 * w3 - w6) / 2 + 6 * p * triples)
    return mean, max(0.0, p * (1 - p) * twos), third


def _pairs_at(z: float, n: float, repeats: float, cells: int) -> float:
    """The number of pairs that lies z standard deviations up in the tail, at least 0."""
    mean, variance, third = pair_moments(n, repeats, cells)
    if not (variance > 0 and third > 0):
        return mean
    freedom = 8 * variance**3 / third**2
    spread = 2 / (9 * freedom)
    chi2 = freedom * max(0.0, 1 - spread + z * math.sqrt(spread)) ** 3
    return max(0.0, mean + math.sqrt(variance / (2 * freedom)) * (chi2 - freedom))
