"""What known outcomes stand for, and whether as many come as did: held against simulations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful import signals
from wakeful.bins import Floats
from wakeful.delays import delays
from wakeful.maturity import beyond, dispersion, known_parts
from wakeful.told import HEALTH, Known, Told, Usual, reweighted
from wakeful.views import BinaryOutcomes, outcomes

ALPHA = 0.025


def cases(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    score = rng.beta(2, 3, rows)
    return {"score": score, "late": (rng.random(rows) < score).astype(float)}


@pytest.fixture(scope="module")
def monitor() -> wakeful.Monitor:
    return wakeful.Monitor(
        wakeful.learn(cases(np.random.default_rng(0), 20_000), score="score", label="late", threshold=0.5)
    )


def seen(monitor: wakeful.Monitor, score: Any, late: Any) -> BinaryOutcomes:
    known = [None if np.isnan(one) else one for one in late]
    view = outcomes(monitor.count({"score": score, "late": known}))
    assert isinstance(view, BinaryOutcomes)
    return view


# What is known stands for what is still to come.


def test_known_outcomes_weigh_one_over_the_part_of_their_class_that_is_known(monitor: wakeful.Monitor):
    score = np.full(1_000, 0.9)
    late = np.repeat([1.0, 0.0, np.nan], [300, 100, 600])
    before = seen(monitor, score, late)

    after = reweighted(before, np.array([0.25, 0.75]))

    share = 300 / 0.75 / (300 / 0.75 + 100 / 0.25)
    [hits] = after.labelled[1, :, 1, 0][after.labelled[1, :, 1, 0] > 0]
    known = after.labelled[..., 0].sum()
    assert hits / known == pytest.approx(share)
    assert after.decided.tolist() == before.decided.tolist() == [0, 1_000]
    slope = (1 / 0.75) * (1 / 0.25) / ((300 / 0.75 + 100 / 0.25) / 400) ** 2  # of the share by that of the known
    by_delta_method = 300 * 100 / 400**3 * slope**2
    assert share * (1 - share) / known == pytest.approx(by_delta_method)


def test_where_all_is_known_nothing_changes(monitor: wakeful.Monitor):
    view = seen(monitor, **cases(np.random.default_rng(1), 500))

    assert np.allclose(reweighted(view, np.array([1.0, 1.0])).table, view.table)
    assert np.allclose(reweighted(view, np.array([0.5, 0.5])).labelled, view.labelled)


class Young:
    """Twelve weeks of 400 cases; positives come within weeks, negatives take twice as long."""

    WEEKS, ROWS, HORIZON = 12, 400, 45.0

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = self.WEEKS * self.ROWS
        found = cases(rng, rows)
        self.score, late = found["score"], found["late"]
        at = np.sort(rng.random(rows) * self.WEEKS * 7)
        known = at + np.where(late == 1, rng.gamma(2, 3, rows), rng.gamma(3, 5, rows))
        known[(known > self.WEEKS * 7) | (known - at > self.HORIZON)] = np.nan
        self.late = np.where(np.isnan(known), np.nan, late)
        edges = np.arange(self.WEEKS + 1) * 7.0
        self.week = np.searchsorted(edges, at, side="right") - 1
        counts = delays(at, known, late, self.WEEKS * 7.0, edges=edges, horizon=self.HORIZON)
        _, tails = beyond(counts)
        self.tails = np.array(tails)
        parts = [known_parts(counts, bool(k), tails[k], ALPHA, dispersion(counts, bool(k))) for k in (0, 1)]
        self.parts = np.stack(parts, axis=2)

    def known(self, week: int) -> Known:
        rows = float((self.week == week).sum())
        health = np.zeros(len(HEALTH))
        health[0] = rows
        told = Told(self.parts[week] * rows, health, np.zeros((4, 5)))
        return Known(told, Usual(), self.tails, by_class=True)


@pytest.mark.parametrize("name", ["precision", "recall", "accuracy"])
def test_intervals_of_young_windows_hold_what_all_outcomes_will_show(monitor: wakeful.Monitor, name: str):
    many = cases(np.random.default_rng(2), 1_000_000)
    signal, whole = signals.find(name, "binary"), seen(monitor, **many)
    truth = signal.estimate(whole, whole, {}, ALPHA).value
    below = above = naive = 0
    states, runs = set(), 60
    for seed in range(runs):
        young = Young(seed)
        for week in (9, 10):
            rows = young.week == week
            view = seen(monitor, young.score[rows], young.late[rows])
            known = young.known(week)
            states.add(known.status)
            found = known.estimate(view, lambda one: signal.estimate(one, whole, {}, ALPHA))
            alone = signal.estimate(view, whole, {}, ALPHA)
            below, above = below + (found.low > truth), above + (found.high < truth)
            naive += not alone.low <= truth <= alone.high

    assert states == {"reweighted"}
    assert max(below, above) <= 0.025 * 2 * runs + 3 * np.sqrt(0.025 * 2 * runs)
    assert naive > 0.25 * 2 * runs, "what is known alone misleads"


def test_a_window_waits_until_a_tenth_of_each_class_is_known():
    young = Young(1)
    states = [young.known(week).status for week in range(Young.WEEKS)]

    assert states == sorted(states, key=["mature", "reweighted", "maturing"].index)
    assert states[0] == "mature" and states[-1] == "maturing"
    assert young.known(11).maturity < 0.1 < young.known(10).maturity < 0.9 < young.known(0).maturity


# As many come as did.


def tiles(rng: np.random.Generator, number: int, rows: float, rate: float, spread: float) -> Iterator[Floats]:
    """Predictions and outcomes of tiles whose join rate strays by a variance of spread x rate x (1 - rate)."""
    for _ in range(number):
        asked = rng.poisson(rows)
        known = rng.binomial(asked, rng.beta(rate * (1 / spread - 1), (1 - rate) * (1 / spread - 1)))
        positive = rng.binomial(known, 0.2)
        yield np.array([[asked, known - positive, positive, 0.0, 0.0]])


def last_week(found: Iterator[Floats]) -> tuple[Usual, Floats]:
    usual, window = Usual(), []
    for tile in found:
        window.append(tile)
        if len(window) > 7:
            usual.add(window.pop(0))
    return usual, np.sum(window, axis=0)


@pytest.mark.parametrize(
    ("rows", "rate", "spread"), [(100, 0.9, 1e-9), (1_000, 0.9, 0.01), (30, 0.5, 0.05), (1_000, 0.98, 0.001)]
)
def test_a_join_as_it_always_was_raises_no_alarm(rows: float, rate: float, spread: float):
    rng, runs = np.random.default_rng(3), 400
    fewer = more = alarms = 0
    for _ in range(runs):
        usual, window = last_week(tiles(rng, 30, rows, rate, spread))
        found = usual.expect(window).estimate(ALPHA)
        fewer, more = fewer + (found.high < 1), more + (found.low > 1)
        alarms += usual.expect(window).estimate(1e-3).high < 0.9

    assert max(fewer, more) <= 0.06 * runs  # tiles stray by a skew distribution, which a variance does not know
    assert alarms == 0


def test_outcomes_that_stay_away_are_told_and_are_no_example_for_later_windows():
    rng = np.random.default_rng(4)
    healthy, broken = tiles(rng, 40, 300, 0.95, 0.001), tiles(rng, 60, 300, 0.6, 0.001)
    usual, window = last_week(iter([*healthy, *broken]))

    found = usual.expect(window).estimate(1e-4)

    assert found.high < 0.75
    assert found.value == pytest.approx(0.6 / 0.95, abs=0.03)


def test_more_of_one_class_and_less_of_the_other_is_no_broken_join():
    usual = Usual()
    for _ in range(20):
        usual.add(np.array([[1_000, 700.0, 200.0, 0.0, 0.0]]))
    changed = np.array([[1_000, 850.0, 50.0, 0.0, 0.0]])

    assert usual.expect(changed).estimate(1e-4).value == pytest.approx(1, abs=0.01)
    assert usual.expect(changed, (1,)).estimate(1e-4).high < 0.5


def test_a_decision_that_hides_outcomes_is_no_broken_join():
    usual = Usual()
    for _ in range(20):
        usual.add(np.array([[900, 800.0, 80.0, 0.0, 0.0], [100, 0.0, 0.0, 0.0, 0.0]]))
    flags_half = np.array([[500, 450.0, 40.0, 0.0, 0.0], [500, 0.0, 0.0, 0.0, 0.0]])

    assert usual.expect(flags_half).estimate(1e-4).value == pytest.approx(1, abs=0.01)
