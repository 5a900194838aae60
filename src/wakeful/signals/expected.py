"""Quality of a binary classifier before any outcome is known: what its scores lead to expect.

Rows of one score turn out as they did in the reference, so its rate of positives at every score and the live
scores give the quality that the live outcomes will show (confidence-based performance estimation, CBPE; Guillory
et al. 2021, section 3; Kivimäki et al. 2025). Inputs may change, and with them how often every score occurs.
What outcomes a score leads to may not: concept drift is invisible here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from wakeful.bins import Bins, Floats, NumericBins
from wakeful.bounds import least, share_bounds, z_of
from wakeful.counts import SUM_UNIT
from wakeful.evidence import Estimate, Evidence, Exact, Share
from wakeful.signals.classification import FN, FP, TN, TP, Mask
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes

__all__ = ["expected_accuracy", "expected_precision", "expected_recall", "expected_roc_auc"]

_NOTHING = Share(0.0, 0.0)
_LEAST_DOUBT = 1e-15  # variance: what is wrong about one rate may cancel, as in the accuracy of coins


class Expected(NamedTuple):
    """A share that outcomes will show, expected from those of other rows.

    Two things may move it: outcomes of live rows are drawn, and the reference knows its rates from so many rows.
    Each has bounds of its own, and the moves add as independent errors do, each side by itself (Zou & Donner
    2008). Those of the draw are whole rows beyond which the binomial tail falls below alpha (Zubkov & Serov
    2013); where rates differ from row to row, outcomes vary less (Hoeffding 1956), which ``n`` takes in. Below
    some 30 positives and negatives in the reference, they are approximate.

    Attributes:
        value: the share.
        likely: the same, away from 0 and 1 as far as the reference's few rows may miss what is rare.
        n: draws of that probability whose share varies as much as that of the live outcomes.
        m: labelled rows that would know it as well as the reference does.
        rows: live rows behind it.
    """

    value: float
    likely: float
    n: float
    m: float
    rows: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The share, and between which bounds the outcomes will show it."""
        value, likely, unit = self.value, self.likely, 1 / self.n + rho

        def drawn(share: float) -> float:
            return math.floor(least(share, z_of(alpha) ** 2 / 2 * unit) * self.n) / self.n

        known = share_bounds(value * self.m, self.m, alpha)
        low = value - math.hypot(likely - drawn(likely), value - known[0])
        high = value + math.hypot(1 - likely - drawn(1 - likely), known[1] - value)
        noise = math.sqrt(2 / math.pi * likely * (1 - likely) * (unit + 1 / self.m))
        return Estimate(value, max(0.0, low), min(1.0, high), self.rows, noise)


class _Rates(NamedTuple):
    """The reference's rate of positives, in those of its bins of scores that have labelled rows.

    Attributes:
        has: which bins these are, shape (answers,).
        score: mean score in each, increasing, shape (known,).
        rate: share of positives, shape (known,).
        likely: the same, drawn towards its neighbours as far as it takes never to be 0 or 1, shape (known,).
        rows: labelled rows, of equal weight, that say as much, shape (known,).
    """

    has: Mask
    score: Floats
    rate: Floats
    likely: Floats
    rows: Floats

    @property
    def doubt(self) -> Floats:
        """Variance of the rate, shape (known,)."""
        return self.likely * (1 - self.likely) / self.rows


def _rates(reference: BinaryOutcomes) -> _Rates:
    """Of flagged rows whose outcomes a decision hides, the reference knows best those held out."""
    reference = replace(reference, held_out=True)
    labelled, weights = reference.labelled[..., 0].sum(axis=2), np.nan_to_num(reference.weights)
    statistics = (weights[..., None, None] * reference.labelled).sum(axis=0)  # rows and sums, shape (answers, truth, 4)
    total = statistics[..., 0].sum(axis=1)
    has = total > 0
    rate = statistics[has, 1, 0] / total[has]
    rows = total[has] ** 2 / (weights**2 * labelled).sum(axis=0)[has]  # Kish 1965
    around = (with_neighbours(rate * rows) + 0.5) / (with_neighbours(rows) + 1.0)
    likely = (rate * rows + around) / (rows + 1.0)
    return _Rates(has, _mean_scores(statistics.sum(axis=1), reference.bins)[has], rate, likely, rows)


def with_neighbours(bins: Floats) -> Floats:
    """Every bin plus the one before and the one after it, shape (bins,): alone, few rows do not show how they vary."""
    padded = np.pad(bins, 1)
    found: Floats = padded[:-2] + padded[1:-1] + padded[2:]
    return found


def _mean_scores(statistics: Floats, bins: Bins) -> Floats:
    """Mean score of every cell of shape (…, answers, statistics); of scores that are no probabilities, its bin."""
    rows, sums = statistics[..., 0], statistics[..., 1]
    if isinstance(bins, NumericBins) and bins.low >= 0.0 and bins.high <= 1.0:
        return np.divide(sums / SUM_UNIT, rows, out=np.zeros_like(rows), where=rows > 0)
    return np.broadcast_to(np.arange(rows.shape[-1], dtype=float), rows.shape)


def _between(scores: Floats, known: Floats) -> Floats:
    """Weights of known points in linear interpolation between them, shape (*scores.shape, known)."""
    places = np.interp(scores, known, np.arange(len(known)))
    return np.maximum(0.0, 1.0 - np.abs(places[..., None] - np.arange(len(known))))


class _Quality(NamedTuple):
    """A share of outcomes, and how a single one moves it.

    Attributes:
        value: the share; NaN where it is not defined.
        slope: what one more positive, in place of a negative, adds to it; shape (2, answers).
    """

    value: float
    slope: Floats


Formula: TypeAlias = Callable[[Floats, Floats], _Quality]


def _expected(live: BinaryOutcomes, reference: BinaryOutcomes, formula: Formula, rows_of: Mask) -> Evidence:
    """Evidence for a function of negatives and positives, each of shape (2, answers).

    Args:
        live: of which only scores and decisions are looked at.
        reference: of which only outcomes and their scores are.
        formula: the function.
        rows_of: the decisions, unflagged and flagged, whose rows are behind it.
    """
    known = _rates(reference)
    statistics = live.answered[..., :2].sum(axis=(0, 3))
    rows = statistics[..., 0]
    if not len(known.rate) or not rows[rows_of].sum() > 0:
        return _NOTHING
    mix = _between(_mean_scores(statistics, live.bins), known.score)
    chance = mix @ known.likely
    value, likely = (formula(rows * (1 - rate), rows * rate) for rate in (mix @ known.rate, chance))
    moves = rows * likely.slope
    drawn = float((moves * likely.slope * chance * (1 - chance)).sum())
    blind = float(np.abs(moves[:, ~known.has]).sum()) / 2
    doubt = float(np.tensordot(moves, mix, 2) ** 2 @ known.doubt) + blind**2
    if math.isnan(value.value) or blind > np.abs(moves).sum() / 4:
        return _NOTHING
    if drawn <= 0:
        return Exact(value.value, float(rows[rows_of].sum()))
    spread = likely.value * (1 - likely.value)
    return Expected(
        value.value, likely.value, spread / drawn, spread / max(doubt, _LEAST_DOUBT), float(rows[rows_of].sum())
    )


def _share(live: BinaryOutcomes, reference: BinaryOutcomes, hits: Mask, rest: Mask) -> Evidence:
    """The share of hits among hits and rest."""
    live.must_decide()
    asked = hits | rest

    def share(negative: Floats, positive: Floats) -> _Quality:
        cases = np.stack([negative.sum(axis=1), positive.sum(axis=1)], axis=1)
        whole = cases[asked].sum()
        value = cases[hits].sum() / whole
        slope = (_gains(hits) - value * _gains(asked)) / whole
        return _Quality(float(value), np.repeat(slope[:, None], negative.shape[1], axis=1))

    return _expected(live, reference, share, np.asarray(asked.any(axis=1)))


def _gains(mask: Mask) -> Floats:
    """What one more positive, in place of a negative, adds to the rows of a mask, unflagged and flagged."""
    return mask[:, 1].astype(float) - mask[:, 0]


@signal(of="binary")
def expected_precision(live: BinaryOutcomes, reference: BinaryOutcomes) -> Evidence:
    """Precision that the scores of flagged rows lead to expect; outcomes will show it within the interval.

    Blind to concept drift: rows of one score are taken to turn out as they did in the reference.
    """
    return _share(live, reference, TP, FP)


@signal(of="binary")
def expected_recall(live: BinaryOutcomes, reference: BinaryOutcomes) -> Evidence:
    """Recall that scores lead to expect; as ``expected_precision``."""
    return _share(live, reference, TP, FN)


@signal(of="binary")
def expected_accuracy(live: BinaryOutcomes, reference: BinaryOutcomes) -> Evidence:
    """Accuracy that scores lead to expect; as ``expected_precision``."""
    return _share(live, reference, TP | TN, FP | FN)


@signal(of="binary")
def expected_roc_auc(live: BinaryOutcomes, reference: BinaryOutcomes) -> Evidence:
    """ROC AUC that scores lead to expect, those of one bin counting as ties; as ``expected_precision``."""
    return _expected(live, reference, _roc_auc, np.ones(2, dtype=bool))


def _roc_auc(negative: Floats, positive: Floats) -> _Quality:
    negatives, positives = negative.sum(axis=0), positive.sum(axis=0)
    below, above = (np.cumsum(one) - one / 2 for one in (negatives, positives[::-1]))
    above, n, p = above[::-1], negatives.sum(), positives.sum()
    value = float(positives @ below / (n * p))
    slope = (below - above) / (n * p) - value * (1 / p - 1 / n)
    return _Quality(value, np.stack([slope, slope]))
