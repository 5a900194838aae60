"""Signals as objects: looked up by name, told apart by what they are asked of, and written by users."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful import signals
from wakeful.signals import Signal, find, names

Estimate = Callable[..., Any]


@cache
def reference() -> wakeful.Reference:
    rng = np.random.default_rng(0)
    n = 3000
    score = rng.random(n)
    data = {
        "at": np.datetime64("2024-01-01T00:00:00") + rng.integers(0, 60 * 86_400, n) * np.timedelta64(1, "s"),
        "income": rng.lognormal(10, 1, n),
        "grade": rng.choice(["A", "B"], n).tolist(),
        "score": score,
        "label": (rng.random(n) < score).astype(int),
    }
    return wakeful.learn(data, score="score", label="label", threshold=0.5)


@wakeful.signal
def evening(live: Any) -> float:
    """Share of applications that come from six in the evening on."""
    return live.values[18:24].sum() / live.n


@wakeful.signal
def moved(live: Any, reference: Any, power: float = 1.0) -> float:
    """Sum of |p - q| to a power."""
    return float((np.abs(live.share - reference.share) ** power).sum())


@wakeful.signal(of="binary", bounded=True)
def balanced_accuracy(live: Any) -> float:
    """Mean of recall and specificity."""
    (tn, fn), (fp, tp) = live.matrix
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


@wakeful.signal(kinds=("numeric",))
def rich(live: Any, above: float) -> wakeful.Share:
    """Share of rows in bins above a border."""
    return wakeful.Share(live.values[1:][live.numeric.edges >= above].sum(), live.n)


def live_rows(n: int = 2000, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    return {
        "at": np.datetime64("2024-06-01T00:00:00") + rng.integers(0, 86_400, n) * np.timedelta64(1, "s"),
        "income": rng.lognormal(10, 1, n),
        "grade": rng.choice(["A", "B"], n).tolist(),
        "score": score,
        "label": (rng.random(n) < score).astype(int),
    }


# ---------------------------------------------------------------- a user's own


def test_a_signal_of_one_s_own_is_a_numpy_function_on_counts(estimate: Estimate):
    data = live_rows()
    hours = data["at"].astype("datetime64[h]").astype(int) % 24
    found = estimate(reference(), data, evening, "at.hour")
    assert found.value == pytest.approx((hours >= 18).mean())
    assert found.n == 2000


def test_its_interval_comes_from_the_delta_method(estimate: Estimate):
    """Of a share, the standard error is known: sqrt(p (1 - p) / n)."""
    found = estimate(reference(), live_rows(5000), evening, "at.hour", alpha=0.025)
    error = math.sqrt(found.value * (1 - found.value) / 5000)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.01)
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.01)


def test_its_interval_holds_the_truth_as_often_as_it_says(estimate: Estimate):
    """Balanced accuracy of windows of 500: each side misses 5%; 300 windows, and not more than 4 sigma more."""
    whole = live_rows(150_000, seed=5)
    truth = estimate(reference(), whole, balanced_accuracy).value
    missed = [0, 0]
    for at in range(300):
        window = {name: values[at * 500 : (at + 1) * 500] for name, values in whole.items()}
        found = estimate(reference(), window, balanced_accuracy, alpha=0.05)
        missed[0] += truth < found.low
        missed[1] += truth > found.high
    assert max(missed) <= 15 + 4 * math.sqrt(15 * 0.95)
    assert min(missed) >= 1  # an interval that never misses says too little


def test_it_may_compare_with_the_reference_and_take_arguments(value: Callable[..., float]):
    data = live_rows()
    assert value(reference(), data, moved, "income") == pytest.approx(value(reference(), data, "d1", "income"))
    squared = value(reference(), data, moved, "income", power=2.0)
    assert 0 < squared < value(reference(), data, moved, "income")


def test_it_may_return_evidence_of_its_own(estimate: Estimate):
    edge = reference().layout.bins["income"].edges[10]  # type: ignore[union-attr]
    data = live_rows()
    found = estimate(reference(), data, rich, "income", above=edge)
    assert found.value == pytest.approx((data["income"] >= edge).mean())
    assert 0 <= found.low < found.value < found.high <= 1


def test_it_may_judge_outcomes(value: Callable[..., float]):
    from sklearn.metrics import balanced_accuracy_score

    data = live_rows()
    exact = balanced_accuracy_score(data["label"], data["score"] >= 0.5)
    assert value(reference(), data, balanced_accuracy) == pytest.approx(exact)


def test_it_is_asserted_like_any_other():
    monitor = wakeful.Monitor(reference())
    live = monitor.on(live_rows())
    assert evening(live["at.hour"]) <= 0.5
    assert moved(live.features, power=2.0) <= 1.0
    assert balanced_accuracy(live) >= 0.5
    assert not balanced_accuracy(live) >= 0.99


def test_it_is_refused_where_it_is_not_defined():
    live = wakeful.Monitor(reference()).live
    with pytest.raises(wakeful.SignalError, match="numeric"):
        rich(live["grade"], above=1.0)
    with pytest.raises(wakeful.SignalError, match="signal of binary"):
        balanced_accuracy(live["income"])
    with pytest.raises(wakeful.SignalError, match="signal of column"):
        evening(live)
    with pytest.raises(wakeful.SignalError, match=r"evening\.formula"):
        evening([1, 2, 3])


def test_what_a_formula_does_not_take_is_refused(value: Callable[..., float]):
    with pytest.raises(wakeful.SignalError, match="moved"):
        value(reference(), None, moved, "income", strength=2)


def test_a_formula_that_divides_by_nothing_has_no_value(value: Callable[..., float]):
    assert math.isnan(value(reference(), {"score": []}, evening, "at.hour"))


def test_of_counts_a_formula_can_be_called_as_it_is():
    from wakeful.views import column_counts

    counts = column_counts(reference().counts, "at.hour")
    assert evening.formula(counts) == pytest.approx(0.25, abs=0.05)


# ---------------------------------------------------------------- names


def test_every_signal_of_the_issue_is_there_under_its_name():
    assert {
        "d1", "total_variation", "linf", "psi", "jensen_shannon", "ks", "wasserstein", "missing", "unseen",
        "invalid", "out_of_range", "spike", "vanished", "fault", "mean", "std", "quantile", "share",
    } <= set(names("column"))  # fmt: skip
    assert {
        "flagged_share", "precision", "recall", "f1", "accuracy", "specificity", "roc_auc", "average_precision",
        "brier_score", "log_loss", "calibration_error", "bias", "value",
    } <= set(names("binary"))  # fmt: skip
    assert {"accuracy", "confusion", "f1", "precision", "recall"} <= set(names("multiclass"))
    assert {"bias", "mean_absolute_error", "r2", "root_mean_squared_error"} <= set(names("regression"))
    assert names("rows") == ["duplicates", "traffic"]


def test_every_signal_says_what_it_means():
    for of in ("column", "binary", "multiclass", "regression", "rows"):
        for name in names(of):  # type: ignore[arg-type]
            assert (find(name, of).formula.__doc__ or "").strip(), name  # type: ignore[arg-type]


def test_a_name_means_what_fits_the_model():
    assert find("precision", "binary") is not find("precision", "multiclass")
    assert isinstance(find("bias", "regression"), Signal)
    assert find("bias", "regression") is not find("bias", "binary")


def test_a_misspelt_name_is_refused_with_near_misses():
    with pytest.raises(wakeful.UnknownName, match="Did you mean 'precision'"):
        find("precison", "binary", "rows")
    with pytest.raises(wakeful.UnknownName, match="Did you mean 'missing'"):
        find("mising", "column")


def test_a_name_asked_of_the_wrong_thing_says_whom_to_ask():
    with pytest.raises(wakeful.SignalError, match=r"live\.score\.d1\(\)"):
        find("d1", "binary", "rows")
    with pytest.raises(wakeful.SignalError, match=r"live\.precision\(\)"):
        find("precision", "column")
    with pytest.raises(wakeful.SignalError, match="this one is binary"):
        find("r2", "binary", "rows")


def test_the_package_offers_what_it_says():
    assert set(signals.__all__) >= {"Signal", "find", "names", "signal"}
