"""The same rows give the same counts in the same windows, wherever they lie and however they are stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import wakeful
from wakeful.counts import Counts
from wakeful.engines.tiles import Question, tiles_of_column, tiles_of_time
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.replay import open_history, replay

BERLIN = "Europe/Berlin"
Build = Callable[[pd.DataFrame], Any]


def make(rows: int = 3_000, seed: int = 3) -> pd.DataFrame:
    """Requests of five days, over the clocks' change in spring, with every kind of column."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-03-29", tz=BERLIN)
    seconds = np.sort(rng.integers(0, 5 * 86_400 // 7, rows)) * 7  # some times come twice
    at = start + pd.to_timedelta(seconds, unit="s")
    score = rng.random(rows)
    return pd.DataFrame(
        {
            "at": at.astype(f"datetime64[us, {BERLIN}]"),
            "opened": (at - pd.to_timedelta(rng.gamma(2, 3, rows).round(2), unit="h")).astype(
                f"datetime64[us, {BERLIN}]"
            ),
            "income": rng.lognormal(10, 0.5, rows).round(2),
            "debt": np.where(rng.random(rows) < 0.3, np.nan, rng.gamma(2, 100, rows).round(2)),
            "price": [Decimal(int(one)) / 100 for one in rng.integers(0, 99_999, rows)],
            "visits": pd.array(np.where(rng.random(rows) < 0.2, None, rng.poisson(30, rows)), dtype="Int64"),
            "grade": rng.integers(1, 6, rows),
            "city": pd.array(rng.choice(["Berlin", "Köln", "O'Hara", None], rows), dtype="str"),
            "owner": pd.array(np.where(rng.random(rows) < 0.1, None, rng.random(rows) < 0.4), dtype="boolean"),
            "platform": rng.choice(["web", "app"], rows),
            "score": score,
            "rejected": (rng.random(rows) < score).astype(int),
        }
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return make()


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> wakeful.Monitor:
    """Learnt from Parquet."""
    path = tmp_path_factory.mktemp("learnt") / "train.parquet"
    make(seed=1).to_parquet(path, index=False)
    reference = wakeful.learn(
        path,
        score="score",
        label="rejected",
        threshold=0.5,
        segments=["platform"],
        id="at",
        kinds={"grade": "categorical"},
    )
    kinds = {column.name: column.kind for column in reference.model.features}
    assert {kinds.pop(name) for name in list(kinds) if name.startswith("opened")} == {"hour", "weekday"}
    assert kinds == {
        "income": "numeric", "debt": "numeric", "price": "numeric", "visits": "numeric",
        "grade": "categorical", "city": "categorical", "platform": "categorical", "owner": "boolean",
    }  # fmt: skip
    return wakeful.Monitor(reference)


Windows = dict[str, Counts]


def windows(data: Any, monitor: wakeful.Monitor, length: str = "6h", by: str = "at") -> Windows:
    """Counts per window, as the engine gives them."""
    history = open_history(data)
    question = Question(monitor.reference.layout, monitor.needed, {})
    every = Every.parse(length, BERLIN)
    tiles = list(tiles_of_time(history, question, by, every, history.span(by)))
    starts = [tile.start for tile in tiles]
    assert starts == sorted(set(starts)), "windows out of order, or twice"
    return {every.show(tile.start): tile.counts for tile in tiles}


def expected(frame: pd.DataFrame, monitor: wakeful.Monitor) -> Windows:
    """The same, found with pandas: rows by day and six hours since its midnight."""
    local = frame["at"].dt.tz_convert(BERLIN)
    since = (local - local.dt.normalize()) // pd.Timedelta("6h") * pd.Timedelta("6h")
    starts = local.dt.normalize() + since
    return {start.isoformat(): monitor.count(rows) for start, rows in frame.groupby(starts)}


def same(found: Windows, wanted: Windows) -> None:
    assert list(found) == list(wanted)
    for window, counts in wanted.items():
        other = found[window].table
        wrong = [
            column.name
            for column in counts.layout.model.columns
            for cells in [counts.layout.cells[column.name]]
            if not np.array_equal(other[:, cells.start : cells.stop], counts.table[:, cells.start : cells.stop])
        ]
        assert found[window] == counts, f"{window}: {wrong or 'rows or outcomes'}"


# ---------------------------------------------------------------- every kind of source


def parquet(frame: pd.DataFrame) -> str:
    frame.to_parquet("rows.parquet", index=False, row_group_size=700)
    return "rows.parquet"


def folder(frame: pd.DataFrame) -> str:
    """Three files, one in a folder of its own, beside what Spark and Delta Lake leave."""
    for at, name in enumerate(("a.parquet", "b.parquet", "c/d.parquet")):
        path = Path("rows", name)
        path.parent.mkdir(exist_ok=True, parents=True)
        frame[at * 1_000 : (at + 1) * 1_000].to_parquet(path, index=False)
    Path("rows/_SUCCESS").touch()
    Path("rows/.a.parquet").write_bytes(b"half written")
    for hidden in ("_delta_log", "_temporary/0", ".tmp"):
        Path("rows", hidden).mkdir(parents=True)
        Path("rows", hidden, "x.parquet").write_bytes(b"not of the data")
    return "rows"


def hive(frame: pd.DataFrame) -> Path:
    """By day and platform; the platform stands in the folder's name alone."""
    for (day, platform), rows in frame.groupby([frame["at"].dt.date, "platform"]):
        path = Path(f"rows/day={day}/platform={platform}")
        path.mkdir(parents=True)
        rows.drop(columns="platform").to_parquet(path / "part.parquet", index=False)
    return Path("rows")


def pattern(frame: pd.DataFrame) -> str:
    folder(frame)
    frame[:10].to_parquet("rows/a.parq", index=False)
    return "rows/**/[a-d].parquet"


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """CSV knows no zones: clocks as they show."""
    return frame.assign(**{name: frame[name].dt.tz_localize(None) for name in ("at", "opened")})


def csv(frame: pd.DataFrame) -> str:
    as_text(frame).to_csv("rows.csv", index=False)
    return "rows.csv"


def csv_gz(frame: pd.DataFrame) -> str:
    as_text(frame).to_csv("rows.csv.gz", index=False)
    return "rows.csv.gz"


def csv_folder(frame: pd.DataFrame) -> str:
    Path("rows").mkdir()
    as_text(frame[:1_000]).to_csv("rows/a.csv", index=False)
    as_text(frame[1_000:]).to_csv("rows/b.csv.gz", index=False)
    return "rows"


def query(frame: pd.DataFrame) -> str:
    """A join, which loses the order, and a filter; SQL's times are in UTC unless a clock is named."""
    parts = frame.assign(key=np.arange(len(frame)) * 7 % 3_001, wanted=True)
    junk = parts[:500].assign(wanted=False)
    pd.concat([parts, junk])[["key", "at", "income", "debt", "price", "wanted"]].to_parquet("left.parquet")
    parts.drop(columns=["at", "income", "debt", "price", "wanted"]).to_parquet("right.parquet")
    return (
        "  SELECT * REPLACE (timezone('Europe/Berlin', opened) AS opened)\n"
        "FROM 'left.parquet' JOIN 'right.parquet' USING (key) WHERE wanted ; "
    )


def relation(frame: pd.DataFrame) -> Any:
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{BERLIN}'")
    return connection.sql(f"FROM '{parquet(frame)}'")


def stream(frame: pd.DataFrame) -> Any:
    """Can be read once."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(max_chunksize=501)))


class Capsule:
    """Nothing but the Arrow C stream interface."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def arrow_stream(frame: pd.DataFrame) -> Any:
    return Capsule(pa.Table.from_pandas(frame, preserve_index=False))


def dictionaries(frame: pd.DataFrame) -> Any:
    """Texts as dictionaries, as pandas' categories and Arrow's readers give them."""
    return frame.assign(**{name: frame[name].astype("category") for name in ("city", "platform")})


def polars(frame: pd.DataFrame) -> Any:
    return pl.from_pandas(frame)


def mapping(frame: pd.DataFrame) -> Any:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return {name: table[name].to_pylist() for name in table.column_names}


def identity(frame: pd.DataFrame) -> Any:
    return frame


def file_url(frame: pd.DataFrame) -> str:
    return Path(parquet(frame)).resolve().as_uri()


def folder_url(frame: pd.DataFrame) -> str:
    return hive(frame).resolve().as_uri()


def csv_url(frame: pd.DataFrame) -> str:
    return Path(csv_gz(frame)).resolve().as_uri()


SOURCES = [
    parquet, folder, hive, pattern, csv, csv_gz, csv_folder, query, relation, stream, arrow_stream, identity,
    dictionaries, polars, mapping, file_url, folder_url, csv_url,
]  # fmt: skip


@pytest.mark.parametrize("build", SOURCES, ids=lambda build: build.__name__)
def test_the_same_rows_give_the_same_counts_from(
    build: Build, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    same(windows(build(frame), monitor), expected(frame, monitor))


@pytest.mark.parametrize("build", [parquet, csv, stream, polars, file_url], ids=lambda build: build.__name__)
def test_rows_in_any_order_give_the_same_counts(
    build: Build, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shuffled = frame.sample(frac=1, random_state=5)
    assert frame["at"].duplicated().any()

    same(windows(build(shuffled), monitor), expected(frame, monitor))


def test_rows_in_order_are_not_sorted_and_others_are(frame: pd.DataFrame, tmp_path: Path):
    frame.to_parquet(tmp_path / "sorted.parquet")
    frame[::-1].to_parquet(tmp_path / "reversed.parquet")

    assert open_history(tmp_path / "sorted.parquet").span("at").in_order
    assert not open_history(tmp_path / "reversed.parquet").span("at").in_order


def test_files_with_ten_parts_come_in_the_order_of_their_numbers(frame: pd.DataFrame, tmp_path: Path):
    for at in range(12):
        frame[at * 250 : (at + 1) * 250].to_parquet(tmp_path / f"part-{at}.parquet", index=False)

    assert open_history(tmp_path).span("at").in_order
    assert open_history(str(tmp_path / "part-*.parquet")).span("at").in_order


def test_the_span_tells_what_is_there(frame: pd.DataFrame):
    holes = frame.assign(at=frame["at"].where(np.arange(len(frame)) % 10 != 0))

    span = open_history(holes).span("at")

    assert (span.rows, span.without) == (2_700, 300)
    assert span.first == frame["at"][1]
    assert span.last == frame["at"].iloc[-1]


def test_rows_without_a_time_are_left_out(frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path):
    holes = frame.assign(at=frame["at"].where(np.arange(len(frame)) % 10 != 0))
    holes.to_parquet(tmp_path / "holes.parquet")

    same(windows(tmp_path / "holes.parquet", monitor), expected(holes.dropna(subset="at"), monitor))


CLOCKS = """
from wakeful.engines.duckdb import open_history

for source in ("rows.parquet", "rows.csv", "FROM 'rows.parquet'"):
    history = open_history(source)
    batch = next(history.rows(["opened"], "at", history.span("at")))
    print(batch.schema.field("opened").type, batch.column("opened")[0])
"""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_the_machines_time_zone_does_not_matter(zone: str, frame: pd.DataFrame, tmp_path: Path):
    """Hours and weekdays are those of the data; times without a zone stay as they are."""
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    as_text(frame).to_csv(tmp_path / "rows.csv", index=False)

    done = subprocess.run(
        [sys.executable, "-c", CLOCKS], env=os.environ | {"TZ": zone}, cwd=tmp_path, capture_output=True,
        encoding="utf-8", check=True,
    )  # fmt: skip

    clock, utc = (str(one.tz_localize(None))[:19] for one in (frame["opened"][0], frame["opened"][0].tz_convert("UTC")))
    parquet, csv, query = done.stdout.splitlines()
    assert parquet.startswith(f"timestamp[us, tz={BERLIN}] {clock}")
    assert csv.startswith(f"timestamp[us] {clock}")
    assert query.startswith(f"timestamp[us, tz=UTC] {utc}")


@pytest.mark.parametrize("length", ["15m", "1h", "1d", "1w", "1mo"])
def test_every_length_of_window_holds_all_rows(length: str, frame: pd.DataFrame, monitor: wakeful.Monitor):
    found = windows(frame, monitor, length)

    total = Counts.zero(monitor.reference.layout)
    for counts in found.values():
        total += counts
    assert total == monitor.count(frame)


@pytest.mark.parametrize("kind", ["date", "naive", "aware"])
def test_windows_of_dates_and_clocks_without_zone(
    kind: str, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path
):
    changed = {"date": frame["at"].dt.date, "naive": frame["at"].dt.tz_localize(None), "aware": frame["at"]}[kind]
    frame.assign(at=changed).to_parquet(tmp_path / "rows.parquet")

    found = windows(tmp_path / "rows.parquet", monitor, "1d")

    days = {day: monitor.count(rows) for day, rows in frame.groupby(frame["at"].dt.date)}
    same(found, {pd.Timestamp(day, tz=BERLIN).isoformat(): counts for day, counts in days.items()})


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("aware", [True, False])
def test_limits_of_time_cut_exactly(
    aware: bool, unit: str, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path
):
    frame = frame.assign(at=frame["at"].dt.as_unit(unit))
    if not aware:
        frame = frame.assign(at=frame["at"].dt.tz_localize(None))
    frame.to_parquet(tmp_path / "rows.parquet")
    history = open_history(tmp_path / "rows.parquet")
    every = Every.parse("1h", BERLIN)
    since, until = (pd.Timestamp(str(frame["at"][place])) for place in (500, 2_000))
    limits = [
        one.to_pydatetime() if aware else one.to_pydatetime().replace(tzinfo=every.zone) for one in (since, until)
    ]
    question = Question(monitor.reference.layout, monitor.needed, {})

    tiles = list(tiles_of_time(history, question, "at", every, history.span("at"), *limits))

    inside = frame[(frame["at"] >= frame["at"][500]) & (frame["at"] < frame["at"][2_000])]
    assert sum((tile.counts for tile in tiles), Counts.zero(question.layout)) == monitor.count(inside)


@pytest.mark.parametrize("column", ["grade", "city", "platform", "day", "owner"])
def test_a_column_of_any_kind_names_the_windows(column: str, frame: pd.DataFrame, monitor: wakeful.Monitor):
    frame = frame.assign(day=frame["at"].dt.date)
    history = open_history(frame)
    question = Question(monitor.reference.layout, monitor.needed, {})

    tiles = list(tiles_of_column(history, question, column, history.span(column)))

    by_value = frame.dropna(subset=column).groupby(column)
    assert [tile.start for tile in tiles] == sorted(frame[column].dropna().unique())
    assert all(tile.counts == monitor.count(by_value.get_group(tile.start)) for tile in tiles)


# ---------------------------------------------------------------- a bucket


def test_a_bucket_is_read_over_http(bucket: str, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path):
    access = f"?region=eu-central-1&scheme=http&endpoint_override={bucket}"
    for at in range(3):
        path = tmp_path / f"{at}.parquet"
        frame[at * 1_000 : (at + 1) * 1_000].to_parquet(path, index=False)
        stored, place = pa.fs.FileSystem.from_uri(f"s3://key:secret@history/loans/month={at}/rows.parquet{access}")
        with stored.open_output_stream(place) as sink:
            sink.write(path.read_bytes())

    found = windows(f"s3://key:secret@history/loans{access}", monitor)

    same(found, expected(frame, monitor))
    with pytest.raises(DataError) as caught:  # without the key
        open_history(f"s3://key:secret@history/elsewhere{access}")
    assert str(caught.value) == "no data at s3://history/elsewhere: there is no such file or folder."


# ---------------------------------------------------------------- bad input


def refused(data: Any) -> str:
    with pytest.raises(DataError) as caught:
        open_history(data).span("at")
    return str(caught.value)


def test_paths_that_lead_nowhere_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("rows.xlsx").touch()
    Path("mixed").mkdir()
    frame.to_parquet("mixed/a.parquet")
    frame.to_csv("mixed/b.csv")

    assert refused("") == "no data: the path or query is empty."
    assert refused("no.parquet") == "no data at no.parquet: the file does not exist."
    assert refused("no/*.parquet") == "no file matches no/*.parquet."
    assert refused("empty") == "the folder empty has no .parquet or .csv file."
    assert refused("rows.xlsx") == "cannot tell what rows.xlsx holds: its name must end in .parquet or .csv."
    assert refused("mixed") == "mixed holds both Parquet and CSV files. Name one kind: mixed/*.parquet"
    url = tmp_path.as_uri()
    assert refused(f"{url}/x.parquet") == f"no data at {url}/x.parquet: there is no such file or folder."
    assert refused(f"{url}/empty") == f"no data at {url}/empty: it holds no file."
    assert refused(f"{url}/rows.xlsx").startswith(f"cannot read {url}/rows.xlsx: ")
    assert refused(7).startswith("cannot read a table from int. Give a path to a Parquet or CSV file, a data frame")


def test_a_query_may_end_with_a_remark():
    span = open_history("FROM (VALUES (DATE '2024-01-01')) AS rows(happened) -- one row").span("happened")

    assert span.rows == 1


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, frame: pd.DataFrame):
    for at in range(3):
        frame.to_parquet(tmp_path / f"{at}.parquet")
    (tmp_path / "1.parquet").write_bytes(b"PAR1 and then nothing")

    told = refused(tmp_path)

    assert told.startswith(f"cannot read {tmp_path}/1.parquet: ")
    assert told.endswith("The file is broken, or no Parquet. Restore it, or move it away.")


def test_a_query_that_fails_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    assert refused("SELECT * FROM 'nothing.parquet'").startswith("cannot read the query: ")
    assert "nothing.parquet" in refused("SELECT * FROM 'nothing.parquet'")
    assert "frmo" in refused("SELECT at frmo nothing")


@pytest.mark.parametrize("path", ["rows", "./rows/*.parquet", "rows/../rows"])
def test_numbers_that_are_text_in_one_file_are_invalid_there_only(
    path: str, frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("rows").mkdir()
    parts = [frame[at * 1_000 : (at + 1) * 1_000] for at in range(3)]
    parts[1] = parts[1].assign(income=parts[1]["income"].astype(str), visits=parts[1]["visits"].astype("str"))
    for at, part in enumerate(parts):
        part.to_parquet(f"rows/{at}.parquet", index=False)

    history = open_history(path)
    found = windows(history, monitor)

    wanted = Counts.zero(monitor.reference.layout)
    for part in parts:
        wanted += monitor.count(part)
    assert sum(found.values(), Counts.zero(monitor.reference.layout)) == wanted
    assert history.notes == [
        "income holds text in 1.parquet, numbers in the other files: it changed its type there",
        "visits holds text in 1.parquet, numbers in the other files: it changed its type there",
    ]


def test_a_csv_file_with_words_or_nothing_in_a_column_leaves_the_numbers_of_the_others(
    frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path
):
    parts = [as_text(frame[at * 1_000 : (at + 1) * 1_000]) for at in range(3)]
    parts[0] = parts[0].assign(debt=np.nan)
    parts[1] = parts[1].assign(income="much")
    for at, part in enumerate(parts):
        part.to_csv(tmp_path / f"{at}.csv", index=False)

    history = open_history(tmp_path)
    found = windows(history, monitor)

    wanted = sum((monitor.count(part) for part in parts), Counts.zero(monitor.reference.layout))
    assert sum(found.values(), Counts.zero(monitor.reference.layout)) == wanted
    assert "income holds text in 1.csv, numbers in the other files: it changed its type there" in history.notes


def test_types_that_only_widen_between_files_stay_numbers(
    frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path
):
    parts = [frame[at * 1_000 : (at + 1) * 1_000] for at in range(3)]
    parts[0] = parts[0].assign(visits=parts[0]["visits"].astype("float64"), grade=parts[0]["grade"].astype("int8"))
    parts[1] = parts[1].drop(columns="debt")
    for at, part in enumerate(parts):
        part.to_parquet(tmp_path / f"{at}.parquet", index=False)
    whole = pd.concat(parts)

    assert open_history(tmp_path).notes == []
    same(windows(tmp_path, monitor), expected(whole.assign(visits=whole["visits"].astype("Int64")), monitor))


# ---------------------------------------------------------------- memory


WALK = """
import json, re, sys
from wakeful.counts import Counts
from wakeful import Monitor
from wakeful.engines.tiles import Question, tiles_of_time
from wakeful.every import Every
from wakeful.replay import open_history, replay

monitor = Monitor(sys.argv[1])
history = open_history(sys.argv[2])
question = Question(monitor.reference.layout, monitor.needed, {})
rows = 0
for tile in tiles_of_time(history, question, "at", Every.parse("1h"), history.span("at")):
    rows += tile.counts.rows
status = open("/proc/self/status").read()  # ru_maxrss would begin with that of the parent process
print(json.dumps({"rows": rows, "peak": int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024}))
"""


def test_memory_stays_flat_however_long_the_history_is(tmp_path: Path):
    """Peak memory in MB of 4,000,000 rows (160 MB), beside that of a quarter of them."""
    rng = np.random.default_rng(0)
    rows = 100_000
    columns = {f"x{at}": rng.normal(size=rows) for at in range(3)} | {"score": rng.random(rows)}
    wakeful.learn({name: values[:5_000] for name, values in columns.items()}, score="score").save(
        tmp_path / "reference.json"
    )
    first = np.datetime64("2024-01-01", "us")
    peaks = {}
    for parts in (10, 40):
        path = tmp_path / f"{parts}.parquet"
        for at in range(parts):
            times = first + (np.arange(rows) + at * rows) * np.timedelta64(1, "s")
            table = pa.table({"at": times} | columns)
            if at == 0:
                writer = pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
            writer.write_table(table)
        writer.close()
        done = subprocess.run(
            [sys.executable, "-c", WALK, tmp_path / "reference.json", path], capture_output=True, encoding="utf-8",
            check=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
        assert told["rows"] == parts * rows
        peaks[parts] = told["peak"]

    assert peaks[40] < 1.1 * peaks[10] + 20, peaks


# ---------------------------------------------------------------- clocks and names


def test_the_clock_of_a_query_is_the_one_that_the_caller_names(
    frame: pd.DataFrame, monitor: wakeful.Monitor, tmp_path: Path
):
    """DuckDB forgets the time zone of a column; hours are then read on the clock of --timezone."""
    watched = wakeful.Monitor(monitor.reference)
    hours = next(one.name for one in monitor.reference.model.features if one.kind == "hour")

    @watched.check(window="24h")
    def hours_are_those_of_training(live):
        assert live[hours].d1() <= 0.2

    frame.to_parquet(tmp_path / "log.parquet")
    query = f"SELECT * FROM '{tmp_path}/log.parquet'"
    by_path, by_query = (
        [step.as_dict() for step in replay(watched, data, every="1d", time="at", timezone=BERLIN)]
        for data in (str(tmp_path / "log.parquet"), query)
    )
    assert by_path == by_query


def test_a_column_that_is_spelt_otherwise_in_one_file_is_named(frame: pd.DataFrame, tmp_path: Path):
    """SQL would take Income for income, and so hide that the service no longer finds it."""
    frame.to_parquet(tmp_path / "1.parquet")
    frame.rename(columns={"income": "Income"}).to_parquet(tmp_path / "2.parquet")
    frame.to_parquet(tmp_path / "3.parquet")
    with pytest.raises(DataError, match=r"income has another name in some files: Income in 2\.parquet"):
        open_history(tmp_path)


def test_a_stream_that_breaks_off_is_told(frame: pd.DataFrame):
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pandas(frame, preserve_index=False)
        raise OSError("connection reset")

    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    with pytest.raises(DataError, match="connection reset"):
        open_history(pa.RecordBatchReader.from_batches(schema, batches()))


def test_a_query_is_sorted_since_a_join_gives_its_rows_in_any_order(tmp_path: Path):
    times = pa.array(np.arange(10), pa.timestamp("us"))
    pq.write_table(pa.table({"at": times}), tmp_path / "rows.parquet")
    assert open_history(tmp_path / "rows.parquet").span("at").in_order
    plain = f"SELECT * FROM '{tmp_path}/rows.parquet'"
    assert open_history(plain).span("at").in_order
    joined = f"{plain} AS a JOIN '{tmp_path}/rows.parquet' AS b USING (\"at\")"
    assert not open_history(joined).span("at").in_order
