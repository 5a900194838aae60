"""Binary quality on counts against scikit-learn on rows, and against hand-made sums where labels are hidden."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import wakeful
from wakeful.bins import NumericBins

Value = Callable[..., float]
THRESHOLD = 0.4


def rows(n: int, seed: int, shape: str = "usual") -> tuple[Any, Any]:
    """Scores and labels."""
    rng = np.random.default_rng(seed)
    score = {
        "usual": lambda: rng.beta(2, 3, n),
        "coarse": lambda: rng.integers(0, 11, n) / 10,
        "extreme": lambda: rng.choice([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9], n),
        "narrow": lambda: 0.39 + 0.02 * rng.random(n),
        "high": lambda: rng.beta(8, 1, n),
    }[shape]()
    truth = {"usual": score, "high": score**3}.get(shape, 0.2 + 0.6 * score)
    return score, (rng.random(n) < truth).astype(int)


SHAPES = ("usual", "coarse", "extreme", "narrow", "high")


@cache
def reference(**roles: Any) -> wakeful.Reference:
    score, label = rows(4000, 1)
    rng = np.random.default_rng(2)
    data = {"score": score, "label": label, "platform": rng.choice(["web", "app"], 4000).tolist()}
    roles = {"label": "label", "threshold": THRESHOLD, "holdout": "held", "segments": ("platform",)} | roles
    if "decision" in roles:
        data["flagged"] = (score + rng.normal(0, 0.05, 4000)) >= THRESHOLD
    return wakeful.learn(data, score="score", **roles)


def score_bins() -> NumericBins:
    bins = reference().layout.bins["score"]
    assert isinstance(bins, NumericBins)
    return bins


cases = given(n=st.sampled_from([20, 100, 1000, 5000]), seed=st.integers(0, 10**6), shape=st.sampled_from(SHAPES))


def both_classes(label: Any) -> Any:
    """Metrics of ranks need a positive and a negative."""
    label[:2] = [0, 1]
    return label


# ---------------------------------------------------------------- exact


@cases
@settings(max_examples=80)
def test_shares_are_scikit_learn_s(n: int, seed: int, shape: str, value: Value):
    score, label = rows(n, seed, shape)
    flagged = score >= THRESHOLD
    data = {"score": score, "label": label}
    expected = {
        "precision": metrics.precision_score(label, flagged, zero_division=np.nan),
        "recall": metrics.recall_score(label, flagged, zero_division=np.nan),
        "specificity": metrics.recall_score(label, flagged, pos_label=0, zero_division=np.nan),
        "false_positive_rate": 1 - metrics.recall_score(label, flagged, pos_label=0, zero_division=np.nan),
        "accuracy": metrics.accuracy_score(label, flagged),
        "f1": metrics.f1_score(label, flagged, zero_division=np.nan),
        "flagged_share": flagged.mean(),
    }
    for name, exact in expected.items():
        assert value(reference(), data, name) == pytest.approx(exact, abs=1e-12, nan_ok=True), name


@cases
@settings(max_examples=40)
def test_a_decision_column_overrules_the_threshold(n: int, seed: int, shape: str, value: Value):
    score, label = rows(n, seed, shape)
    flagged = np.random.default_rng(seed).random(n) < 0.5
    data = {"score": score, "label": label, "flagged": flagged}
    for kind in (flagged, flagged.astype(int), flagged.astype(float)):
        found = value(reference(decision="flagged"), data | {"flagged": kind}, "precision")
        assert found == pytest.approx(metrics.precision_score(label, flagged, zero_division=np.nan), nan_ok=True)
    assert value(reference(), data, "flagged_share") == pytest.approx((score >= THRESHOLD).mean())


def test_a_row_at_the_threshold_is_flagged(value: Value):
    data = {"score": [THRESHOLD, np.nextafter(THRESHOLD, 0), 0.9, 0.1], "label": [1, 1, 0, 0]}
    assert value(reference(), data, "flagged_share") == 0.5
    assert value(reference(), data, "recall") == 0.5


def test_segments_are_judged_by_their_own_rows(value: Value):
    score, label = rows(3000, 5)
    web = np.random.default_rng(6).random(3000) < 0.3
    data = {"score": score, "label": label, "platform": np.where(web, "web", "app").tolist()}
    for name, chosen in (("web", web), ("app", ~web)):
        exact = metrics.precision_score(label[chosen], score[chosen] >= THRESHOLD)
        assert value(reference(), data, "precision", part=("platform", name)) == pytest.approx(exact)
        bound = half_the_pairs_inside_one_bin(score[chosen], label[chosen])
        auc = value(reference(), data, "roc_auc", part=("platform", name))
        assert auc == pytest.approx(metrics.roc_auc_score(label[chosen], score[chosen]), abs=bound)


def test_money_is_the_mean_worth_of_the_four_cases(value: Value):
    score, label = rows(2000, 7)
    (tn, fp), (fn, tp) = metrics.confusion_matrix(label, score >= THRESHOLD)
    worth = {"true_positive": 12.5, "false_positive": -100.0, "true_negative": 3.0, "false_negative": -7.0}
    exact = (12.5 * tp - 100 * fp + 3 * tn - 7 * fn) / 2000
    assert value(reference(), {"score": score, "label": label}, "value", **worth) == pytest.approx(exact)
    assert value(reference(), {"score": score, "label": label}, "value", false_positive=1.0) == pytest.approx(fp / 2000)


# ---------------------------------------------------------------- within the stated bound


def half_the_pairs_inside_one_bin(score: Any, label: Any) -> float:
    cells = score_bins().cells(score)
    positive, negative = (np.bincount(cells[label == one], minlength=score_bins().size + 2) for one in (1, 0))
    return float((positive * negative).sum() / (positive.sum() * negative.sum()) / 2)


@cases
@settings(max_examples=80)
def test_roc_auc_is_off_by_half_the_pairs_inside_one_bin_at_most(n: int, seed: int, shape: str, value: Value):
    score, label = rows(n, seed, shape)
    both_classes(label)
    found = value(reference(), {"score": score, "label": label}, "roc_auc")
    exact = metrics.roc_auc_score(label, score)
    assert abs(found - exact) <= half_the_pairs_inside_one_bin(score, label) + 1e-12


def test_roc_auc_is_exact_where_every_score_has_a_bin(value: Value):
    rng = np.random.default_rng(3)
    data = {"score": rng.integers(0, 11, 3000) / 10, "label": rng.integers(0, 2, 3000)}
    coarse = wakeful.learn(data, score="score", label="label", threshold=0.5)
    for seed in range(10):
        score, label = rows(400, seed, "coarse")
        live = {"score": score, "label": label}
        assert value(coarse, live, "roc_auc") == pytest.approx(metrics.roc_auc_score(label, score))
        assert value(coarse, live, "average_precision") == pytest.approx(metrics.average_precision_score(label, score))


@cases
@settings(max_examples=80)
def test_average_precision_is_off_by_how_much_precision_varies_inside_a_bin(
    n: int, seed: int, shape: str, value: Value
):
    """For every positive: precision at any score of its bin, less precision at the bin's lower border."""
    score, label = rows(n, seed, shape)
    both_classes(label)
    found = value(reference(), {"score": score, "label": label}, "average_precision")
    cells = score_bins().cells(score)
    thresholds = np.unique(score)
    at = {one: label[score >= one].mean() for one in thresholds}
    bound = 0.0
    for cell in np.unique(cells[label == 1]):
        border = label[cells >= cell].mean()
        most = max(abs(at[one] - border) for one in np.unique(score[cells == cell]))
        bound += most * np.sum(label[cells == cell])
    assert abs(found - metrics.average_precision_score(label, score)) <= bound / label.sum() + 1e-12


@cases
@settings(max_examples=80)
def test_probabilities_are_judged_to_their_stated_digits(n: int, seed: int, shape: str, value: Value):
    score, label = rows(n, seed, shape)
    both_classes(label)
    data = {"score": score, "label": label}
    assert abs(value(reference(), data, "brier_score") - metrics.brier_score_loss(label, score)) <= 2e-6
    assert abs(value(reference(), data, "log_loss") - metrics.log_loss(label, score)) <= 1e-6
    assert abs(value(reference(), data, "bias") - (score - label).mean()) <= 1e-6


@cases
@settings(max_examples=40)
def test_calibration_error_is_that_of_the_reference_s_bins(n: int, seed: int, shape: str, value: Value):
    score, label = rows(n, seed, shape)
    cells = score_bins().cells(score)
    exact = sum(abs((score - label)[cells == cell].sum()) for cell in np.unique(cells)) / n
    assert abs(value(reference(), {"score": score, "label": label}, "calibration_error") - exact) <= 1e-6


def test_the_bounds_are_no_wider_than_they_need_be(value: Value):
    """A bin full of positives above its negatives is the worst case of roc_auc: the bound is reached."""
    bins = score_bins()
    widest = int(np.argmax(np.diff(bins.edges)))
    low, high = bins.edges[widest], bins.edges[widest + 1]
    score = np.concatenate([np.linspace(low, (low + high) / 2, 50), np.linspace((low + high) / 2, high, 51)[1:-1]])
    label = np.repeat([0, 1], [50, 49])
    found = value(reference(), {"score": score, "label": label}, "roc_auc")
    assert found == 0.5
    assert metrics.roc_auc_score(label, score) == 1.0
    assert half_the_pairs_inside_one_bin(score, label) == 0.5


# ---------------------------------------------------------------- labels that are hidden


def test_rows_without_a_label_are_stood_for_by_those_of_the_same_decision(value: Value):
    """Flagged: 10 rows, 4 labelled, 3 positive. Others: 20 rows, 5 labelled, 1 positive."""
    score = [0.9] * 10 + [0.1] * 20
    label = [1, 1, 1, 0] + [None] * 6 + [1, 0, 0, 0, 0] + [None] * 15
    data = {"score": score, "label": label}
    tp, fp, fn, tn = 10 * 3 / 4, 10 * 1 / 4, 20 * 1 / 5, 20 * 4 / 5
    assert value(reference(), data, "precision") == pytest.approx(3 / 4)
    assert value(reference(), data, "recall") == pytest.approx(tp / (tp + fn))
    assert value(reference(), data, "specificity") == pytest.approx(tn / (tn + fp))
    assert value(reference(), data, "accuracy") == pytest.approx((tp + tn) / 30)
    assert value(reference(), data, "f1") == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert value(reference(), data, "flagged_share") == pytest.approx(1 / 3)
    assert value(reference(), data, "value", true_positive=1.0) == pytest.approx(tp / 30)
    assert value(reference(), data, "roc_auc") == pytest.approx(
        (tp * tn + (tp * fp + fn * tn) / 2) / ((tp + fn) * (fp + tn))
    )


def test_recall_on_the_holdout_weighs_held_out_rows_by_the_rows_that_they_stand_for(value: Value):
    """40 flagged, 8 held out at random and labelled, 6 of them positive; 60 unflagged, all labelled, 5 positive.

    Horvitz-Thompson: 6 x 40/8 = 30 true positives among the flagged, so recall is 30 / 35.
    """
    data = {
        "score": [0.8] * 40 + [0.2] * 60,
        "held": [True] * 8 + [False] * 92,
        "label": [1] * 6 + [0] * 2 + [None] * 32 + [1] * 5 + [0] * 55,
    }
    assert value(reference(), data, "recall", held_out=True) == pytest.approx(30 / 35)
    assert value(reference(), data, "precision", held_out=True) == pytest.approx(6 / 8)
    assert value(reference(), data, "specificity", held_out=True) == pytest.approx(55 / 65)
    assert value(reference(), data, "false_positive_rate", held_out=True) == pytest.approx(10 / 65)
    money = {"true_positive": 12.0, "false_positive": -100.0, "false_negative": -5.0}
    assert value(reference(), data, "value", held_out=True, **money) == pytest.approx((30 * 12 - 10 * 100 - 25) / 100)


def test_labels_of_flagged_rows_outside_the_holdout_are_left_alone_by_it(value: Value):
    """They are biased: an outcome of a flagged row that was not held out is known for a reason."""
    data = {
        "score": [0.8] * 40 + [0.2] * 60,
        "held": [True] * 8 + [False] * 92,
        "label": [1] * 6 + [0] * 2 + [0] * 20 + [None] * 12 + [1] * 5 + [0] * 55,
    }
    assert value(reference(), data, "precision", held_out=True) == pytest.approx(6 / 8)
    assert value(reference(), data, "recall", held_out=True) == pytest.approx(30 / 35)
    assert value(reference(), data, "precision") == pytest.approx(6 / 28)


def test_recall_on_a_random_holdout_finds_the_recall_that_all_labels_would_show(value: Value):
    """Simulated: unbiased to three standard errors of the mean."""
    score, label = rows(20_000, 11)
    flagged = score >= THRESHOLD
    exact = metrics.recall_score(label, flagged)
    found = []
    for seed in range(40):
        held = np.random.default_rng(seed).random(20_000) < 0.05
        shown = np.where(flagged & ~held, np.nan, label)
        found.append(value(reference(), {"score": score, "label": shown, "held": held}, "recall", held_out=True))
    assert abs(np.mean(found) - exact) < 3 * np.std(found) / math.sqrt(40)


def test_where_no_unflagged_row_has_a_label_precision_is_known_and_recall_is_not(value: Value):
    data = {"score": [0.9] * 4 + [0.1] * 6, "label": [1, 1, 1, 0] + [None] * 6}
    assert value(reference(), data, "precision") == 3 / 4
    for name in ("recall", "specificity", "accuracy", "f1"):
        assert math.isnan(value(reference(), data, name)), name


def test_labels_that_are_no_zero_and_no_one_are_no_outcomes(value: Value):
    data = {"score": [0.9, 0.9, 0.9, 0.1], "label": [1, 2, 0, 0]}
    assert value(reference(), data, "precision") == pytest.approx(1 / 2)
    assert value(reference(), data | {"label": [1, math.inf, 0, 0]}, "precision") == pytest.approx(1 / 2)


# ---------------------------------------------------------------- nothing to judge


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "roc_auc", "average_precision", "brier_score"])
def test_without_labels_there_is_no_quality(name: str, estimate: Callable[..., Any]):
    found = estimate(reference(), {"score": [0.3, 0.8], "label": [None, None]}, name)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_scores_that_are_no_numbers_are_no_part_of_quality(value: Value):
    data = {"score": [0.9, math.nan, math.inf, 0.9, 0.1], "label": [1, 0, 0, 0, 0]}
    assert value(reference(), data, "precision") == 0.5
    assert value(reference(), data, "brier_score") == pytest.approx((0.01 + 0.81 + 0.01) / 3, abs=2e-6)


@pytest.mark.parametrize("name", ["brier_score", "log_loss", "bias", "calibration_error"])
def test_a_score_that_is_no_probability_is_refused_where_one_is_needed(name: str, value: Value):
    score, label = rows(500, 12)
    margin = wakeful.learn({"score": 8 * score - 4, "label": label}, score="score", label="label", threshold=0.0)
    with pytest.raises(wakeful.SignalError, match=r"no probability: the reference saw values from -[34]"):
        value(margin, None, name)
    exact = metrics.roc_auc_score(label, score)
    assert value(margin, None, "roc_auc") == pytest.approx(exact, abs=0.03)


def test_a_model_without_threshold_and_decision_has_ranks_but_no_precision(value: Value):
    score, label = rows(500, 13)
    ranker = wakeful.learn({"score": score, "label": label}, score="score", label="label")
    for name in ("precision", "recall", "specificity", "accuracy", "flagged_share", "f1", "value"):
        with pytest.raises(wakeful.SignalError, match="no threshold and no decision"):
            value(ranker, None, name)
    assert value(ranker, None, "roc_auc") == pytest.approx(metrics.roc_auc_score(label, score), abs=0.03)
    assert value(ranker, None, "log_loss") == pytest.approx(metrics.log_loss(label, score), abs=1e-6)


def test_a_model_without_a_label_has_decisions_but_no_quality(value: Value):
    score, _ = rows(500, 14)
    blind = wakeful.learn({"score": score}, score="score", threshold=0.5)
    assert value(blind, None, "flagged_share") == pytest.approx((score >= 0.5).mean())
    for name in ("precision", "recall", "roc_auc", "brier_score", "f1"):
        with pytest.raises(wakeful.SignalError, match="without a label"):
            value(blind, None, name)


def test_quality_of_the_reference_is_that_of_the_training_data(value: Value):
    score, label = rows(4000, 1)
    assert value(reference(), None, "precision") == pytest.approx(metrics.precision_score(label, score >= THRESHOLD))
    assert value(reference(), None, "log_loss") == pytest.approx(metrics.log_loss(label, score), abs=1e-6)


def test_pandas_nullable_types_are_labels_and_decisions(value: Value):
    frame = pd.DataFrame(
        {"score": [0.9, 0.9, 0.1, 0.1], "label": [1, 0, 1, None], "flagged": [True, True, False, None]}
    )
    frame["label"] = frame["label"].astype("Int64")
    frame["flagged"] = frame["flagged"].astype("boolean")
    assert value(reference(decision="flagged"), frame, "recall") == pytest.approx(1 / (1 + 2 * 1))


def test_a_holdout_in_which_nobody_is_says_nothing_instead_of_judging_the_rest() -> None:
    """Of ten flagged rows four have an outcome, but none was let through at random."""
    rows = {"score": [0.9] * 10 + [0.1] * 10, "held": [False] * 20, "label": [0] * 4 + [None] * 6 + [0] * 10}
    training = {"score": [0.1, 0.9] * 20, "label": [0, 1] * 20}
    monitor = wakeful.Monitor(wakeful.learn(training, score="score", label="label", threshold=0.5, holdout="held"))

    @monitor.check(window="1d")
    def held_out_are_right(live):  # type: ignore[no-untyped-def]
        assert live.holdout.precision() >= 0.9

    (verdict,) = monitor.test(rows).verdicts
    assert (verdict.verdict, verdict.judgement.message) == (
        "unsure", "precision on holdout: no live values to estimate it from"
    )  # fmt: skip
    (without,) = monitor.test({name: rows[name] for name in ("score", "label")}).verdicts
    assert without.judgement.n == 4  # no holdout column: every labelled row is as good as any


def test_a_score_that_is_no_number_is_not_flagged() -> None:
    training = {"score": [0.1, 0.9] * 20, "label": [0, 1] * 20}
    monitor = wakeful.Monitor(wakeful.learn(training, score="score", label="label", threshold=0.5))
    live = monitor.on([{"score": "0.9"}, {"score": float("inf")}, {"score": 0.9}, {"score": None}])
    assert repr(live.flagged_share()).startswith("flagged_share 0.25 ")
