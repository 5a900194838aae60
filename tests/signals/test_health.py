"""Whether outcomes can be trusted: a holdout that is none, labels that are not the true ones, and clean data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

import wakeful
from wakeful import signals
from wakeful.evidence import Estimate, Evidence
from wakeful.views import BinaryOutcomes, outcomes

Ask = Callable[..., Estimate]
ALPHA = 1e-6  # about what an alarm budget leaves for one comparison


def applications(rows: int, seed: int, held: float = 0.3, threshold: float = 0.4) -> pd.DataFrame:
    """A calibrated score; of flagged rows, only those held out have an outcome."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.8, 1.6, rows)
    flagged, out = score >= threshold, rng.random(rows) < held
    rejected = np.where(flagged & ~out, np.nan, rng.random(rows) < score)
    return pd.DataFrame({"score": score, "flagged": flagged, "held": flagged & out, "rejected": rejected})


ROLES = {"score": "score", "label": "rejected", "holdout": "held"}


@cache
def reference() -> wakeful.Reference:
    return wakeful.learn(applications(20_000, 0, held=1.0), **ROLES, threshold=0.4)


def asked(estimate: Ask, data: Any, name: str, of: wakeful.Reference | None = None) -> Estimate:
    return estimate(of or reference(), data, name, held_out=True, alpha=ALPHA)


# ---------------------------------------------------------------- stories


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_window_keeps_every_promise(seed: int, estimate: Ask):
    live = applications(10_000, 100 + seed)
    share = asked(estimate, live, "holdout_share")
    assert share.low < 0.3 < share.high
    assert share.n == live.flagged.sum()
    assert share.value == pytest.approx(live.held.sum() / live.flagged.sum())
    away = asked(estimate, live, "holdout_d1")
    assert away.low == 0
    assert away.value < 0.2
    for name in ("observed_to_expected", "calibration_slope"):
        found = asked(estimate, live, name)
        assert found.value == pytest.approx(1, abs=0.1), name
        assert found.low < 1 < found.high, name


def test_a_holdout_whose_flag_is_lost(estimate: Ask):
    live = applications(5_000, 1)
    none = asked(estimate, live.assign(held=False), "holdout_share")
    assert none.value == 0
    assert none.high < 0.02
    every = asked(estimate, live.assign(held=True), "holdout_share")
    assert every.value == 1
    assert every.low > 0.98
    unsaid = live.assign(held=None)
    for name in ("holdout_share", "holdout_d1"):
        assert math.isnan(asked(estimate, unsaid, name).value), "nothing is known of rows that do not say"
    half = live.assign(held=live.held.astype(object).where(live.index % 2 == 0, None))
    assert asked(estimate, half, "holdout_share").value == pytest.approx(0.3, abs=0.05)


def test_a_holdout_of_the_lowest_scores_is_not_drawn_at_random(estimate: Ask):
    live = applications(5_000, 2)
    low = live.score < live.score[live.flagged].quantile(0.3)
    found = asked(estimate, live.assign(held=live.flagged & low), "holdout_d1")
    assert found.low > 0.5
    assert found.value == pytest.approx(2, abs=0.15)  # no score is in both
    assert asked(estimate, live.assign(held=live.flagged & low), "holdout_share").low < 0.3, "its share is as ever"


def test_few_held_out_rows_prove_nothing(estimate: Ask):
    live = applications(60, 3)
    assert asked(estimate, live, "holdout_d1").low == 0
    assert asked(estimate, live, "holdout_share").low < 0.3 < asked(estimate, live, "holdout_share").high


def test_late_outcomes_that_are_counted_as_negative(estimate: Ask):
    live = applications(10_000, 4)
    late = np.random.default_rng(5).random(10_000) < 0.5
    found = asked(estimate, live.assign(rejected=live.rejected.where(~(late & (live.rejected == 1)), 0)),
                  "observed_to_expected")  # fmt: skip
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.high < 0.7


def test_outcomes_joined_to_the_wrong_rows(estimate: Ask):
    live = applications(10_000, 6)
    known = live.rejected.notna()
    shuffled = live.rejected.copy()
    shuffled[known] = np.random.default_rng(7).permutation(live.rejected[known])
    found = asked(estimate, live.assign(rejected=shuffled), "calibration_slope")
    assert found.value == pytest.approx(0, abs=0.15)
    assert found.high < 0.5
    total = asked(estimate, live.assign(rejected=shuffled), "observed_to_expected")
    assert total.low < 1 < total.high, "as many are positive as ever: only the slope tells"


def test_outcomes_turned_round_have_a_negative_slope(estimate: Ask):
    live = applications(10_000, 8)
    found = asked(estimate, live.assign(rejected=1 - live.rejected), "calibration_slope")
    assert found.value == pytest.approx(-1, abs=0.15)
    assert found.high < 0


def test_another_threshold_breaks_no_promise(estimate: Ask):
    """It shows other rows' outcomes, and each is what its score promised."""
    for threshold in (0.2, 0.7):
        live = applications(20_000, 9, threshold=threshold)
        for name in ("observed_to_expected", "calibration_slope"):
            found = asked(estimate, live, name)
            assert found.value == pytest.approx(1, abs=0.08), (name, threshold)
            assert found.low < 1 < found.high, (name, threshold)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_label_noise_is_the_share_of_outcomes_that_turned(share: float, estimate: Ask):
    live = applications(20_000, 13)
    turned = np.random.default_rng(14).random(20_000) < share
    found = asked(estimate, live.assign(rejected=live.rejected.where(~turned, 1 - live.rejected)), "label_noise")
    assert found.value == pytest.approx(share, abs=0.03)
    assert 0.05 < found.low < share < found.high


def test_rare_outcomes_that_become_fewer_are_no_label_noise(estimate: Ask):
    """Scores promise too much then, which observed_to_expected tells; no outcome is less certain."""
    live = applications(10_000, 15).query("score < 0.3")
    missed = np.random.default_rng(16).random(len(live)) < 0.5
    found = asked(estimate, live.assign(rejected=live.rejected.where(~missed, 0)), "label_noise")
    assert found.high < 0


# ---------------------------------------------------------------- the formulas


def test_observed_to_expected_is_what_a_table_of_scores_gives(estimate: Ask):
    """Ten scores that are no probabilities: the reference's own rates are the promise."""
    rng = np.random.default_rng(10)

    def drawn(rows: int, worse: float) -> pd.DataFrame:
        score = rng.integers(1, 11, rows) * 100
        return pd.DataFrame({"score": score, "rejected": (rng.random(rows) < worse * score / 2_000).astype(int)})

    trained, live = drawn(30_000, 1.0), drawn(4_000, 1.4)
    learnt = wakeful.learn(trained, score="score", label="rejected", threshold=600.0, task="binary")
    found = estimate(learnt, live, "observed_to_expected")
    rates = trained.groupby("score").rejected.mean()
    assert found.value == pytest.approx(live.rejected.sum() / rates[live.score].sum(), rel=1e-9)
    assert found.low > 1.2
    assert found.n == 4_000


def test_label_noise_is_the_excess_of_the_brier_score(estimate: Ask):
    rng = np.random.default_rng(17)

    def drawn(rows: int, turned: float) -> pd.DataFrame:
        score = rng.integers(1, 10, rows) / 10
        rejected = (rng.random(rows) < score) ^ (rng.random(rows) < turned)
        return pd.DataFrame({"score": score, "rejected": rejected.astype(int)})

    trained, live = drawn(100_000, 0.0), drawn(4_000, 0.15)
    learnt = wakeful.learn(trained, score="score", label="rejected", threshold=0.5)
    rates = trained.groupby("score").rejected.mean()[live.score].to_numpy()
    excess = brier_score_loss(live.rejected, rates) - (rates * (1 - rates)).mean()
    found = estimate(learnt, live, "label_noise")
    assert found.value == pytest.approx(excess / ((1 - 2 * rates) ** 2).mean(), abs=5e-4)
    assert found.n == 4_000


def test_on_the_reference_itself_both_are_one(value: Callable[..., float]):
    for name in ("observed_to_expected", "calibration_slope"):
        assert value(reference(), None, name, held_out=True) == pytest.approx(1, abs=0.01)
    assert value(reference(), None, "label_noise", held_out=True) == pytest.approx(0, abs=0.005)


def test_without_outcomes_nothing_is_claimed(estimate: Ask):
    for live in (applications(300, 11).assign(rejected=np.nan), applications(0, 11)):
        for name in ("observed_to_expected", "calibration_slope", "label_noise"):
            found = asked(estimate, live, name)
            assert math.isnan(found.value)
            assert (found.low, found.high) == (-math.inf, math.inf)


def test_a_score_that_tells_nothing_has_no_slope(estimate: Ask):
    rng = np.random.default_rng(12)
    rows = pd.DataFrame({"score": rng.random(2_000), "rejected": (rng.random(2_000) < 0.3).astype(int)})
    learnt = wakeful.learn(rows, score="score", label="rejected", threshold=0.5)
    found = estimate(learnt, rows, "calibration_slope")
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert estimate(learnt, rows, "observed_to_expected").value == pytest.approx(1)


# ---------------------------------------------------------------- the promise of the interval

SLOPES = {"even": (0.3, 0.0), "weak": (0.62, -1.2), "strong": (4.0, -1.0)}  # AUC .55, .6 and .9
NAMES = ("observed_to_expected", "calibration_slope", "label_noise", "holdout_share", "holdout_d1")


def drawn(rng: np.random.Generator, rows: int, kind: str, held: float | None, turned: float = 0.0) -> BinaryOutcomes:
    """A table of outcomes as rows would give it: three tenths flagged; all outcomes known without a holdout."""
    template = outcomes(reference().counts, 0, True)
    assert isinstance(template, BinaryOutcomes)
    answers = np.arange(template.bins.size)
    steep, base = SLOPES[kind]
    rate = 1 / (1 + np.exp(-(base + steep * np.linspace(-1, 1, len(answers)))))
    rate += turned * (1 - 2 * rate)
    flagged = (answers >= 0.7 * len(answers)).astype(int)
    each = rng.multinomial(rows, np.full(len(answers), 1 / len(answers)))
    known = each if held is None else np.where(flagged, rng.binomial(each, held), each)
    positive = rng.binomial(known, rate)
    table = np.zeros_like(template.table)
    cohort = 0 if held is None else 1 + flagged
    table[cohort, flagged, answers, 0, 0] = known - positive
    table[cohort, flagged, answers, 1, 0] = positive
    table[0 if held is None else 1, flagged, answers, 2, 0] += each - known
    return replace(template, table=table)


TRIALS = 200
WINDOWS = [(rows, held) for rows in (500, 3_000, 20_000) for held in (0.05, 0.3, 1.0)]


def most(alpha: float, trials: int) -> float:
    """The share of errors that a promise of alpha leads to, chance of one in 30,000 aside."""
    return alpha + 4 * math.sqrt(alpha * (1 - alpha) / trials)


@pytest.mark.parametrize("kind", SLOPES)
@pytest.mark.parametrize("trained", [663, 5_000, 100_000])
def test_intervals_err_no_more_often_than_they_say(kind: str, trained: int):
    """On clean data, however little the reference knows and however few flagged rows are held out."""
    rng = np.random.default_rng(trained)
    missed: dict[tuple[str, float, str], list[float]] = {}
    for rows, held in WINDOWS:
        found: dict[str, list[Evidence]] = {name: [] for name in NAMES}
        for _ in range(TRIALS):
            known, live = drawn(rng, trained, kind, None), drawn(rng, rows, kind, held)
            for name in NAMES:
                found[name].append(signals.find(name, "binary").evidence(live, known, {}))
        truths = dict(zip(NAMES, (1.0, 1.0, 0.0, held, 0.0), strict=True))
        for name, truth in truths.items():
            for alpha in (0.025, 0.002):
                ends = np.array([one.estimate(alpha)[1:3] for one in found[name]])
                for side, share in (("below", (ends[:, 0] > truth).mean()), ("above", (ends[:, 1] < truth).mean())):
                    assert share <= most(1.5 * alpha, TRIALS), (name, rows, held, alpha, side, share)
                    missed.setdefault((name, alpha, side), []).append(float(share))
    for (name, alpha, side), shares in missed.items():
        assert np.mean(shares) <= most(1.5 * alpha, TRIALS * len(shares)), (name, alpha, side, shares)


@pytest.mark.parametrize(("kind", "trained", "least"), [("strong", 663, 0.6), ("strong", 100_000, 0.9)])
def test_intervals_are_narrow_enough_to_tell(kind: str, trained: int, least: float):
    """So that being careful is not the same as saying nothing: a window of 20,000 rows, three tenths held out."""
    rng = np.random.default_rng(trained + 1)
    for name in NAMES[:2]:
        low = [
            signals.find(name, "binary")
            .evidence(drawn(rng, 20_000, kind, 0.3), drawn(rng, trained, kind, None), {})
            .estimate(1e-4)
            .low
            for _ in range(40)
        ]
        assert np.median(low) > least, name


def test_concept_drift_in_a_part_of_the_rows_is_told_from_fewer_outcomes_than_by_other_signals():
    """Two outcomes in five turn in a third of 1,000 rows; limits and error rate as in a first monitor file."""
    rng = np.random.default_rng(18)
    known = drawn(rng, 10_000, "strong", None)
    auc = signals.find("roc_auc", "binary").estimate(known, known, {}, 0.05).value
    limits = {"label_noise": 0.05, "calibration_slope": 0.8, "observed_to_expected": 1.3, "roc_auc": 0.85 * auc + 0.075}
    caught = dict.fromkeys(limits, 0)
    for _ in range(50):
        live = drawn(rng, 1_000, "strong", 0.3, turned=0.4 / 3)
        for name, limit in limits.items():
            found = signals.find(name, "binary").estimate(live, known, {}, 4e-4)
            upper = name in ("label_noise", "observed_to_expected")
            caught[name] += found.low > limit if upper else found.high < limit
    assert caught.pop("label_noise") >= 45
    assert max(caught.values()) <= 25, caught


@pytest.mark.parametrize("kind", SLOPES)
def test_no_clean_window_passes_for_one_whose_outcomes_turned(kind: str):
    """In 1,000 windows, some of which have few flagged rows held out, against references that know little."""
    rng = np.random.default_rng(19)
    for trained in (663, 10_000):
        for rows, held in [(300, 1.0), (1_000, 0.3), (1_000, 0.05), (5_000, 0.3), (5_000, 0.05)]:
            for _ in range(100):
                live, known = drawn(rng, rows, kind, held), drawn(rng, trained, kind, None)
                found = signals.find("label_noise", "binary").estimate(live, known, {}, 4e-4)
                assert not found.low > 0.05, (trained, rows, held, found)
