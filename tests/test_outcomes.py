"""Predictions and late outcomes, joined."""

from __future__ import annotations

import datetime as dt
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace as replaced
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import wakeful
from wakeful import maturity
from wakeful.cli import app
from wakeful.counts import Counts
from wakeful.delays import delays
from wakeful.every import Every
from wakeful.ids import text_of
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Outcome as ToldOutcome
from wakeful.live.observations import Row
from wakeful.outcomes import Ahead, Health, Join, Joined
from wakeful.replay import replay

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
HORIZON = 3 * 24 * 60  # minutes
LATER = START + dt.timedelta(days=100)


def minutes(number: float) -> dt.datetime:
    return START + dt.timedelta(minutes=number)


class Prediction(NamedTuple):
    id: str | None
    at: int  # minutes after START
    income: float
    score: float


class Outcome(NamedTuple):
    id: str | None
    at: int
    label: float | None


def predictions(rows: Sequence[Prediction]) -> pa.Table:
    return pa.table(
        {
            "application": pa.array([row.id for row in rows], pa.string()),
            "asked_at": pa.array([minutes(row.at) for row in rows], pa.timestamp("us", "UTC")),
            "income": pa.array([row.income for row in rows], pa.float64()),
            "score": pa.array([row.score for row in rows], pa.float64()),
        }
    )


def outcomes(rows: Sequence[Outcome]) -> pa.Table:
    return pa.table(
        {
            "application": pa.array([row.id for row in rows], pa.string()),
            "at": pa.array([minutes(row.at) for row in rows], pa.timestamp("us", "UTC")),
            "defaulted": pa.array([row.label for row in rows], pa.float64()),
        }
    )


@pytest.fixture(scope="session")
def loans() -> wakeful.Reference:
    """A model of loans with an id and a time."""
    rng = np.random.default_rng(1)
    score = rng.random(2_000)
    return wakeful.learn(
        {
            "application": [f"a{at}" for at in range(2_000)],
            "asked_at": [minutes(at) for at in range(2_000)],
            "income": rng.lognormal(10, 0.5, 2_000),
            "score": score,
            "defaulted": (rng.random(2_000) < score).astype(int),
        },
        score="score", label="defaulted", threshold=0.5, id="application", time="asked_at", name="loans",
    )  # fmt: skip


@pytest.fixture
def join(loans: wakeful.Reference, tmp_path: Path) -> Iterator[Join]:
    with Join(tmp_path / "state", loans.model, horizon="3d") as opened:
        yield opened


def counted(reference: wakeful.Reference, joined: Joined) -> dict[int, Counts]:
    return {tile.start: tile.counts for tile in joined.counts(reference.layout, "1d")}


def labels(joined: Joined) -> dict[str, float | None]:
    """What is known of every id."""
    with joined.run(f"SELECT * FROM {joined.history.source}") as reader:
        rows = reader.read_all().to_pylist()
    return {row["application"]: row["defaulted"] for row in rows}


def total(found: Sequence[Health], name: str) -> int:
    return sum(getattr(one, name) for one in found)


# Whatever the order.


def offline(told: Sequence[Prediction], outcome: Sequence[Outcome], now: int) -> list[dict[str, Any]]:
    """The joined table, as one would write it down who has everything at hand."""
    first: dict[str, Prediction] = {}
    for one in sorted(set(told), key=lambda one: one.at):
        if one.id is not None and one.at <= now:
            first.setdefault(one.id, one)
    rows = []
    for one in first.values():
        known = sorted(
            {
                (other.at, other.label)
                for other in outcome
                if other.id == one.id and other.label is not None and other.at <= min(now, one.at + HORIZON)
            }
        )
        rows.append(
            {
                "application": one.id, "asked_at": minutes(one.at), "income": one.income, "score": one.score,
                "defaulted": known[-1][1] if known else None, "history": known, "at": one.at,
            }
        )  # fmt: skip
    return rows


def counted_offline(reference: wakeful.Reference, rows: Sequence[dict[str, Any]]) -> dict[int, Counts]:
    monitor = wakeful.Monitor(reference)
    days: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        day = int(row["asked_at"].replace(hour=0, minute=0).timestamp()) * 1_000_000
        days.setdefault(day, []).append(row)
    schema = predictions([]).schema.append(pa.field("defaulted", pa.float64()))
    return {day: monitor.count(pa.Table.from_pylist(some, schema)) for day, some in sorted(days.items())}


ids = st.sampled_from([*(f"a{at}" for at in range(6)), None])
moments = st.integers(0, 8 * 24 * 60).map(lambda minute: minute // 360 * 360)  # coarse, so that many fall together
told_predictions = st.lists(
    # the income follows from id and time: which of two rows of the same time counts is not for an oracle to say
    st.builds(lambda id, at: Prediction(id, at, 1_000.0 + at + len(id or ""), (at % 1_000) / 1_000), ids, moments),
    max_size=12,
)
told_outcomes = st.lists(st.builds(Outcome, ids, moments, st.sampled_from([0.0, 1.0, 1.0, None, 7.0])), max_size=16)


@settings(max_examples=25)
@given(told_predictions, told_outcomes, st.integers(0, 2**32), st.integers(0, 9 * 24 * 60))
def test_any_order_any_split_and_any_repetition_count_as_joining_once_offline(
    loans: wakeful.Reference, tmp_path_factory: pytest.TempPathFactory, told: list[Prediction], known: list[Outcome],
    seed: int, now: int,
) -> None:  # fmt: skip
    chance = random.Random(seed)
    events: list[Prediction | Outcome] = [*told, *known]
    events += chance.choices(events, k=5) if events else []
    chance.shuffle(events)
    folder = tmp_path_factory.mktemp("state")
    while events:
        size = chance.randint(max(1, len(events) // 3), len(events))
        part, events = events[:size], events[size:]
        with Join(folder, loans.model, horizon="3d") as join:
            join.add_outcomes(outcomes([one for one in part if isinstance(one, Outcome)]))
            join.add_predictions(predictions([one for one in part if isinstance(one, Prediction)]))
    with Join(folder, loans.model, horizon="3d") as join:
        joined = join.as_of(minutes(now))
        expected = offline(told, known, now)
        assert counted(loans, joined) == counted_offline(loans, expected)
        health = joined.health("1d")
    assert total(health, "predictions") == len(expected)
    assert total(health, "joined") == sum(bool(row["history"]) for row in expected)
    assert total(health, "pending") == sum(not row["history"] and now - row["at"] <= HORIZON for row in expected)
    assert total(health, "joined") + total(health, "pending") + total(health, "missing") == len(expected)
    here = {row["application"] for row in expected}
    unknown = {one.id for one in known if one.at <= now and one.label is not None} - here - {None}
    assert total(health, "unknown") == len(unknown)
    last_of_moment = [dict(row["history"]) for row in expected]  # of two at the same time, the greater one
    changes = [list(one.values()) for one in last_of_moment]
    assert total(health, "corrections") == sum(a != b for one in changes for a, b in pairwise(one))
    clashes = sum(len(row["history"]) - len(dict(row["history"])) for row in expected)
    assert (total(health, "contradictions") > 0) == (clashes > 0)
    ages = sum(sum(some) for one in health for some in one.ages.values())
    assert ages == total(health, "joined")
    assert sum(sum(one.waiting) for one in health) == total(health, "pending")


# One rule each.


def test_of_predictions_with_one_id_the_first_counts(join: Join) -> None:
    join.add_predictions(predictions([Prediction("a", 20, 2.0, 0.9)]))
    join.add_predictions(predictions([Prediction("a", 10, 1.0, 0.1), Prediction("a", 20, 2.0, 0.9)]))
    joined = join.as_of(LATER)
    with joined.run(f"SELECT income FROM {joined.history.source}") as reader:
        assert reader.read_all().to_pylist() == [{"income": 1.0}]
    [health] = joined.health("1d")
    assert (health.predictions, health.repeats) == (1, 1)


def test_the_last_outcome_told_counts_whatever_was_read_last(join: Join, loans: wakeful.Reference) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9)]))
    join.add_outcomes(outcomes([Outcome("a", 300, 1.0)]))
    assert labels(join.as_of(LATER)) == {"a": 1.0}
    before = counted(loans, join.as_of(LATER))
    join.add_outcomes(outcomes([Outcome("a", 200, 0.0), Outcome("a", 250, 0.0)]))
    assert counted(loans, join.as_of(LATER)) == before
    [health] = join.as_of(LATER).health("1d")
    assert (health.joined, health.corrections, health.contradictions) == (1, 1, 0)
    assert labels(join.as_of(minutes(260))) == {"a": 0.0}, "what was known then"


def test_a_correction_moves_a_row_from_one_cell_to_another(join: Join, loans: wakeful.Reference) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9), Prediction("b", 0, 1.0, 0.9)]))
    join.add_outcomes(outcomes([Outcome("a", 10, 1.0)]))
    [before] = counted(loans, join.as_of(LATER)).values()
    join.add_outcomes(outcomes([Outcome("a", 20, 0.0)]))
    [after] = counted(loans, join.as_of(LATER)).values()
    moved = (after - before).outcome(0)[..., 0]
    assert moved.sum() == 0 and np.abs(moved).sum() == 2
    assert after.rows == before.rows == 2


def test_two_values_at_one_time_contradict_each_other_and_the_greater_counts(join: Join) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9)]))
    join.add_outcomes(outcomes([Outcome("a", 10, 1.0)]))
    join.add_outcomes(outcomes([Outcome("a", 10, 0.0)]))
    [health] = join.as_of(LATER).health("1d")
    assert (health.corrections, health.contradictions) == (0, 1)
    assert labels(join.as_of(LATER)) == {"a": 1.0}


def test_an_outcome_waits_for_its_prediction(join: Join) -> None:
    join.add_outcomes(outcomes([Outcome("a", 10, 1.0)]))
    [waiting] = join.as_of(LATER).health("1d")
    assert (waiting.predictions, waiting.unknown) == (0, 1)
    assert np.isnan(waiting.join_rate)
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9)]))
    [health] = join.as_of(LATER).health("1d")
    assert (health.joined, health.unknown, health.join_rate) == (1, 0, 1.0)


def test_what_is_told_after_the_horizon_is_late_and_not_joined(join: Join) -> None:
    some = [Prediction(id, 0, 1.0, 0.9) for id in ("on time", "late", "both", "never")]
    join.add_predictions(predictions(some))
    join.add_outcomes(outcomes([Outcome("on time", HORIZON, 1.0), Outcome("late", HORIZON + 1, 1.0)]))
    join.add_outcomes(outcomes([Outcome("both", 5, 0.0), Outcome("both", HORIZON + 1, 1.0)]))
    joined = join.as_of(LATER)
    assert labels(joined) == {"on time": 1.0, "late": None, "both": 0.0, "never": None}
    [health] = joined.health("1d")
    assert (health.joined, health.pending, health.missing, health.late) == (2, 0, 2, 1)
    [young] = join.as_of(minutes(HORIZON)).health("1d")
    assert (young.joined, young.pending, young.missing, young.late) == (2, 2, 0, 0)


def test_what_lies_in_the_future_is_not_known_yet(join: Join) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9), Prediction("b", 900, 1.0, 0.9)]))
    join.add_outcomes(outcomes([Outcome("a", 600, 1.0)]))
    assert labels(join.as_of(minutes(599))) == {"a": None}
    assert join.as_of(minutes(599)).ahead() == Ahead(1, 1)
    assert labels(join.as_of(minutes(900))) == {"a": 1.0, "b": None}
    later = join.as_of(minutes(900))
    assert later.ahead() == Ahead(0, 0)
    join.as_of(minutes(900))
    with pytest.raises(wakeful.DataError, match="as_of has been called again since"):
        later.total()


def test_an_outcome_before_its_prediction_is_joined_and_told(join: Join) -> None:
    join.add_predictions(predictions([Prediction("a", 100, 1.0, 0.9)]))
    join.add_outcomes(outcomes([Outcome("a", 40, 1.0)]))
    [health] = join.as_of(LATER).health("1d")
    assert (health.joined, health.early) == (1, 1)


def test_rows_without_id_time_or_label_are_left_out_and_told(join: Join) -> None:
    table = predictions([Prediction(None, 0, 1.0, 0.9), Prediction("", 0, 1.0, 0.9), Prediction("a", 0, 1.0, 0.9)])
    timeless = table.slice(2).set_column(1, "asked_at", pa.nulls(1, pa.timestamp("us", "UTC")))
    read = join.add_predictions(pa.concat_tables([table, timeless]))
    assert (read.rows, read.new, read.left_out) == (4, 1, {"without an id": 2, "without a time": 1})
    read = join.add_outcomes(outcomes([Outcome("a", 0, None), Outcome("a", 0, float("nan")), Outcome(None, 0, 1.0)]))
    assert (read.rows, read.new, read.left_out) == (3, 0, {"without an id": 1, "without a label": 2})


def test_ids_of_several_types_meet(join: Join) -> None:
    table = predictions([Prediction(None, at, 1.0, 0.9) for at in range(4)])
    join.add_predictions(table.set_column(0, "application", pa.array([7, 8, 2**63 - 1, 9], pa.int64())))
    told = outcomes([Outcome(None, 20, 1.0)] * 3)
    join.add_outcomes(told.set_column(0, "application", pa.array([7.0, 7.5, float("inf")], pa.float64())))
    join.add_outcomes(told.set_column(0, "application", pa.array(["8", str(2**63 - 1), "9.0"])))
    [health] = join.as_of(LATER).health("1d")
    assert (health.joined, health.unknown) == (3, 2), "7.5 and the text 9.0 are other ids"


@pytest.mark.parametrize(
    "given",
    [
        [7, -7, 2**63 - 1], np.array([2**64 - 1, 2**63], dtype=np.uint64),
        [7.0, 7.5, -0.0, 1e-7, 1e20, 0.1, float("nan"), float("inf")],
        ["7", "ä", "7.0", " 7"], [True, False], [Decimal("7.00"), Decimal("7.25")], [b"7", b"abc"],
    ],
)  # fmt: skip
def test_an_id_is_the_same_text_as_in_a_service(join: Join, given: Any) -> None:
    """Which hashes it for the holdout, and writes it to the log."""
    table = predictions([Prediction(None, at, 1.0, 0.9) for at in range(len(given))])
    join.add_predictions(table.set_column(0, "application", pa.array(given, from_pandas=True)))
    told = outcomes([Outcome(text_of(one), 60, 1.0) for one in given])
    join.add_outcomes(told)
    [health] = join.as_of(LATER).health("1d")
    assert health.joined == sum(text_of(one) is not None for one in given)
    assert health.unknown == 0


def test_a_label_that_is_no_number_is_invalid_and_one_that_is_text_is_refused(
    join: Join, loans: wakeful.Reference
) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9), Prediction("b", 0, 1.0, 0.9)]))
    told = outcomes([Outcome("a", 10, 7.0), Outcome("b", 10, float("inf"))])
    join.add_outcomes(told)
    [counts] = counted(loans, join.as_of(LATER)).values()
    assert counts.outcome(0)[..., 3, 0].sum() == 2  # neither 0, 1 nor unknown
    with pytest.raises(wakeful.DataError, match="'defaulted' of the Table holds text"):
        join.add_outcomes(told.set_column(2, "defaulted", pa.array(["yes", "no"])))
    with pytest.raises(wakeful.UnknownName, match="unknown label column 'defaulted'"):
        join.add_outcomes(told.drop_columns("defaulted"))
    with pytest.raises(wakeful.DataError, match="'at' holds string, not timestamps"):
        join.add_outcomes(told.set_column(1, "at", pa.array(["soon", "late"])))
    assert labels(join.as_of(LATER)) == {"a": 7.0, "b": float("inf")}


def test_booleans_and_whole_numbers_are_labels(join: Join) -> None:
    join.add_predictions(predictions([Prediction(id, 0, 1.0, 0.9) for id in "ab"]))
    told = outcomes([Outcome("a", 10, 1.0), Outcome("b", 10, 0.0)])
    join.add_outcomes(told.set_column(2, "defaulted", pa.array([True, False])))
    join.add_outcomes(told.set_column(2, "defaulted", pa.array([1, 0], pa.int8())))
    [health] = join.as_of(LATER).health("1d")
    assert labels(join.as_of(LATER)) == {"a": 1.0, "b": 0.0}
    assert (health.corrections, health.contradictions) == (0, 0)


@pytest.mark.parametrize("classes", [["cat", "dog", "cow"], [1, 2, 3]], ids=["texts", "numbers"])
def test_classes_keep_their_type(tmp_path: Path, classes: list[Any]) -> None:
    rows = {
        "id": list(range(300)), "asked_at": [minutes(at) for at in range(300)],
        "x": [float(at) for at in range(300)], "guess": classes * 100, "truth": classes[:1] * 150 + classes[1:2] * 150,
    }  # fmt: skip
    reference = wakeful.learn(rows, score="guess", label="truth", id="id", time="asked_at", task="multiclass")
    told = {"id": rows["id"][:200], "truth": rows["truth"][:200], "at": [minutes(400)] * 200}
    asked = {name: values for name, values in rows.items() if name != "truth"}
    with Join(tmp_path, reference.model, horizon="3d") as join:
        join.add_predictions(asked)
        join.add_outcomes(told)
        [counts] = counted(reference, join.as_of(LATER)).values()
        [health] = join.as_of(LATER).health("1d")
    expected = wakeful.Monitor(reference).count({**asked, "truth": rows["truth"][:200] + [None] * 100})
    assert np.array_equal(counts.vector, expected.vector)
    assert {name: sum(ages) for name, ages in health.ages.items()} == {str(classes[0]): 150, str(classes[1]): 50}


# Ages.


def test_ages_are_those_of_the_cases_and_young_windows_are_corrected(join: Join) -> None:
    """Half of all cases become 1 within hours, half 0 after two days: a young window shows nothing but ones."""
    told = [Prediction(f"a{at}", at * 10, 1.0, 0.9) for at in range(2_000)]
    known = [Outcome(one.id, one.at + (60 if at % 2 else 2_880), float(at % 2)) for at, one in enumerate(told)]
    known += [Outcome("a0", 3_000, 1.0), Outcome("a2", 3_000, 7.0)]  # a correction, and no outcome at all
    now = 12 * 1_440 - 1
    join.add_predictions(predictions(told))
    join.add_outcomes(outcomes(known))
    starts, counts = join.as_of(minutes(now)).delays("1d", bins=72)
    days = np.array([minutes(one.at).replace(tzinfo=None) for one in told], dtype="datetime64[us]")
    label = np.array([other.label for other in known[:2_000]])
    label[0] = 1.0
    ages = np.array([other.at - one.at for one, other in zip(told, known, strict=False)]).astype("timedelta64[m]")
    there = np.arange(2_000) != 2
    expected = delays(
        days[there], (days + ages)[there], label[there], np.datetime64(minutes(now).replace(tzinfo=None)),
        edges=np.datetime64("2026-03-01") + np.arange(13), horizon=np.timedelta64(3, "D"), bins=72,
    )  # fmt: skip
    assert starts == [int(START.timestamp() + 86_400 * day) * 1_000_000 for day in range(12)]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(counts, expected, strict=True))
    judged = maturity.windows(counts)
    assert judged.naive[-2] == 1.0 and abs(judged.share[-2] - 0.5) < 0.1


def test_ages_need_a_prediction_and_without_two_classes_are_of_one(
    join: Join, loans: wakeful.Reference, tmp_path: Path
) -> None:
    with pytest.raises(wakeful.DataError, match="no prediction has been read"):
        join.as_of(LATER).delays("1d")
    with Join(tmp_path / "amounts", replaced(loans.model, task="regression"), horizon="3d") as amounts:
        amounts.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9)]))
        amounts.add_outcomes(outcomes([Outcome("a", 10, 123.5)]))
        joined = amounts.as_of(LATER)
        assert labels(joined) == {"a": 123.5} and list(joined.total().ages) == [""]
        _, counts = joined.delays("1d")
        assert counts.arrived.sum(axis=(0, 2)).tolist() == [0, 1]


# Times.


def test_times_without_a_zone_are_utc_and_daylight_saving_moves_nothing(join: Join, loans: wakeful.Reference) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = dt.datetime(2026, 3, 29, tzinfo=dt.UTC)  # at 1:00 UTC Berlin's clocks go from 2:00 to 3:00
    times = [night + dt.timedelta(minutes=30 * at) for at in range(4)]
    table = predictions([Prediction(f"a{at}", 0, 1.0, 0.9) for at in range(4)])
    join.add_predictions(table.set_column(1, "asked_at", pa.array(times, pa.timestamp("us", "Europe/Berlin"))))
    told = outcomes([Outcome(f"a{at}", 0, 1.0) for at in range(4)])
    naive = pa.array([one.replace(tzinfo=None) + dt.timedelta(days=3) for one in times], pa.timestamp("ns"))
    join.add_outcomes(told.set_column(1, "at", naive))
    joined = join.as_of(LATER)
    [health] = joined.health("1d", "Europe/Berlin")
    assert (health.joined, health.late) == (4, 0), "each is told exactly a horizon later"
    assert health.start == int(dt.datetime(2026, 3, 29, tzinfo=berlin).timestamp()) * 1_000_000
    tiles = list(joined.counts(loans.layout, "1h", timezone="Europe/Berlin"))
    assert [(Every.parse("1h", "Europe/Berlin").show(one.start), one.counts.rows) for one in tiles] == [
        ("2026-03-29T01:00:00+01:00", 2), ("2026-03-29T03:00:00+02:00", 2)
    ]  # fmt: skip


def test_the_hour_of_a_prediction_is_read_on_its_own_clock(loans: wakeful.Reference, tmp_path: Path) -> None:
    rows = {
        "id": [f"a{at}" for at in range(48)], "score": [0.2, 0.8] * 24, "y": [0, 1] * 24,
        "asked_at": pa.array([minutes(30 * at) for at in range(48)], pa.timestamp("us", "Asia/Tokyo")),
    }  # fmt: skip
    reference = wakeful.learn(rows, score="score", label="y", threshold=0.5, id="id", time="asked_at")
    told = {"id": rows["id"], "y": rows["y"], "at": [minutes(24 * 60)] * 48}
    with Join(tmp_path, reference.model, horizon="3d") as join:
        join.add_predictions({name: values for name, values in rows.items() if name != "y"})
        join.add_outcomes(told)
        [counts] = counted(reference, join.as_of(LATER)).values()
    assert np.array_equal(counts.vector, wakeful.Monitor(reference).count(rows).vector)


def test_times_beyond_the_calendar_are_none(join: Join) -> None:
    table = predictions([Prediction("a", 0, 1.0, 0.9), Prediction("b", 0, 1.0, 0.9)])
    far = pa.array([2**62, -(2**62)], pa.int64()).cast(pa.timestamp("us", "UTC"))
    assert join.add_predictions(table.set_column(1, "asked_at", far)).left_out == {"without a time": 2}


# Files, and what happens to them.


def write(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def test_each_file_is_read_once_and_again_when_it_has_changed(join: Join, tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log / "date=2026-03-01" / "a.parquet", predictions([Prediction("a", 0, 1.0, 0.9)]))
    write(log / "_outcomes" / "date=2026-03-01" / "a.parquet", outcomes([Outcome("a", 9, 1.0)]))
    assert join.add_predictions(log)[:3] == (1, 1, 1)
    assert join.add_predictions(str(log))[:3] == (0, 0, 0)
    second = write(log / "date=2026-03-02" / "b.parquet", predictions([Prediction("b", 2_000, 1.0, 0.9)]))
    assert join.add_predictions(log)[:3] == (1, 1, 1)
    write(second, predictions([Prediction("b", 2_000, 1.0, 0.9), Prediction("c", 2_001, 1.0, 0.9)]))
    assert join.add_predictions(log)[:3] == (1, 2, 1)
    assert join.add_outcomes(log / "_outcomes")[:3] == (1, 1, 1)
    assert labels(join.as_of(LATER)) == {"a": 1.0, "b": None, "c": None}


def test_a_file_made_of_others_adds_nothing(join: Join, tmp_path: Path) -> None:
    """As ``wakeful log compact`` makes it."""
    parts = [predictions([Prediction(id, 0, 1.0, 0.9)]) for id in "ab"]
    files = [write(tmp_path / "log" / f"{at}.parquet", part) for at, part in enumerate(parts)]
    join.add_predictions(tmp_path / "log")
    write(tmp_path / "log" / "merged.parquet", pa.concat_tables(parts))
    for file in files:
        file.unlink()
    assert join.add_predictions(tmp_path / "log")[:3] == (1, 2, 0)
    [health] = join.as_of(LATER).health("1d")
    assert (health.predictions, health.repeats) == (2, 0)


def test_a_broken_file_is_told_and_read_when_it_is_whole(join: Join, tmp_path: Path) -> None:
    write(tmp_path / "log" / "a.parquet", predictions([Prediction("a", 0, 1.0, 0.9)]))
    broken = tmp_path / "log" / "b.parquet"
    broken.write_bytes(b"PAR1 no more")
    read = join.add_predictions(tmp_path / "log")
    assert read.new == 1 and len(read.broken) == 1 and str(broken) in read.broken[0]
    write(broken, predictions([Prediction("b", 0, 1.0, 0.9)]))
    read = join.add_predictions(tmp_path / "log")
    assert (read.files, read.new, read.broken) == (1, 1, [])


def test_new_columns_and_wider_numbers_are_taken_and_changed_types_refused(join: Join, tmp_path: Path) -> None:
    table = predictions([Prediction("a", 0, 1.0, 0.9)])
    whole = table.set_column(2, "income", pa.array([3], pa.int32()))
    more = predictions([Prediction("b", 0, 1.5, 0.9)]).append_column("city", pa.array(["Bonn"]))
    log = tmp_path / "log"
    for at, part in enumerate([whole, more, table.set_column(2, "income", pa.array(["much"]))]):
        write(log / f"{at}.parquet", part)
    read = join.add_predictions(log)
    [told] = read.broken
    assert "column 'income' of" in told and "holds VARCHAR, but DOUBLE in what was read before" in told
    joined = join.as_of(LATER)
    with joined.run(f"SELECT application, income, city FROM {joined.history.source} ORDER BY 1") as reader:
        assert [tuple(row.values()) for row in reader.read_all().to_pylist()] == [("a", 3.0, None), ("b", 1.5, "Bonn")]


def test_the_joined_days_are_replayed_and_only_changed_ones_written(
    join: Join, loans: wakeful.Reference, tmp_path: Path
) -> None:
    some = [Prediction(f"a{at}", at * 600, 1_000.0 + at, (at % 10) / 10) for at in range(21)]
    join.add_predictions(predictions(some))
    join.add_outcomes(outcomes([Outcome(one.id, one.at + 60, 1.0) for one in some[:10]]))
    joined = join.as_of(LATER)
    out = tmp_path / "joined"
    assert len(joined.write(out)) == 9
    assert joined.write(out) == []
    join.add_outcomes(outcomes([Outcome("a3", 3 * 600 + 90, 0.0)]))
    joined = join.as_of(LATER)
    assert joined.write(out) == ["2026-03-02.parquet"]
    monitor = wakeful.Monitor(loans)

    @monitor.check(window="1d")
    def there_is_traffic(live: Any) -> None:
        assert live.flagged_share() >= 0

    from_files = list(replay(monitor, str(out), every="1d"))
    assert [(one.window, one.n) for one in from_files] == [
        (one.window, one.n) for one in replay(monitor, joined.history, every="1d")
    ]
    whole = sum(counted(loans, joined).values(), Counts.zero(loans.layout))
    assert monitor.count(pq.read_table(out)) == whole
    join.add_predictions(predictions([Prediction("a20", 0, 1.0, 0.9)]))  # the only one of its day moves to the first
    assert join.as_of(LATER).write(out) == ["2026-03-01.parquet", "2026-03-09.parquet"]
    assert pq.read_table(out).num_rows == 21


def test_what_is_past_its_horizon_can_be_forgotten(join: Join, loans: wakeful.Reference, tmp_path: Path) -> None:
    some = [Prediction(f"a{at}", at * 720, 1.0, 0.9) for at in range(20)]
    told = [Outcome(one.id, one.at + 60, 1.0) for one in some] + [Outcome("nobody", 10, 1.0)]
    join.add_predictions(predictions(some))
    join.add_outcomes(outcomes(told))
    before = counted(loans, join.as_of(LATER))
    out = tmp_path / "joined"
    join.as_of(LATER).write(out)
    join.forget(minutes(5 * 1440 + 100))
    join.add_predictions(predictions(some))
    join.add_outcomes(outcomes(told[:5]))
    joined = join.as_of(LATER)
    border = min(before) + 5 * 86_400_000_000
    assert counted(loans, joined) == {day: counts for day, counts in before.items() if day >= border}
    assert total(joined.health("1d"), "unknown") == 0
    assert joined.write(out) == [] and pq.read_table(out).num_rows == 20, "what was written stays"


def test_queries_are_read_from_a_horizon_before_their_newest_row(join: Join, tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", predictions([Prediction(f"a{at}", at * 1440, 1.0, 0.9) for at in range(10)]))
    query = f"SELECT * FROM '{file}'"
    assert join.add_predictions(query)[1:3] == (10, 10)
    write(file, predictions([Prediction(f"a{at}", at * 1440, 1.0, 0.9) for at in range(12)]))
    assert join.add_predictions(query)[1:3] == (6, 2), "three days before the newest, and what came since"


def test_one_process_at_a_time_joins_in_a_folder(join: Join, loans: wakeful.Reference, tmp_path: Path) -> None:
    join.add_predictions(predictions([Prediction("a", 0, 1.0, 0.9)]))
    script = """
        import sys
        from wakeful import DataError, Reference
        from wakeful.outcomes.state import State
        try:
            State(sys.argv[1])
        except DataError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "state"], capture_output=True, text=True, check=True
    )
    assert "One process at a time joins in a folder" in done.stdout
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "outcomes.duckdb").write_text("no database", encoding="utf-8")
    with pytest.raises(wakeful.DataError, match="cannot open"):
        Join(tmp_path / "other", loans.model, horizon="3d")


# Faults.

JOINING = """
    import sys
    import wakeful
    from wakeful.outcomes import Join
    reference = wakeful.Reference.load(sys.argv[1])
    with Join(sys.argv[2], reference.model, horizon="3d") as join:
        print("open", flush=True)
        join.add_outcomes(sys.argv[4])
        join.add_predictions(sys.argv[3])
        join.as_of().write(sys.argv[5])
    print("done", flush=True)
"""


def test_killed_at_any_point_it_goes_on_where_it_was(loans: wakeful.Reference, tmp_path: Path) -> None:
    chance = random.Random(4)
    told = [Prediction(f"a{at}", at * 7, 1_000.0 + at, (at % 10) / 10) for at in range(4_000)]
    known = [Outcome(one.id, one.at + chance.randint(1, HORIZON), float(chance.random() < 0.3)) for one in told[:3_000]]
    loans.save(tmp_path / "reference.json")
    for at in range(10):
        write(tmp_path / "predictions" / f"{at}.parquet", predictions(told[at::10]))
        write(tmp_path / "outcomes" / f"{at}.parquet", outcomes(known[at::10]))
    command = [sys.executable, "-c", textwrap.dedent(JOINING)]
    command += [str(tmp_path / name) for name in ("reference.json", "state", "predictions", "outcomes", "joined")]
    kills = 0
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            time.sleep(chance.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            kills += "done" not in process.stdout.read()
    assert kills, "all were done before they were killed"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("done\n")
    with Join(tmp_path / "state", loans.model, horizon="3d") as join:
        joined = join.as_of(LATER)
        expected = counted_offline(loans, offline(told, known, 10**9))
        assert counted(loans, joined) == expected
        assert join.add_predictions(tmp_path / "predictions").new == 0
    assert wakeful.Monitor(loans).count(pq.read_table(tmp_path / "joined")) == sum(
        expected.values(), Counts.zero(loans.layout)
    )


def test_a_full_disk_loses_nothing(loans: wakeful.Reference, tmp_path: Path) -> None:
    """The largest file that may be written stands for the disk."""
    loans.save(tmp_path / "reference.json")
    told = [Prediction(f"a{at}", at, 1_000.0 + at * 0.37, (at * 0.618) % 1) for at in range(20_000)]
    for at in range(4):
        write(tmp_path / "predictions" / f"{at}.parquet", predictions(told[at::4]))
    write(tmp_path / "outcomes" / "0.parquet", outcomes([Outcome(one.id, one.at + 9, 1.0) for one in told]))
    joining = textwrap.dedent(JOINING)
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n{joining}"
    folders = [str(tmp_path / name) for name in ("reference.json", "state", "predictions", "outcomes", "joined")]
    full = subprocess.run([sys.executable, "-c", limited, *folders], capture_output=True, text=True)
    assert full.returncode and "DataError: cannot" in full.stderr, full
    subprocess.run([sys.executable, "-c", joining, *folders], capture_output=True, check=True)
    with Join(tmp_path / "state", loans.model, horizon="3d") as join:
        total_counts = sum(counted(loans, join.as_of(LATER)).values(), Counts.zero(loans.layout))
        [health] = [join.as_of(LATER).total()]
    assert (total_counts.rows, health.joined, health.repeats) == (20_000, 20_000, 0)


MANY = """
    import datetime as dt, re, sys
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    import wakeful
    from wakeful.outcomes import Join
    reference = wakeful.Reference.load(sys.argv[1])
    with Join(sys.argv[2], reference.model, horizon="90d", memory="256MB") as join:
        print(join.add_predictions(sys.argv[3]).new)
        print(join.add_outcomes(sys.argv[4]).new)
        health = join.as_of(dt.datetime(2026, 3, 10)).health("1d")
        print(sum(one.pending for one in health), sum(one.joined for one in health))
        print(sum(one.counts.rows for one in join.as_of(dt.datetime(2026, 3, 10)).counts(reference.layout, "1d")))
    status = open("/proc/self/status").read()  # ru_maxrss would begin with that of the parent process
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


def test_a_million_pending_ids_are_joined_in_bounded_memory(loans: wakeful.Reference, tmp_path: Path) -> None:
    loans.save(tmp_path / "reference.json")
    rng, rows = np.random.default_rng(1), 1_000_000
    ids = pa.array([f"application-{at:012}" for at in rng.permutation(rows).tolist()])
    at = int(START.timestamp()) * 1_000_000 + rng.integers(0, 5 * 86_400_000_000, rows)
    moments = pa.timestamp("us", "UTC")
    table = {"application": ids, "asked_at": pa.array(at, moments), "score": rng.random(rows)}
    table["income"] = rng.lognormal(10, 0.5, rows)
    (tmp_path / "p").mkdir()
    for part in range(4):
        some = pa.table(table).slice(part * rows // 4, rows // 4)
        pq.write_table(some, tmp_path / "p" / f"{part}.parquet", row_group_size=65_536)
    told = pa.table({"application": ids, "at": pa.array(at + 3_600_000_000, moments), "defaulted": np.ones(rows)})
    pq.write_table(told.slice(0, 100_000), tmp_path / "o.parquet")
    script = [sys.executable, "-c", textwrap.dedent(MANY), tmp_path / "reference.json", tmp_path / "state"]
    done = subprocess.run([*script, tmp_path / "p", tmp_path / "o.parquet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    new, outcome, pending, counts, megabytes = done.stdout.splitlines()
    assert (new, outcome, pending, counts) == ("1000000", "100000", "900000 100000", "1000000")
    assert int(megabytes) < 1_000


# The whole way.


def test_the_command_tells_what_is_known_and_goes_on_from_there(
    loans: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loans.save(tmp_path / "reference.json")
    (tmp_path / "monitor_loans.py").write_text(
        'import wakeful\n\nloans = wakeful.Monitor("reference.json")\n', encoding="utf-8"
    )
    some = [Prediction(f"a{at}", at * 60, 1_000.0 + at, 0.5) for at in range(100)]
    write(tmp_path / "log" / "1.parquet", predictions([*some, Prediction(None, 0, 1.0, 0.5)]))
    told = [Outcome(one.id, one.at + 90, 1.0) for one in some[:50]] + [Outcome("nobody", 0, 1.0)]
    write(tmp_path / "told" / "1.parquet", outcomes(told))

    monkeypatch.chdir(tmp_path)
    command = ["join", "monitor_loans.py", "log", "told", "--state", "state", "--horizon", "3d", "--out", "joined"]
    command += ["--as-of", "2026-03-06"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[:2] == ["read 101 predictions, 100 of them new; 1 without an id", "51 outcomes, 51 of them new"]
    assert "joined 50 50%" in lines and "unknown ids 1 outcomes without a prediction" in lines
    assert "6 hours 50% 100" in lines
    assert lines[-1] == "wrote 5 days, 2026-03-01.parquet to 2026-03-05.parquet"
    (tmp_path / "told" / "2.parquet").write_bytes(b"")
    again = CliRunner().invoke(app, [*command, "--keep", "1d"])
    assert again.exit_code == 2 and "1 file could not be read" in again.stderr
    assert again.stdout.startswith("read 0 predictions, 0 of them new\n     0 outcomes")
    assert pq.read_table("joined").num_rows == 100
    third = CliRunner().invoke(app, command)
    assert "predictions    76" in third.stdout, "the day whose horizon was over for a day is forgotten"


def test_a_bucket_is_read_file_by_file(join: Join, tmp_path: Path) -> None:
    some = [Prediction(f"a{at}", at * 600, 1.0, 0.9) for at in range(4)]
    for at, one in enumerate(some):
        write(tmp_path / "log" / f"date=2026-03-0{at + 1}" / "a.parquet", predictions([one]))
    url = (tmp_path / "log").as_uri()
    assert join.add_predictions(url)[:3] == (4, 4, 4)
    assert join.add_predictions(url)[:3] == (0, 0, 0)
    with pytest.raises(wakeful.DataError, match="no data at"):
        join.add_predictions((tmp_path / "nowhere").as_uri())
    with pytest.raises(wakeful.DataError, match="the file does not exist"):
        join.add_outcomes(tmp_path / "nowhere")


def test_wakefuls_own_log_is_joined(loans: wakeful.Reference, tmp_path: Path) -> None:
    log = tmp_path / "log"
    start = START.timestamp()
    for part in range(3):
        writer = LogWriter(Log(log), loans.layout, "v1")
        ids = range(part * 100, part * 100 + 100)
        writer.write([Row({"income": 1_000.0 + at}, at / 300, start + at * 60, id=at) for at in ids])
        writer.write_outcomes([ToldOutcome(at, at % 2, start + at * 60 + 30) for at in ids if at % 3])
        writer.write_outcomes([ToldOutcome(ids[0], "rubbish", start + 86_400)])
        writer.close(30)
    with Join(tmp_path / "state", loans.model, horizon="3d") as join:
        assert join.add_predictions(log)[:3] == (3, 300, 300)
        assert join.add_outcomes(log / "_outcomes")[:3] == (6, 203, 203)
        done = CliRunner().invoke(app, ["log", "compact", str(log)])
        assert done.exit_code == 0 and "(503 rows)" in done.output, done.output
        assert (join.add_predictions(log).new, join.add_outcomes(log / "_outcomes").new) == (0, 0)
        joined = join.as_of(LATER)
        [counts] = counted(loans, joined).values()
        [health] = joined.health("1d")
    assert (health.predictions, counts.rows) == (300, 300)
    assert health.repeats == 0
    assert (health.joined, health.corrections) == (201, 2)
    assert counts.outcome(0)[..., 0].sum(axis=(0, 1, 2)).tolist() == [98, 100, 99, 3], "no, yes, unknown, invalid"
