"""How large a holdout has to be: held against the field's figures, against binomial draws, and a real check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import wakeful
from wakeful import holdout_size
from wakeful.bounds import share_bounds
from wakeful.evidence import Share

# ---------------------------------------------------------------- how many


@pytest.mark.parametrize(("margin", "textbook", "n"), [(0.03, 203, 266), (0.02, 457, 553), (0.01, 1825, 2022)])
def test_a_margin_takes_so_many_and_the_textbook_too_few(margin: float, textbook: int, n: int):
    size = holdout_size(0.95, margin=margin)

    assert (size.n, size.textbook) == (n, textbook)
    assert size.high - size.low <= 2 * margin
    low, high = share_bounds(0.95 * (n - 1), n - 1, 0.025)
    assert high - low > 2 * margin  # one fewer is too few


def test_the_interval_of_wakefuls_precision_on_so_many_rows_has_that_half_width_and_covers():
    size, rng = holdout_size(0.95, margin=0.02), np.random.default_rng(0)
    found = [Share(float(part), size.n).estimate(0.025) for part in rng.binomial(size.n, 0.95, 2_000)]

    assert np.mean([(one.high - one.low) / 2 for one in found]) == pytest.approx(0.02, abs=0.0003)
    outside = np.mean([not one.low <= 0.95 <= one.high for one in found])
    assert outside <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2_000)
    # with the textbook's rows, the textbook's own interval has that width, but holds the truth less often than it says
    parts = rng.binomial(203, 0.95, 20_000) / 203
    assert np.mean(abs(parts - 0.95) > 1.96 * np.sqrt(parts * (1 - parts) / 203)) > 0.06


@pytest.mark.parametrize(
    ("precision", "detect", "textbook", "n"), [(0.97, 0.92, 222, 309), (0.97, 0.85, 51, 86), (0.97, 0.95, 1143, 1382)]
)
def test_a_drop_is_noticed_with_the_power_that_was_asked_for(precision: float, detect: float, textbook: int, n: int):
    size = holdout_size(precision, detect=detect)

    assert (size.n, size.textbook) == (n, textbook)
    for rows in range(n, n + 60):
        assert fails(rows, precision, detect) >= 0.9
        assert fails(rows, precision, precision) <= 0.01
    assert min(fails(rows, precision, detect) for rows in range(n - 30, n)) < 0.9


def fails(rows: int, limit: float, truth: float) -> float:
    """Probability that `precision >= limit` fails: its whole interval lies below."""
    misses = next(m for m in range(rows + 1) if share_bounds(rows - m, rows, 0.01)[1] < limit)
    return float(binom.sf(misses - 1, rows, 1 - truth))


def test_a_check_of_a_monitor_fails_with_that_power(reference: wakeful.Reference):
    monitor = wakeful.Monitor(reference, alarm_budget="10/1d")

    @monitor.check(window="1d", page="on-call")
    def rejections_are_right(live: Any) -> None:
        assert live.holdout.precision() >= 0.95

    alpha = monitor.alpha(monitor.checks[0], next(iter(monitor.assertions(monitor.checks[0]))))
    size = holdout_size(0.95, detect=0.88, alpha=alpha, power=0.8)
    rng = np.random.default_rng(0)

    def verdicts(truth: float) -> list[bool]:
        return [monitor.test(window(rng, size.n, truth)).ok for _ in range(80)]

    failed = 1 - np.mean(verdicts(0.88))
    assert 0.8 - 3 * np.sqrt(0.16 / 80) <= failed <= 0.95
    assert np.mean(verdicts(0.95)) >= 1 - alpha - 3 * np.sqrt(alpha * (1 - alpha) / 80)


def window(rng: np.random.Generator, rows: int, precision: float) -> dict[str, Any]:
    """So many rows, all flagged and held out."""
    return {
        "income": rng.lognormal(10.5, 0.5, rows).round(2),
        "rent": rng.gamma(4, 200, rows).round(2),
        "debt": rng.gamma(2, 100, rows).round(2),
        "city": rng.choice(["Berlin", "Hamburg", "Köln"], rows),
        "owner": rng.random(rows) < 0.4,
        "platform": rng.choice(["web", "app"], rows),
        "score": rng.uniform(0.5, 1, rows),
        "rejected": (rng.random(rows) < precision).astype(int),
        "held": np.ones(rows, dtype=bool),
    }


# ---------------------------------------------------------------- time and money


def test_traffic_and_a_share_give_the_time_and_a_time_gives_the_share():
    by_share = holdout_size(0.95, margin=0.02, traffic="20000/d", flagged=0.2, share=0.05)
    by_time = holdout_size(0.95, margin=0.02, traffic="20000/d", flagged=0.2, within="30d")

    assert by_share.per_day == pytest.approx(200)
    assert by_share.days == pytest.approx(553 / 200)
    assert by_time.share == pytest.approx(553 / 30 / 4_000)
    assert by_time.per_day == pytest.approx(553 / 30)
    again = holdout_size(0.95, margin=0.02, traffic="20000/d", flagged=0.2, share=by_time.share)
    assert again.days == pytest.approx(30)


def test_only_what_was_flagged_rightly_costs_and_what_was_flagged_wrongly_is_set_off():
    traffic: dict[str, Any] = {"traffic": "20000/d", "flagged": 0.2, "share": 0.05}
    reports = holdout_size(0.95, margin=0.02, cost=12, **traffic)
    customers = holdout_size(0.95, margin=0.02, cost=12, saved=300, **traffic)

    assert reports.cost == pytest.approx(553 * 0.95 * 12)
    assert reports.cost_per_day == pytest.approx(200 * 0.95 * 12)
    assert customers.cost == pytest.approx(553 * (0.95 * 12 - 0.05 * 300))
    assert holdout_size(0.95, margin=0.02).cost is None


@pytest.mark.parametrize(
    ("text", "per_day"), [("20000/d", 20_000), ("5/s", 432_000), ("300/15m", 28_800), ("1.4e5/7d", 20_000)]
)
def test_traffic_is_a_number_per_time(text: str, per_day: float):
    size = holdout_size(0.95, margin=0.02, traffic=text, flagged=1, share=1)

    assert size.per_day == pytest.approx(per_day)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "either a margin .* or detect"),
        ({"margin": 0.02, "detect": 0.9}, "either a margin .* or detect"),
        ({"precision": 95, "margin": 0.02}, "precision has to lie between 0 and 1, not 95: 95% is 0.95"),
        ({"precision": float("nan"), "margin": 0.02}, "precision has to lie"),
        ({"margin": 2}, "margin has to lie between 0 and 0.5, not 2: two points are 0.02"),
        ({"margin": 0}, "margin has to lie"),
        ({"margin": 1e-6}, "more than 10,000,000 held-out cases"),
        ({"detect": 0.9499999}, "more than 10,000,000 held-out cases"),
        ({"detect": 0.95}, "has to lie below the precision"),
        ({"detect": 0.9, "power": 1.0}, "power has to lie"),
        ({"detect": 0.9, "alpha": 0.6}, "alpha has to lie"),
        ({"margin": 0.02, "traffic": "20000", "flagged": 0.2, "share": 0.1}, "'20000' is no rate.*20000/d"),
        ({"margin": 0.02, "traffic": "0/d", "flagged": 0.2, "share": 0.1}, "'0/d' is no rate"),
        ({"margin": 0.02, "traffic": "5/year", "flagged": 0.2, "share": 0.1}, "'year' is no duration"),
        ({"margin": 0.02, "traffic": "5/s"}, "give the share that is flagged"),
        ({"margin": 0.02, "flagged": 0.2}, "give it, such as 20000/d"),
        ({"margin": 0.02, "within": "30d"}, "give it, such as 20000/d"),
        ({"margin": 0.02, "traffic": "5/s", "flagged": 0.2}, "either the share to hold out"),
        ({"margin": 0.02, "traffic": "5/s", "flagged": 0.2, "share": 0.1, "within": "1d"}, "either the share"),
        ({"margin": 0.02, "traffic": "5/s", "flagged": 0.2, "within": "soon"}, "'soon' is no duration"),
        ({"margin": 0.02, "traffic": "20/d", "flagged": 0.2, "within": "7d"}, "only 28 are flagged.*takes 138.2 days"),
        ({"margin": 0.02, "cost": -1}, "cost has to be an amount of money"),
        ({"margin": 0.02, "saved": 10.0}, "give both"),
    ],
)
def test_what_cannot_be_answered_is_said(asked: dict[str, Any], told: str):
    with pytest.raises(wakeful.DataError, match=told):
        holdout_size(**({"precision": 0.95} | asked))
