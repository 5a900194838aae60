"""Tails of the normal, binomial, beta, Student and chi² distributions, as closed formulas on plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

__all__ = ["least", "least_usual", "pair_moments", "repeat_bounds", "share_bounds", "student", "z_of"]


def z_of(alpha: float) -> float:
    """Standard normal quantile that is exceeded with probability alpha."""
    return -NormalDist().inv_cdf(alpha)  # 1 - alpha would lose the digits of a small alpha


@lru_cache(maxsize=4096)  # most shares of healthy traffic are 0, of equally many rows
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
    if whole <= 0:
        return 0.0, 1.0
    z = z_of(alpha)
    low = _solve((part - 1.0) / whole, whole, z, -1) if part > 0 else 0.0
    high = _solve((part + 1.0) / whole, whole, z, 1) if part < whole else 1.0
    if rho > 0:
        share, row = part / whole, 1.0 / whole
        low = share - math.hypot(share - low, share - least_usual(min(share, 1.0 - row), rho, z))
        high = share + math.hypot(high - share, 1.0 - share - least_usual(1.0 - max(share, row), rho, z))
    return max(0.0, low), min(1.0, high)


def least_usual(share: float, rho: float, z: float) -> float:
    """The least usual share p of which a window may show ``share``.

    The tail of a beta distribution is about Phi(-sqrt(2/rho KL(p, share))), that of a binomial one of
    1/rho rows about Phi(-sqrt(2/rho KL(share, p))). The first reaches farther for rare values, the second
    for frequent ones: the farther is taken.
    """
    return min(least(share, z * z * rho / 2.0), _solve(share, 1.0 / rho, z, -1))


def least(share: float, limit: float) -> float:
    """The least p with KL(p, share) <= limit; bisection."""
    if not 0.0 < share < 1.0 or -math.log1p(-share) <= limit:
        return max(0.0, math.floor(share))
    inner, outer = share, 0.0
    for _ in range(50):
        p = 0.5 * (inner + outer)
        if p * math.log(p / share) + (1.0 - p) * math.log((1.0 - p) / (1.0 - share)) > limit:
            outer = p
        else:
            inner = p
    return outer


def _solve(share: float, n: float, z: float, side: int) -> float:
    """The p on one side of an observed share at which the signed root of 2nKL equals z.

    As a function of ln p, KL(share, p) is convex below the share: a few steps of Newton's method suffice.
    """
    if side > 0:
        return 1.0 - _solve(1.0 - share, n, z, -1)
    limit = z * z / (2.0 * n)
    if share <= 0.0 or limit <= 0.0:
        return max(0.0, share)
    if share >= 1.0:
        return math.exp(-limit)
    top = math.log(share)
    constant = share * top + (1.0 - share) * math.log1p(-share) - limit
    log_p = top - math.sqrt(2.0 * limit * (1.0 - share) / share)
    for _ in range(30):
        p = math.exp(log_p)
        step = (constant - share * log_p - (1.0 - share) * math.log1p(-p)) * (1.0 - p) / (p - share)
        log_p = min(log_p - step, top - 1e-12)
        if abs(step) < 1e-12:
            break
    return math.exp(log_p)


def student(alpha: float, freedom: float) -> float:
    """Upper quantile of Student's t by Peizer & Pratt (1968, JASA 63), for freedom >= 2.

    It is exceeded with probability 1.02 alpha at most, and down to half of alpha where freedom is below 10.
    """
    scale = (freedom - 5 / 6) / (freedom - 2 / 3 + 0.1 / freedom) ** 2
    return math.sqrt(freedom * math.expm1(min(700.0, scale * z_of(alpha) ** 2)))


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
