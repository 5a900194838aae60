"""Whether outcomes can be trusted: the holdout, and outcomes against what scores promised."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wakeful.arithmetic import maximum, number
from wakeful.bins import Floats, Ints
from wakeful.evidence import Combined, Distance, Ratio, Share
from wakeful.signals.distances import noise_of
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes

__all__ = ["calibration_slope", "holdout_d1", "holdout_share", "label_noise", "observed_to_expected"]

_MOST_GROUPS = 20
_ROWS_PER_GROUP = 200.0  # labelled ones of the reference: fewer, and its own rates are noise


@signal(of="binary", dispersion="none")
def holdout_share(live: BinaryOutcomes) -> Share:
    """Share of the rows that may be held out that are, of those of which the data say whether they are."""
    rest, held_out = live.drawn_from
    return Share(number(held_out.sum()), number(held_out.sum() + rest.sum()))


@signal(of="binary", dispersion="none")
def holdout_d1(live: BinaryOutcomes) -> Distance:
    """d1 between the scores of rows that were held out and those that were not, in [0, 2].

    A holdout drawn at random has the same scores as the rest; ``noise`` says how far chance alone moves it. Where
    it is drawn by the score, rows of the rest count by the odds with which they might have been held out, and are
    as many as know their shares as well (Kish 1965).
    """
    rest, held_out = live.drawn_from
    weighted = rest * live.odds
    n = number(held_out.sum())
    m = number(weighted.sum() ** 2 / maximum(number((weighted * live.odds).sum()), 1e-300))
    p, q = held_out / maximum(n, 1.0), weighted / maximum(number(weighted.sum()), 1e-300)
    noise = noise_of((n * p + m * q) / maximum(n + m, 1.0))
    return Distance(number(np.abs(p - q).sum()), noise, 2.0, n, m)


class _Promise(NamedTuple):
    """Labelled rows and positives by groups of scores, and what the reference had there; all of shape (groups,).

    A decision hides outcomes by the score alone, so among rows of equal scores the labelled ones need no weights.
    No group holds scores on both sides of the decision: there, labelled rows would be another mix than in the
    reference.
    """

    rows: Floats
    positive: Floats
    known: Floats
    usual: Floats

    @property
    def rate(self) -> Floats:
        """Share of positives in the reference."""
        return self.usual / self.known

    @property
    def likely(self) -> Floats:
        """The same of both samples, from which variances come: those of few rows alone are low where rates are.

        It is never 0 or 1: a group without any is no group that can have none.
        """
        return (self.usual + self.positive + 0.5) / (self.known + self.rows + 1.0)

    @property
    def varies(self) -> Floats:
        """Variance of the live positives."""
        return self.rows * self.likely * (1 - self.likely)

    @property
    def doubt(self) -> Floats:
        """Variance of the reference's rate."""
        return self.likely * (1 - self.likely) / self.known


def _promise(live: BinaryOutcomes, reference: BinaryOutcomes) -> _Promise:
    """Neighbouring scores of one decision are grouped until each group has enough labelled rows of the reference.

    Where a holdout is drawn by the score, a group has another mix of scores than the reference. So the reference's rows
    count as often as live ones of their score are known, and are as many as know the rate as well (Kish 1965).
    """
    known = reference.labelled[..., 0]
    at = _groups(known.sum(axis=2))
    chance = np.divide(1.0, live.weights, out=np.ones_like(live.weights), where=live.weights > 0)

    def grouped(rows: Floats) -> Floats:
        return np.bincount(at, rows).astype(float)

    mine = live.labelled[..., 0].sum(axis=0)
    drawn, usual = (grouped((chance * one).sum(axis=0)) for one in (known.sum(axis=2), known[..., 1]))
    square = grouped((chance**2 * known.sum(axis=2)).sum(axis=0))
    found = [grouped(mine.sum(axis=1)), grouped(mine[:, 1]), drawn, usual]
    used = drawn > 0
    rows, positive, drawn, usual = (one[used] for one in found)
    alike = drawn / square[used]
    return _Promise(rows, positive, drawn * alike, usual * alike)


def _groups(known: Floats) -> Ints:
    """The group of every answer, shape (answers,), by labelled rows of the reference, shape (2, answers)."""
    rows, is_flagged = known.sum(axis=0), known[1] > known[0]
    wanted = max(1.0, min(_MOST_GROUPS, rows.sum() // _ROWS_PER_GROUP))
    at = np.zeros(len(rows), dtype=np.intp)
    for side in (~is_flagged, is_flagged):
        mine = rows[side]
        groups = max(1.0, round(wanted * mine.sum() / max(rows.sum(), 1.0)))
        middle = (np.cumsum(mine) - mine / 2) / max(mine.sum(), 1.0)
        at[side] = at.max(initial=0) + 1 + np.minimum(np.floor(groups * middle), groups - 1)
    return at


@signal(of="binary")
def observed_to_expected(live: BinaryOutcomes, reference: BinaryOutcomes) -> Ratio:
    """Positives, over those that the reference had at the same scores: 1 while scores keep their promise.

    O/E of calibration-in-the-large (Debray et al. 2017, BMJ 356:i6460), against the reference's rate at equal
    scores instead of the score itself, so that a score need not be a probability.
    """
    one = _promise(live, reference)
    own = float((one.rows**2 * one.doubt).sum())
    return Ratio(
        float(one.positive.sum()), float((one.rows * one.rate).sum()), 0.0, float(one.varies.sum()), own, live.n
    )


@signal(of="binary")
def calibration_slope(live: BinaryOutcomes, reference: BinaryOutcomes) -> Ratio:
    """How much outcomes follow the score, over how much they did in the reference: 1, and 0 where they do not.

    Least-squares slope of the outcome on the reference's rate at equal scores (Cox 1958; Van Calster et al.
    2019, BMC Medicine 17:230), corrected for the noise of these rates (attenuation, Fuller 1987, section 1.1).
    """
    one = _promise(live, reference)
    return _slope(one, float(one.rows @ one.rate) / max(one.rows.sum(), 1.0), live.n)


@signal(of="binary")
def label_noise(live: BinaryOutcomes, reference: BinaryOutcomes) -> Combined:
    """Share of outcomes that, turned round at random, would make them follow scores as little as they do.

    Where a share f of them turns, a rate p becomes p + f (1 - 2p) (Angluin & Laird 1988, Machine Learning 2:343),
    so 1 - 2f is the least-squares slope of outcome - 1/2 on the reference's rate - 1/2. It weighs rows as the
    Brier score does, of which it is the excess over what the reference's rates promise (Spiegelhalter 1986,
    Statistics in Medicine 5:421). Negative where outcomes are more certain than they were.
    """
    slope = _slope(_promise(live, reference), 0.5, live.n)
    return Combined(lambda kept: (1 - kept) / 2, (slope,), live.n)


def _slope(one: _Promise, center: float, n: float) -> Ratio:
    """Slope of the outcome on the reference's rate, both less ``center``, corrected for the noise of these rates."""
    away = one.rate - center
    spread, noise = float(one.rows @ away**2), float(one.rows @ one.doubt)
    if not one.rows.sum() > 2 or spread - noise <= 0.1 * spread:  # the reference's rates hardly differ from the center
        return Ratio(math.nan, math.nan, 0.0, 0.0, 0.0, n)
    varies = float(away**2 @ one.varies)
    own = float(one.rows**2 @ (one.doubt * (np.maximum(0.0, away**2 - one.doubt) + 2 * one.doubt)))
    return Ratio(float(away @ (one.positive - center * one.rows)), spread - noise, varies, 0.0, own, n)
