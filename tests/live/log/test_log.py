"""The log: what a service predicted, as rows that any engine reads."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.engines.tiles import Question, tiles_of_time
from wakeful.every import Every
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Outcome, Row
from wakeful.replay import open_history

MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(window="1h", page="credit-risk")
def answers_keep_their_shape(live):
    assert live.score.d1() <= 0.5


@loans.check(window="1h")
def the_holdout_is_there(live):
    assert live.features.d1() <= 0.5
"""


def test_what_a_service_logged_is_replayed_with_the_same_counts(
    writing: Any, observed: Any, traffic: Any, reference: wakeful.Reference, tmp_path: Path, monkeypatch: Any
):
    """Two hours of traffic, then `wakeful replay monitor.py log --every 1h --time observed_at`."""
    monkeypatch.chdir(tmp_path)
    data = traffic(7_200)
    writer = writing("log")
    rows = observed(data)
    for at in range(0, len(rows), 500):
        writer.write(rows[at : at + 500])
    writer.close()
    assert (writer.rows, writer.lost) == (7_200, 0)

    reference.save(tmp_path / "reference.json")
    Path("monitor.py").write_text(MONITOR, encoding="utf-8")
    shown = CliRunner().invoke(
        app, ["replay", "monitor.py", "log", "--every", "1h", "--time", "observed_at", "--json", "steps.jsonl"]
    )
    steps = [json.loads(line) for line in Path("steps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert shown.exit_code == 0, shown.output
    assert [(step["window"][:13], step["n"]) for step in steps] == [("2026-01-01T12", 3_600), ("2026-01-01T13", 3_600)]

    history = open_history("log")
    every = Every.parse("1d", "UTC")
    question = Question(reference.layout, None, {})
    (tile,) = tiles_of_time(history, question, "observed_at", every, history.span("observed_at"))
    live = wakeful.Monitor(reference).count({name: values for name, values in data.items() if name != "rejected"})
    assert np.array_equal(tile.counts.vector, live.vector)


def test_the_columns_are_typed_and_whole(writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path):
    data = traffic(300)
    writer = writing(tmp_path / "log")
    writer.write(observed(data))
    writer.close()

    table = read(tmp_path / "log")

    assert {one.name: str(one.type) for one in table.schema} == {
        "observed_at": "timestamp[us, tz=UTC]",
        "id": "string",
        "score": "double",
        "flagged": "bool",
        "held": "bool",
        "version": "string",
        "income": "double",
        "rent": "double",
        "debt": "double",
        "city": "string",
        "owner": "bool",
        "platform": "string",
        "other": "string",
    }
    wanted = pd.DataFrame(data).drop(columns="rejected").assign(id=[f"a-{at}" for at in range(300)]).sort_values("id")
    found = table.to_pandas()
    for name in wanted:
        pd.testing.assert_series_equal(
            found[name], wanted[name].reset_index(drop=True), check_dtype=False, check_index_type=False
        )
    assert table["other"].null_count == 300
    assert set(found["version"]) == {"v1"}
    assert table.schema.metadata[b"wakeful.model"] == b"loans"


def test_engines_pass_over_what_is_not_published(writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path):
    rows = observed(traffic(200))
    writer = writing(tmp_path)
    writer.write(rows[:100])
    writer.write_outcomes([Outcome("a-1", 1, rows[0].observed_at)])
    writer.close()
    writing(tmp_path).write(rows[100:])  # stays open

    assert list((tmp_path / "_open").glob("predictions.*.arrows"))
    assert read(tmp_path).num_rows == 100
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/date=*/*.parquet'").fetchall() == [(100,)]
    assert open_history(tmp_path).span("observed_at").rows == 100
    assert open_history(tmp_path.as_uri()).span("observed_at").rows == 100


def test_outcomes_are_a_table_of_their_own_that_joins(writing: Any, observed: Any, traffic: Any, tmp_path: Path):
    data = traffic(50)
    rows = observed(data)
    writer = writing(tmp_path)
    writer.write(rows)
    writer.write_outcomes([Outcome(row.id, label, 1e9) for row, label in zip(rows, data["rejected"], strict=True)])
    writer.write_outcomes([Outcome("a-0", "who knows", 1e9)])
    writer.close()

    joined = duckdb.sql(
        f"SELECT id, rejected FROM '{tmp_path}/date=*/*.parquet' JOIN '{tmp_path}/_outcomes/date=*/*.parquet' "
        "USING (id) WHERE isfinite(rejected)"
    ).fetchall()
    assert dict(joined) == {row.id: label for row, label in zip(rows, data["rejected"], strict=True)}
    assert writer.rows == 101
    said = duckdb.sql(f"SELECT other FROM '{tmp_path}/_outcomes/date=*/*.parquet' WHERE other IS NOT NULL").fetchall()
    assert [json.loads(one) for (one,) in said] == [{"rejected": "who knows"}]


def test_a_segment_over_midnight_becomes_a_file_a_day(
    writing: Any, observed: Any, traffic: Any, read: Any, published: Any, tmp_path: Path
):
    midnight = dt.datetime(2026, 3, 29, tzinfo=dt.UTC).timestamp()
    writer = writing(tmp_path)
    writer.write(observed(traffic(20), start=midnight - 10))
    writer.close()

    files = published(tmp_path)

    assert [Path(one).parent.name for one in files] == ["date=2026-03-28", "date=2026-03-29"]
    assert len({Path(one).name for one in files}) == 1
    for file in files:
        days = {one.date().isoformat() for one in pq.read_table(tmp_path / file)["observed_at"].to_pylist()}
        assert {f"date={day}" for day in days} == {Path(file).parent.name}
    assert read(tmp_path).num_rows == 20


def test_a_clock_that_goes_back_loses_nothing(writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path):
    rows = observed(traffic(30))
    late = [
        row._replace(observed_at=row.observed_at - 3_600 if at >= 15 else row.observed_at)
        for at, row in enumerate(rows)
    ]
    writer = writing(tmp_path)
    writer.write(late[:15])
    writer.write(late[15:])
    writer.close()

    assert sorted(read(tmp_path)["observed_at"].to_pylist()) == sorted(
        dt.datetime.fromtimestamp(row.observed_at, dt.UTC) for row in late
    )


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e300, None, "today", 10**400], ids=lambda at: str(at)[:9])
def test_a_row_without_a_moment_is_filed_under_now(at: Any, writing: Any, read: Any, tmp_path: Path):
    writer = writing(tmp_path)
    writer.write([Row({}, 0.5, at, "a-0")])
    writer.close()

    (moment,) = read(tmp_path)["observed_at"].to_pylist()

    assert abs(moment - dt.datetime.now(dt.UTC)) < dt.timedelta(days=1)


def test_segments_rotate_by_size_and_by_age(
    writing: Any, observed: Any, traffic: Any, published: Any, until: Any, tmp_path: Path
):
    rows = observed(traffic(100))
    by_size = writing(tmp_path / "size", rotate_bytes=1)
    by_age = writing(tmp_path / "age", rotate_seconds=0.2)
    for row in rows[:3]:
        by_size.write([row])
    by_age.write(rows)

    until(lambda: len(published(tmp_path / "size")) == 3)
    until(lambda: len(published(tmp_path / "age")) == 1)
    assert not list((tmp_path / "size" / "_open").iterdir())


def test_two_writers_at_once_write_apart(writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path):
    writers = [writing(tmp_path, rotate_bytes=1_000) for _ in range(2)]
    for prefix, writer in zip("ab", writers, strict=True):
        rows = observed(traffic(300), prefix=prefix)
        for at in range(0, 300, 20):
            writer.write(rows[at : at + 20])
    for writer in writers:
        writer.close()

    assert sorted(read(tmp_path)["id"].to_pylist()) == sorted(f"{one}-{at}" for one in "ab" for at in range(300))


def test_columns_that_are_excluded_or_hashed_are_in_no_file(
    writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path
):
    """Not where they belong, not in other, not inside other values, and not while the segment is open."""
    names = {"excluded": "Erika Mustermann", "hashed": "Musterstadt-Zuffenhausen"}
    rows = observed(traffic(40, city=np.array([names["hashed"]] * 40)))
    rows = [
        row._replace(
            id=f"customer-number-{at % 20}",
            features={
                **row.features,
                "platform": names["excluded"],
                "applicant": names["excluded"],
                "nested": [{"applicant": names["excluded"], "city": names["hashed"], "age": 7}],
            },
        )
        for at, row in enumerate(rows)
    ]
    writer = writing(
        tmp_path, exclude=["platform", "applicant"], hashed=["city", "id"], salt="pepper-and-salt", rotate_bytes=1 << 30
    )
    writer.write(rows)
    seen = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    writer.close()
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    table = read(tmp_path)
    text = str(table.to_pylist())
    for secret in (*names.values(), "customer-number", "pepper-and-salt"):
        assert secret not in text
        assert not any(secret.encode() in data for data in seen)
    assert {"platform", "applicant"}.isdisjoint(table.schema.names)
    assert len(set(table["city"].to_pylist())) == 1
    assert len(set(table["id"].to_pylist())) == 20
    other = json.loads(table["other"][0].as_py())
    assert other == {"nested": [{"city": table["city"][0].as_py(), "age": 7}]}


def test_a_hash_depends_on_the_salt_and_not_on_the_type(writing: Any, read: Any, tmp_path: Path):
    found = []
    for at, (salt, value) in enumerate([("one", 7), ("one", "7"), ("one", 7.0), ("two", 7)]):
        writer = writing(tmp_path / str(at), hashed=["id"], salt=salt)
        writer.write([Row({}, 0.5, 1e9, value)])
        writer.close()
        found += read(tmp_path / str(at))["id"].to_pylist()

    assert found[0] == found[1] == found[2] != found[3]


def test_a_sample_is_decided_by_the_id(writing: Any, observed: Any, traffic: Any, read: Any, tmp_path: Path):
    rows = observed(traffic(2_000))
    for name in "ab":
        writer = writing(tmp_path / name, sample=0.25)
        writer.write(rows)
        writer.write_outcomes([Outcome(row.id, 1, row.observed_at) for row in rows])
        writer.close()
        assert writer.lost == 0

    kept = read(tmp_path / "a")["id"].to_pylist()
    assert kept == read(tmp_path / "b")["id"].to_pylist() == read(tmp_path / "a" / "_outcomes")["id"].to_pylist()
    assert 420 <= len(kept) <= 580  # 500 ± 4 standard deviations

    writer = writing(tmp_path / "c", sample=0.25)
    writer.write([row._replace(id=None) for row in rows])
    writer.close()
    assert 420 <= writer.rows <= 580


def test_a_feature_that_is_called_like_a_role_goes_to_other(
    writing: Any, reference: wakeful.Reference, traffic: Any, read: Any, tmp_path: Path
):
    data = traffic(2_000)
    data["version"], data["Observed_At"], data["flagged"] = data["rent"], data["debt"], data["income"]
    learnt = wakeful.learn(data, score="score", label="rejected", threshold=0.5, holdout="held", name="loans")
    writer = writing(tmp_path, layout=learnt.layout)
    writer.write([Row({"version": 3.5, "flagged": 2.5, "Observed_At": 1.5, "rent": 1.0}, 0.5, 1e9, "a-0", True, False)])
    writer.close()

    (row,) = read(tmp_path).to_pylist()

    assert (row["version"], row["flagged"], row["rent"]) == ("v1", True, 1.0)
    assert json.loads(row["other"]) == {"version": 3.5, "flagged": 2.5, "Observed_At": 1.5}


def test_a_feature_called_date_is_not_taken_for_the_folder(writing: Any, traffic: Any, tmp_path: Path):
    data = traffic(2_000)
    data["Date"] = data["city"]
    learnt = wakeful.learn(data, score="score", threshold=0.5, name="loans")
    writer = writing(tmp_path, layout=learnt.layout)
    writer.write([Row({"Date": "Köln"}, 0.5, 1e9, "a-0")])
    writer.close()

    history = open_history(tmp_path)
    (batch,) = history.rows(["Date"], "observed_at", history.span("observed_at"))
    assert batch.column("Date").to_pylist() == ["Köln"]
    assert [path.name for path in tmp_path.glob("*date=*")] == ["log_date=2001-09-09"]


def test_times_are_logged_as_their_clock_shows(writing: Any, read: Any, tmp_path: Path):
    """Hours and weekdays are counted on it, so a replay counts the same ones."""
    at = pd.date_range("2026-01-01", periods=2_000, freq="37min", tz="Europe/Berlin")
    rng = np.random.default_rng(1)
    data = {"applied_at": at, "income": rng.random(2_000), "score": rng.random(2_000)}
    learnt = wakeful.learn(pd.DataFrame(data), score="score", threshold=0.5, kinds={"applied_at": "datetime"}, name="x")
    assert {"applied_at.hour", "applied_at.weekday"} <= {one.name for one in learnt.model.features}
    writer = writing(tmp_path, layout=learnt.layout)
    features = [{"applied_at": moment, "income": 0.5} for moment in at.to_pydatetime()[:48]]
    features.append({"applied_at": np.datetime64("2026-01-05T07:30"), "income": 0.5})
    features.append({"applied_at": "noon", "income": 0.5})
    writer.write([Row(one, 0.5, 1e9 + place, f"{place:02}") for place, one in enumerate(features)])
    writer.close()

    table = read(tmp_path)

    clocks = [one["applied_at"].replace(tzinfo=None) for one in features[:48]]
    assert table["applied_at"].to_pylist() == [*clocks, dt.datetime(2026, 1, 5, 7, 30), None]
    assert json.loads(table["other"][49].as_py()) == {"applied_at": "noon"}


def test_ids_of_any_type_are_texts(writing: Any, read: Any, tmp_path: Path):
    key = uuid.UUID(int=7)
    writer = writing(tmp_path)
    writer.write([Row({}, 0.5, 1e9, one) for one in ("x", 7, 7.0, np.int64(7), key, None, float("nan"))])
    writer.close()

    assert read(tmp_path)["id"].to_pylist() == [str(key), "7", "7", "7", "x", None, None]


def test_a_child_of_a_fork_begins_anew_and_frees_its_parents_lock(
    observed: Any, traffic: Any, reference: wakeful.Reference, read: Any, tmp_path: Path
):
    """In processes of their own: pytest's may not fork beside its threads."""
    reference.save(tmp_path / "reference.json")
    code = """
import os, sys, time
import wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row

layout = wakeful.Reference.load("reference.json").layout
writer = LogWriter(Log("log"), layout)
writer.write([Row({}, 0.5, 1e9, "parent-0")])
child = os.fork()
writer.write([Row({}, 0.5, 1e9, "child-1" if child == 0 else "parent-1")])
assert writer.rows == (1 if child == 0 else 2), writer.rows
if child == 0:
    time.sleep(0.5)  # outlives the parent, which is killed
    writer.close()
    os._exit(0)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, timeout=60)
    writer = LogWriter(Log(tmp_path / "log", rotate_seconds=0.1), reference.layout)
    try:
        end = time.monotonic() + 20
        while sorted(ids(tmp_path / "log")) != ["child-1", "parent-0", "parent-1"]:
            assert time.monotonic() < end, ids(tmp_path / "log")
            time.sleep(0.05)
    finally:
        writer.close()


def ids(folder: Path) -> list[str]:
    found: list[str] = []
    for path in folder.glob("date=*/*.parquet"):
        found += pq.read_table(path)["id"].to_pylist()
    return found


def test_retention_deletes_days_and_an_impossible_clock_does_not(
    writing: Any, observed: Any, traffic: Any, published: Any, until: Any, tmp_path: Path
):
    today = dt.datetime.now(dt.UTC).timestamp()
    ages = {"new": [0, 1, 30, 500], "dormant": [0, 500, 600]}
    for name, days in ages.items():
        writer = writing(tmp_path / name)
        for days_ago in days:
            writer.write(observed(traffic(1), start=today - days_ago * 86_400))
        writer.close()
        keeper = writing(tmp_path / name, keep="400d")
        until(lambda keeper=keeper: keeper.has_tidied)
        keeper.close()

    assert len(published(tmp_path / "new")) == 3
    assert len(published(tmp_path / "dormant")) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sample": 1.5}, "sample=1.5: give the share of rows to log, from 0 to 1."),
        ({"sample": float("nan")}, "sample=nan: give the share"),
        ({"exclude": "name"}, "exclude='name': give a list of column names: ['name']."),
        ({"hashed": ["name"]}, "hashed columns need a salt"),
        ({"keep": "a year"}, "'a year' is no duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(options: dict[str, Any], said: str):
    with pytest.raises(wakeful.DataError) as caught:
        wakeful.Log("log", **options)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("url", ["http://example.com/log", "postgresql://host/log", ""])
def test_an_address_that_is_no_log_is_refused(url: str, reference: wakeful.Reference):
    with pytest.raises(wakeful.DataError, match=r"the log has no address|cannot log to"):
        LogWriter(Log(url), reference.layout)


def test_columns_that_would_share_a_name_are_refused(reference: wakeful.Reference):
    layout = replace(reference.layout, model=replace(reference.layout.model, holdout="flagged"))
    with pytest.raises(wakeful.DataError, match="two columns of the log would have the same name"):
        LogWriter(Log("log"), layout)


def test_roles_named_by_the_model_are_columns(reference: wakeful.Reference, writing: Any, tmp_path: Path):
    """Under the names that a replay looks for."""
    model = replace(reference.layout.model, id="application", decision="turned_down")
    writer = writing(tmp_path, layout=replace(reference.layout, model=model))
    writer.write([Row({}, 0.5, 1e9, "a", True, False)])
    writer.close()

    (path,) = tmp_path.glob("date=*/*")
    (row,) = pq.read_table(path).to_pylist()
    assert (row["application"], row["turned_down"], row["held"]) == ("a", True, False)


def test_rows_of_a_table_say_nothing_twice(writing: Any, read: Any, tmp_path: Path):
    """There the features hold the score and the rest, too."""
    features = {"income": 1.0, "score": 0.5, "held": 1, "id": "a", "flagged": True, "rejected": 0}
    writer = writing(tmp_path)
    writer.write([Row(features, 0.5, 1e9, "a", True, True), Row(features | {"id": "b"}, 0.5, 1e9, "c", True, True)])
    writer.close()

    first, second = read(tmp_path).to_pylist()

    assert json.loads(first["other"]) == {"rejected": 0}
    assert json.loads(second["other"]) == {"rejected": 0, "id": "b"}


def test_the_moment_stands_in_for_a_time_that_is_not_sent(writing: Any, read: Any, traffic: Any, tmp_path: Path):
    data = traffic(2_000)
    data["applied_at"] = pd.date_range("2026-01-01", periods=2_000, freq="1h")
    learnt = wakeful.learn(pd.DataFrame(data), score="score", threshold=0.5, time="applied_at", name="loans")
    writer = writing(tmp_path, layout=learnt.layout)
    sent = {"applied_at": dt.datetime(2026, 5, 5)}
    writer.write([Row({}, 0.5, 1e9, "a"), Row(sent, 0.5, 1e9, "b"), Row({}, 0.5, float("nan"), "c")])
    writer.close()

    times = read(tmp_path)["applied_at"].to_pylist()

    assert times == [dt.datetime(2001, 9, 9, 1, 46, 40), dt.datetime(2026, 5, 5), None]


def test_a_service_logs_what_it_observes(reference: wakeful.Reference, read: Any, traffic: Any, tmp_path: Path):
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path / "counts", log=tmp_path / "log", version="v7", registry=None)
    data = traffic(100)
    for at in range(100):
        monitor.observe(
            {"income": data["income"][at], "city": data["city"][at]}, score=data["score"][at], id=f"{at:03}"
        )
    monitor.outcome("000", 1)
    monitor.stop()

    table = read(tmp_path / "log")

    assert table["income"].to_pylist() == data["income"].tolist()
    assert set(table["version"].to_pylist()) == {"v7"}
    assert read(tmp_path / "log" / "_outcomes")["rejected"].to_pylist() == [1.0]
