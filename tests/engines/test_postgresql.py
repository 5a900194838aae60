"""A history in PostgreSQL: the counts of the same rows in Parquet, and clear words when the server fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi

import wakeful
from wakeful.counts import Counts
from wakeful.engines.tiles import Question, Tile, tiles_of_column, tiles_of_time
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.replay import open_history

DAY = pd.Timestamp("2024-03-30", tz="UTC")


@pytest.fixture(scope="module")
def rows(traffic: Any) -> pd.DataFrame:
    """Four days in no order; every kind of column, and holes in all of them but the score."""
    frame = pd.DataFrame(traffic(2_000, seed=5)).drop(columns="held")
    rng = np.random.default_rng(5)
    hole = {name: rng.random(len(frame)) < 0.1 for name in ("city", "owner", "visits", "amount", "opened", "at")}
    at = DAY + pd.to_timedelta(rng.integers(0, 4 * 86_400, len(frame)), unit="s")
    values = {
        "city": frame["city"], "owner": frame["owner"], "at": at, "opened": at - pd.Timedelta("5h"),
        "visits": rng.poisson(30, len(frame)), "amount": rng.integers(0, 99_999, len(frame)) / 100,
    }  # fmt: skip
    kinds = {"owner": "boolean", "visits": "Int32"}
    for name, column in values.items():
        frame[name] = pd.Series(column).astype(kinds.get(name, pd.Series(column).dtype)).mask(hole[name])
    frame["grade"] = rng.integers(1, 6, len(frame)).astype("int16")
    return frame.astype({"at": "datetime64[us, UTC]", "opened": "datetime64[us, UTC]"})


@pytest.fixture(scope="module")
def parquet(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    rows.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def monitor(parquet: Path) -> wakeful.Monitor:
    return wakeful.Monitor(
        wakeful.learn(
            parquet, score="score", label="rejected", threshold=0.5, segments=["platform"], id="at",
            kinds={"grade": "categorical"},
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(server: Any, rows: pd.DataFrame) -> Iterator[str]:
    """The address of the rows in the database."""
    with dbapi.connect(server.url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("loans", pa.Table.from_pandas(rows, preserve_index=False), mode="create")
        connection.commit()
    server.run(
        "ALTER TABLE loans ALTER COLUMN amount TYPE numeric(10, 2)",
        "CREATE TYPE town AS ENUM ('Berlin', 'Hamburg', 'Köln')",
        "CREATE SCHEMA archive",
        'CREATE TABLE archive."Old loans" AS SELECT * FROM loans',
        'ALTER TABLE archive."Old loans" ALTER COLUMN city TYPE town USING city::town',
        'ALTER TABLE archive."Old loans" ALTER COLUMN platform TYPE varchar(10)',
        'ALTER TABLE archive."Old loans" ALTER COLUMN income TYPE numeric',
    )
    yield f"{server.url}#loans"


def windows(data: Any, monitor: wakeful.Monitor, length: str = "6h", by: str = "at") -> Iterator[Tile]:
    history = open_history(data)
    question = Question(monitor.reference.layout, monitor.needed, {})
    return tiles_of_time(history, question, by, Every.parse(length, "Europe/Berlin"), history.span(by))


def test_a_table_gives_the_counts_of_the_same_rows_in_parquet(table: str, parquet: Path, monitor: wakeful.Monitor):
    found, wanted = list(windows(table, monitor)), list(windows(parquet, monitor))

    assert len(wanted) == 17  # of six hours in Berlin, where the clocks change: the first and last are cut
    assert found == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "archive.Old loans",
        "SELECT * FROM loans",
        "  select * from loans where at is not null ; ",
        "WITH every_one AS (SELECT * FROM loans) SELECT * FROM every_one -- all of them",
        "SELECT l.*, r.rent FROM (SELECT ctid AS key, * FROM loans) r JOIN "
        "(SELECT ctid AS key, income, debt, city, owner, platform, score, rejected, at, opened, visits, amount, grade "
        "FROM loans) l ON l.key = r.key",
    ],
)
def test_other_tables_and_queries_give_the_same_counts(
    wanted: str, table: str, parquet: Path, monitor: wakeful.Monitor, server: Any
):
    assert list(windows(f"{server.url}#{wanted}", monitor)) == list(windows(parquet, monitor))


def test_the_span_of_a_table(table: str, rows: pd.DataFrame):
    span = open_history(table).span("at")

    assert (span.rows, span.without) == (rows["at"].notna().sum(), rows["at"].isna().sum())
    assert (span.first, span.last) == (rows["at"].min(), rows["at"].max())


def test_a_filter_by_time_and_a_window_column(table: str, rows: pd.DataFrame, monitor: wakeful.Monitor):
    history = open_history(table)
    question = Question(monitor.reference.layout, monitor.needed, {})
    since, until = DAY + pd.Timedelta("30h"), DAY + pd.Timedelta("50h")
    limits = (since.to_pydatetime(), until.to_pydatetime())

    tiles = list(tiles_of_time(history, question, "at", Every.parse("1h"), history.span("at"), *limits))
    by_grade = list(tiles_of_column(history, question, "grade", history.span("grade")))

    inside = rows[(rows["at"] >= since) & (rows["at"] < until)]
    assert sum((one.counts for one in tiles), Counts.zero(question.layout)) == monitor.count(inside)
    assert {one.start: one.counts for one in by_grade} == {
        grade: monitor.count(some) for grade, some in rows.groupby("grade")
    }


def test_a_clock_that_a_query_names_is_the_clock_of_hours(server: Any, table: str, rows: pd.DataFrame, parquet: Path):
    """timestamptz is a moment: the database forgets the zone, so a query names it."""
    columns = ["at", "opened", "score"]
    berlin = rows.assign(opened=rows["opened"].dt.tz_convert("Europe/Berlin"))[columns]
    learnt = wakeful.Monitor(wakeful.learn(berlin, score="score", id="at"))
    query = f"{server.url}#SELECT at, score, opened AT TIME ZONE 'Europe/Berlin' AS opened FROM loans"

    total = sum((one.counts for one in windows(query, learnt)), Counts.zero(learnt.reference.layout))

    assert "opened.hour" in learnt.reference.layout.cells
    assert total == learnt.count(berlin.dropna(subset="at"))


# ---------------------------------------------------------------- when it fails


def refused(address: str) -> str:
    with pytest.raises(DataError) as caught:
        open_history(address).span("at")
    assert "geheim" not in str(caught.value), "a password in an error"
    return str(caught.value)


def test_what_the_address_lacks_is_told(server: Any, table: str):
    shown = server.url.replace(":geheim", "")

    assert refused(server.url) == (
        f"{shown} names no table. Write postgresql://…/DATABASE#TABLE, or a query behind the #."
    )
    assert refused(f"{server.url}#lones") == (f'cannot read {shown}#lones: relation "lones" does not exist')
    assert refused(f"{server.url}#SELECT * FROM loans WHERE citty = 'Berlin'").startswith(
        f'cannot read {shown}#the query: column "citty" does not exist'
    )
    assert refused(f"{server.url}#SELECT at, at FROM loans").startswith("column 'at' stands twice in postgresql://")
    assert refused(server.url.replace("geheim", "falsch") + "#loans") == (
        f'cannot read {shown}#loans: connection to server at "127.0.0.1", port {server.port} failed: FATAL: '
        'password authentication failed for user "wakeful"'
    )
    assert 'database "nowhere" does not exist' in refused(server.url.replace("/postgres", "/nowhere") + "#loans")
    assert refused(f"postgresql://127.0.0.1:{server.port}/postgres?user=wakeful&password=geheim#lones").startswith(
        f"cannot read postgresql://127.0.0.1:{server.port}/postgres#lones: "
    )


def test_a_server_that_is_gone_is_told(server: Any, table: str, monitor: wakeful.Monitor):
    history = open_history(table)
    assert history.span("at").rows
    server.stop()
    try:
        with pytest.raises(DataError, match=r"^cannot read postgresql://.*#loans: .*Connection refused"):
            history.span("at")
        assert "Is the server running" in refused(table)
    finally:
        server.start()
    assert history.span("at").rows


def test_a_connection_that_breaks_keeps_the_windows_before(server: Any, monitor: wakeful.Monitor):
    """The server stops at one row, with most of the others sent, and its connection is cut there."""
    server.run(
        "CREATE TABLE long AS SELECT i, timestamptz '2024-01-01Z' + i * interval '1 minute' AS at, "
        "repeat('x', 300) AS city, 0.5::float8 AS score FROM generate_series(1, 90000) i",
        "CREATE INDEX ON long (at)",
        "ANALYZE long",
    )
    query = "SELECT * FROM long WHERE CASE WHEN i = 80000 THEN pg_sleep(60) IS NOT NULL ELSE true END"
    without_sort = "?options=-c%20enable_sort%3Doff"
    history = open_history(f"{server.url}{without_sort}#{query}")
    span = open_history(f"{server.url}#long").span("at")
    question = Question(monitor.reference.layout, monitor.needed, {})
    cut: list[int] = []
    cutter = threading.Thread(target=lambda: cut.append(cut_when_asleep(server)))
    cutter.start()

    found: list[Tile] = []
    with pytest.raises(DataError) as caught:
        for tile in tiles_of_time(history, question, "at", Every.parse("1d"), span):
            found.append(tile)
    cutter.join()

    assert cut == [1]
    shown = server.url.replace(":geheim", "")
    assert str(caught.value).startswith(f"cannot read on in {shown}#the query: ")
    assert str(caught.value).endswith("terminating connection due to administrator command")
    assert len(found) > 10
    assert [one.counts.rows for one in found[:10]] == [1_439] + 9 * [1_440]


def cut_when_asleep(server: Any) -> int:
    """Cut connections that sleep; how many."""
    kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with dbapi.connect(server.url) as connection, connection.cursor() as cursor:
        for _ in range(300):
            cursor.execute(kill)
            [number] = cursor.fetchone()
            connection.commit()
            if number:
                return int(number)
            time.sleep(0.05)
    return 0
