"""Error of a regression before any outcome is known: what its predictions lead to expect.

Predictions of one bin err as they did in the reference, so its mean error in every bin and the live predictions
give the error that the live outcomes will show: direct loss estimation (DLE), with the prediction as the only
thing that tells how large an error will be. Concept drift is invisible here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.bounds import student
from wakeful.evidence import NOTHING, Estimate
from wakeful.signals.expected import with_neighbours
from wakeful.signals.signal import signal
from wakeful.views import NumberOutcomes

__all__ = ["expected_mean_absolute_error", "expected_root_mean_squared_error"]

_ABSOLUTE, _SQUARE, _FOURTH = 2, 3, 4  # places among the sums of a bin


class ExpectedMean(NamedTuple):
    """A mean over outcomes, expected from those of other rows; Student's interval, as that of ``Average``.

    Attributes:
        value: the mean.
        variance: of a single live row around it.
        own: variance of the mean that the reference's rows lead to expect.
        n: live rows.
        m: labelled rows of the reference.
    """

    value: float
    variance: float
    own: float
    n: float
    m: float

    def estimate(self, alpha: float, rho: float = 0.0) -> Estimate:
        """The mean, and between which bounds the outcomes will show it."""
        if not (self.n > 0 and self.m > 0):
            return NOTHING
        error = math.sqrt(self.variance * (1 / self.n + rho) + self.own)
        reach = student(alpha, self.m - 1) * error if self.m > 2 else math.inf
        return Estimate(
            self.value, max(0.0, self.value - reach), self.value + reach, self.n, math.sqrt(2 / math.pi) * error
        )


def _expected(live: NumberOutcomes, reference: NumberOutcomes, mean: int, square: int) -> ExpectedMean:
    """Mean of what the reference sums at one place, and at another squared, over the live predictions."""
    rows, sums = live.predicted, reference.by_answer
    has = sums[:, 0] > 0
    n, m = float(rows.sum()), float(sums[:, 0].sum())
    if not (n > 0 and m > 0):
        return ExpectedMean(math.nan, 0.0, 0.0, 0.0, 0.0)
    known, at = sums[has], np.arange(len(rows))
    means, spreads = (
        np.interp(at, at[has], one) for one in (known[:, mean] / known[:, 0], _spread(known, mean, square))
    )
    value = float(rows @ means) / n
    own = float(rows[has] ** 2 @ (spreads[has] / known[:, 0])) + float(rows[~has] @ np.sqrt(spreads[~has])) ** 2
    return ExpectedMean(value, float(rows @ spreads) / n, own / n**2, n, m)


def _spread(sums: Floats, mean: int, square: int) -> Floats:
    """Variance of single rows in every bin, each together with its neighbours."""
    rows, first, second = (with_neighbours(sums[:, at]) for at in (0, mean, square))
    found: Floats = np.maximum(0.0, second / rows - (first / rows) ** 2) * rows / np.maximum(rows - 1.0, 1.0)
    return found


@signal(of="regression")
def expected_mean_absolute_error(live: NumberOutcomes, reference: NumberOutcomes) -> ExpectedMean:
    """Mean of |prediction - label| that predictions lead to expect; outcomes will show it within the interval.

    Blind to concept drift: predictions of one bin are taken to err as they did in the reference.
    """
    return _expected(live, reference, _ABSOLUTE, _SQUARE)


@signal(of="regression")
def expected_root_mean_squared_error(live: NumberOutcomes, reference: NumberOutcomes) -> ExpectedMean:
    """Root of the mean of (prediction - label)² that predictions lead to expect; as the expected absolute error.

    Its variance is that of the delta method.
    """
    squared = _expected(live, reference, _SQUARE, _FOURTH)
    scale = 1 / (4 * squared.value) if squared.value > 0 else 0.0
    root = math.sqrt(squared.value)
    return squared._replace(value=root, variance=squared.variance * scale, own=squared.own * scale)
