"""The error of a regression before outcomes are known: from how far predictions of one bin were off."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import wakeful
from wakeful import signals
from wakeful.evidence import Estimate
from wakeful.views import outcomes

Ask = Callable[..., Estimate]
ERRORS = ("mean_absolute_error", "root_mean_squared_error")


def flats(n: int, seed: int, center: float = 100.0, drift: float = 1.0) -> pd.DataFrame:
    """Predicted and true rents; dear flats are harder to tell."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(center, 20, n)
    off = drift * rng.normal(0, np.maximum(1.0, (predicted - 50) / 6))
    return pd.DataFrame({"predicted": predicted, "rent": predicted + off, "city": rng.choice(["Bonn", "Kiel"], n)})


@cache
def reference(n: int = 20_000) -> wakeful.Reference:
    return wakeful.learn(flats(n, 1), score="predicted", label="rent", task="regression", segments=("city",))


def realised(rows: pd.DataFrame, error: str) -> float:
    found = getattr(metrics, error.replace("root_mean", "mean"))(rows.rent, rows.predicted)
    return float(math.sqrt(found) if error.startswith("root") else found)


# ---------------------------------------------------------------- stories


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("center", [85.0, 100.0, 120.0])
def test_what_is_expected_of_other_flats_is_what_outcomes_show_later(error: str, center: float, estimate: Ask):
    live = flats(10_000, 2, center)
    found = estimate(reference(), live.drop(columns="rent"), f"expected_{error}", alpha=1e-4)
    assert found.low < realised(live, error) < found.high
    assert found.value == pytest.approx(realised(live, error), rel=0.03)
    assert found.n == 10_000


def test_dearer_flats_are_known_to_be_harder_before_any_outcome(estimate: Ask):
    usual = estimate(reference(), None, "expected_mean_absolute_error", alpha=1e-4)
    dear = estimate(
        reference(), flats(2_000, 3, 120.0).drop(columns="rent"), "expected_mean_absolute_error", alpha=1e-4
    )
    assert dear.low > 1.2 * usual.value


@pytest.mark.parametrize("error", ERRORS)
def test_it_is_blind_to_concept_drift(error: str, estimate: Ask):
    live, drifted = flats(10_000, 4), flats(10_000, 4, drift=2.0)
    found = estimate(reference(), drifted, f"expected_{error}", alpha=1e-4)
    assert found == estimate(reference(), live, f"expected_{error}", alpha=1e-4)
    assert realised(drifted, error) > found.high


def test_in_a_check_of_all_traffic_and_of_segments():
    monitor = wakeful.Monitor(reference())

    @monitor.check(window="1d")
    def flats_are_easy(live):  # type: ignore[no-untyped-def]
        assert live.expected_mean_absolute_error() <= 1.2 * live.reference.expected_mean_absolute_error()
        assert live.by("city").expected_root_mean_squared_error() <= 7

    found = [one for one in monitor.test(flats(4_000, 5).drop(columns="rent")).verdicts if one.judgement.n > 0]
    assert {(str(one.judgement.part), one.verdict) for one in found} == {
        ("", "pass"), ("city=Bonn", "fail"), ("city=Kiel", "fail")
    }  # fmt: skip


def test_a_holdout_has_nothing_to_add_and_a_classifier_no_error():
    rows = flats(500, 6).assign(held=False)
    held = wakeful.learn(rows, score="predicted", label="rent", task="regression", holdout="held")
    with pytest.raises(wakeful.SignalError, match=r"needs no outcomes.*ask live\.expected_mean_absolute_error\(\)"):
        wakeful.Monitor(held).on(rows).holdout.expected_mean_absolute_error()
    classes = {"predicted": ["a", "b"] * 50, "true": ["a", "b"] * 50}
    several = wakeful.Monitor(wakeful.learn(classes, score="predicted", label="true", task="multiclass"))
    with pytest.raises(wakeful.SignalError, match="signal of regression models, this one is multiclass"):
        several.on(classes).expected_mean_absolute_error()


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("error", ERRORS)
def test_of_the_reference_s_own_rows_its_own_error_is_expected(error: str, value: Callable[..., float]):
    assert value(reference(), None, f"expected_{error}") == pytest.approx(value(reference(), None, error), rel=1e-9)


def test_it_is_the_reference_s_mean_error_at_every_prediction(value: Callable[..., float]):
    rng = np.random.default_rng(7)
    trained = pd.DataFrame({"predicted": rng.integers(1, 11, 3_000) * 10.0})
    trained["rent"] = trained.predicted + rng.normal(0, trained.predicted / 10)
    live = pd.DataFrame({"predicted": rng.binomial(9, 0.4, 500) * 10.0 + 10})
    off = (trained.predicted - trained.rent).abs()
    absolute, squared = (one.groupby(trained.predicted).mean()[live.predicted].mean() for one in (off, off**2))
    learnt = wakeful.learn(trained, score="predicted", label="rent", task="regression")
    assert value(learnt, live, "expected_mean_absolute_error") == pytest.approx(absolute, rel=1e-5)
    assert value(learnt, live, "expected_root_mean_squared_error") == pytest.approx(math.sqrt(squared), rel=1e-5)


def test_predictions_beyond_those_of_the_reference_widen_the_interval(estimate: Ask):
    live = flats(2_000, 8)
    beyond = live.assign(predicted=live.predicted.where(live.index % 5 > 0, 400.0))
    found, usual = (estimate(reference(), rows, "expected_mean_absolute_error") for rows in (beyond, live))
    assert found.high - found.low > 3 * (usual.high - usual.low)


@pytest.mark.parametrize("error", ERRORS)
def test_no_rows_no_expectation(error: str, estimate: Ask):
    for live in (flats(0, 9), flats(50, 9).assign(predicted=np.nan)):
        found = estimate(reference(), live, f"expected_{error}")
        assert (math.isnan(found.value), found.low, found.high) == (True, -math.inf, math.inf)


# ---------------------------------------------------------------- the promise of the interval

TRIALS = 100
ALPHA = 0.025


@pytest.mark.parametrize("n", [200, 1_000, 10_000])
def test_outcomes_show_what_was_expected_within_the_interval(n: int):
    missed: dict[str, list[Any]] = {error: [] for error in ERRORS}
    trials = TRIALS if n < 10_000 else TRIALS // 2
    for seed in range(trials):
        trained = wakeful.learn(flats(1_000, 1_000 + seed), score="predicted", label="rent", task="regression")
        rows = flats(n, 5_000 + seed, 105.0)
        live, known = outcomes(wakeful.Monitor(trained).count(rows)), outcomes(trained.counts)
        for error, misses in missed.items():
            found = signals.find(f"expected_{error}", "regression").estimate(live, known, {}, ALPHA)
            misses.append((found.low > realised(rows, error), found.high < realised(rows, error)))
    for error, misses in missed.items():
        rate = 2 * ALPHA  # means of skewed values err on one side, see Average
        assert np.mean(misses, axis=0).max() <= rate + 4 * math.sqrt(rate * (1 - rate) / trials), error
