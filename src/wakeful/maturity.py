"""How much of the truth has arrived: delay curves of late outcomes, and shares that do not wait for all of them.

A window is judged by when it *predicted*. Some of its outcomes are known, and which ones is no accident: loans that
default do so within months, loans that are repaid are known at the end of their term, so among the known outcomes of
a young window defaults abound. What corrects it is G_k(a), the share of the outcomes of class k that are known at
age a (``curves``): positives known / (rows x G_1) estimates the share of positives, whatever becomes of the cases
still pending.

Three things it rests on: delays *within a class* do not change from window to window (``dispersion`` tells how much
they did, and widens the intervals); cases that never get an outcome are like the others; and some cases have been
followed to the horizon. Until then, the interval leaves room for all that may still come.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.bounds import share_bounds, student, z_of
from wakeful.curves import at_risk, delay_curve, known_curve
from wakeful.delays import Delays
from wakeful.errors import DataError

__all__ = ["FLOOR", "FORESEEN", "LEAST", "Windows", "beyond", "by_age", "dispersion", "known_parts", "windows"]

_COARSE = 10  # steps of maturity at which windows are compared for dispersion
_TO_COMPARE = 10  # outcomes of a window that is
FLOOR, LEAST = 0.9, 0.1  # maturity from which on a window counts as it is, and from which on it is reweighted
FORESEEN = 0.5  # part of a class's outcomes that surely comes within reach, from which on the class is used


class Windows(NamedTuple):
    """What is known of each window; every array has the shape (w,).

    Attributes:
        rows: predictions.
        known: share of them with an outcome.
        maturity: share of the eventual outcomes that is known, of the class that is further behind.
        status: "mature" (the maturity reaches the floor), "reweighted" (enough to estimate from) or "maturing".
        naive: share of positives among known outcomes; NaN without any.
        share: estimated share of positives among all eventual outcomes; NaN where nothing says.
        low, high: the share is outside on either side with probability at most alpha.
        dispersion: variance of arrivals between windows over that of independent ones, by class; (2,).
    """

    rows: Floats
    known: Floats
    maturity: Floats
    status: list[str]
    naive: Floats
    share: Floats
    low: Floats
    high: Floats
    dispersion: Floats


def dispersion(counts: Delays, positive: bool, alpha: float = 0.025) -> float:
    """Pearson's chi² of what was known by an age, over its degrees of freedom; at least 1.

    Each window is held against the curve at a few ages: so many of the outcomes known by now should have been known
    then. Delays that differ from window to window make it large (overdispersed chain ladder: England & Verrall 1999,
    Insurance: Mathematics and Economics 25; Mack 1993). What exceeds 1 is known from a few windows only, so it grows
    by the square of Student's quantile over the normal one.
    """
    share = delay_curve(counts, positive).share
    so_far = np.insert(counts.arrived[:, int(positive)].cumsum(axis=1), 0, 0.0, axis=1)[:, :-1]
    levels = np.unique(np.searchsorted(share, np.arange(1, _COARSE) / _COARSE))
    chi2, compared = [], 0
    for known, rows in zip(so_far, counts.rows, strict=True):
        last = int((rows > 0).argmax())  # all cases of the window have been followed so far
        before = levels[levels < last]
        rate = share[before] / share[last] if len(before) else np.zeros(0)
        usable = (rate > 0) & (rate < 1)
        if known[last] < _TO_COMPARE or not usable.any():
            continue
        expected, rate = known[last] * rate[usable], rate[usable]
        chi2 += ((known[before[usable]] - expected) ** 2 / (expected * (1 - rate))).tolist()
        compared += 1
    if compared < 2:
        return 1.0
    excess = max(0.0, float(np.mean(chi2)) * compared / (compared - 1) - 1.0)
    return 1.0 + excess * (student(alpha, max(2, compared - 1)) / z_of(alpha)) ** 2


def windows(counts: Delays, *, alpha: float = 0.025, floor: float = FLOOR, least: float = LEAST) -> Windows:
    """What is known of each window, and the share of positives that its known outcomes stand for.

    The share comes from whichever class says more: positives known / (rows x G_1), or one minus the same of
    negatives (Horvitz & Thompson 1952, with the maturity as probability). Where a window is mature, or both together
    say that it has lost outcomes, it is their ratio, which needs no rows. The interval combines the bounds of what is
    known and of the curve, each moved by itself (Zou & Donner 2008), for rows that say as much as rows / dispersion.
    It never promises more than the worst case: pending cases all of one class.

    Args:
        counts: from ``delays``.
        alpha: error rate on each side.
        floor: maturity of both classes from which a window counts as mature.
        least: maturity of a class from which on it is used; below, a window is maturing, and its bounds are the
            worst cases.

    Raises:
        DataError: floor or least is no share, or alpha is not between 0 and 0.5.
    """
    if not (0 < alpha < 0.5 and 0 < least <= floor <= 1):
        raise DataError(f"alpha ({alpha}) belongs between 0 and 0.5, and 0 < least ({least}) <= floor ({floor}) <= 1.")
    rows, known = counts.rows.sum(axis=1), counts.arrived.sum(axis=2)
    ever, tails = beyond(counts)
    negative, positive = (_class(counts, bool(k), ever, tails[k], alpha, least) for k in (0, 1))
    by_negatives = negative.width < positive.width
    share = np.where(by_negatives, 1 - negative.share, positive.share)
    low = np.where(by_negatives, 1 - negative.high, positive.low)
    high = np.where(by_negatives, 1 - negative.low, positive.high)
    behind = np.minimum(negative.maturity, positive.maturity)
    mature = behind >= floor
    lacking = negative.high + positive.high < 1  # fewer outcomes than so many rows have: the window has lost some
    for at in np.flatnonzero(mature | lacking):
        share[at], low[at], high[at] = _known_share(known[at], negative.curve[at], positive.curve[at], alpha)
    sayable = mature | np.isfinite(np.minimum(negative.width, positive.width))
    none = np.full_like(rows, math.nan)
    return Windows(
        rows=rows,
        known=np.divide(known.sum(axis=1), rows, out=none.copy(), where=rows > 0),
        maturity=behind,
        status=np.select([mature, sayable], ["mature", "reweighted"], "maturing").tolist(),
        naive=np.divide(known[:, 1], known.sum(axis=1), out=none.copy(), where=known.sum(axis=1) > 0),
        share=np.where(sayable, share, math.nan),
        low=np.maximum(low, positive.sure),
        high=np.minimum(high, 1 - negative.sure),
        dispersion=np.array([negative.dispersion, positive.dispersion]),
    )


def _known_share(known: Floats, negative: Floats, positive: Floats, alpha: float) -> tuple[float, float, float]:
    """Share of positives among known outcomes, weighted by 1 / maturity, with bounds; of none, nothing is known.

    It needs no rows, so outcomes that a window has lost, more than others, do no harm.
    """
    if not known.any():
        return math.nan, 0.0, 1.0

    def at(part: float, negatives: float, positives: float) -> float:
        return float(part / positives / (part / positives + (1 - part) / negatives))

    (zero, zero_low, zero_high), (one, one_low, one_high) = np.maximum([negative, positive], 1e-9).tolist()
    n = float(known.sum())
    part = float(known[1]) / n
    low, high = share_bounds(float(known[1]), n, alpha)
    share = at(part, zero, one)
    below = math.hypot(share - at(low, zero, one), share - at(part, zero, one_high), share - at(part, zero_low, one))
    above = math.hypot(at(high, zero, one) - share, at(part, zero, one_low) - share, at(part, zero_high, one) - share)
    return share, max(share - below, 0.0), min(share + above, 1.0)


class _Class(NamedTuple):
    """What one class says of each window, (w,).

    Attributes:
        share: of the class among all eventual outcomes.
        low, high: its bounds; 0 and 1 where the class says nothing.
        width: between the bounds, before they are cut to what a share can be; infinite where the class says nothing.
        sure: lower bound of its share among all cases, if no pending one belongs to it.
        maturity: the least part of its outcomes that is known.
        curve: the part that is known by its curve, with bounds; (w, 3).
        dispersion: of its arrivals.
    """

    share: Floats
    low: Floats
    high: Floats
    width: Floats
    sure: Floats
    maturity: Floats
    curve: Floats
    dispersion: float


def _class(counts: Delays, positive: bool, ever: float, tail: float, alpha: float, least: float) -> _Class:
    """Estimate the share of one class in each window from its known outcomes and its curve."""
    phi = dispersion(counts, positive, alpha)
    rows = counts.rows.sum(axis=1)
    maturity, maturity_low, maturity_high = known_parts(counts, positive, tail, alpha, phi).T
    known = np.minimum(counts.arrived[:, int(positive)].sum(axis=1), rows * ever)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = known / (rows * ever) / maturity
        alike = _dispersed(share, maturity, phi)
        sure, most = _bounds(known / alike, rows * ever / alike, alpha)
        low = share - np.hypot(share - sure / maturity, sure / maturity - sure / maturity_high)
        high = share + np.hypot(most / maturity - share, most / maturity_low - most / maturity)
    # a window with more of a class than there are rows had other delays: its curve says nothing about it
    says = (maturity * tail >= least) & (tail >= FORESEEN) & (low <= 1) & (rows > 0)
    return _Class(
        share=np.minimum(share, 1.0),
        low=np.where(says, np.maximum(low, 0.0), 0.0),
        high=np.where(says, np.minimum(high, 1.0), 1.0),
        width=np.where(says, high - low, math.inf),
        sure=sure * ever,
        maturity=maturity * tail,
        curve=np.stack([maturity, maturity_low, maturity_high], axis=1),
        dispersion=phi,
    )


def known_parts(counts: Delays, positive: bool, tail: float, alpha: float, phi: float) -> Floats:
    """The part of the outcomes of a class that each window's ages make known, with bounds; (w, 3).

    Args:
        counts: from ``delays``.
        positive: which class.
        tail: the least part of its outcomes that comes within reach, by which the lower bound falls.
        alpha: error rate on each side.
        phi: from ``dispersion``.
    """
    curve = delay_curve(counts, positive, alpha, phi)
    ages = counts.rows
    rows = ages.sum(axis=1, keepdims=True)
    weights = np.divide(ages, rows, out=np.zeros_like(ages), where=rows > 0)
    return np.stack([weights @ curve.share, weights @ curve.low * tail, weights @ curve.high], axis=1)


def by_age(counts: Delays, *, by_class: bool) -> Floats:
    """Maturity of cases of one age: the share of the outcomes still to be expected that is known.

    As that of a window, it is of the class that is further behind: the least of G_k(age), times the least part of the
    outcomes of k that comes within reach. Outcomes that never come are not expected.

    Args:
        counts: from ``delays``.
        by_class: both classes have a curve of their own; otherwise all outcomes are of the positive one.

    Returns:
        Shares where each bin of age begins, (bins + 1,); NaN at ages to which fewer than 30 cases were followed, and
        everywhere before the first outcome.
    """
    _, tails = beyond(counts)
    classes = (False, True) if by_class else (True,)
    curves = {one: delay_curve(counts, one) for one in classes}
    share = np.min([curve.share * tails[one] for one, curve in curves.items()], axis=0)
    share[curves[True].reach + 1 if counts.arrived.any() else 0 :] = math.nan
    return np.asarray(share)


def _dispersed(share: Floats, maturity: Floats, phi: float) -> Floats:
    """Variance of known outcomes over that of independent ones: phi where few are known, 1 where all are.

    How many cases are of the class varies as independent draws do; how many of them are known, phi times as much.
    """
    within = np.nan_to_num(np.minimum(share, 1.0))
    both = (maturity * (1 - within) + phi * (1 - maturity)) / (1 - within * maturity)
    return np.asarray(np.maximum(1.0, np.nan_to_num(both, nan=1.0)))


def _bounds(part: Floats, whole: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Bounds of the share of each window."""
    pairs = [share_bounds(*one, alpha) for one in zip(part.tolist(), whole.tolist(), strict=True)]
    bounds: Floats = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return bounds[:, 0], bounds[:, 1]


def beyond(counts: Delays) -> tuple[float, list[float]]:
    """Share of cases that ever get an outcome; of each class, the least part of its outcomes that comes within reach.

    Where cases have been followed to the horizon, what is pending there is lost, and all that comes has come.
    Before, everything pending may belong to either class (Aalen & Johansen 1978 give the shares so far).
    """
    curve = known_curve(counts)
    pending = 1.0 - float(curve.share[curve.reach])
    if curve.reach == counts.pending.shape[1] - 1:
        rows = counts.rows
        full = (rows.sum(axis=1) > 0) & (rows[:, :-1].sum(axis=1) == 0)  # windows with no case below the horizon
        each = counts.arrived[full].sum(axis=(1, 2)) / rows[full].sum(axis=1)
        ever = float(np.median(each)) if full.any() else 1.0 - pending  # of one broken join the median knows nothing
        return max(ever, 1e-9), [1.0, 1.0]
    arrived = counts.arrived.sum(axis=0)
    risk = at_risk(arrived.sum(axis=0), counts.pending.sum(axis=0))[: curve.reach]
    before = 1.0 - curve.share[: curve.reach]
    rate = np.divide(before, risk, out=np.zeros_like(before), where=risk > 0)
    so_far = (arrived[:, : curve.reach] * rate).sum(axis=1) + 1e-9
    return 1.0, [float(one / (one + pending)) for one in so_far]
