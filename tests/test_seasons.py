"""Hours of the week that differ: live rows are held against the same hours, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import wakeful
from wakeful.counts import CLOCK
from wakeful.learning import Roles, learn_all
from wakeful.learning.windows import dispersion_of
from wakeful.reference import Reference
from wakeful.replay import replay
from wakeful.views import column_counts


def shop(
    start: str, hours: float, an_hour: float = 40, seed: int = 0, season: float = 1.0, zone: str | None = None
) -> pd.DataFrame:
    """Orders: by night and at weekends baskets are larger, ``app`` is more frequent, and the score follows."""
    rng = np.random.default_rng(seed)
    rows = int(hours * an_hour)
    at = pd.Timestamp(start) + pd.to_timedelta(np.sort(rng.integers(0, int(hours * 3600), rows)), unit="s")
    away = season * _away(at)
    basket = rng.gamma(4, 10 * (1 + 0.8 * away), rows).round(2)
    score = 1 / (1 + np.exp(-(basket / 40 - 2 + rng.normal(0, 0.3, rows))))
    return pd.DataFrame(
        {
            "basket": basket,
            "channel": np.where(rng.random(rows) < 0.2 + 0.3 * away, "app", "web"),
            "steady": rng.normal(size=rows),
            "score": score,
            "bought": (rng.random(rows) < score).astype(int),
            "at": at.tz_localize(zone) if zone else at,
        }
    )


def _away(at: pd.DatetimeIndex) -> Any:
    """1 by night, 1 at weekends, and 2 in their nights."""
    return (np.asarray(at.hour) < 7) * 1.0 + (np.asarray(at.day_of_week) >= 5) * 1.0


ROLES: dict[str, Any] = {"score": "score", "label": "bought", "threshold": 0.5, "time": "at"}


@cache
def learnt() -> Reference:
    """Six weeks of orders, from Monday."""
    return wakeful.learn(shop("2024-01-01", 6 * 168), **ROLES)


@cache
def blind() -> Reference:
    """The same orders without their times."""
    return wakeful.learn(shop("2024-01-01", 6 * 168).drop(columns="at"), score="score", label="bought", threshold=0.5)


def watched(reference: Reference) -> wakeful.Monitor:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="ml")
    def answers_keep_their_shape(live: Any) -> None:
        assert live.score.d1() <= 0.1
        assert abs(live.score.mean() - live.reference.score.mean()) <= 0.05
        assert live["basket"].d1() <= 0.1

    return monitor


def failed(monitor: wakeful.Monitor, rows: pd.DataFrame) -> list[str]:
    return [one.assertion for one in monitor.test(rows).verdicts if one.verdict == "fail"]


# ---------------------------------------------------------------- stories


def test_a_healthy_night_is_silent_and_its_values_at_noon_are_not():
    night = shop("2024-02-20 00:00", 7, an_hour=400, seed=1)  # a Tuesday
    assert learnt().seasons is not None
    assert failed(watched(learnt()), night) == []
    noon = night.assign(at=night["at"] + pd.Timedelta(hours=10))
    assert len(failed(watched(learnt()), noon)) == 3
    assert len(failed(watched(blind()), night)) >= 2, "against the whole week, every night is an alarm"


def test_a_healthy_week_replayed_hour_by_hour_raises_no_alarm():
    rows = shop("2024-02-19", 168, an_hour=120, seed=2)
    steps = list(replay(watched(learnt()), rows, every="1h", time="at"))
    assert len(steps) == 168
    assert [step.window for step in steps if step.alarm] == []
    shifted = rows.assign(at=rows["at"] + pd.Timedelta(hours=12))
    loud = [step.window for step in replay(watched(learnt()), shifted, every="1h", time="at") if step.alarm]
    assert len(loud) > 24, "a clock that is twelve hours wrong is found"


def test_an_incident_at_night_is_found_at_night():
    """A score that stays at its level of the day: against the whole week it looks usual."""
    night = shop("2024-02-20 00:00", 7, an_hour=400, seed=3)
    day = shop("2024-02-20 08:00", 7, an_hour=400, seed=4)
    frozen = night.assign(score=day["score"], basket=day["basket"])
    assert len(failed(watched(learnt()), frozen)) == 3


def test_where_hours_do_not_differ_nothing_is_learnt():
    reference = wakeful.learn(shop("2024-01-01", 6 * 168, season=0.0), **ROLES)
    assert reference.seasons is None
    assert CLOCK not in reference.layout.cells
    assert reference.at_hours_of(reference.counts) is reference


@pytest.mark.parametrize(
    "rows",
    [
        shop("2024-01-01", 4 * 168, an_hour=663 / (4 * 168)),
        shop("2024-01-01", 2 * 168, an_hour=40),
        shop("2024-01-01", 6 * 168, an_hour=10).assign(at=lambda rows: rows["at"].dt.floor("1D")),
        shop("2024-01-01", 6 * 168, an_hour=10).assign(at=lambda rows: rows["at"].dt.date),
    ],
    ids=["663 rows", "two weeks", "days without hours", "dates"],
)
def test_too_little_to_tell_a_season_from_an_odd_week(rows: pd.DataFrame):
    reference = wakeful.learn(rows, **ROLES)
    assert reference.seasons is None
    assert watched(reference).test(rows).rows == len(rows)


def test_people_are_told():
    notes = learn_all(shop("2024-01-01", 6 * 168), Roles(**ROLES)).notes
    assert "at: hours of the week differ, so live rows are compared with the same hours" in notes


# ---------------------------------------------------------------- what is compared


def test_the_reference_at_some_hours_is_what_those_hours_held():
    """Share by share, as pandas counts it; one average row is mixed in."""
    trained = shop("2024-01-01", 6 * 168)
    night = shop("2024-02-20 02:00", 1, an_hour=500, seed=5)
    counts = wakeful.Monitor(learnt()).count(night)
    alike = learnt().at_hours_of(counts)
    assert alike.seasons is None
    hour = trained[(trained["at"].dt.day_of_week == 1) & (trained["at"].dt.hour == 2)]
    place = learnt().layout.cells["channel"]
    names = learnt().layout.bins["channel"].categories  # type: ignore[union-attr]
    rows = alike.counts.table[0, place.start : place.start + len(names)]
    whole = trained["channel"].value_counts(normalize=True)
    for name, share in zip(names, rows / alike.counts.table[0, 0], strict=True):
        expected = ((hour["channel"] == name).sum() + whole[name]) / (len(hour) + 1)
        assert share == pytest.approx(expected, rel=1e-9)
    assert alike.rows == pytest.approx(len(hour) + 1, abs=1), "one hour alone says as much as its rows"


def test_rows_of_hours_that_weigh_unequally_say_less():
    """Kish: (sum w)² / sum w²; all hours alike, they say as much as there are."""
    monitor = wakeful.Monitor(learnt())
    every = monitor.count(shop("2024-02-19", 168, an_hour=300, seed=6))
    assert learnt().at_hours_of(every).rows == pytest.approx(learnt().rows, rel=0.02)
    mixed = every + monitor.count(shop("2024-02-20 02:00", 1, an_hour=50_000, seed=7))
    live = mixed.hours
    known = learnt().seasons[:, 0] + 1  # type: ignore[index]
    assert learnt().at_hours_of(mixed).rows == pytest.approx(live.sum() ** 2 / (live**2 / known).sum(), abs=1)
    assert learnt().at_hours_of(mixed).rows < learnt().rows / 20


def test_whole_weeks_are_held_against_the_whole():
    alike = learnt().at_hours_of(learnt().counts)
    whole, mixed = learnt().counts.table[0], alike.counts.table[0]
    start = learnt().layout.outcome_start
    for column in learnt().model.columns:
        place = learnt().layout.cells[column.name]
        cells = slice(place.start, place.start + place.values + 2)
        assert mixed[cells] / mixed[0] == pytest.approx(whole[cells] / whole[0], abs=0.001), column.name
    assert mixed[start:] == pytest.approx(whole[start:]), "outcomes stay as they are"


def test_without_times_rows_are_held_against_the_whole():
    monitor = watched(learnt())
    rows = shop("2024-02-19", 168, an_hour=30, seed=8)
    for timeless in (rows.drop(columns="at"), rows.assign(at=pd.NaT)):
        counts = monitor.count(timeless)
        assert counts.hours.sum() == 0
        assert learnt().at_hours_of(counts) is learnt()
        assert failed(monitor, timeless) == []
    night = shop("2024-02-20 00:00", 7, an_hour=400, seed=1)
    assert failed(monitor, night.drop(columns="at")) == failed(watched(blind()), night)


def test_hours_that_training_never_saw_are_held_against_the_whole():
    trained = shop("2024-01-01", 6 * 168)
    reference = wakeful.learn(trained[trained["at"].dt.day_of_week < 5], **ROLES)
    assert reference.seasons is not None
    saturday = wakeful.Monitor(reference).count(shop("2024-02-24 10:00", 5, seed=9))
    assert reference.at_hours_of(saturday) is reference


def test_few_rows_are_judged_by_the_groups_of_all_of_training():
    """Whatever the hour, so that the groups can be told beforehand; the night's own would be others."""
    monitor = wakeful.Monitor(learnt())
    counts = monitor.count(shop("2024-02-20 02:00", 1, an_hour=60, seed=14))
    usual = learnt().at_hours_of(counts).counts
    whole, own = column_counts(learnt().counts, "basket"), column_counts(usual, "basket")
    assert own.groups(5).tolist() != whole.groups(5).tolist()
    assert column_counts(usual, "basket", 0, learnt().counts).groups(5).tolist() == whole.groups(5).tolist()

    @monitor.check(window="1h")
    def baskets(live: Any) -> None:
        assert live["basket"].d1() <= 0.1

    p, q = (np.bincount(whole.groups(5), one.values / one.n) for one in (own, column_counts(counts, "basket")))
    [check] = monitor.checks
    [one] = monitor.judge(check, counts)
    assert one.judgement.estimate == pytest.approx(np.abs(p - q).sum())


# ---------------------------------------------------------------- counts stay counts


def test_clock_cells_add():
    monitor, rows = wakeful.Monitor(learnt()), shop("2024-02-19", 168, an_hour=20, seed=10)
    parts = [rows.iloc[at::3] for at in range(3)]
    total = monitor.count(parts[0]) + monitor.count(parts[1]) + monitor.count(parts[2])
    assert total == monitor.count(rows)
    assert total - monitor.count(parts[0]) == monitor.count(pd.concat(parts[1:]))
    expected = np.bincount(rows["at"].dt.day_of_week * 24 + rows["at"].dt.hour, minlength=168)
    assert total.hours.tolist() == expected.tolist()
    assert learnt().seasons[:, 0].sum() == learnt().rows  # type: ignore[index]


def test_rows_one_by_one_are_counted_as_a_table_is():
    monitor, rows = wakeful.Monitor(learnt()), shop("2024-02-20 00:00", 7, an_hour=3, seed=11)
    as_rows: Any = [row | {"at": row["at"].to_pydatetime()} for row in rows.to_dict("records")]
    assert monitor.count(as_rows) == monitor.count(rows)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path):
    learnt().save(tmp_path / "one.json")
    loaded = Reference.load(tmp_path / "one.json")
    loaded.save(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    night = shop("2024-02-20 00:00", 7, an_hour=100, seed=12)
    told = [[one.judgement.message for one in watched(each).test(night).verdicts] for each in (learnt(), loaded)]
    assert told[0] == told[1]
    counts = wakeful.Monitor(loaded).count(night)
    assert loaded.at_hours_of(counts).counts == learnt().at_hours_of(wakeful.Monitor(learnt()).count(night)).counts


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
def test_hours_are_those_of_the_clock_on_the_wall(zone: str):
    trained = wakeful.learn(shop("2024-01-01", 6 * 168, zone=zone), **ROLES)
    assert trained.seasons is not None
    assert trained.seasons == pytest.approx(learnt().seasons)
    night = shop("2024-02-20 00:00", 7, an_hour=400, seed=13, zone=zone)
    assert failed(watched(trained), night) == []
    assert failed(watched(trained), night.assign(at=night["at"] + pd.Timedelta(hours=10))) != []


# ---------------------------------------------------------------- how far windows stray


def days_that_differ(weeks: int = 12, a_day: int = 300, seed: int = 0) -> pd.DataFrame:
    """Every day has its own level, and levels of a week add up to nothing."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(0, 0.6, (weeks, 7))
    levels -= levels.mean(axis=1, keepdims=True)
    day = np.repeat(np.arange(7 * weeks), a_day)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(day)) * 86_400 // a_day, unit="s")
    x = rng.normal(levels.ravel()[day], 1)
    return pd.DataFrame({"x": x, "score": 1 / (1 + np.exp(-x)), "at": at})


def test_windows_that_stray_more_by_day_than_by_week_are_learnt_so():
    reference = wakeful.learn(days_that_differ(), score="score", time="at")
    day, week = reference.strays["day"], reference.strays["week"]
    assert (day.number, week.number) == (84, 12)
    for column in ("x", "score"):
        assert day.columns[column].shape > 0.01
        assert week.columns[column].shape < day.columns[column].shape / 5
    assert reference.stray(86_400) is day
    assert reference.stray(6 * 86_400) is day, "shorter than a week: as days"
    assert reference.stray(7 * 86_400) is week
    assert reference.stray(3_600) is next(iter(reference.strays.values())), "the shortest there is"
    steady = wakeful.learn(days_that_differ().drop(columns="at"), score="score")
    assert steady.stray(86_400).columns == {}
    assert steady.dispersion == {}


def test_days_that_stray_by_themselves_raise_no_alarm_over_a_day():
    """The same d1 fails over a week, which never strayed so far."""
    reference = wakeful.learn(days_that_differ(), score="score", time="at")
    moved = days_that_differ(1, seed=1)
    moved = moved.assign(score=np.clip(moved["score"] + 0.12, 0, 1)).drop(columns="at")
    verdicts = {}
    for window in ("24h", "7d"):
        monitor = wakeful.Monitor(reference)

        @monitor.check(window=window)
        def answers(live: Any) -> None:
            assert live.score.d1() <= 0.05

        [check] = monitor.checks
        [one] = monitor.judge(check, monitor.count(moved))
        verdicts[window] = one.verdict
    assert verdicts == {"24h": "unsure", "7d": "fail"}


def test_seasons_are_no_straying():
    """Hours differ by season, which is known: held against the same hours, they do not stray."""
    told = learn_all(shop("2024-01-01", 6 * 168), Roles(**ROLES))
    known = dispersion_of(told.reference, told.windows)
    unknown = dispersion_of(replace(told.reference, seasons=None), told.windows)
    assert told.reference.windows == ("day", 42)
    assert told.reference.strays["day"].columns == known
    assert known["score"].shape < 0.001
    assert unknown["score"].shape > 20 * known["score"].shape
