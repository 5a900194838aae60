"""Quality of a binary classifier, under scikit-learn's names.

Precision, recall and the other shares are exact. What needs the order of scores (roc_auc,
average_precision) treats the scores of one bin as ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wakeful.arithmetic import choose, number
from wakeful.bins import Floats, NumericBins
from wakeful.counts import SUM_UNIT
from wakeful.errors import SignalError
from wakeful.evidence import Combined, Distance, Evidence, Exact, Share
from wakeful.signals.signal import signal
from wakeful.strata import Strata
from wakeful.views import BinaryOutcomes

__all__ = [
    "accuracy",
    "average_precision",
    "bias",
    "brier_score",
    "calibration_error",
    "f1",
    "false_positive_rate",
    "log_loss",
    "precision",
    "recall",
    "roc_auc",
    "specificity",
    "value",
]

Mask: TypeAlias = NDArray[np.bool_]

# Masks over the matrix [[true negative, false negative], [false positive, true positive]].
TP, FP, FN, TN = (
    np.array(one, dtype=bool).reshape(2, 2) for one in ([0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0])
)


def _share(live: BinaryOutcomes, hits: Mask, rest: Mask) -> Share | Combined:
    """The share of hits among hits and rest: of plain rows, or where they weigh unequally, of their weights."""
    rows, asked = live.matrix, hits | rest
    if live.weighs_alike(np.asarray(asked.any(axis=1))):
        return Share(rows[hits].sum(), rows[asked].sum())

    def share(cases: Floats) -> float:
        whole = number(cases[asked].sum())
        return choose(whole > 0, lambda: number(cases[hits].sum() / whole), lambda: math.nan)

    return _of_cases(live, share, number(rows[asked].sum()))


def _of_cases(live: BinaryOutcomes, formula: Callable[[Floats], float], n: float) -> Combined:
    """A function of the shares of the four cases, shape (flagged, truth).

    They follow from the share of flagged rows and the share of positives of each decision, which are known
    from different rows, however unequally these weigh.
    """
    rows, decided = live.matrix, live.decided
    if live.strata is not None:
        return _of_groups(live.strata, formula, n)
    positives = (
        Share(positive, known) if asked > 0 or known > 0 else Exact(0.0, 0.0)
        for positive, known, asked in zip(rows[:, 1], rows.sum(axis=1), decided, strict=True)
    )

    def of_shares(flagged: float, *positive: float) -> float:
        truth = np.array(positive)
        return formula(np.array([[1 - flagged], [flagged]]) * np.stack([1 - truth, truth], axis=1))

    return Combined(of_shares, (Share(decided[1], decided.sum()), *positives), n)


def _of_groups(strata: tuple[Strata, Strata], formula: Callable[[Floats], float], n: float) -> Combined:
    """The same where rows of one decision are let through unlike, from the sizes and positives of their groups.

    The size of a group is its share of what the groups before it leave: such shares are independent.
    """
    groups = [group for side in strata for group in side.groups]
    is_flagged = np.repeat([False, True], [len(side.groups) for side in strata])
    left = np.cumsum([one.rows for one in groups][::-1])[::-1]
    sizes = [Share(one.rows, whole) for one, whole in zip(groups[:-1], left, strict=False)]
    positives = [Share(one.share * one.n, one.n) if one.rows else Exact(0.0, 0.0) for one in groups]

    def of_shares(*shares: float) -> float:
        part, truth = np.array([*shares[: len(sizes)], 1.0]), np.array(shares[len(sizes) :])
        rows = part * np.cumprod([1.0, *(1 - part[:-1])])
        cases = rows[:, None] * np.stack([1 - truth, truth], axis=1)
        return formula(np.stack([cases[~is_flagged].sum(axis=0), cases[is_flagged].sum(axis=0)]))

    return Combined(of_shares, (*sizes, *positives), n)


@signal(of="binary")
def precision(live: BinaryOutcomes) -> Evidence:
    """Share of flagged rows whose outcome is positive: TP / (TP + FP)."""
    return _share(live, TP, FP)


@signal(of="binary")
def recall(live: BinaryOutcomes) -> Evidence:
    """Share of positive outcomes that were flagged: TP / (TP + FN); rows weigh what their decision hides."""
    return _share(live, TP, FN)


@signal(of="binary")
def specificity(live: BinaryOutcomes) -> Evidence:
    """Share of negative outcomes that were not flagged: TN / (TN + FP)."""
    return _share(live, TN, FP)


@signal(of="binary")
def false_positive_rate(live: BinaryOutcomes) -> Evidence:
    """Share of negative outcomes that were flagged: FP / (FP + TN), as in scikit-learn's roc_curve."""
    return _share(live, FP, TN)


@signal(of="binary")
def accuracy(live: BinaryOutcomes) -> Evidence:
    """Share of rows whose decision fits the outcome."""
    return _share(live, TP | TN, FP | FN)


@signal(of="binary")
def f1(live: BinaryOutcomes) -> Evidence:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    It is 2 J / (1 + J), where J is the share of TP among TP, FP and FN, and so are its bounds.
    """
    return Combined(lambda share: 2 * share / (1 + share), (_share(live, TP, FP | FN),), live.n)


@signal(of="binary")
def value(
    live: BinaryOutcomes,
    true_positive: float = 0.0,
    false_positive: float = 0.0,
    true_negative: float = 0.0,
    false_negative: float = 0.0,
) -> Evidence:
    """Mean worth of an answer, in the money that the four cases are given in."""
    worth = np.array([[true_negative, false_negative], [false_positive, true_positive]], dtype=float)
    return _of_cases(live, lambda cases: number((cases * worth).sum()), live.n)


@signal(of="binary", bounded=True)
def roc_auc(live: BinaryOutcomes) -> Share | float:
    """Probability that a positive scores above a negative, ties counting half.

    Off scikit-learn's value by at most half the share of positive-negative pairs whose scores share a bin.
    """
    negative, positive = live.negative, live.positive
    below = np.cumsum(negative) - negative / 2
    return _ranked(live, float((positive * below).sum() / (positive.sum() * negative.sum())))


def _ranked(live: BinaryOutcomes, found: float) -> Share | float:
    """A ranking without any error has none to tell its own from: it is known by the fewer of its classes."""
    fewer = float(live.labelled[..., 0].sum(axis=(0, 1)).min())
    return Share(fewer * found, fewer) if found in (0.0, 1.0) else found


@signal(of="binary", bounded=True)
def average_precision(live: BinaryOutcomes) -> Share | float:
    """Area under the precision-recall curve as a sum of steps, one per bin.

    Off scikit-learn's value by at most the mean, over positives, of the largest difference between the
    precision at a score in the positive's bin and that at the bin's lower border.
    """
    negative, positive = live.negative[::-1], live.positive[::-1]
    hits, flagged = np.cumsum(positive), np.cumsum(positive + negative)
    return _ranked(live, float((positive * hits / np.maximum(flagged, 1e-300)).sum() / positive.sum()))


def _sums(live: BinaryOutcomes) -> Floats:
    """Weighted rows and sums of p, p², log loss by truth, shape (truth, 4), for scores in [0, 1]."""
    _must_be_probability(live)
    found: Floats = live.weighted.sum(axis=0) / np.array([1.0, *3 * [SUM_UNIT]])
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
    """Mean of -ln of the probability given to what happened; within 1e-6 of scikit-learn's on float64 scores."""
    sums = _sums(live)
    return float(sums[:, 3].sum() / sums[:, 0].sum())


@signal(of="binary")
def bias(live: BinaryOutcomes) -> float:
    """Mean score minus share of positives, to 1e-6: above 0, the score promises too much."""
    sums = _sums(live)
    return float((sums[:, 1].sum() - sums[1, 0]) / sums[:, 0].sum())


@signal(of="binary")
def calibration_error(live: BinaryOutcomes) -> Distance:
    """Expected calibration error: mean over rows of |mean score - share of positives| in the row's bin.

    Naeini et al. 2015; the bins are the reference's. Chance alone makes it positive; ``noise`` says how much.
    Where rows weigh unequally, n is the number of equal ones that say as much (Kish 1965).
    """
    _must_be_probability(live)
    rows, positive = live.weighted[..., 0].sum(axis=1), live.positive
    scores = live.weighted[..., 1].sum(axis=1) / SUM_UNIT
    squares = (live.labelled[..., 0].sum(axis=2) * live.weights**2).sum(axis=0)
    total, n = rows.sum(), rows.sum() ** 2 / max(squares.sum(), 1.0)
    rate = np.divide(positive, rows, out=np.zeros_like(rows), where=rows > 0)
    spread = np.sqrt(2 / np.pi * squares * rate * (1 - rate)).sum() / total * np.sqrt(n)
    return Distance(float(np.abs(scores - positive).sum() / total), float(spread), 2.0, float(n), np.inf)
