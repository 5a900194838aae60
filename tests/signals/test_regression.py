"""Regression on counts against scikit-learn on rows, to the digits that the docstrings state."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import wakeful

Value = Callable[..., float]
STEP = 2.0**-21  # half of the fixed-point unit, 2^-20: how far one summand is off at most


def rows(n: int, seed: int, noise: float = 1.0, scale: float = 1.0) -> tuple[Any, Any]:
    """Labels and predictions."""
    rng = np.random.default_rng(seed)
    label = scale * (100 + 20 * rng.normal(size=n))
    return label, label + scale * noise * (5 * rng.standard_t(5, size=n) + 1)


@cache
def reference(scale: float) -> wakeful.Reference:
    label, predicted = rows(4000, 1, scale=scale)
    data = {"price": label, "predicted": predicted, "city": np.random.default_rng(2).choice(["a", "b"], 4000).tolist()}
    return wakeful.learn(data, score="predicted", label="price", task="regression", segments=["city"])


SCALES = (1e-6, 1.0, 1e6)
cases = given(
    n=st.sampled_from([2, 10, 300, 5000]),
    seed=st.integers(0, 10**6),
    noise=st.sampled_from([0.0, 0.001, 0.5, 1.0, 2.0]),
    scale=st.sampled_from(SCALES),
)


@cases
@settings(max_examples=120)
def test_metrics_are_scikit_learn_s_to_the_stated_digits(n: int, seed: int, noise: float, scale: float, value: Value):
    label, predicted = rows(n, seed, noise, scale)
    layout = reference(scale).layout
    e, y = layout.error_scale, layout.label_scale
    reach = np.abs(predicted - label).max() / e, np.abs(label - layout.label_center).max() / y
    if max(reach) > 4:
        return  # farther than what is summed in full; that is another story
    data = {"price": label, "predicted": predicted}
    squared = metrics.mean_squared_error(label, predicted)
    slack = 1e-9
    error = value(reference(scale), data, "mean_absolute_error") - metrics.mean_absolute_error(label, predicted)
    assert abs(error) <= e * (STEP + slack)
    assert abs(value(reference(scale), data, "bias") - (predicted - label).mean()) <= e * (STEP + slack)
    root = value(reference(scale), data, "root_mean_squared_error")
    assert abs(root**2 - squared) <= e**2 * (STEP + slack)
    assert abs(root - math.sqrt(squared)) <= e**2 * (STEP + slack) / max(math.sqrt(squared), 1e-300)
    r2 = metrics.r2_score(label, predicted)
    away = abs(label.mean() - layout.label_center) / y
    variance = label.var() - (1 + 2 * away + STEP) * STEP * y**2
    if variance > 0:
        bound = STEP * (e**2 + (1 - r2) * (1 + 2 * away + STEP) * y**2) / variance
        assert abs(value(reference(scale), data, "r2") - r2) <= bound + 1e-9


@pytest.mark.parametrize("scale", SCALES)
def test_usual_traffic_is_right_to_a_millionth(scale: float, value: Value):
    label, predicted = rows(5000, 9, scale=scale)
    data = {"price": label, "predicted": predicted}
    for name, exact in (
        ("mean_absolute_error", metrics.mean_absolute_error),
        ("root_mean_squared_error", metrics.root_mean_squared_error),
        ("r2", metrics.r2_score),
    ):
        assert value(reference(scale), data, name) == pytest.approx(exact(label, predicted), rel=1e-5), name


def test_rows_without_label_or_prediction_say_nothing_of_quality(value: Value):
    label, predicted = rows(500, 3)
    shown, answered = label.copy(), predicted.copy()
    shown[::5], answered[1::5] = np.nan, np.nan
    answered[2::50], shown[3::50] = np.inf, -np.inf
    known = np.isfinite(shown) & np.isfinite(answered)
    exact = metrics.mean_absolute_error(label[known], predicted[known])
    found = value(reference(1.0), {"price": shown, "predicted": answered}, "mean_absolute_error")
    assert found == pytest.approx(exact, rel=1e-5)


def test_segments_are_judged_by_their_own_rows(value: Value):
    label, predicted = rows(900, 4)
    a = np.arange(900) % 3 == 0
    data = {"price": label, "predicted": predicted, "city": np.where(a, "a", "b").tolist()}
    for name, chosen in (("a", a), ("b", ~a)):
        exact = metrics.r2_score(label[chosen], predicted[chosen])
        assert value(reference(1.0), data, "r2", part=("city", name)) == pytest.approx(exact, rel=1e-5)


def test_an_error_beyond_four_times_the_largest_known_counts_as_if_it_were_there(value: Value):
    limit = 4 * reference(1.0).layout.error_scale
    data = {"price": [100.0] * 10, "predicted": [100.0] * 9 + [1e12]}
    assert value(reference(1.0), data, "mean_absolute_error") == pytest.approx(limit / 10)
    assert value(reference(1.0), data, "bias") == pytest.approx(limit / 10)


def test_predictions_that_are_too_high_have_a_bias_above_zero(value: Value):
    label, _ = rows(100, 5)
    assert value(reference(1.0), {"price": label, "predicted": label + 3}, "bias") == pytest.approx(3, abs=1e-4)
    assert value(reference(1.0), {"price": label, "predicted": label - 3}, "bias") == pytest.approx(-3, abs=1e-4)
    assert value(reference(1.0), {"price": label, "predicted": label}, "r2") == pytest.approx(1)


def test_intervals_hold_the_truth_as_often_as_they_say(estimate: Callable[..., Any]):
    """alpha = 0.05 on each side: of 400 windows about 20 miss on a side, and not more than 4 sigma more."""
    label, _ = rows(400_000, 6)
    predicted = label + np.random.default_rng(7).normal(1, 5, 400_000)
    exact = {
        "mean_absolute_error": metrics.mean_absolute_error(label, predicted),
        "root_mean_squared_error": metrics.root_mean_squared_error(label, predicted),
        "bias": (predicted - label).mean(),
        "r2": metrics.r2_score(label, predicted),
    }
    windows = np.arange(400_000).reshape(400, 1000)
    monitor = wakeful.Monitor(reference(1.0))
    missed = {name: [0, 0] for name in exact}
    for window in windows:
        counts = monitor.count({"price": label[window], "predicted": predicted[window]})
        for name, truth in exact.items():
            found = estimate(reference(1.0), counts, name, alpha=0.05)
            missed[name][0] += truth < found.low
            missed[name][1] += truth > found.high
    for name, sides in missed.items():
        assert max(sides) < 20 + 4 * math.sqrt(20), (name, sides)


@pytest.mark.parametrize("name", ["mean_absolute_error", "root_mean_squared_error", "bias", "r2"])
def test_without_labels_there_is_no_error(name: str, value: Value):
    assert math.isnan(value(reference(1.0), {"price": [None] * 3, "predicted": [1.0] * 3}, name))


def test_a_model_without_a_label_has_no_quality(value: Value):
    blind = wakeful.learn({"predicted": rows(100, 8)[0]}, score="predicted", task="regression")
    with pytest.raises(wakeful.SignalError, match="without a label"):
        value(blind, None, "r2")
