"""Tables: anything that speaks Arrow, a mapping, or a file, read as often as needed."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import wakeful
from wakeful.tables import Table, in_threads


def read(table: Table, columns: list[str] | None = None) -> Any:
    return pa.Table.from_batches([batch.record_batch for batch in table.batches(columns)])


TABLE = pa.table({"n": [1, 2, None], "x": [0.5, None, 2.5], "name": ["a", None, "ü"], "flag": [True, False, None]})


# ---------------------------------------------------------------- stories


def test_a_stream_that_can_be_read_once_can_be_read_as_often_as_needed():
    streams = {
        "reader": TABLE.to_reader(max_chunksize=2),
        "duckdb": duckdb.from_arrow(TABLE),
        "generator": pa.RecordBatchReader.from_batches(TABLE.schema, _batches()),
    }
    for name, stream in streams.items():
        table = Table(stream)
        for _ in range(3):
            assert read(table).to_pylist() == TABLE.to_pylist(), name
        assert read(table, ["x", "n"]).to_pydict().keys() == {"n", "x"}


def _batches() -> Iterator[Any]:
    yield from TABLE.to_batches(max_chunksize=1)


def test_a_spooled_stream_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = Table(TABLE.to_reader())
    copy = Table(table)
    del table
    gc.collect()
    assert read(copy).num_rows == 3  # the last table that reads it keeps it
    assert list(tmp_path.iterdir())
    del copy
    gc.collect()  # a warning here would fail the test
    assert not list(tmp_path.iterdir())


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path):
    pq.write_table(TABLE, tmp_path / "x.parquet")
    TABLE.to_pandas().to_csv(tmp_path / "x.csv", index=False)
    for data in (TABLE, TABLE.to_reader(), tmp_path / "x.parquet", tmp_path / "x.csv", TABLE.to_pydict()):
        assert read(Table(data), ["flag", "n", "nowhere"]).schema.names == ["n", "flag"]


@pytest.mark.parametrize("kept", [slice(1, None), [2, 0]])
def test_row_labels_of_a_pandas_frame_are_no_column(kept: Any, tmp_path: Path):
    """A frame whose rows were chosen or shuffled carries its labels along; they say nothing of the model."""
    frame = TABLE.to_pandas().iloc[kept]
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv")
    for data in (frame, tmp_path / "x.parquet", tmp_path / "x.csv", pa.table(frame), pl.from_pandas(frame)):
        table = Table(data)
        assert table.schema.names == ["n", "x", "name", "flag"], data
        assert read(table).num_rows == len(frame)


def test_a_named_index_of_a_pandas_frame_is_a_column():
    assert set(Table(TABLE.to_pandas().set_index("name")).schema.names) == {"n", "x", "name", "flag"}


def test_what_is_empty_in_a_csv_file_is_missing(tmp_path: Path):
    (tmp_path / "x.csv").write_text('n,name\n1,a\n,\n3,NA\n4,""\n')
    assert read(Table(tmp_path / "x.csv")).to_pydict() == {"n": [1, None, 3, 4], "name": ["a", None, None, None]}


def test_names_may_hold_spaces_dots_quotes_and_any_letters(tmp_path: Path):
    names = ["a b", "a.b", "a", 'say "hi"', "Größe", "収入", "it's", "x\ny", "{x}", "%s", "a[0]"]
    data = {name: [float(at)] for at, name in enumerate(names)}
    pq.write_table(pa.table(data), tmp_path / "x.parquet")
    pd.DataFrame(data).to_csv(tmp_path / "x.csv", index=False)
    for kind in (data, pd.DataFrame(data), pl.DataFrame(data), tmp_path / "x.parquet", tmp_path / "x.csv"):
        for name in names:
            batch = next(Table(kind).batches([name]))
            assert batch.has(name)
            assert batch.numbers(name).tolist() == data[name], name


def test_five_thousand_columns_are_read():
    data = {f"c{at}": [1.0, 2.0] for at in range(5000)}
    assert len(Table(pd.DataFrame(data)).schema.names) == 5000


# ---------------------------------------------------------------- mixed types


@pytest.mark.parametrize("frame", [False, True])
def test_a_column_of_mixed_types_is_numbers_where_most_are_and_the_rest_is_invalid(frame: bool):
    data: Any = {"x": [1, 2.5, None, "n/a", 4, float("nan"), True, "?"], "y": range(8)}
    batch = next(Table(pd.DataFrame(data) if frame else data).batches())
    numbers = batch.numbers("x")
    assert numbers[[0, 1, 4, 6]].tolist() == [1, 2.5, 4, 1]
    assert np.isnan(numbers[[2, 5]]).all()
    assert np.isinf(numbers[[3, 7]]).all()


@pytest.mark.parametrize("frame", [False, True])
def test_a_column_of_mixed_types_is_text_where_most_is(frame: bool):
    data: Any = {"x": ["a", "b", None, 3, "c", float("nan")], "y": range(6)}
    batch = next(Table(pd.DataFrame(data) if frame else data).batches())
    assert batch.column("x").to_pylist() == ["a", "b", None, "3", "c", None]


def test_whole_numbers_beyond_64_bits_are_numbers():
    assert next(Table({"x": [2**70, 1, None]}).batches()).numbers("x")[:2].tolist() == [2.0**70, 1.0]


# ---------------------------------------------------------------- what is refused


def test_what_is_no_table_is_refused():
    for data in (42, None, [1, 2], object(), np.zeros(3), {1, 2}):
        with pytest.raises(wakeful.DataError, match="Give a path to a Parquet or CSV file"):
            Table(data)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path):
    twice = pa.table([pa.array([1]), pa.array([2])], names=["income", "income"])
    pq.write_table(twice, tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("income,income\n1,2\n")
    frame = pd.DataFrame([[1, 2]], columns=["income", "income"])
    for data in (twice, twice.to_reader(), tmp_path / "x.parquet", tmp_path / "x.csv", frame):
        with pytest.raises(wakeful.DataError, match="income"):
            Table(data)


def test_columns_of_different_length_are_refused():
    with pytest.raises(wakeful.DataError, match="differ in length"):
        Table({"a": [1, 2], "b": [1]})


def test_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path):
    with pytest.raises(wakeful.DataError, match="does not exist"):
        Table(tmp_path / "nowhere.parquet")
    with pytest.raises(wakeful.DataError, match=r"\.parquet or \.csv"):
        (tmp_path / "x.xlsx").write_bytes(b"PK")
        Table(tmp_path / "x.xlsx")
    for name in ("x.parquet", "x.csv"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(wakeful.DataError, match=name):
            Table(tmp_path / name)
    (tmp_path / "y.parquet").write_bytes(b"PAR1 these are no columns PAR1")
    with pytest.raises(wakeful.DataError, match=r"y\.parquet"):
        Table(tmp_path / "y.parquet")
    pq.write_table(pa.table({"a": np.arange(100_000.0)}), tmp_path / "z.parquet", compression="none")
    content = bytearray((tmp_path / "z.parquet").read_bytes())
    content[4:100] = b"\xff" * 96  # the header of the first page
    (tmp_path / "z.parquet").write_bytes(bytes(content))
    with pytest.raises(wakeful.DataError, match=r"z\.parquet"):
        list(Table(tmp_path / "z.parquet").batches())


def test_a_csv_file_whose_columns_change_their_type_is_refused_by_name(tmp_path: Path):
    lines = ["n,pad"] + ["1," + "x" * 1000] * 17_000 + ["one,x"]  # past the first block, which decides the types
    (tmp_path / "x.csv").write_text("\n".join(lines))
    with pytest.raises(wakeful.DataError, match=r"x\.csv"):
        list(Table(tmp_path / "x.csv").batches())


# ---------------------------------------------------------------- threads


def test_results_of_threads_come_in_the_order_of_the_batches():
    data = {"at": np.arange(500_000)}
    firsts = list(in_threads(lambda batch: int(batch.numbers("at")[0]), Table(data).batches()))
    assert firsts == sorted(firsts)
    assert len(firsts) > 4


def test_what_fails_in_a_thread_fails_the_caller():
    def fail(batch: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_threads(fail, Table({"at": np.arange(200_000)}).batches()))
