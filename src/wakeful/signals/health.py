"""Whether outcomes can be trusted: the holdout, and outcomes against what scores promised."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.evidence import Distance, Share, Smooth
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes

__all__ = ["calibration_slope", "holdout_d1", "holdout_share", "observed_to_expected"]

_MOST_GROUPS = 20
_ROWS_PER_GROUP = 200.0  # labelled ones of the reference: fewer, and its own rates are noise


@signal(of="binary", dispersion="none")
def holdout_share(live: BinaryOutcomes) -> Share:
    """Share of flagged rows that were held out, of those of which the data say whether they were."""
    rest, held_out = _flagged(live)
    return Share(float(held_out.sum()), float(held_out.sum() + rest.sum()))


@signal(of="binary", dispersion="none")
def holdout_d1(live: BinaryOutcomes) -> Distance:
    """d1 between the scores of flagged rows that were held out and those that were not, in [0, 2].

    A holdout drawn at random has the same scores as the rest; ``noise`` says how far chance alone moves it.
    """
    rest, held_out = _flagged(live)
    n, m = float(held_out.sum()), float(rest.sum())
    p = (rest + held_out) / max(n + m, 1.0)
    spread = float(np.sqrt(2 * p * (1 - p) / np.pi).sum())
    distance = np.abs(held_out / max(n, 1.0) - rest / max(m, 1.0)).sum()
    return Distance(float(distance), spread, 2.0, n, m)


def _flagged(live: BinaryOutcomes) -> np.ndarray:
    """Flagged rows by whether they were held out and by answer, shape (2, answers)."""
    live.decisions  # noqa: B018  # raises where there are none
    rows = live.table[..., 0].sum(axis=3)
    return rows[1:, 1] if len(rows) == 3 else np.zeros((2, rows.shape[2]))


class _Promise(NamedTuple):
    """Labelled rows and positives by groups of scores, and what the reference had there; all of shape (groups,).

    A decision hides outcomes by the score alone, so among rows of equal scores the labelled ones need no weights.
    """

    rows: Floats
    positive: Floats
    known: Floats
    usual: Floats

    @property
    def rate(self) -> Floats:
        """Share of positives in the reference."""
        return self.usual / self.known

    @staticmethod
    def variance(rows: Floats, positive: Floats) -> Floats:
        """Variance of the positives in each group; a group without any is no group that can have none."""
        rate = (positive + 0.5) / (rows + 1.0)
        return rows * rate * (1 - rate)


def _promise(live: BinaryOutcomes, reference: BinaryOutcomes) -> _Promise:
    """Neighbouring scores are grouped until each group has enough labelled rows of the reference."""
    known = reference.labelled[..., 0].sum(axis=(0, 2))
    total = known.sum()
    groups = max(1.0, min(_MOST_GROUPS, total // _ROWS_PER_GROUP))
    at = np.minimum(np.floor(groups * (np.cumsum(known) - known / 2) / max(total, 1.0)), groups - 1).astype(np.intp)

    def grouped(rows: Floats) -> Floats:
        return np.bincount(at, rows, minlength=int(groups)).astype(float)

    sides = [one.labelled[..., 0].sum(axis=0) for one in (live, reference)]
    found = [grouped(rows) for side in sides for rows in (side.sum(axis=1), side[:, 1])]
    used = found[2] > 0
    return _Promise(*(one[used] for one in found))


@signal(of="binary")
def observed_to_expected(live: BinaryOutcomes, reference: BinaryOutcomes) -> Smooth:
    """Positives, over those that the reference had at the same scores: 1 while scores keep their promise.

    O/E of calibration-in-the-large (Debray et al. 2017, BMJ 356:i6460), against the reference's rate at equal
    scores instead of the score itself, so that a score need not be a probability.
    """
    one = _promise(live, reference)
    expected, usual = float((one.rows * one.rate).sum()), float(one.usual.sum())
    if not expected > 0:
        return Smooth(math.nan, 0.0, live.n)
    value = float(one.positive.sum()) / expected
    own = value * math.sqrt(one.variance(one.known, one.usual).sum()) / usual
    error = math.hypot(math.sqrt(one.variance(one.rows, one.positive).sum()) / expected, own)
    return Smooth(value, error, live.n)


@signal(of="binary")
def calibration_slope(live: BinaryOutcomes, reference: BinaryOutcomes) -> Smooth:
    """How much outcomes follow the score, over how much they did in the reference: 1, and 0 where they do not.

    Least-squares slope of the outcome on the reference's rate at equal scores (Cox 1958; Van Calster et al.
    2019, BMC Medicine 17:230), corrected for the noise of these rates (attenuation, Fuller 1987, section 1.1).
    """
    one = _promise(live, reference)
    n = one.rows.sum()
    if not n > 2:
        return Smooth(math.nan, 0.0, live.n)
    slopes, errors = [], []
    for rows, positive in ((one.rows, one.positive), (one.known, one.usual)):
        away = one.rate - (rows @ one.rate) / rows.sum()
        spread = float(rows @ away**2)
        noise = float(rows @ (one.variance(one.known, one.usual) / one.known**2))
        if spread - noise <= 0.1 * spread:
            return Smooth(math.nan, 0.0, live.n)  # the reference's own scores hardly tell cases apart
        slopes.append(float(away @ positive) / (spread - noise))
        errors.append(math.sqrt(float(away**2 @ one.variance(rows, positive))) / (spread - noise))
    return Smooth(slopes[0], math.hypot(errors[0], slopes[0] * errors[1]), live.n)
