"""Quality before outcomes are known: what scores promise, how sure that is, and what it cannot see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import wakeful
from wakeful import signals
from wakeful.bins import NumericBins
from wakeful.counts import SUM_UNIT
from wakeful.evidence import Estimate
from wakeful.views import BinaryOutcomes, outcomes

Ask = Callable[..., Estimate]
QUALITIES = ("precision", "recall", "accuracy", "roc_auc")
THRESHOLD = 0.5


def loans(n: int, seed: int, a: float = 1.2, b: float = 2.5, drift: float = 1.0) -> pd.DataFrame:
    """Scores that are calibrated without drift; another a or b is another mix of applicants."""
    rng = np.random.default_rng(seed)
    score = rng.beta(a, b, n)
    return pd.DataFrame({
        "score": score,
        "label": (rng.random(n) < score**drift).astype(float),
        "city": rng.choice(["Bonn", "Kiel"], n),
    })  # fmt: skip


@cache
def reference(**roles: Any) -> wakeful.Reference:
    named = {"score": "score", "label": "label", "threshold": THRESHOLD, "segments": ("city",)} | roles
    return wakeful.learn(loans(20_000, 1), **named)


def realised(rows: pd.DataFrame, quality: str, flagged: Any = None) -> float:
    """What scikit-learn says once the outcomes are there."""
    if quality == "roc_auc":
        return float(metrics.roc_auc_score(rows.label, rows.score))
    return float(
        getattr(metrics, f"{quality}_score")(rows.label, rows.score >= THRESHOLD if flagged is None else flagged)
    )


# ---------------------------------------------------------------- stories


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize(("a", "b"), [(1.2, 2.5), (1.8, 2.0), (1.0, 4.0)])
def test_what_is_expected_of_another_mix_is_what_outcomes_show_later(quality: str, a: float, b: float, estimate: Ask):
    live = loans(10_000, 2, a, b)
    found = estimate(reference(), live.drop(columns="label"), f"expected_{quality}", alpha=1e-4)
    assert found.low < realised(live, quality) < found.high
    assert found.value == pytest.approx(realised(live, quality), abs=0.04)
    assert found.high - found.low < 0.2


def test_a_worse_mix_is_noticed_before_any_outcome(estimate: Ask):
    """Fewer sure cases among the flagged: no label is needed to see that precision falls."""
    usual = estimate(reference(), None, "expected_precision", alpha=1e-4)
    worse = estimate(reference(), loans(40_000, 3, 1.0, 5.0).drop(columns="label"), "expected_precision", alpha=1e-4)
    assert worse.high < usual.value


@pytest.mark.parametrize("quality", QUALITIES)
def test_it_is_blind_to_concept_drift(quality: str, estimate: Ask):
    """The same scores lead to fewer positives than they did: outcomes show it, what was expected does not."""
    live, drifted = loans(10_000, 4), loans(10_000, 4, drift=2.0)
    found = estimate(reference(), drifted, f"expected_{quality}", alpha=1e-4)
    assert found == estimate(reference(), live, f"expected_{quality}", alpha=1e-4)
    if quality == "accuracy":  # fewer positives, of which fewer are found: both add up
        return
    assert not found.low < realised(drifted, quality) < found.high


def test_outcomes_that_are_known_change_nothing(estimate: Ask):
    rows = loans(3_000, 5)
    half = rows.assign(label=rows.label.where(rows.index % 2 == 0))
    flipped = rows.assign(label=1 - rows.label)
    for quality in QUALITIES:
        first, *others = (
            estimate(reference(), live, f"expected_{quality}")
            for live in (rows, half, flipped, rows.drop(columns="label"))
        )
        assert others == [first] * 3


def test_in_checks_of_all_traffic_of_segments_of_the_past_and_of_the_reference():
    monitor = wakeful.Monitor(reference())

    @monitor.check(window="1d")
    def answers_promise_enough(live):  # type: ignore[no-untyped-def]
        assert live.expected_precision() >= live.reference.expected_precision() - 0.05
        assert live.by("city").expected_recall() >= 0.9
        assert live.expected_roc_auc() >= live.ago("7d").expected_roc_auc() - 0.05

    rows = loans(5_000, 6).drop(columns="label")
    (check,) = monitor.checks
    past = {"7d": monitor.count(rows.head(2_000))}
    found = [one for one in monitor.judge(check, monitor.count(rows), past=past) if one.judgement.n > 0]
    assert [(one.at, str(one.judgement.part), one.verdict) for one in found] == [
        (0, "", "pass"), (1, "city=Bonn", "fail"), (1, "city=Kiel", "fail"), (2, "", "pass")
    ]  # fmt: skip
    of_bonn = rows[rows.city == "Bonn"]
    assert found[1].judgement.n == len(of_bonn)
    assert found[1].judgement.estimate == pytest.approx(0.41, abs=0.06)
    assert found[0].judgement.n == (rows.score >= THRESHOLD).sum()


# ---------------------------------------------------------------- what is refused


def test_a_holdout_has_nothing_to_add():
    held = loans(2_000, 7).assign(held=False)
    monitor = wakeful.Monitor(wakeful.learn(held, score="score", label="label", threshold=THRESHOLD, holdout="held"))
    with pytest.raises(
        wakeful.SignalError, match=r"needs no outcomes.*live\.holdout\.precision\(\) for what they show"
    ):
        monitor.on(held).holdout.expected_precision()


def test_a_class_does_not_say_how_sure_it_is():
    rows = {"predicted": ["a", "b", "c"] * 50, "true": ["a", "b", "b"] * 50}
    monitor = wakeful.Monitor(wakeful.learn(rows, score="predicted", label="true", task="multiclass"))
    with pytest.raises(wakeful.SignalError, match=r"binary models, this one is multiclass\. Its answer is a class"):
        monitor.on(rows).expected_accuracy()


def test_without_a_decision_there_is_a_ranking_only(estimate: Ask):
    ranker = wakeful.learn(loans(2_000, 8), score="score", label="label")
    for quality in QUALITIES[:3]:
        with pytest.raises(wakeful.SignalError, match="no threshold and no decision"):
            estimate(ranker, loans(100, 9), f"expected_{quality}")
    assert estimate(ranker, loans(5_000, 9), "expected_roc_auc").value == pytest.approx(0.77, abs=0.05)


def test_without_outcomes_in_the_reference_nothing_can_be_expected(estimate: Ask):
    unlabelled = wakeful.learn(loans(500, 10)[["score"]], score="score", threshold=THRESHOLD)
    with pytest.raises(wakeful.SignalError, match="without a label"):
        estimate(unlabelled, None, "expected_precision")
    known = outcomes(reference().counts)
    none = replace(known, table=known.table[..., [2, 2, 2, 3], :] * [[[0], [0], [1], [1]]])
    for quality in QUALITIES:
        found = signals.find(f"expected_{quality}", "binary").estimate(known, none, {}, 0.05)
        assert (math.isnan(found.value), found.low, found.high) == (True, -math.inf, math.inf)


def test_scores_of_which_the_reference_knows_no_outcome_are_not_guessed(estimate: Ask):
    """The reference hides all outcomes of flagged rows: nothing is known of precision, and little of a few more."""
    rows = loans(5_000, 12)
    hidden = wakeful.learn(
        rows.assign(label=rows.label.where(rows.score < THRESHOLD)), score="score", label="label", threshold=THRESHOLD
    )
    assert math.isnan(estimate(hidden, rows, "expected_precision").value)
    top = wakeful.learn(
        rows.assign(label=rows.label.where(rows.score < 0.65)), score="score", label="label", threshold=THRESHOLD
    )
    assert 0.2 < (rows.score[rows.score >= THRESHOLD] >= 0.65).mean() < 0.5
    found, known = (estimate(one, rows, "expected_precision") for one in (top, reference()))
    assert found.high - found.low > 0.1 + known.high - known.low
    assert found.low < known.value < found.high


@pytest.mark.parametrize("quality", QUALITIES)
def test_no_rows_no_expectation(quality: str, estimate: Ask):
    for live in (loans(0, 13), loans(50, 13).assign(score=np.nan)):
        found = estimate(reference(), live, f"expected_{quality}")
        assert (math.isnan(found.value), found.low, found.high, found.n) == (True, -math.inf, math.inf, 0.0)


def test_where_nothing_is_flagged_recall_is_nil_for_sure_and_precision_unknown(estimate: Ask):
    live = loans(500, 14)
    live.score *= 0.4
    recall = estimate(reference(), live, "expected_recall")
    assert (recall.value, recall.low, recall.high) == (0.0, 0.0, 0.0)
    assert math.isnan(estimate(reference(), live, "expected_precision").value)


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("quality", QUALITIES)
def test_of_the_reference_s_own_rows_its_own_quality_is_expected(quality: str, value: Callable[..., float]):
    found = value(reference(), None, f"expected_{quality}")
    assert found == pytest.approx(value(reference(), None, quality), abs=1e-9)


def test_it_is_the_reference_s_rate_at_every_score(value: Callable[..., float]):
    """Ten scores that are no probabilities: CBPE on rows, with the mean outcome of each score as its calibration."""
    rng = np.random.default_rng(15)
    trained = pd.DataFrame({"score": rng.integers(1, 11, 4_000) * 100})
    trained["label"] = (rng.random(4_000) < np.sqrt(trained.score / 1_500)).astype(int)
    live = pd.DataFrame({"score": rng.binomial(9, 0.4, 700) * 100 + 100})
    rate = trained.groupby("score").label.mean()[live.score].to_numpy()
    flagged = (live.score >= 600).to_numpy()
    learnt = wakeful.learn(trained, score="score", label="label", threshold=600.0, task="binary")
    assert value(learnt, live, "expected_precision") == pytest.approx(rate[flagged].mean())
    assert value(learnt, live, "expected_recall") == pytest.approx(rate[flagged].sum() / rate.sum())
    assert value(learnt, live, "expected_accuracy") == pytest.approx(np.where(flagged, rate, 1 - rate).mean())
    twice = np.concatenate([np.ones(700), np.zeros(700)]), np.tile(live.score, 2), np.concatenate([rate, 1 - rate])
    exact = metrics.roc_auc_score(twice[0], twice[1], sample_weight=twice[2])
    assert value(learnt, live, "expected_roc_auc") == pytest.approx(exact)


def test_decisions_that_do_not_follow_the_score(estimate: Ask):
    """A coin decides: whatever the reference does not know of a rate cancels, and half of the rows are right."""
    rows = loans(4_000, 17).assign(score=0.5, flagged=np.arange(4_000) % 2 == 0)
    learnt = wakeful.learn(rows, score="score", label="label", decision="flagged")
    found = estimate(learnt, rows, "expected_accuracy", alpha=1e-3)
    assert found.value == pytest.approx(0.5)
    assert 0.47 < found.low < realised(rows, "accuracy", rows.flagged) < found.high < 0.53
    assert estimate(learnt, rows, "expected_precision").value == pytest.approx(rows.label.mean(), abs=1e-9)
    assert estimate(learnt, rows, "expected_roc_auc").value == pytest.approx(0.5)


def test_a_hidden_outcome_of_the_reference_is_stood_for_by_the_holdout(value: Callable[..., float]):
    """Flagged rows that were not held out have outcomes for a reason: those do not count."""
    rng = np.random.default_rng(16)
    rows = loans(20_000, 16)
    rows["held"] = (rows.score >= THRESHOLD) & (rng.random(20_000) < 0.3)
    biased = rows.assign(label=rows.label.where((rows.score < THRESHOLD) | rows.held, 0.0))
    learnt = wakeful.learn(biased, score="score", label="label", threshold=THRESHOLD, holdout="held")
    assert value(learnt, rows, "expected_precision") == pytest.approx(realised(rows, "precision"), abs=0.03)


# ---------------------------------------------------------------- the promise of the interval


def template() -> BinaryOutcomes:
    found = outcomes(reference().counts)
    assert isinstance(found, BinaryOutcomes)
    return found


def drawn(rng: np.random.Generator, n: int, rate: np.ndarray, mix: np.ndarray) -> BinaryOutcomes:
    """A table of outcomes as rows would give it, whose scores are the middles of their bins."""
    one = template()
    assert isinstance(one.bins, NumericBins)
    answers, flagged = np.arange(one.bins.size), (one.bins.middles >= THRESHOLD).astype(int)
    each = rng.multinomial(n, mix)
    positive = rng.binomial(each, rate)
    table = np.zeros_like(one.table)
    for truth, rows in enumerate((each - positive, positive)):
        table[0, flagged, answers, truth, 0] = rows
        table[0, flagged, answers, truth, 1] = rows * one.bins.middles * SUM_UNIT
    return replace(one, table=table)


RATES = {
    "weak": lambda s: 1 / (1 + np.exp(1.2 - 1.2 * (s - 0.5))),
    "strong": lambda s: 1 / (1 + np.exp(1.0 - 8.0 * (s - 0.5))),
    "sure": lambda s: np.where(s < THRESHOLD, 0.02, 0.97),
}
TRIALS = 60
ALPHA = 0.025


def most(alpha: float, trials: int) -> float:
    """The share of errors that a promise of alpha leads to, chance of one in 30,000 aside."""
    return alpha + 4 * math.sqrt(alpha * (1 - alpha) / trials)


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("n", [200, 1_000, 10_000])
def test_outcomes_show_what_was_expected_within_the_interval(kind: str, n: int):
    """However little the reference knows, whether live scores come in the same mix or in another."""
    one = template()
    assert isinstance(one.bins, NumericBins)
    inside = np.where(np.diff(one.bins.middles, prepend=-1) > 0, 1.0, 0.0)
    same, other = inside / inside.sum(), inside * np.linspace(1, 4, len(inside))
    rate, rng = RATES[kind](one.bins.middles), np.random.default_rng(n)
    missed: dict[str, list[tuple[bool, bool]]] = {quality: [] for quality in QUALITIES}
    for m in (600, 5_000, 100_000):
        for mix in (same, other / other.sum()):
            for _ in range(TRIALS):
                known, live = drawn(rng, m, rate, same), drawn(rng, n, rate, mix)
                for quality, misses in missed.items():
                    found = signals.find(f"expected_{quality}", "binary").evidence(live, known, {}).estimate(ALPHA)
                    truth = signals.find(quality, "binary").formula(live)
                    shown = truth if isinstance(truth, float) else truth.estimate(ALPHA).value
                    misses.append((found.low > shown + 1e-9, found.high < shown - 1e-9))
    for quality, misses in missed.items():
        below, above = np.mean(misses, axis=0)
        assert max(below, above) <= most(1.5 * ALPHA, len(misses)), (quality, below, above)
        assert below + above <= most(2.2 * ALPHA, len(misses)), (quality, below, above)


def test_a_large_reference_leaves_what_chance_does_to_the_outcomes():
    """Its interval is as wide as that of a share of so many rows, not wider."""
    one = template()
    assert isinstance(one.bins, NumericBins)
    rng, mix = np.random.default_rng(17), np.full(one.bins.size, 1 / one.bins.size)
    known, live = (drawn(rng, n, RATES["weak"](one.bins.middles), mix) for n in (1_000_000, 10_000))
    found = signals.find("expected_precision", "binary").estimate(live, known, {}, ALPHA)
    chance = 2 * 1.96 * math.sqrt(found.value * (1 - found.value) / found.n)
    assert found.high - found.low == pytest.approx(chance, rel=0.1)
    small = drawn(rng, 1_000, RATES["weak"](one.bins.middles), mix)
    wide = signals.find("expected_precision", "binary").estimate(live, small, {}, ALPHA)
    assert wide.high - wide.low > 3 * chance
    windows_stray = signals.find("expected_precision", "binary").estimate(live, known, {}, ALPHA, rho=0.01)
    assert windows_stray.high - windows_stray.low > 3 * chance
