"""Where hours of the week differ, and beside earlier windows, Prometheus calculates what the checks say, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parity import Tool, compare, compiled

import wakeful
from wakeful.counts import Counts


def orders(start: str, hours: float, rows: int, seed: int) -> pd.DataFrame:
    """By night and at weekends baskets are larger, more of them lack a coupon, and the score follows."""
    random = np.random.default_rng(seed)
    at = pd.Timestamp(start) + pd.to_timedelta(np.sort(random.integers(0, int(hours * 3600), rows)), unit="s")
    away = (np.asarray(at.hour) < 7) * 1.0 + (np.asarray(at.day_of_week) >= 5)
    basket = random.gamma(4, 10 * (1 + 0.8 * away), rows).round(2)
    shop = random.choice(["Köln", 'a|b"\n\\c', "Ulm"], rows, p=[0.6, 0.3, 0.1]).astype(object)
    rare = random.random(rows) < 0.02 * (1 + away)
    shop[rare] = [f"stall {number}" for number in random.integers(0, 400, rare.sum())]
    return pd.DataFrame(
        {
            "basket": basket,
            "coupon": np.where(random.random(rows) < 0.1 + 0.3 * away, np.nan, random.integers(1, 9, rows)),
            "shop": shop,
            "channel": np.where(random.random(rows) < 0.2 + 0.3 * away, "app", "web").astype(object),
            "score": 1 / (1 + np.exp(-(basket / 40 - 2 + random.normal(0, 0.3, rows)))),
            "at": at,
        }
    )


@pytest.fixture(scope="module")
def reference() -> wakeful.Reference:
    """Four weeks that are over on Fridays."""
    trained = orders("2024-01-01", 4 * 168, 9_000, 1)
    trained = trained[trained["at"].dt.day_of_week < 5]
    return wakeful.learn(trained, score="score", time="at", segments=["channel"], name="shop")


def windows(monitor: wakeful.Monitor, number: int) -> Iterator[Counts]:
    """Few rows and many, of one hour and of days, of hours that training did not know, and of no hour at all."""
    random = np.random.default_rng(3)
    yield Counts.zero(monitor.reference.layout)
    for seed in range(2, number + 1):
        hours = random.choice([1.0, 5.0, 24.0])
        some = orders(f"2024-02-{random.integers(5, 12):02d} 0{random.integers(0, 9)}:00", hours, 1, seed)
        start = some["at"][0].floor("h").isoformat()
        some = orders(start, hours, int(10 ** random.uniform(0, 3.6)), seed)
        some["at"] = some["at"].where(random.random(len(some)) < random.choice([0.0, 0.5, 1.0], p=[0.1, 0.1, 0.8]))
        some["basket"] += random.choice([0.0, 0.01, 5.0])
        some["shop"] = some["shop"].where(random.random(len(some)) < random.choice([0.5, 1.0]), "Paris")
        some["channel"] = some["channel"].where(random.random(len(some)) < random.choice([0.7, 1.0]), "tv")
        yield monitor.count(some)


def test_what_is_usual_at_the_hours_of_a_window_is_the_same(
    reference: wakeful.Reference, promtool: Tool, tmp_path: Path
) -> None:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="x")
    def columns(live: Any) -> None:
        assert live.features.d1() <= 0.2
        assert live["shop"].psi() <= 0.2
        assert live["basket"].jensen_shannon() <= 0.05
        assert live["coupon"].linf() <= 0.1
        assert live["basket", "coupon"].missing() <= live.reference["basket", "coupon"].missing() + 0.02
        assert live["basket"].invalid() <= live.reference["basket"].invalid() + 0.02
        assert live.features.unseen() <= live.reference.features.unseen() + 0.01
        assert live["basket"].out_of_range() <= live.reference["basket"].out_of_range() + 0.01
        assert live["basket"].off_grid() <= live.reference["basket"].off_grid() + 0.01
        assert abs(live.score.mean() - live.reference.score.mean()) <= 0.05
        assert live["channel"].share("app") <= 1.2 * live.reference["channel"].share("app")
        assert live.traffic() >= 0.01 * live.reference.traffic()
        assert live.by("channel")["basket"].d1() <= 0.2
        assert live.by("channel")["coupon"].missing() <= live.reference.by("channel")["coupon"].missing() + 0.05

    assert reference.seasons is not None
    some = list(windows(monitor, 40))
    ways = [(reference.at_hours_of(one) is reference, one.hours.sum() > 0) for one in some]
    assert {ways.count(way) > 3 for way in [(True, True), (True, False), (False, True)]} == {True}
    compare(promtool, tmp_path, monitor, compiled(monitor), some)


def test_earlier_windows_are_the_same(reference: wakeful.Reference, promtool: Tool, tmp_path: Path) -> None:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="x")
    def as_an_hour_ago(live: Any) -> None:
        assert live.against("1h").score.d1() <= 0.15
        assert live.against("1h")["shop"].psi() <= 0.2
        assert live.against("1h").features.unseen() <= 0.1
        assert live.by("channel").against("1h")["basket"].d1() <= 0.2
        assert live.traffic() >= 0.5 * live.ago("1h").traffic()
        assert live.score.d1() <= live.ago("1h").score.d1() + 0.1
        assert live.score.mean() <= live.ago("1h").score.mean() + live.reference.score.mean()

    some = list(windows(monitor, 50))
    compare(promtool, tmp_path, monitor, compiled(monitor), some[:25], some[25:])
