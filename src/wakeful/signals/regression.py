"""Quality of a regression, under scikit-learn's names.

Every row's error is summed in steps of a millionth of E, the largest error in training, and its label in
steps of a millionth of Y, the largest distance of a label from their mean. What is more than four times as
large is summed as if it were four times as large. Short of that, a mean of rounded values is off by at
most half a step, s = 2^-21, about 5e-7; the docstrings say what follows for each signal.
"""

from __future__ import annotations

from wakeful.arithmetic import sqrt
from wakeful.evidence import Average
from wakeful.signals.signal import signal
from wakeful.views import NumberOutcomes

__all__ = ["bias", "mean_absolute_error", "r2", "root_mean_squared_error"]


@signal(of="regression")
def mean_absolute_error(live: NumberOutcomes) -> Average:
    """Mean of |prediction - label|, in the label's unit; right to s E."""
    n, _, absolute, square, *_ = live.sums
    mean = absolute / n
    return Average(mean, square / n - mean**2, n)


@signal(of="regression")
def root_mean_squared_error(live: NumberOutcomes) -> Average:
    """Root of the mean of (prediction - label)², in the label's unit; right to s E² / its value.

    Its variance is that of the delta method.
    """
    n, _, _, square, fourth, *_ = live.sums
    mean = square / n
    return Average(sqrt(mean), (fourth / n - mean**2) / (4 * mean) if mean > 0 else 0.0, n)


@signal(of="regression")
def bias(live: NumberOutcomes) -> Average:
    """Mean of prediction - label: above 0, predictions are too high; right to s E."""
    n, error, _, square, *_ = live.sums
    mean = error / n
    return Average(mean, square / n - mean**2, n)


@signal(of="regression")
def r2(live: NumberOutcomes) -> Average:
    """Coefficient of determination: 1 - mean squared error / variance of the label.

    Right to s (E² + (1 - r2) (1 + 2 d) Y²) / variance, where the labels' mean is d Y away from that in
    training. Its own variance is that of the delta method.
    """
    n, _, _, square, fourth, label, label2, label4, mixed = live.sums
    spread = label2 / n - (label / n) ** 2
    left = square / n / spread
    variance = (fourth - 2 * left * mixed + left**2 * label4) / n / spread**2
    return Average(1 - left, variance, n)
