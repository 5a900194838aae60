"""Quality of a binary classifier, under scikit-learn's names.

Precision, recall and the other shares are exact. What needs the order of scores (roc_auc,
average_precision) treats the scores of one bin as ties.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import Floats, NumericBins
from wakeful.errors import SignalError
from wakeful.evidence import Distance, Share
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes

__all__ = [
    "accuracy",
    "average_precision",
    "bias",
    "brier_score",
    "calibration_error",
    "f1",
    "log_loss",
    "precision",
    "recall",
    "roc_auc",
    "specificity",
    "value",
]

Mask: TypeAlias = NDArray[np.bool_]

# Masks over the matrix [[true negative, false negative], [false positive, true positive]].
_TP, _FP, _FN, _TN = (
    np.array(one, dtype=bool).reshape(2, 2) for one in ([0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0])
)


def _share(live: BinaryOutcomes, hits: Mask, rest: Mask) -> Share:
    """A share of weighted rows, and how many independent rows say as much (linearised variance)."""
    rows, weights = live.matrix, live.weights[:, None] * np.ones((2, 2))
    part, other = (rows * weights)[hits].sum(), (rows * weights)[rest].sum()
    whole = part + other
    if whole <= 0:
        return Share(0.0, 0.0)
    p = part / whole
    squares = rows * weights**2
    variance = (squares[hits].sum() * (1 - p) ** 2 + squares[rest].sum() * p**2) / whole**2
    independent = p * (1 - p) / variance if variance > 0 else whole / weights[hits | rest].max()
    return Share(part, whole, independent)


@signal(of="binary")
def precision(live: BinaryOutcomes) -> Share:
    """Share of flagged rows whose outcome is positive: TP / (TP + FP)."""
    return _share(live, _TP, _FP)


@signal(of="binary")
def recall(live: BinaryOutcomes) -> Share:
    """Share of positive outcomes that were flagged: TP / (TP + FN); rows weigh what their decision hides."""
    return _share(live, _TP, _FN)


@signal(of="binary")
def specificity(live: BinaryOutcomes) -> Share:
    """Share of negative outcomes that were not flagged: TN / (TN + FP)."""
    return _share(live, _TN, _FP)


@signal(of="binary")
def accuracy(live: BinaryOutcomes) -> Share:
    """Share of rows whose decision fits the outcome."""
    return _share(live, _TP | _TN, _FP | _FN)


@signal(of="binary", bounded=True)
def f1(live: BinaryOutcomes) -> float:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    rows = live.matrix * live.weights[:, None]
    return float(2 * rows[1, 1] / (2 * rows[1, 1] + rows[1, 0] + rows[0, 1]))


@signal(of="binary")
def value(
    live: BinaryOutcomes,
    true_positive: float = 0.0,
    false_positive: float = 0.0,
    true_negative: float = 0.0,
    false_negative: float = 0.0,
) -> float:
    """Mean worth of an answer, in the money that the four cases are given in."""
    rows = live.matrix * live.weights[:, None]
    worth = np.array([[true_negative, false_negative], [false_positive, true_positive]], dtype=float)
    return float((rows * worth).sum() / rows.sum())


@signal(of="binary", bounded=True)
def roc_auc(live: BinaryOutcomes) -> float:
    """Probability that a positive scores above a negative, ties counting half.

    Off scikit-learn's value by at most half the share of positive-negative pairs inside one bin.
    """
    negative, positive = live.negative, live.positive
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


@signal(of="binary", bounded=True)
def average_precision(live: BinaryOutcomes) -> float:
    """Area under the precision-recall curve as a sum of steps, one per bin.

    Off scikit-learn's value by at most the mean, over positives, of how much precision varies inside a bin.
    """
    negative, positive = live.negative[::-1], live.positive[::-1]
    hits, flagged = np.cumsum(positive), np.cumsum(positive + negative)
    return float((positive * hits / np.maximum(flagged, 1e-300)).sum() / positive.sum())


def _sums(live: BinaryOutcomes) -> Floats:
    """Weighted rows and sums of p, p², log loss by truth, shape (truth, 4), for scores in [0, 1]."""
    _must_be_probability(live)
    found: Floats = live.weighted.sum(axis=0) / np.array([1.0, *3 * [2.0**20]])
    return found


def _must_be_probability(live: BinaryOutcomes) -> None:
    bins = live.bins
    if not isinstance(bins, NumericBins) or bins.low < 0.0 or bins.high > 1.0:
        low, high = (bins.low, bins.high) if isinstance(bins, NumericBins) else (np.nan, np.nan)
        raise SignalError(
            f"the score is no probability: the reference saw values from {low:g} to {high:g}. "
            "Use roc_auc or average_precision, which need only its order."
        )


@signal(of="binary", bounded=True)
def brier_score(live: BinaryOutcomes) -> float:
    """Mean of (p - y)²; within 2e-6 of scikit-learn's brier_score_loss."""
    sums = _sums(live)
    return float((sums[:, 2].sum() - 2 * sums[1, 1] + sums[1, 0]) / sums[:, 0].sum())


@signal(of="binary")
def log_loss(live: BinaryOutcomes) -> float:
    """Mean of -ln of the probability given to what happened; within 1e-6 of scikit-learn's."""
    sums = _sums(live)
    return float(sums[:, 3].sum() / sums[:, 0].sum())


@signal(of="binary")
def bias(live: BinaryOutcomes) -> float:
    """Mean score minus share of positives: above 0, the score promises too much."""
    sums = _sums(live)
    return float((sums[:, 1].sum() - sums[1, 0]) / sums[:, 0].sum())


@signal(of="binary")
def calibration_error(live: BinaryOutcomes) -> Distance:
    """Expected calibration error: mean over rows of |mean score - share of positives| in the row's bin.

    Naeini et al. 2015; the bins are the reference's. Chance alone makes it positive; ``noise`` says how much.
    """
    _must_be_probability(live)
    rows, positive = live.weighted[..., 0].sum(axis=1), live.positive
    scores = live.weighted[..., 1].sum(axis=1) / 2.0**20
    total = rows.sum()
    rate = np.divide(positive, rows, out=np.zeros_like(rows), where=rows > 0)
    spread = np.sqrt(2 / np.pi * rows * rate * (1 - rate)).sum() / np.sqrt(max(total, 1.0))
    return Distance(float(np.abs(scores - positive).sum() / total), float(spread), 2.0, live.n, np.inf)
