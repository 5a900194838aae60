"""Identifiers: one cell of the hash for one id, whatever it comes in, wherever it is counted, in any order."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wakeful
from wakeful.arrow import ids_of
from wakeful.counting import RowBatch, count
from wakeful.counts import IDS, Counts, Layout
from wakeful.ids import BINS, encode_ids
from wakeful.tables import ArrowBatch

MISSING, INVALID = BINS.size, BINS.size + 1
ONE = uuid.UUID("5e1b8a3c-52f2-4b58-9a3f-0c1d2e3f4a5b")


@cache
def layout() -> Layout:
    rng = np.random.default_rng(0)
    data = {"score": rng.random(200), "platform": rng.choice(["web", "app"], 200)}
    return wakeful.learn(data, score="score", threshold=0.5, id="order", segments=["platform"]).layout


def cells(values: Sequence[Any], kind: Any = None) -> list[int]:
    """The cells of values in an Arrow array of that type; as Python values without one."""
    return (encode_ids(values) if kind is None else ids_of(pa.array(values, kind))).tolist()


# ---------------------------------------------------------------- the same id is the same cell


WHOLE = (None, pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(),
         pa.decimal128(9, 2), pa.decimal256(40, 0), pa.dictionary(pa.int8(), pa.int64()))  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE, ids=str)
def test_a_whole_number_is_one_id_in_every_type(kind: Any):
    assert cells([7, 100, 0, 7, 1], kind) == [mixed(one) for one in (7, 100, 0, 7, 1)] == [74, 156, 0, 74, 346]


TEXT = (None, pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))


def mixed(word: int) -> int:
    """The top ten bits of SplitMix64's finalizer, in plain Python."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return (word ^ word >> 31) >> 54


def test_negative_and_huge_numbers_wrap_around_alike():
    assert cells([-7], pa.int16()) == cells([-7], pa.int64()) == cells([-7.0], pa.float64()) == cells([-7])
    for large in (2**53, 2**63, 2**63 + 2**11, 2**64, -(2**63), -(2**70), 10**300):
        assert cells([float(large)], pa.float64()) == cells([int(float(large))]) == cells([float(large)])
    assert cells([2**64 - 1], pa.uint64()) == cells([2**64 - 1]) == cells([Decimal(2**64 - 1)], pa.decimal128(38, 0))


@pytest.mark.parametrize("kind", TEXT, ids=str)
def test_a_text_is_one_id_in_every_type(kind: Any):
    assert cells(["A-17", "", "Köln", "A-17", "7"], kind) == [248, 0, 747, 248, 566]


def test_other_numbers_and_bytes_are_ids_too():
    assert cells([7.5], pa.float32()) == cells([Decimal("7.50")], pa.decimal128(5, 2)) == cells([Fraction(15, 2)])
    assert cells([b"A-17"], pa.binary()) == cells([b"A-17"], pa.binary(4)) == cells([b"A-17"]) == cells(["A-17"])
    assert cells([ONE]) == cells([str(ONE)], pa.string()) == cells([ONE.bytes], pa.uuid())
    assert cells([True, False], pa.bool_()) == cells([True, False]) == cells([1, 0])


def test_what_is_missing_or_no_id_has_cells_of_its_own():
    assert cells([None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "s"), Decimal("nan")]) == [MISSING] * 6
    strange = [np.inf, -np.inf, [7], {}, 3j, pd.Timestamp("2024-01-01"), np.datetime64(7, "ns"), Decimal("inf")]
    assert cells(strange) == [INVALID] * len(strange)
    assert cells([None, np.nan, np.inf], pa.float32()) == [MISSING, MISSING, INVALID]
    assert cells([None, 7], pa.timestamp("ns")) == cells([None, [7]], pa.list_(pa.int8())) == [MISSING, INVALID]
    assert cells([None, None], pa.null()) == cells([None, None], pa.dictionary(pa.int8(), pa.string())) == [MISSING] * 2


def test_cells_do_not_depend_on_the_process():
    program = "from wakeful.ids import encode_ids; print(encode_ids(['A-17', 7, b'x', 7.5]).tolist())"
    other = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(wakeful.__file__).parents[1])},
    )  # fmt: skip
    assert other.stdout.strip() == str(cells(["A-17", 7, b"x", 7.5]))


_KINDS: dict[Any, st.SearchStrategy[Any]] = {
    pa.float64(): st.one_of(st.floats(), st.sampled_from([7.0, 2.0**63, -(2.0**63), 2.0**64, -0.0])),
    pa.float32(): st.floats(width=32),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.bool_(): st.booleans(),
    pa.decimal128(38, 2): st.decimals(-(10**30), 10**30, places=2),
    pa.string(): st.text(max_size=5),
    pa.large_string(): st.text(max_size=5),
    pa.string_view(): st.text(max_size=20),
    pa.dictionary(pa.int32(), pa.string()): st.text(max_size=2),
    pa.binary(): st.binary(max_size=5),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.date32(): st.dates(),
}


@pytest.mark.parametrize("kind", _KINDS, ids=str)
def test_rows_and_arrow_columns_give_the_same_cells(kind: Any):
    @given(st.lists(st.one_of(st.none(), _KINDS[kind]), max_size=12), st.integers(0, 3), st.integers(0, 12))
    @settings(max_examples=100)
    def check(values: list[Any], start: int, length: int) -> None:
        array = pa.array(values, kind).slice(min(start, len(values)), length)
        assert ids_of(array).tolist() == encode_ids(array.to_pylist()).tolist()

    check()


# ---------------------------------------------------------------- counts of ids add up


def orders(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    order = [None if rng.random() < 0.05 else f"A{number}" for number in rng.integers(0, rows, rows)]
    return {"score": rng.random(rows), "platform": rng.choice(["web", "app", "tv"], rows).tolist(), "order": order}


def test_counts_of_ids_add_up_over_any_partition_order_and_engine():
    data = orders(3_000)
    batch = pa.table(data).combine_chunks().to_batches()[0]
    whole = count(layout(), ArrowBatch(batch))
    rng = np.random.default_rng(6)
    for at, sizes in enumerate(([1], [1_500], [3, 7, 11, 2_000], [999, 1_000])):
        cuts = [0, *np.cumsum(sizes).tolist(), 3_000]
        order = rng.permutation(3_000)
        pieces = [batch.take(order[a:b]) for a, b in pairwise(cuts)]
        engines: list[Callable[[Any], Any]] = [ArrowBatch, lambda piece: RowBatch(piece.to_pylist())]
        counted = [count(layout(), engines[(at + one) % 2](piece)) for one, piece in enumerate(pieces)]
        assert sum(counted, Counts.zero(layout())) == whole


FORMS: dict[str, Callable[[Any, Path], Any]] = {
    "pandas": lambda table, _: table.to_pandas(),
    "Polars": lambda table, _: pl.from_arrow(table),
    "DuckDB": lambda table, _: duckdb.from_arrow(table),
    "rows": lambda table, _: table.to_pylist(),
    "categories": lambda table, _: table.set_column(2, "order", table["order"].dictionary_encode()),
    "Parquet": lambda table, folder: pq.write_table(table, folder / "rows.parquet") or folder / "rows.parquet",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_ids_give_the_same_counts_whatever_they_come_in(form: str, tmp_path: Path):
    table = pa.table(orders(500))
    rng = np.random.default_rng(0)
    data = {"score": rng.random(200), "platform": rng.choice(["web", "app"], 200)}
    monitor = wakeful.Monitor(wakeful.learn(data, score="score", threshold=0.5, id="order", segments=["platform"]))
    assert monitor.count(FORMS[form](table, tmp_path)) == monitor.count(table)


def test_every_row_is_counted_once_in_every_slice():
    counts = count(layout(), RowBatch([{"order": one, "score": 0.5} for one in (7, 7.0, "7", None, [7])]))
    place = layout().cells[IDS]
    row = counts.table[0, place.start : place.stop]
    assert (row[74], row[566], row[MISSING], row[INVALID]) == (2, 1, 1, 1)
    assert row.sum() == 5
    assert counts.table[layout().find_slice("platform", "(missing)"), place.start : place.stop].sum() == 5


class _Unread(RowBatch):
    """Rows whose ids must be left alone."""

    def ids(self, name: str) -> Any:
        raise AssertionError("the id column was read")


def test_ids_are_left_alone_where_no_id_column_was_named():
    rng = np.random.default_rng(0)
    reference = wakeful.learn({"score": rng.random(50)}, score="score", threshold=0.5)
    rows = [{"score": 0.5, "order": 7}]
    assert count(reference.layout, _Unread(rows)).rows == 1
    assert IDS not in reference.layout.cells
    assert "order" not in (wakeful.Monitor(reference).needed or ())
    with pytest.raises(AssertionError, match="was read"):  # as it is where one was named
        count(layout(), _Unread(rows))
