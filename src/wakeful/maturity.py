"""How much of the truth has arrived: delay curves of late outcomes, and shares that do not wait for all of them.

A window is judged by when it *predicted*. Some of its outcomes are known, and which ones is no accident: loans that
default do so within months, loans that are repaid are known at the end of their term, so among the known outcomes of
a young window defaults abound. What corrects it is G_k(a), the share of the outcomes of class k that are known at
age a: positives known / (rows x G_1) estimates the share of positives, whatever becomes of the cases still pending.

The class of a pending case is unknown, so censoring it in a Kaplan-Meier curve of one class would take it for a
member of both. Aalen & Johansen's cumulative incidence avoids that, but divides early ages, known from recent
windows, by late ages, known from old ones: where the share of positives has changed in between, it errs by as much.
Given its class, though, a *known* outcome is right-truncated: it would not be in the sample had it come later than
its case was followed. The product-limit estimate in reverse time (Lagakos, Barraj & de Gruttola 1988, Biometrika 75;
Kalbfleisch & Lawless 1989, JASA 84; actuaries' chain ladder) needs the known outcomes of one class alone, and holds
however the share of positives moves from window to window. Pending cases enter with the rows that they are.

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
from wakeful.delays import Delays
from wakeful.errors import DataError

__all__ = ["Curve", "Windows", "delay_curve", "dispersion", "known_curve", "windows"]

ENOUGH = 30  # cases that have to be followed to an age before the curve is believed there
_COARSE = 10  # steps of maturity at which windows are compared for dispersion
_TO_COMPARE = 10  # outcomes of a window that is
_FORESEEN = 0.5  # part of a class's outcomes that surely comes within reach, from which on the class is used


class Curve(NamedTuple):
    """A share that is known at each age, with its interval.

    Attributes:
        share: known where each bin of age begins; (bins + 1,).
        low, high: the truth is outside on either side with probability at most alpha (Greenwood's variance, on the
            log-log scale of Kalbfleisch & Prentice 1980); of cases that are as alike as ``dispersion`` says.
        reach: the last bin that enough cases were followed to; the share is relative to it.
    """

    share: Floats
    low: Floats
    high: Floats
    reach: int


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


def known_curve(counts: Delays, alpha: float = 0.025) -> Curve:
    """Share of all cases whose outcome is known at each age: Kaplan & Meier (1958), pending cases censored.

    It needs no classes. Beyond the horizon, what is missing has been lost.
    """
    arrived, pending = counts.arrived.sum(axis=(0, 1)), counts.pending.sum(axis=0)
    survival, squares = _product(arrived[:-1], _at_risk(arrived, pending))
    low, high = _log_log(survival, squares, alpha)
    share, low, high = (np.append(0.0, 1.0 - one) for one in (survival, high, low))
    return Curve(share, low, high, _reach(counts))


def delay_curve(counts: Delays, positive: bool, alpha: float = 0.025, dispersion: float = 1.0) -> Curve:
    """Share of the outcomes of one class that are known at each age, relative to what is known at ``reach``.

    In reverse time, a case enters at the age that it has been followed to, and its outcome is the event.
    """
    reach = _reach(counts)
    arrived = counts.arrived[:, int(positive), :reach].sum(axis=0)
    followed = counts.followed[:, int(positive), :reach].sum(axis=0)
    share, squares = _product(arrived[::-1], (arrived.cumsum() - followed.cumsum())[::-1])
    low, high = _log_log(share, squares * dispersion, alpha)
    ones = np.ones(counts.pending.shape[1] - reach)
    share, low, high = (np.append(one[::-1], ones) for one in (share, low, high))
    return Curve(share, low, high, reach)


def _at_risk(arrived: Floats, pending: Floats) -> Floats:
    """Cases followed through each bin whose outcome was not known before; (bins,)."""
    backwards = arrived[::-1].cumsum()[::-1][:-1] + pending[::-1].cumsum()[::-1][1:]
    return np.asarray(backwards)


def _reach(counts: Delays) -> int:
    """The last bin of age to which enough cases were followed; 0 where there are not so many."""
    older = counts.rows.sum(axis=0)[::-1].cumsum()[::-1]
    return max(0, int((older >= ENOUGH).sum()) - 1)


def _product(events: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    """Product-limit estimate after each step, and Greenwood's sum: the variance of its logarithm."""
    left = np.maximum(at_risk - events, 0.0)
    happened = events > 0
    factor = np.divide(left, at_risk, out=np.ones_like(left), where=happened)
    square = np.divide(events, at_risk * left, out=np.zeros_like(left), where=happened & (left > 0))
    return np.asarray(np.cumprod(factor)), np.asarray(np.cumsum(square))


def _log_log(share: Floats, squares: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Bounds of a product-limit estimate that stay between 0 and 1; where it is 0, those of the last step before."""
    low, high = share.copy(), share.copy()
    inner = (share > 0) & (share < 1)
    logs = np.log(share[inner])
    reach = z_of(alpha) * np.sqrt(squares[inner]) / -logs
    low[inner], high[inner] = np.exp(logs * np.exp(np.minimum(reach, 700.0))), np.exp(logs * np.exp(-reach))
    high[share <= 0] = high[inner].min(initial=1.0)  # bounds never turn back
    return low, high


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


def windows(counts: Delays, *, alpha: float = 0.025, floor: float = 0.9, least: float = 0.1) -> Windows:
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
    ever, tails = _beyond(counts)
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
    curve = delay_curve(counts, positive, alpha, phi)
    ages = counts.rows
    rows = ages.sum(axis=1)
    weights = np.divide(ages, rows[:, None], out=np.zeros_like(ages), where=rows[:, None] > 0)
    maturity, maturity_low, maturity_high = weights @ curve.share, weights @ curve.low * tail, weights @ curve.high
    known = np.minimum(counts.arrived[:, int(positive)].sum(axis=1), rows * ever)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = known / (rows * ever) / maturity
        alike = _dispersed(share, maturity, phi)
        sure, most = _bounds(known / alike, rows * ever / alike, alpha)
        low = share - np.hypot(share - sure / maturity, sure / maturity - sure / maturity_high)
        high = share + np.hypot(most / maturity - share, most / maturity_low - most / maturity)
    # a window with more of a class than there are rows had other delays: its curve says nothing about it
    says = (maturity * tail >= least) & (tail >= _FORESEEN) & (low <= 1) & (rows > 0)
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


def _beyond(counts: Delays) -> tuple[float, list[float]]:
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
    at_risk = _at_risk(arrived.sum(axis=0), counts.pending.sum(axis=0))[: curve.reach]
    before = 1.0 - curve.share[: curve.reach]
    rate = np.divide(before, at_risk, out=np.zeros_like(before), where=at_risk > 0)
    so_far = (arrived[:, : curve.reach] * rate).sum(axis=1) + 1e-9
    return 1.0, [float(one / (one + pending)) for one in so_far]
