"""Quality from a holdout: bias and coverage, however it is drawn, by simulation and on real loans."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import wakeful
from wakeful import signals
from wakeful.bins import NumericBins
from wakeful.evidence import Estimate
from wakeful.release import EVEN, Release, released
from wakeful.views import BinaryOutcomes, outcomes

ALPHA = 0.025
THRESHOLD = 0.5
MONEY = {"true_positive": 12.0, "false_positive": -100.0, "false_negative": -5.0}
ASKED: dict[str, dict[str, float]] = {"precision": {}, "recall": {}, "false_positive_rate": {}, "value": MONEY}
SCORES = {"a fifth flagged": (1.2, 2.5), "one in a hundred flagged": (0.25, 4.0), "sure": (0.3, 0.3)}


def smooth(score: float) -> float:
    """A fifth at the threshold, one in a hundred of sure cases."""
    return 0.01 + 0.19 * math.exp(-8 * max(score - THRESHOLD, 0.0))


def steps(score: float) -> float:
    """A fifth of the doubtful, one in fifty of the others."""
    return 0.2 if score < 0.7 else 0.02


class World(NamedTuple):
    """A calibrated model by bins of its score: the share of rows and the rate of positives in each."""

    reference: wakeful.Reference
    mass: Any
    rate: Any
    flagged: Any

    def truth(self, name: str) -> float:
        positive, negative = self.mass * self.rate, self.mass * (1 - self.rate)
        on = self.flagged
        tp, fp, fn = positive[on].sum(), negative[on].sum(), positive[~on].sum()
        return float({
            "precision": tp / (tp + fp), "recall": tp / (tp + fn), "false_positive_rate": fp / negative.sum(),
            "value": 12 * tp - 100 * fp - 5 * fn,
        }[name])  # fmt: skip

    def window(
        self, rng: np.random.Generator, n: int, release: Release, hides: bool = False, told: Release | None = None
    ) -> BinaryOutcomes:
        """n rows with a holdout; where unflagged rows hide, four in five of their negatives are not known."""
        size = len(self.mass)
        view = outcomes(self.reference.counts, 0, True, release if told is None else told)
        assert isinstance(view, BinaryOutcomes)
        table = np.zeros_like(view.table)
        each = rng.multinomial(n, self.mass)
        positive = rng.binomial(each, self.rate)
        is_drawn = self.flagged | release.from_all
        for truth, rows in ((1, positive), (0, each - positive)):
            held = np.where(is_drawn, rng.binomial(rows, release.shares[:size]), 0)
            rest = rows - held
            hidden = np.where(self.flagged, rest, rng.binomial(rest, 0.8 * (hides and truth == 0)))
            for cohort, which, number in ((2, truth, held), (1, truth, rest - hidden), (1, 2, hidden)):
                table[cohort, self.flagged.astype(int), np.arange(size), which, 0] += number
        return replace(view, table=table)


@cache
def world(kind: str) -> World:
    rng = np.random.default_rng(7)

    def rows(n: int) -> tuple[Any, Any]:
        score = rng.beta(*SCORES[kind], n)
        return score, (rng.random(n) < score).astype(float)

    score, label = rows(10_000)
    reference = wakeful.learn({"score": score, "label": label}, score="score", label="label",
                              threshold=THRESHOLD, holdout="held")  # fmt: skip
    bins = reference.layout.bins["score"]
    assert isinstance(bins, NumericBins)
    score, label = rows(1_000_000)
    number = np.bincount(bins.cells(score), minlength=bins.size)
    rate = np.bincount(bins.cells(score), label, minlength=bins.size) / np.maximum(number, 1)
    return World(reference, number / number.sum(), rate, bins.middles >= THRESHOLD)


def most(alpha: float, trials: int) -> float:
    """The share of errors that a promise of alpha leads to, chance of one in 30,000 aside."""
    return alpha + 4 * math.sqrt(alpha * (1 - alpha) / trials)


def asked(live: BinaryOutcomes, name: str, alpha: float = ALPHA) -> Estimate:
    return signals.find(name, "binary").estimate(live, live, ASKED[name], alpha)


# ---------------------------------------------------------------- stories


def test_who_is_let_through_more_often_near_the_threshold_weighs_less():
    """20 of 100 doubtful cases and 5 of 250 sure ones are held out: 12 and 5 of them are positive.

    Horvitz-Thompson: 12 x 100/20 + 5 x 250/5 = 310 positives among 350, not 17 among 25.
    """
    data = {
        "score": [0.55] * 100 + [0.95] * 250 + [0.1] * 400,
        "held": [1] * 20 + [0] * 80 + [1] * 5 + [0] * 245 + [0] * 400,
        "label": [1] * 12 + [0] * 8 + [None] * 80 + [1] * 5 + [None] * 245 + [1] * 40 + [0] * 360,
    }
    reference = world("a fifth flagged").reference
    told, untold = (wakeful.Monitor(reference, **one) for one in ({"holdout_share": steps}, {}))
    live = outcomes(told.count(data), 0, True, told.holdout.release)
    assert asked(live, "precision").value == pytest.approx(310 / 350)
    assert asked(live, "recall").value == pytest.approx(310 / 350)
    assert asked(live, "false_positive_rate").value == pytest.approx(40 / 400)
    assert asked(live, "value").value == pytest.approx((310 * 12 - 40 * 100 - 40 * 5) / 750)
    assert "precision on holdout 0.89 " in repr(told.on(data).holdout.precision())
    assert "precision on holdout 0.68 " in repr(untold.on(data).holdout.precision())


def test_scores_that_nobody_was_let_through_from_leave_everything_open():
    """Two in three flagged cases are sure ones; none of them is held out, and the doubtful ones all are positive."""
    data = {"score": [0.55] * 100 + [0.95] * 200 + [0.1], "held": [1] * 50 + [0] * 251,
            "label": [1] * 50 + [None] * 250 + [0]}  # fmt: skip
    monitor = wakeful.Monitor(world("a fifth flagged").reference, holdout_share=steps)
    live = outcomes(monitor.count(data), 0, True, monitor.holdout.release)
    assert asked(live, "precision").low <= 1 / 3
    for name in ("roc_auc", "brier_score"):
        found = signals.find(name, "binary").estimate(live, live, {}, ALPHA)
        assert (found.low, found.high) in ((-math.inf, math.inf), (0.0, 1.0)), name


def test_where_unflagged_cases_reveal_their_outcome_a_holdout_from_all_knows_as_much_as_one_from_flagged():
    rng = np.random.default_rng(3)
    here = world("a fifth flagged")
    for share in (0.05, smooth):
        every = released(share, "all", here.reference.layout)
        live = here.window(rng, 3_000, every)
        flagged_only = replace(live, release=replace(every, from_all=False))
        for name in ASKED:
            assert asked(live, name) == asked(flagged_only, name), name


def test_a_file_asks_the_holdout_alike_however_it_is_drawn():
    """Checks do not change: the monitor knows how the holdout is drawn."""
    here = world("a fifth flagged")
    monitor = wakeful.Monitor(here.reference, holdout_share=smooth)

    @monitor.check(window="1d", page="on-call")
    def flagged_are_right(live: Any) -> None:
        assert live.holdout.precision() >= 0.9
        assert live.holdout.value(true_positive=12, false_positive=-100, false_negative=-5) >= 0

    live = here.window(np.random.default_rng(5), 20_000, monitor.holdout.release)
    counts = here.reference.counts
    row = np.zeros_like(counts.table)
    row[0, 0] = 20_000
    row[0, here.reference.layout.outcome_start :] = live.table.ravel()
    verdicts = monitor.judge(monitor.checks[0], replace(counts, vector=row.ravel()))
    assert [one.verdict for one in verdicts] == ["fail", "fail"]
    assert verdicts[0].judgement.estimate == asked(live, "precision").value
    assert verdicts[1].judgement.estimate == asked(live, "value").value


# ---------------------------------------------------------------- health


def test_a_holdout_drawn_by_score_is_as_random_as_it_was_told():
    rng = np.random.default_rng(4)
    here = world("a fifth flagged")
    release = released(smooth, "flagged", here.reference.layout)
    d1 = signals.find("holdout_d1", "binary")
    trials, wrong, noticed, values, noises = 100, 0, 0, [], []
    for _ in range(trials):
        live = here.window(rng, 20_000, release)
        found = d1.estimate(live, live, {}, ALPHA)
        values.append(found.value)
        noises.append(found.noise)
        wrong += found.low > 0
        untold = replace(live, release=EVEN)
        noticed += d1.estimate(untold, untold, {}, ALPHA).low > 0.2
    assert wrong <= trials * most(ALPHA, trials)
    assert noticed >= 0.9 * trials
    assert np.mean(values) == pytest.approx(np.mean(noises), rel=0.15)


@pytest.mark.parametrize("name", ["observed_to_expected", "calibration_slope"])
def test_scores_keep_their_promise_whoever_is_let_through(name: str):
    """A reference of 700 rows has few groups of scores, each of which holds cases that are let through unlike."""
    rng = np.random.default_rng(6)
    score = rng.beta(*SCORES["a fifth flagged"], 700)
    small = wakeful.learn({"score": score, "label": rng.random(700) < score}, score="score", label="label",
                          threshold=THRESHOLD, holdout="held")  # fmt: skip
    monitor = wakeful.Monitor(small, holdout_share=smooth)
    bins = small.layout.bins["score"]
    assert isinstance(bins, NumericBins)
    signal = signals.find(name, "binary")
    known = outcomes(small.counts)
    errors = np.zeros(2)
    for _ in range(200):
        score = rng.beta(*SCORES["a fifth flagged"], 4_000)
        label = (rng.random(4_000) < score).astype(float)
        held = (rng.random(4_000) < monitor.holdout.release.shares[bins.cells(score)]) & (score >= THRESHOLD)
        data = {"score": score, "held": held, "label": np.where(held | (score < THRESHOLD), label, np.nan)}
        live = outcomes(monitor.count(data), 0, True, monitor.holdout.release)
        found = signal.estimate(live, known, {}, 1e-3)
        errors += (found.low > 1.3, found.high < 0.77)  # limits of a first monitor file
    assert not errors.any()


# ---------------------------------------------------------------- the promise of the interval

DESIGNS = [
    (0.01, "flagged", False), (0.2, "flagged", False), (0.05, "all", True), (smooth, "all", True),
    (steps, "flagged", False), (smooth, "flagged", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize(("share", "source", "hides"), DESIGNS)
def test_intervals_hold_the_truth_however_the_holdout_is_drawn(kind: str, share: Any, source: Any, hides: bool):
    """From a handful of held-out rows to hundreds. In large windows there is no bias, either."""
    rng = np.random.default_rng(8)
    here = world(kind)
    release = released(share, source, here.reference.layout)
    trials = 100
    for n in (500, 3_000, 20_000):
        windows = [here.window(rng, n, release, hides) for _ in range(trials)]
        for name in ("precision", "recall", "value"):
            truth = here.truth(name)
            found = np.array([asked(live, name)[:3] for live in windows])
            for side in ((found[:, 1] > truth).mean(), (found[:, 2] < truth).mean()):
                assert side <= most(1.5 * ALPHA, trials), (name, n, side)
            held = np.mean([live.matrix[1].sum() for live in windows])
            if held >= 200:
                error = np.std(found[:, 0]) / math.sqrt(trials)
                assert abs(found[:, 0].mean() - truth) <= 4 * error, (name, n)
                width = (found[:, 2] - found[:, 1]).mean() / 2
                room = 2.0 if kind == "sure" else 1.5  # there, strata of sure cases have ten known rows or fewer
                assert width <= room * 1.96 * np.std(found[:, 0]), "as narrow as it can be, nearly"


@pytest.mark.parametrize(
    ("share", "source", "hides", "name"),
    [(smooth, "flagged", False, "precision"), (smooth, "flagged", False, "value"), (0.05, "all", True, "recall"),
     (0.05, "all", True, "false_positive_rate")],
)  # fmt: skip
def test_without_being_told_how_the_holdout_is_drawn_intervals_miss_the_truth(
    share: Any, source: Any, hides: bool, name: str
):
    rng = np.random.default_rng(9)
    here = world("a fifth flagged")
    release = released(share, source, here.reference.layout)
    missed = 0
    for _ in range(40):
        one = asked(here.window(rng, 20_000, release, hides, told=EVEN), name)
        missed += not one.low <= here.truth(name) <= one.high
    assert missed >= 20


@pytest.mark.parametrize("n", [300, 1_000])
def test_a_handful_of_flagged_rows_refutes_nothing(n: int):
    """Three or nine rows are flagged, and one of them is held out, if any: recall is wrong at no error rate."""
    rng = np.random.default_rng(10)
    here = world("one in a hundred flagged")
    release = released(0.1, "flagged", here.reference.layout)
    truth = here.truth("recall")
    found = [asked(here.window(rng, n, release), "recall", 1e-4) for _ in range(600)]
    assert sum(one.high < truth for one in found) <= 2


# ---------------------------------------------------------------- real loans


@pytest.mark.parametrize(("share", "source"), [(0.05, "flagged"), (0.05, "all"), ("by rate", "flagged")])
def test_holdouts_of_real_loans_find_what_all_outcomes_show(
    share: Any, source: Any, shared_data: Callable[[str], Path]
):
    """LendingClub's loans of 2010 and 2011, scored by the lender's interest rate: every outcome came to be known.

    Fifteen monitors that differ in their salt hide what a decision would have hidden.
    """
    loans = pd.read_parquet(shared_data("lending_club.parquet"), columns=["id", "issue_d", "int_rate", "defaulted"])
    loans = loans.rename(columns={"int_rate": "score"}).dropna()
    past, later = loans[loans.issue_d.dt.year <= 2009], loans[loans.issue_d.dt.year >= 2010]
    reference = wakeful.learn(past, score="score", label="defaulted", threshold=0.14, holdout="held", id="id",
                              kinds={"issue_d": "ignore"}, name="loans")  # fmt: skip
    if share == "by rate":
        share = lambda rate: 0.15 if rate < 0.16 else 0.03  # noqa: E731
    whole = outcomes(wakeful.Monitor(reference).count(later))
    flagged = (later.score >= 0.14).to_numpy()
    ids, scores = later.id.tolist(), later.score.tolist()
    found: dict[str, list[Estimate]] = {name: [] for name in ASKED}
    for salt in range(15):
        monitor = wakeful.Monitor(reference, holdout_share=share, holdout_from=source, holdout_salt=str(salt))
        held = np.array([monitor.decide(*one).holdout for one in zip(ids, scores, strict=True)])
        rng = np.random.default_rng(salt)
        told = held | (~flagged if source == "flagged" else ~flagged & (rng.random(len(held)) < 0.5))
        shown = later.assign(held=held, defaulted=later.defaulted.where(told))
        live = outcomes(monitor.count(shown), 0, True, monitor.holdout.release)
        for name in ASKED:
            found[name].append(asked(live, name, 1e-4))
    for name, estimates in found.items():
        assert isinstance(whole, BinaryOutcomes)
        truth = asked(whole, name).value
        assert all(one.low <= truth <= one.high for one in estimates), name
        values = [one.value for one in estimates]
        assert abs(np.mean(values) - truth) <= 4 * np.std(values) / math.sqrt(15), name
