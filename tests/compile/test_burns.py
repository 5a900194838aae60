"""Objectives of quality are looked at over shorter windows, too; everything else is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.compile.burns import Burn, burns_of
from wakeful.expression import Number
from wakeful.signals import Signal
from wakeful.views import BinaryOutcomes

Asserts = Callable[[Any], object]


@wakeful.signal(of="binary", bounded=True)
def precision(live: BinaryOutcomes) -> float:
    """Somebody's own, of which nobody knows whether more of it is better."""
    return float(live.matrix[1, 1] / live.matrix[1].sum())


@pytest.fixture(scope="module")
def outcomes() -> wakeful.Reference:
    """Nearly all answers are right on the web, one in three in the app."""
    random = np.random.default_rng(1)
    n = 8_000
    platform = random.choice(["web", "app"], n, p=[0.9, 0.1])
    flagged = random.random(n) < 0.5
    label = flagged ^ (random.random(n) < np.where(platform == "web", 0.02, 2 / 3))
    data = {"platform": platform, "score": np.where(flagged, 0.8, 0.2), "label": label.astype(int)}
    return wakeful.learn(data, score="score", label="label", threshold=0.5, segments=["platform"], name="loans")


def found(reference: wakeful.Reference, asserted: Asserts, window: str = "30d", **severity: str) -> list[Burn]:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window=window, **(severity or {"page": "on-call"}))  # type: ignore[arg-type]
    def check(live: Any) -> None:
        assert asserted(live)

    (registered,) = monitor.checks
    (assertion,) = monitor.assertions(registered)
    return list(burns_of(monitor, registered, 0, assertion))


def limits(burns: list[Burn]) -> list[tuple[str, str, str, float]]:
    """Window, shorter window, rate and limit of each."""
    numbers = [one.comparison.right for one in burns]
    assert all(isinstance(one, Number) for one in numbers)
    return [
        (one.window, one.short, one.rate, limit.value)
        for one, limit in zip(burns, numbers, strict=True)
        if isinstance(limit, Number)
    ]


def test_an_objective_of_a_month_has_the_windows_and_rates_of_the_workbook(outcomes: wakeful.Reference):
    assert limits(found(outcomes, lambda live: live.precision() >= 0.99)) == [
        ("1h", "5m", "14.4", 0.856),
        ("6h", "30m", "6", 0.94),
    ]


def test_a_share_of_wrong_answers_burns_upwards(outcomes: wakeful.Reference):
    burns = found(outcomes, lambda live: live.false_positive_rate() <= 0.01)
    assert limits(burns) == [("1h", "5m", "14.4", 0.144), ("6h", "30m", "6", 0.06)]
    assert {one.comparison.symbol for one in burns} == {"<="}


@pytest.mark.parametrize(
    ("asserted", "limit", "rate"),
    [
        (lambda live: live.precision() >= 0.3, 0.15, "1.21"),
        (lambda live: 0.3 < live.recall(), 0.15, "1.21"),  # noqa: SIM300  # the limit may stand on the left
        (lambda live: live.false_positive_rate() <= 0.3, 0.65, "2.17"),
    ],
)  # fmt: skip
def test_a_low_objective_is_held_against_half_of_it(
    outcomes: wakeful.Reference, asserted: Asserts, limit: float, rate: str
):
    assert limits(found(outcomes, asserted)) == [("1h", "5m", rate, limit), ("6h", "30m", rate, limit)]


@pytest.mark.parametrize(
    ("window", "lengths"),
    [
        ("12h", []),
        ("24h", [("10m", "5m")]),
        ("3d", [("30m", "5m")]),
        ("7d", [("15m", "5m"), ("1h", "5m")]),
        ("28d", [("1h", "5m"), ("6h", "30m")]),
        ("90d", [("3h", "15m"), ("1d", "2h")]),
    ],
)
def test_windows_follow_that_of_the_check_down_to_what_scrapes_can_say(
    outcomes: wakeful.Reference, window: str, lengths: list[tuple[str, str]]
):
    burns = found(outcomes, lambda live: live.accuracy() >= 0.9, window)
    assert [(one.window, one.short) for one in burns] == lengths


@pytest.mark.parametrize(
    "asserted",
    [
        lambda live: live.score.d1() <= 0.2,  # no outcomes
        lambda live: live.flagged_share() <= 0.5,
        lambda live: live.expected_precision() >= 0.5,
        lambda live: live.roc_auc() >= 0.5,  # no share of answers
        lambda live: precision(live) >= 0.5,
        lambda live: live.precision() <= 0.9,  # more is better
        lambda live: live.false_positive_rate() >= 0.01,
        lambda live: live.precision() >= 1.0,  # no error is allowed, or any
        lambda live: live.precision() >= 0.0,
        lambda live: live.false_positive_rate() <= 0.0,
        lambda live: live.precision() >= live.ago("7d").precision() - 0.1,  # unknown by now
        lambda live: live.precision() + live.recall() >= 1.0,  # two of them
        lambda live: live.precision() == 0.5,
    ],
)
def test_what_is_no_objective_of_quality_has_no_shorter_windows(outcomes: wakeful.Reference, asserted: Asserts):
    assert isinstance(precision, Signal)
    assert not found(outcomes, asserted)


def test_a_check_that_tells_nobody_tells_nobody_sooner(outcomes: wakeful.Reference):
    monitor = wakeful.Monitor(outcomes)

    @monitor.check(window="30d")
    def explains(live: Any) -> None:
        assert live.precision() >= 0.5

    (check,) = monitor.checks
    assert not list(burns_of(monitor, check, 0, monitor.assertions(check)[0]))
    assert found(outcomes, lambda live: live.precision() >= 0.5, ticket="team")


def test_each_segment_is_held_against_a_limit_of_its_own(outcomes: wakeful.Reference):
    burns = found(
        outcomes, lambda live: live.by("platform").accuracy() >= live.reference.by("platform").accuracy() - 0.02
    )
    usual = {"app": 1 / 3 - 0.02, "web": 0.98 - 0.02}
    halfway, at_six = {name: one / 2 for name, one in usual.items()}, 1 - 6 * (1 - usual["web"])
    expected = [("1h", halfway), ("6h", {"web": at_six}), ("6h", {"app": halfway["app"]})]
    assert [one.window for one in burns] == [window for window, _ in expected]
    for burn, (_, limits) in zip(burns, expected, strict=True):
        judged = [one.judgement for one in burn.judge(wakeful.Monitor(outcomes), outcomes.counts)]
        assert {str(one.part.value): one.limit for one in judged} == pytest.approx(limits, abs=0.05)
        assert {one.verdict for one in judged} == {"pass"}
    assert [one.rate for one in burns][1] == "6"
    assert 1 < burns[0].times == burns[2].times < 1.5  # the least of both


@pytest.mark.parametrize(
    ("asserted", "found_limits"),
    [
        (lambda live: live.precision("b") >= 0.98, [0.712, 0.88]),
        (lambda live: live.f1("b") >= 0.98, [0.712, 0.88]),
        (lambda live: live.confusion("a", "b") <= 0.02, [0.288, 0.12]),
        (lambda live: live.confusion("a", "a") >= 0.98, []),
    ],
)
def test_a_class_has_objectives_of_its_own(asserted: Asserts, found_limits: list[float]):
    label = np.array(["a", "b", "c"])[np.arange(300) % 3]
    reference = wakeful.learn({"score": label, "label": label}, score="score", label="label", task="multiclass")
    assert [limit for *_, limit in limits(found(reference, asserted))] == found_limits


def test_a_shorter_window_is_looked_at_with_a_smaller_error_rate(outcomes: wakeful.Reference):
    hour, hours = found(outcomes, lambda live: live.precision() >= 0.95)
    budget = wakeful.Monitor(outcomes).budget
    assert hour.alpha == budget.alpha(1, 1, 3_600)
    assert hours.alpha == budget.alpha(1, 1, 6 * 3_600)
    assert hour.alpha < hours.alpha < budget.alpha(1, 1, 30 * 86_400)
