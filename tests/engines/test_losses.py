"""What a broken file in a folder costs: its own rows and those after it, and no window before."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import wakeful
from wakeful.counts import Counts
from wakeful.engines.tiles import Question, must_hold_times, tiles_of_column, tiles_of_time
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.replay import open_history

DAYS, A_DAY, GROUP = 6, 400, 100
Windows = dict[str, Counts]


def make(seed: int = 3, days: int = DAYS) -> pd.DataFrame:
    """Requests in order of time, a day as long as another."""
    rng = np.random.default_rng(seed)
    rows = days * A_DAY
    return pd.DataFrame(
        {
            "at": np.datetime64("2024-03-01", "us")
            + np.arange(rows) * 86_400 // A_DAY * np.timedelta64(1_000_000, "us"),
            "income": rng.lognormal(10, 0.5, rows).round(2),
            "visits": rng.poisson(30, rows),
            "city": rng.choice(["Berlin", "Köln"], rows),
            "paid": rng.random(rows) < 0.4,
            "score": rng.random(rows),
            "note": rng.choice(["a", "b"], rows),
        }
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return make()


@pytest.fixture(scope="module")
def monitor() -> wakeful.Monitor:
    return wakeful.Monitor(wakeful.learn(make(seed=1).drop(columns=["at", "note"]), score="score", threshold=0.5))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rows").mkdir()
    return tmp_path


def days(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame[at * A_DAY : (at + 1) * A_DAY] for at in range(DAYS)]


def write(parts: list[pd.DataFrame], compression: str | None = "snappy") -> list[str]:
    """A file each, of several row groups."""
    paths = [f"rows/{at}.parquet" for at in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        part.to_parquet(path, index=False, row_group_size=GROUP, compression=compression)
    return paths


def write_csv(parts: list[pd.DataFrame], suffix: str = ".csv") -> list[str]:
    paths = [f"rows/{at}{suffix}" for at in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        part.to_csv(path, index=False)
    return paths


def windows(data: Any, monitor: wakeful.Monitor, length: str = "6h") -> tuple[Windows, str]:
    """Counts per window, and the error that ended them."""
    question = Question(monitor.reference.layout, monitor.needed, {})
    every = Every.parse(length, "UTC")
    found: Windows = {}
    try:
        history = open_history(data)
        for tile in tiles_of_time(history, question, "at", every, history.span("at", monitor.needed)):
            found[every.show(tile.start)] = tile.counts
    except DataError as error:
        return found, str(error)
    return found, ""


def expected(frame: pd.DataFrame, monitor: wakeful.Monitor, before: Any) -> Windows:
    """Counts of the windows of six hours that end when the first lost row may come, or earlier."""
    starts = frame["at"].dt.floor("6h")
    return {
        start.isoformat() + "+00:00": monitor.count(rows)
        for start, rows in frame.groupby(starts)
        if start + pd.Timedelta("6h") <= before
    }


def first(number: int, found: Windows) -> Windows:
    return dict(list(found.items())[:number])


# ---------------------------------------------------------------- ways in which a file breaks


def garbled(path: str, column: str, group: int) -> None:
    """Overwrite the values of a column; the file's table of contents stays whole."""
    [chunk] = [one for one in chunks(path, group) if one.path_in_schema == column]
    content = bytearray(Path(path).read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    Path(path).write_bytes(content)


def chunks(path: str, group: int) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        found = file.metadata.row_group(group)
        yield from map(found.column, range(found.num_columns))


def cut(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])


def cut_in_its_footer(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-20])


def garbled_in_its_footer(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-300] + b"\xff" * 292 + content[-8:])


def emptied(path: str) -> None:
    Path(path).write_bytes(b"")


def without_a_columns_values(path: str) -> None:
    garbled(path, "income", 0)


def without_the_last_values(path: str) -> None:
    garbled(path, "city", 3)


def without_times(path: str) -> None:
    garbled(path, "at", 0)


def without_the_last_times(path: str) -> None:
    garbled(path, "at", 3)


FOOTERS = [cut, cut_in_its_footer, garbled_in_its_footer, emptied]
VALUES = [without_a_columns_values, without_the_last_values, without_times, without_the_last_times]
POSITIONS = pytest.mark.parametrize("position", [0, 3, DAYS - 1])
Breaking = Callable[[str], None]


@POSITIONS
@pytest.mark.parametrize("breaking", FOOTERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("data", ["rows", "rows/*.parquet"])
def test_a_file_that_cannot_be_opened_costs_what_comes_after_the_file_before(
    data: str, breaking: Breaking, position: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    """When it begins nobody knows, so the window in which the file before it ends may miss some of its rows."""
    breaking(write(days(frame))[position])

    found, error = windows(data, monitor)

    last = days(frame)[position - 1]["at"].iloc[-1] if position else frame["at"][0]
    assert found == expected(frame, monitor, last)
    assert len(found) == max(0, 4 * position - 1)
    assert error.startswith(f"cannot read rows/{position}.parquet: ")
    assert "Restore it, or move it away." in error


@POSITIONS
@pytest.mark.parametrize("breaking", VALUES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("compression", ["snappy", "zstd", None])
def test_a_file_with_values_that_cannot_be_read_costs_no_window_before_them(
    compression: str | None, breaking: Breaking, position: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    breaking(write(days(frame), compression)[position])

    found, error = windows("rows", monitor)

    group = 3 if "last" in breaking.__name__ else 0
    assert found == expected(frame, monitor, days(frame)[position]["at"].iloc[group * GROUP])
    assert len(found) == 4 * position + group
    assert error.startswith(f"cannot read rows/{position}.parquet: ")
    assert "The file is broken. Restore it, or move it away." in error


def test_a_single_long_file_gives_all_windows_before_the_values_that_cannot_be_read(
    frame: pd.DataFrame, monitor: wakeful.Monitor
):
    frame.to_parquet("rows/all.parquet", index=False, row_group_size=GROUP)
    garbled("rows/all.parquet", "visits", 13)

    found, error = windows("rows/all.parquet", monitor)

    assert found == expected(frame, monitor, frame["at"][13 * GROUP])
    assert len(found) == 13
    assert error.startswith("cannot read rows/all.parquet: ")


def test_long_files_are_read_on_where_the_engine_left_off(monitor: wakeful.Monitor):
    """Several batches came before the engine, which reads ahead, failed."""
    rows = 300_000
    seconds = pd.to_timedelta(np.arange(rows), unit="s")
    long = pd.concat([make(seed, days=250) for seed in range(3)], ignore_index=True)[:rows].assign(
        at=pd.Timestamp("2024-03-01") + seconds
    )
    for at in range(6):
        long[at * 50_000 : (at + 1) * 50_000].to_parquet(f"rows/{at}.parquet", index=False, row_group_size=10_000)
    garbled("rows/5.parquet", "city", 2)

    found, error = windows("rows", monitor)

    assert found == expected(long, monitor, long["at"][270_000])
    assert error.startswith("cannot read rows/5.parquet: ")


def test_columns_that_nobody_reads_may_be_broken(frame: pd.DataFrame, monitor: wakeful.Monitor):
    garbled(write(days(frame))[3], "note", 0)

    found, error = windows("rows", monitor)

    assert (found, error) == (expected(frame, monitor, pd.Timestamp("2025-01-01")), "")


@pytest.mark.parametrize("breaking", [cut, without_a_columns_values], ids=lambda one: one.__name__)
def test_of_two_broken_files_the_first_counts(breaking: Breaking, frame: pd.DataFrame, monitor: wakeful.Monitor):
    paths = write(days(frame))
    breaking(paths[4])
    without_a_columns_values(paths[2])

    found, error = windows("rows", monitor)

    assert found == expected(frame, monitor, days(frame)[2]["at"].iloc[0])
    assert error.startswith("cannot read rows/2.parquet: ")


# ---------------------------------------------------------------- files in another order


@pytest.mark.parametrize("breaking", [cut, without_a_columns_values], ids=lambda one: one.__name__)
def test_rows_in_any_order_within_their_day(breaking: Breaking, frame: pd.DataFrame, monitor: wakeful.Monitor):
    breaking(write([day.sample(frac=1, random_state=5) for day in days(frame)])[3])

    found, error = windows("rows", monitor)

    assert len(found) == (11 if breaking is cut else 12)
    assert found == first(len(found), expected(frame, monitor, frame["at"].max()))
    assert error.startswith("cannot read rows/3.parquet: ")


def test_files_that_overlap_keep_what_comes_before_the_first_lost_row(frame: pd.DataFrame, monitor: wakeful.Monitor):
    """Three services, each with a file of its own for the six days."""
    parts = [frame[at::3] for at in range(3)]
    garbled(write(parts)[1], "income", 5)

    found, error = windows("rows", monitor)

    assert found == expected(frame, monitor, parts[1]["at"].iloc[5 * GROUP])
    assert len(found) == 15
    assert error.startswith("cannot read rows/1.parquet: ")


@pytest.mark.parametrize("number", [2, 3])
def test_files_that_overlap_keep_nothing_where_one_cannot_be_opened(
    number: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    """Its rows might belong to any window; and of one file that is left nobody knows whether they overlap."""
    path = write([frame[at::number] for at in range(number)])[-1]
    cut(path)

    found, error = windows("rows", monitor)

    assert found == {}
    assert error.startswith(f"cannot read {path}: ")


def test_a_broken_file_outside_the_limits_does_no_harm(frame: pd.DataFrame, monitor: wakeful.Monitor):
    cut(write(days(frame))[3])
    history = open_history("rows")
    question = Question(monitor.reference.layout, monitor.needed, {})
    until = pd.Timestamp("2024-03-03", tz="UTC").to_pydatetime()

    tiles = list(tiles_of_time(history, question, "at", Every.parse("1d"), history.span("at"), None, until))

    assert [tile.counts.rows for tile in tiles] == [A_DAY, A_DAY]


def test_windows_that_a_column_names_are_kept_too(frame: pd.DataFrame, monitor: wakeful.Monitor):
    batches = frame.assign(batch=[f"batch {at // A_DAY}" for at in range(len(frame))])
    without_a_columns_values(write(days(batches))[2])
    history = open_history("rows")
    question = Question(monitor.reference.layout, monitor.needed, {})
    tiles = tiles_of_column(history, question, "batch", history.span("batch", monitor.needed))

    assert [next(tiles).start, next(tiles).start] == ["batch 0", "batch 1"]
    with pytest.raises(DataError, match=r"cannot read rows/2\.parquet: .* What comes from batch 2 on is not judged"):
        next(tiles)


def test_partitions_that_only_folders_name_are_windows_too(frame: pd.DataFrame, monitor: wakeful.Monitor):
    for at, day in enumerate(days(frame)):
        Path(f"rows/batch={at}").mkdir()
        day.to_parquet(f"rows/batch={at}/part.parquet", index=False, row_group_size=GROUP)
    without_a_columns_values("rows/batch=2/part.parquet")
    history = open_history("rows")
    question = Question(monitor.reference.layout, monitor.needed, {})
    tiles = tiles_of_column(history, question, "batch", history.span("batch", monitor.needed))

    assert [next(tiles).start, next(tiles).start] == [0, 1]
    with pytest.raises(DataError, match=r"cannot read rows/batch=2/part\.parquet: "):
        next(tiles)


# ---------------------------------------------------------------- types that change


def with_zone(day: pd.DataFrame) -> pd.DataFrame:
    return day.assign(at=day["at"].dt.tz_localize("UTC"))


CHANGES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str, str, bool]] = {
    "numbers": ("paid", lambda day: day.assign(paid=day["paid"].astype(float)), "double", "bool", True),
    "truths": ("visits", lambda day: day.assign(visits=day["visits"] > 30), "bool", "int64", True),
    "lists": ("income", lambda day: day.assign(income=[[one] for one in day["income"]]), "list<.*", "double", True),
    "moments": ("income", lambda day: day.assign(income=day["at"]), r"timestamp\[us\]", "double", True),
    "words": ("paid", lambda day: day.assign(paid=day["paid"].astype(str)), "(large_)?string", "bool", True),
    "times as text": (
        "at",
        lambda day: day.assign(at=day["at"].astype(str)),
        "(large_)?string",
        r"timestamp\[us\]",
        False,
    ),
    "times with a zone": ("at", with_zone, r"timestamp\[us, tz=UTC\]", r"timestamp\[us\]", False),
    "no times": ("at", lambda day: day.drop(columns="at"), "", "", False),
}


@POSITIONS
@pytest.mark.parametrize("change", CHANGES)
def test_a_column_that_changes_its_type_is_named_with_both_types(
    change: str, position: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    """Windows before are judged; where the odd file is the first, those are its own."""
    column, changed, there, before, is_known = CHANGES[change]
    paths = write([changed(day) if at == position else day for at, day in enumerate(days(frame))])

    found, error = windows("rows", monitor)

    if change == "no times":
        where, other = paths[position], paths[0 if position else 1]
        assert error.startswith(f"cannot read on at {where}: it has no column at, which {other} has.")
    else:
        where, other = paths[position or 1], paths[0]
        kinds = (there, before) if position else (before, there)
        told = f"cannot read on at {where}: {column} holds {kinds[0]} there, and {kinds[1]} in {other}. "
        assert re.match(f"{told}Write it the same way in all files.", error), error
    if position:
        assert len(found) == 4 * position - (not is_known)
        assert found == first(len(found), expected(frame, monitor, frame["at"].max()))


def test_times_that_are_text_in_the_first_file_are_told_before_anything_is_read(frame: pd.DataFrame):
    write([day.assign(at=day["at"].astype(str)) if at == 0 else day for at, day in enumerate(days(frame))])

    with pytest.raises(DataError, match=r"time column 'at' holds (large_)?string in the first file, not timestamps"):
        must_hold_times(open_history("rows"), "at")


def test_a_column_that_nobody_reads_may_change_its_type(frame: pd.DataFrame, monitor: wakeful.Monitor):
    write([day.assign(note=at) if at == 3 else day for at, day in enumerate(days(frame))])

    assert windows("rows", monitor) == (expected(frame, monitor, pd.Timestamp("2025-01-01")), "")


def test_numbers_may_widen_and_columns_may_hold_nothing(frame: pd.DataFrame, monitor: wakeful.Monitor):
    parts = days(frame)
    parts[1] = parts[1].assign(visits=parts[1]["visits"].astype(float), income=parts[1]["income"].astype("float32"))
    parts[2] = parts[2].assign(visits=parts[2]["visits"].astype("int16"))
    parts[4] = parts[4].assign(paid=None)
    write(parts)

    found, error = windows("rows", monitor)

    assert error == ""
    wanted = sum((monitor.count(pa.Table.from_pandas(part)) for part in parts), Counts.zero(monitor.reference.layout))
    assert sum(found.values(), Counts.zero(monitor.reference.layout)) == wanted


# ---------------------------------------------------------------- CSV


def a_line_too_long(path: str) -> None:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    Path(path).write_text("\n".join([*lines[:200], "1,2,3,4,5,6,7,8,9,10", *lines[200:]]), encoding="utf-8")


def bytes_that_are_no_text(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:9_000] + b"\xff\xfe\x00\xfa" * 50 + content[9_000:])


@POSITIONS
@pytest.mark.parametrize("breaking", [emptied, a_line_too_long, bytes_that_are_no_text], ids=lambda one: one.__name__)
def test_a_broken_csv_file_costs_what_comes_after_the_file_before(
    breaking: Breaking, position: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    breaking(write_csv(days(frame))[position])

    found, error = windows("rows", monitor)

    last = days(frame)[position - 1]["at"].iloc[-1] if position else frame["at"][0]
    assert f"rows/{position}.csv: " in error
    assert found == expected(frame, monitor, last)
    assert len(found) == max(0, 4 * position - 1)


@POSITIONS
def test_a_compressed_csv_file_without_end_costs_what_comes_after_the_file_before(
    position: int, frame: pd.DataFrame, monitor: wakeful.Monitor
):
    path = write_csv(days(frame), ".csv.gz")[position]
    assert gzip.decompress(Path(path).read_bytes())
    cut(path)

    found, error = windows("rows", monitor)

    assert error.startswith(f"cannot read {path}: ")
    assert len(found) == max(0, 4 * position - 1)
    assert found == first(len(found), expected(frame, monitor, frame["at"].max()))


def test_types_of_csv_files_are_guesses_that_the_others_put_right(frame: pd.DataFrame, monitor: wakeful.Monitor):
    """An empty column is no text, and a city called true is no truth."""
    parts = days(frame)
    parts[1] = parts[1].assign(paid=None, city=None)
    parts[2] = parts[2].assign(city="true")
    write_csv(parts)

    found, error = windows("rows", monitor)

    assert error == ""
    wanted = sum((monitor.count(part) for part in parts), Counts.zero(monitor.reference.layout))
    assert sum(found.values(), Counts.zero(monitor.reference.layout)) == wanted


def test_words_among_the_truths_of_csv_files_are_named(frame: pd.DataFrame, monitor: wakeful.Monitor):
    write_csv([day.assign(paid="perhaps") if at == 3 else day for at, day in enumerate(days(frame))])

    found, error = windows("rows", monitor)

    assert found == expected(frame, monitor, days(frame)[3]["at"].iloc[0])
    assert error.startswith("cannot read on at rows/3.csv: paid holds string there, and bool in rows/0.csv.")
