"""Delay curves: the share of late outcomes that is known at an age.

The class of a pending case is unknown, so censoring it in a Kaplan-Meier curve of one class would take it for a
member of both. Aalen & Johansen's cumulative incidence avoids that, but divides early ages, known from recent
windows, by late ages, known from old ones: where the share of positives has changed in between, it errs by as much.
Given its class, though, a *known* outcome is right-truncated: it would not be in the sample had it come later than
its case was followed. The product-limit estimate in reverse time (Lagakos, Barraj & de Gruttola 1988, Biometrika 75;
Kalbfleisch & Lawless 1989, JASA 84; actuaries' chain ladder) needs the known outcomes of one class alone, and holds
however the share of positives moves from window to window. Pending cases enter with the rows that they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.bounds import z_of
from wakeful.delays import Delays

__all__ = ["Curve", "at_risk", "delay_curve", "known_curve"]

ENOUGH = 30  # cases that have to be followed to an age before the curve is believed there


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


def known_curve(counts: Delays, alpha: float = 0.025) -> Curve:
    """Share of all cases whose outcome is known at each age: Kaplan & Meier (1958), pending cases censored.

    It needs no classes. Beyond the horizon, what is missing has been lost.
    """
    arrived, pending = counts.arrived.sum(axis=(0, 1)), counts.pending.sum(axis=0)
    survival, squares = _product(arrived[:-1], at_risk(arrived, pending))
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


def at_risk(arrived: Floats, pending: Floats) -> Floats:
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
