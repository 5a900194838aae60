"""Quality of a regression, under scikit-learn's names.

Errors and labels are summed to a millionth of the largest seen in training, and at most four times as far:
every mean is right to that unit unless errors grow beyond.
"""

from __future__ import annotations

import numpy as np

from wakeful.evidence import Average
from wakeful.signals.signal import signal
from wakeful.views import NumberOutcomes

__all__ = ["bias", "mean_absolute_error", "r2", "root_mean_squared_error"]


@signal(of="regression")
def mean_absolute_error(live: NumberOutcomes) -> Average:
    """Mean of |prediction - label|, in the label's unit."""
    n, _, absolute, square, *_ = live.sums
    mean = absolute / n
    return Average(mean, square / n - mean**2, n)


@signal(of="regression")
def root_mean_squared_error(live: NumberOutcomes) -> Average:
    """Root of the mean of (prediction - label)², in the label's unit; its variance by the delta method."""
    n, _, _, square, fourth, *_ = live.sums
    mean = square / n
    return Average(float(np.sqrt(mean)), (fourth / n - mean**2) / (4 * mean) if mean > 0 else 0.0, n)


@signal(of="regression")
def bias(live: NumberOutcomes) -> Average:
    """Mean of prediction - label: above 0, predictions are too high."""
    n, error, _, square, *_ = live.sums
    mean = error / n
    return Average(mean, square / n - mean**2, n)


@signal(of="regression")
def r2(live: NumberOutcomes) -> Average:
    """Coefficient of determination: 1 - mean squared error / variance of the label; delta method."""
    n, _, _, square, fourth, label, label2, label4, mixed = live.sums
    spread = label2 / n - (label / n) ** 2
    left = square / n / spread
    variance = (fourth - 2 * left * mixed + left**2 * label4) / n / spread**2
    return Average(1 - left, variance, n)
