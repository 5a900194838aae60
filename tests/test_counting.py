"""Counting: one vector, whatever the rows came in, however they were cut up, and as a person would count."""

from __future__ import annotations

import datetime as dt
import math
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import wakeful
from wakeful.bins import CategoryBins, Floats, NumericBins
from wakeful.counting import RowBatch, count
from wakeful.counts import Counts, Layout
from wakeful.model import Column
from wakeful.tables import ArrowBatch
from wakeful.tally import count_numbers

TASKS = ("binary", "multiclass", "regression")
START = dt.datetime(2024, 3, 4)


# ---------------------------------------------------------------- what is counted


def applications(rows: int, seed: int = 7) -> dict[str, Any]:
    """Loan applications with every kind of column, gaps and spikes included."""
    rng = np.random.default_rng(seed)
    income = np.round(rng.lognormal(10.3, 0.7, rows), 2)
    income[rng.random(rows) < 0.1] = 0.0
    score = np.round(rng.beta(2, 3, rows), 6)
    label = (rng.random(rows) < score).astype(float)
    data: dict[str, Any] = {
        "income": _with_gaps(income, rng, 0.05),
        "age": rng.integers(18, 70, rows).tolist(),
        "grade": _with_gaps(rng.choice(list("ABCDE"), rows, p=[0.4, 0.3, 0.15, 0.1, 0.05]), rng, 0.03),
        "branch": _with_gaps(rng.choice([-1, 3, 7, 10115], rows), rng, 0.02),
        "owner": _with_gaps(rng.random(rows) < 0.4, rng, 0.01),
        "applied_at": [START + dt.timedelta(minutes=int(m)) for m in rng.integers(0, 60 * 24 * 90, rows)],
        "platform": rng.choice(["web", "app", "partner"], rows).tolist(),
        "score": score.tolist(),
        "held": (rng.random(rows) < 0.3).tolist(),
        "flagged": (score >= 0.5).tolist(),
        "label": _with_gaps(label, rng, 0.3),
        "answer": rng.choice(["yes", "no", "maybe"], rows).tolist(),
        "truth": _with_gaps(rng.choice(["yes", "no", "maybe"], rows), rng, 0.2),
        "price": _with_gaps(np.round(rng.normal(100, 20, rows), 1), rng, 0.1),
        "predicted_price": np.round(rng.normal(100, 20, rows), 1).tolist(),
    }
    return data


def _with_gaps(values: Any, rng: np.random.Generator, share: float) -> list[Any]:
    gaps = rng.random(len(values)) < share
    return [None if gap else value for gap, value in zip(gaps, np.asarray(values).tolist(), strict=True)]


ROLES: dict[str, dict[str, Any]] = {
    "binary": {
        "score": "score", "label": "label", "decision": "flagged", "threshold": 0.5, "holdout": "held",
        "segments": ["platform", "branch"],
    },
    "multiclass": {"score": "answer", "label": "truth", "holdout": "held", "segments": ["platform"]},
    "regression": {"score": "predicted_price", "label": "price", "task": "regression", "segments": ["branch"]},
}  # fmt: skip
COLUMNS = {
    "binary": ("score", "held", "flagged", "label"),
    "multiclass": ("held", "answer", "truth"),
    "regression": ("price", "predicted_price"),
}
FEATURES = ("income", "age", "grade", "branch", "owner", "applied_at", "platform")


@cache
def layout_of(task: str) -> Layout:
    data = {name: values for name, values in applications(600).items() if name in (*FEATURES, *COLUMNS[task])}
    return wakeful.learn(data, kinds={"branch": "categorical"}, **ROLES[task]).layout


def rows_of(data: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]


# ---------------------------------------------------------------- what may stand in a row

_special = st.sampled_from([0.0, -0.0, 1.0, 0.5, math.inf, -math.inf, math.nan, 1.7e308, -1.7e308, 5e-324])
_numbers = st.one_of(
    st.none(),
    _special,
    st.floats(),
    st.floats(0, 1),
    st.integers(-(2**70), 2**70),
    st.integers(0, 200),
    st.booleans(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6),
    st.sampled_from(["12", "", "n/a", [1], {}, 3j, b"x", pd.NA, pd.NaT, START, np.float32(0.25), np.int64(3)]),
)
_names = st.one_of(
    st.none(),
    st.sampled_from(["A", "B", "E", "Z", "", "web", "app", "partner", "yes", "no", "maybe", "ÄÖ '\"."]),
    st.sampled_from([3, 7, -1, 10115, 42, 7.0, 7.5, math.nan, math.inf, 1e300, True, np.str_("A"), pd.NA]),
    st.sampled_from([START, b"A", ["A"], Decimal(3)]),
)
_flags = st.one_of(st.none(), st.booleans(), st.sampled_from([0, 1, 1.0, math.nan, "yes", 2]))
_moments = st.one_of(
    st.none(),
    st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)),
    st.dates(),
    st.sampled_from([pd.NaT, "2024-03-04", 0, np.datetime64("2024-03-04T17:30"), np.datetime64("NaT", "s")]),
    st.datetimes(START, START + dt.timedelta(days=400), timezones=st.just(dt.timezone(dt.timedelta(hours=5.5)))),
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "income": _numbers, "age": _numbers, "score": _numbers, "price": _numbers, "predicted_price": _numbers,
    "grade": _names, "branch": _names, "platform": _names, "answer": _names, "truth": _names,
    "owner": _flags, "held": _flags, "flagged": _flags, "label": _flags,
    "applied_at": _moments,
}  # fmt: skip


@st.composite
def rows(draw: st.DrawFn, task: str) -> list[dict[str, Any]]:
    """Rows as a service may hand them in: any value anywhere, keys that are missing."""
    row = st.fixed_dictionaries({}, optional={name: _VALUES[name] for name in (*FEATURES, *COLUMNS[task])})
    return draw(st.lists(row, max_size=12))


# ---------------------------------------------------------------- counted by hand


def naive_number(value: Any) -> float:
    """A number; NaN is missing, infinity is invalid."""
    if value is None or value is pd.NA or value is pd.NaT:
        return math.nan
    if isinstance(value, bool | int | float | Decimal | Fraction | np.number):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return math.inf


def naive_bin(bins: NumericBins, value: float) -> int:
    """Bins in order: below, the pieces between borders with single values cut out, above."""
    if math.isnan(value):
        return bins.size
    if math.isinf(value):
        return bins.size + 1
    lefts = {bins.low, *bins.cuts, *bins.singles}
    lefts |= {math.nextafter(one, math.inf) for one in (*bins.singles, bins.high)}
    return sum(1 for left in lefts if left <= value)


def naive_off_grid(bins: NumericBins, value: float) -> bool:
    """Whether a number has more decimals than the column's, beyond what float64 or float32 round."""
    if bins.decimals is None or not math.isfinite(value):
        return False
    units = value * 10.0**bins.decimals
    if abs(units) > 2.0**39:
        return False
    rest = abs(units - round(units))
    single = abs(value) < 3.4e38 and struct.unpack("f", struct.pack("f", value))[0] == value
    return rest > 1e-4 and not (single and rest <= 6e-8 * abs(round(units)))


def naive_category(bins: CategoryBins, value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return "(missing)"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return "(missing)"
        if not value.is_integer() or abs(value) >= 2**53:
            return "(invalid)"
        value = int(value)
    known = {type(one) for one in bins.categories}
    if known == {bool} and type(value) is int and value in (0, 1):
        value = bool(value)
    if type(value) not in known:
        return "(invalid)"
    return str(value) if value in bins.categories else "(unseen)"


def naive_cell(layout: Layout, column: Column, row: Mapping[str, Any]) -> int:
    bins, value = layout.bins[column.name], row.get(column.source)
    if isinstance(bins, NumericBins):
        return naive_bin(bins, naive_number(value))
    if column.kind in ("hour", "weekday"):
        if value is None or value is pd.NaT or (isinstance(value, np.datetime64) and np.isnat(value)):
            return bins.size
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[s]").item()
        if isinstance(value, dt.datetime):
            return value.hour if column.kind == "hour" else value.weekday()
        if isinstance(value, dt.date):
            return 0 if column.kind == "hour" else value.weekday()
        return bins.size + 1
    return naive_category_cell(bins, value)


def naive_category_cell(bins: CategoryBins, value: Any) -> int:
    names = [*map(str, bins.categories), "(other)", "(unseen)", "(missing)", "(invalid)"]
    return names.index(naive_category(bins, value))


def naive_outcome(layout: Layout, row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Where a row stands in the outcome table: cohort, flagged, answer, truth."""
    model = layout.model
    held = naive_number(row.get(model.holdout)) if model.holdout is not None else math.nan
    cohort = 0 if math.isnan(held) else 2 if held == 1 else 1
    answer = naive_cell(layout, model.score, row)
    assert model.label is not None
    label = naive_number(row.get(model.label))
    if model.task == "multiclass":
        bins = layout.bins[model.score.name]
        assert isinstance(bins, CategoryBins)
        return cohort, 0, answer, naive_category_cell(bins, row.get(model.label))
    if model.task == "regression":
        return cohort, 0, answer, 1 if math.isnan(label) else 2 if math.isinf(label) else 0
    truth = 2 if math.isnan(label) else int(label) if label in (0, 1) else 3
    decided = naive_number(row.get(model.decision)) if model.decision else math.nan
    if decided not in (0, 1):
        decided = (model.threshold or 0) <= naive_number(row.get(model.score.source)) < math.inf
    return cohort, int(decided == 1), answer, truth


def naive_slices(layout: Layout, row: Mapping[str, Any]) -> Iterator[int]:
    yield 0
    for segment in layout.model.segments:
        bins = layout.bins[segment]
        assert isinstance(bins, CategoryBins)
        yield layout.find_slice(segment, naive_category(bins, row.get(segment)))


# ---------------------------------------------------------------- stories


def test_every_row_is_counted_once_in_every_column_and_once_per_segment():
    layout = layout_of("binary")
    batch = rows_of(applications(250, seed=1))
    counts = count(layout, RowBatch(batch))
    assert counts.rows == 250
    for name, place in layout.cells.items():
        assert counts.table[0, place.start : place.start + place.values + 2].sum() == 250, name
    for segment in layout.model.segments:
        at = [layout.slices.index(one) for one in layout.slices if one.segment == segment]
        assert (counts.table[at].sum(axis=0) == counts.table[0]).all(), segment


@pytest.mark.parametrize("task", TASKS)
def test_counts_are_what_a_person_counts(task: str):
    @given(rows(task))
    @settings(max_examples=150)
    def check(batch: list[dict[str, Any]]) -> None:
        layout = layout_of(task)
        counts = count(layout, RowBatch(batch))
        expected = np.zeros((len(layout.slices), 1))
        cells = {
            column.name: np.zeros((len(layout.slices), layout.bins[column.name].size + 2))
            for column in layout.model.columns
        }
        off_grid = {name: np.zeros(len(layout.slices)) for name in cells}
        outcomes = np.zeros((len(layout.slices), *layout.outcome_shape[:-1]))
        for row in batch:
            for at in naive_slices(layout, row):
                expected[at] += 1
                outcomes[(at, *naive_outcome(layout, row))] += 1
                for column in layout.model.columns:
                    cells[column.name][at, naive_cell(layout, column, row)] += 1
                    bins = layout.bins[column.name]
                    if isinstance(bins, NumericBins):
                        finer = naive_off_grid(bins, naive_number(row.get(column.source)))
                        off_grid[column.name][at] += finer
        assert (counts.table[:, :1] == expected).all()
        for name, place in layout.cells.items():
            assert (counts.table[:, place.start : place.start + place.values + 2] == cells[name]).all(), name
            if place.sums:
                assert (counts.table[:, place.stop - 1] == off_grid[name]).all(), name
        for at in range(len(layout.slices)):
            assert (counts.outcome(at)[..., 0] == outcomes[at]).all()

    check()


@pytest.mark.parametrize("task", TASKS)
def test_counting_adds_up_over_any_partition_and_order_of_rows(task: str):
    @given(rows(task), st.randoms(use_true_random=False), st.integers(1, 5))
    @settings(max_examples=150)
    def check(batch: list[dict[str, Any]], random: Any, parts: int) -> None:
        layout = layout_of(task)
        whole = count(layout, RowBatch(batch))
        shuffled = random.sample(batch, len(batch))
        cuts = sorted(random.randint(0, len(batch)) for _ in range(parts - 1))
        pieces = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(batch)], strict=True)]
        assert sum((count(layout, RowBatch(piece)) for piece in pieces), Counts.zero(layout)) == whole

    check()


@pytest.mark.parametrize("task", TASKS)
def test_large_batches_add_up_as_well(task: str):
    """Large batches take other paths through the code than small ones; the counts must not show it."""
    layout = layout_of(task)
    rng = np.random.default_rng(3)
    data = applications(30_000, seed=11)
    data["income"] = [1000 * one if one is not None and rng.random() < 0.2 else one for one in data["income"]]
    data["age"][17:20] = [10**15, -(10**15), 0]
    data["score"][100:103] = [math.inf, -math.inf, math.nan]
    batch = pa.table(data).combine_chunks().to_batches()[0]
    whole = count(layout, ArrowBatch(batch))
    order = rng.permutation(30_000)
    for sizes in ([1, 254, 255, 256, 257, 29_000], [12_287, 12_288, 12_289], [29_999]):
        cuts = [*np.cumsum([0, *sizes]).clip(max=30_000).tolist(), 30_000]
        pieces = [batch.take(order[a:b]) for a, b in pairwise(cuts)]
        assert sum((count(layout, ArrowBatch(piece)) for piece in pieces), Counts.zero(layout)) == whole


def test_adding_stays_exact_over_many_rows_far_outside_the_range():
    layout = layout_of("regression")
    rng = np.random.default_rng(5)
    income = rng.lognormal(10.3, 0.7, 400_000)
    income[rng.random(400_000) < 0.7] *= 1000  # a unit change
    batch = pa.record_batch({"income": income})
    whole = count(layout, ArrowBatch(batch))
    pieces = [batch.take(np.arange(start, 400_000, 7)) for start in range(7)]
    assert sum((count(layout, ArrowBatch(piece)) for piece in pieces), Counts.zero(layout)) == whole


# ---------------------------------------------------------------- rows and Arrow

_TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["A", "B", "web", "yes", "no", "12", ""]))
_instants = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2037, 1, 1), timezones=st.just(dt.UTC))
_ARROW: dict[Any, st.SearchStrategy[Any]] = {
    pa.float64(): st.one_of(_special, st.floats(), st.sampled_from([3.0, 7.0, -1.0, 2.0**53, 1e300])),
    pa.float32(): st.floats(width=32),
    pa.float16(): st.floats(width=16),
    pa.int64(): st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, 3, 7, -1, 10115])),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 3, 2**64 - 1])),
    pa.bool_(): st.booleans(),
    pa.decimal128(18, 4): st.decimals(-(10**9), 10**9, places=4),
    pa.decimal128(38, 20): st.decimals(-(10**9), 10**9, places=20),
    pa.string(): _TEXTS,
    pa.large_string(): _TEXTS,
    pa.string_view(): _TEXTS,
    pa.dictionary(pa.int8(), pa.string()): _TEXTS,
    pa.dictionary(pa.int32(), pa.int64()): st.sampled_from([0, 1, 3, 7]),
    pa.binary(): st.binary(max_size=2),
    pa.date32(): st.dates(),
    pa.timestamp("s"): st.datetimes().map(lambda one: one.replace(microsecond=0)),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("ns"): st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 12, 31)),
    pa.timestamp("us", "America/New_York"): _instants,
    pa.timestamp("ms", "+05:30"): _instants.map(lambda one: one.replace(microsecond=0)),
    pa.duration("s"): st.timedeltas(dt.timedelta(0), dt.timedelta(9)).map(lambda one: dt.timedelta(one.days)),
    pa.list_(pa.int64()): st.lists(st.integers(0, 2), max_size=2),
    pa.null(): st.none(),
}  # fmt: skip


@st.composite
def arrow_batches(draw: st.DrawFn, task: str) -> Any:
    """A record batch whose columns have any type, cut out of a longer one."""
    n, skip = draw(st.integers(0, 6)), draw(st.integers(0, 2))
    names = draw(st.lists(st.sampled_from([*FEATURES, *COLUMNS[task]]), unique=True, min_size=1))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(_ARROW)))
        values = draw(st.lists(st.none() | _ARROW[kind], min_size=n + skip, max_size=n + skip))
        columns[name] = pa.array(values, kind)
    return pa.record_batch(columns).slice(skip)


@pytest.mark.parametrize("task", TASKS)
def test_rows_and_arrow_columns_give_the_same_counts_for_every_type(task: str):
    @given(arrow_batches(task))
    @settings(max_examples=250)
    def check(batch: Any) -> None:
        layout = layout_of(task)
        assert count(layout, ArrowBatch(batch)) == count(layout, RowBatch(batch.to_pylist()))

    check()


def _csv(table: Any, folder: Path) -> Path:
    pa.csv.write_csv(table, folder / "live.csv")
    return folder / "live.csv"


def _parquet(table: Any, folder: Path) -> Path:
    pq.write_table(table, folder / "live.parquet", row_group_size=300)
    return folder / "live.parquet"


def _by_dictionaries(table: Any) -> Any:
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    for name in texts:
        table = table.set_column(table.schema.names.index(name), name, table[name].dictionary_encode())
    return table


INPUTS: dict[str, Callable[[Any, Path], Any]] = {
    "a list of rows": lambda table, _: table.to_pylist(),
    "a dict of lists": lambda table, _: table.to_pydict(),
    "a dict of numpy arrays": lambda table, _: {name: table[name].to_numpy() for name in table.schema.names},
    "pandas": lambda table, _: table.to_pandas(),
    "pandas with Arrow types": lambda table, _: table.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas with categories": lambda table, _: table.to_pandas(strings_to_categorical=True),
    "pandas, sorted": lambda table, _: table.to_pandas().sort_values("age"),
    "Polars": lambda table, _: pl.from_arrow(table),
    "Polars with categories": lambda table, _: pl.from_arrow(table).with_columns(pl.col("grade").cast(pl.Categorical)),
    "a PyArrow table": lambda table, _: table,
    "a PyArrow record batch": lambda table, _: table.combine_chunks().to_batches()[0],
    "a table of many chunks": lambda table, _: pa.Table.from_batches(table.to_batches(max_chunksize=37)),
    "a table with dictionaries": lambda table, _: _by_dictionaries(table),
    "a stream with other dictionaries in every batch": lambda table, _: pa.RecordBatchReader.from_batches(
        _by_dictionaries(table).schema,
        [_by_dictionaries(table.slice(at, 90)).combine_chunks().to_batches()[0] for at in range(0, len(table), 90)],
    ),
    "a stream that can be read once": lambda table, _: table.to_reader(max_chunksize=100),
    "DuckDB": lambda table, _: duckdb.from_arrow(table),
    "a Parquet file": _parquet,
    "the name of a Parquet file": lambda table, folder: str(_parquet(table, folder)),
    "a CSV file": _csv,
}  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_rows_give_the_same_counts_whatever_they_come_in(task: str, kind: str, tmp_path: Path):
    names = (*FEATURES, *COLUMNS[task])
    table = pa.table({name: values for name, values in applications(1000, seed=2).items() if name in names})
    monitor = wakeful.Monitor(_reference(task))
    assert monitor.count(INPUTS[kind](table, tmp_path)) == count(layout_of(task), RowBatch(table.to_pylist()))


@cache
def _reference(task: str) -> wakeful.Reference:
    return wakeful.Reference(layout_of(task), Counts.zero(layout_of(task)))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "+05:30"])
def test_hours_are_those_of_the_column_s_own_time_zone(zone: str):
    layout = layout_of("binary")
    moments = pd.date_range("2024-03-09", periods=500, freq="97min", tz="UTC").tz_convert(zone)
    expected = np.bincount(moments.hour, minlength=24)
    monitor = wakeful.Monitor(_reference("binary"))
    frame = pd.DataFrame({"applied_at": moments, "score": 0.5})
    for data in (frame, pl.from_pandas(frame) if zone != "+05:30" else frame, frame.to_dict("records")):
        place = layout.cells["applied_at.hour"]
        assert (monitor.count(data).table[0, place.start : place.start + 24] == expected).all()


# ---------------------------------------------------------------- derived columns


def test_a_derived_column_counts_the_same_from_rows_and_from_columns():
    data = applications(600)
    monitor = wakeful.Monitor(_derived_reference())
    monitor.column(installment_share)
    monitor.column(shout)
    table = pa.table({name: data[name] for name in ("income", "grade", "age", "score")})
    whole = monitor.count(table)
    assert monitor.count(table.to_pylist()) == whole
    assert monitor.count(table.to_pydict()) == whole
    assert sum((monitor.count([row]) for row in table.to_pylist()), Counts.zero(whole.layout)) == whole
    place = whole.layout.cells["installment_share"]
    known = sum(1 for one in data["income"] if one is not None)
    assert whole.table[0, place.start : place.start + place.values].sum() == known


def installment_share(income: Any, age: Any) -> Any:
    return income / (age * 100)


def shout(row: Mapping[str, Any]) -> str | None:
    return None if row["grade"] is None else row["grade"] + "!"


@cache
def _derived_reference() -> wakeful.Reference:
    from wakeful.learning import Roles, learn_all

    data = {name: values for name, values in applications(600).items() if name in ("income", "grade", "age", "score")}
    monitor = wakeful.Monitor(_reference("binary"))
    monitor.column(installment_share)
    monitor.column(shout)
    return learn_all(data, Roles("score"), monitor.derived).reference


def test_what_a_derived_column_cannot_compute_is_invalid_and_never_raises():
    monitor = wakeful.Monitor(_derived_reference())
    monitor.column(installment_share)
    monitor.column(shout)
    counts = monitor.count([{"score": 0.5, "grade": 3, "income": "lots", "age": 30}] * 4)
    for name in ("installment_share", "shout"):
        place = counts.layout.cells[name]
        assert counts.table[0, place.start + place.values + 1] == 4, name


def test_a_monitor_without_the_functions_of_its_derived_columns_says_so():
    with pytest.raises(wakeful.DataError, match="installment_share"):
        wakeful.Monitor(_derived_reference()).count([{"score": 0.5}])
    monitor = wakeful.Monitor(_reference("binary"))
    monitor.column(shout)
    with pytest.raises(wakeful.DataError, match="'shout' is not in the reference"):
        monitor.count([{"score": 0.5}])


# ---------------------------------------------------------------- what a monitor refuses


def test_data_without_the_score_are_refused_as_rows_and_as_columns():
    monitor = wakeful.Monitor(_reference("binary"))
    for data in ([{"scores": 0.5}], {"scores": [0.5]}, pd.DataFrame({"scores": [0.5]})):
        with pytest.raises(wakeful.UnknownName, match="Did you mean 'scores'"):
            monitor.count(data)


def test_no_rows_are_no_counts():
    monitor = wakeful.Monitor(_reference("binary"))
    assert monitor.count([]).rows == monitor.count({"score": []}).rows == 0
    assert not monitor.count(pd.DataFrame({"score": pd.Series([], dtype=float)})).vector.any()


def test_counts_of_another_reference_are_refused():
    monitor = wakeful.Monitor(_reference("binary"))
    mine = monitor.count([{"score": 0.5}])
    assert monitor.count(mine) == mine
    with pytest.raises(wakeful.DataError, match="different references"):
        wakeful.Monitor(_reference("regression")).count(mine)


def test_columns_that_live_data_lack_count_as_missing_and_are_named():
    counts = wakeful.Monitor(_reference("binary")).count({"score": [0.1, 0.9], "income": [1.0, 2.0]})
    place = counts.layout.cells["grade"]
    assert counts.table[0, place.start + place.values] == 2
    assert {"grade", "age", "owner", "applied_at.hour"} <= counts.absent
    assert not {"score", "income"} & counts.absent


# ---------------------------------------------------------------- decisions


def test_the_decision_column_says_what_was_flagged_and_the_threshold_where_it_is_missing():
    layout = layout_of("binary")  # threshold 0.5
    batch = [
        {"score": 0.9, "flagged": False},  # overruled
        {"score": 0.1, "flagged": True},
        {"score": 0.9, "flagged": None},
        {"score": 0.9},
        {"score": 0.1},
    ]
    counts = count(layout, RowBatch(batch))
    assert counts.outcome(0)[..., 0].sum(axis=(0, 2, 3)).tolist() == [2, 3]
    assert sum((count(layout, RowBatch([row])) for row in batch), Counts.zero(layout)) == counts


# ---------------------------------------------------------------- the bins of a number

_finite = st.floats(allow_nan=False, allow_infinity=False)
_widths = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 1.0, 1e3, 1e15, 1e300])


@st.composite
def numeric_bins(draw: st.DrawFn) -> NumericBins:
    """Any bins that learning could choose, and odder ones: no width, huge, borders side by side."""
    low = draw(st.one_of(st.sampled_from([0.0, -0.0, -1.0, 0.1, 1e300, -1.7e308]), _finite, st.floats(-10, 10)))
    high = draw(
        st.one_of(
            st.just(low),
            st.floats(low, sys.float_info.max),
            _widths.map(lambda width: min(low + width, sys.float_info.max)),
        )
    )
    inside = st.one_of(st.floats(low, high), st.sampled_from([low, high]))
    singles = set(draw(st.lists(inside, max_size=6)))
    singles |= {
        math.nextafter(one, math.inf)
        for one in draw(st.sets(st.sampled_from(sorted(singles))) if singles else st.just(set()))
    }
    cuts = set(draw(st.lists(inside, max_size=25))) | {
        math.nextafter(one, math.inf) for one in draw(st.sampled_from([set(), singles]))
    }
    return NumericBins(
        low,
        high,
        tuple(sorted(cut for cut in cuts if low < cut <= high)),
        tuple(sorted(one for one in singles if low <= one <= high)),
        draw(inside),
    )  # fmt: skip


@st.composite
def bins_and_values(draw: st.DrawFn) -> tuple[NumericBins, list[float]]:
    bins = draw(numeric_bins())
    borders = [bins.low, bins.high, *bins.cuts, *bins.singles]
    near = [math.nextafter(one, to) for one in borders for to in (-math.inf, math.inf)]
    middles = [a / 2 + b / 2 for a, b in pairwise(sorted(borders))]
    values = [*borders, *near, *middles, 0.0, -0.0, math.nan, math.inf, -math.inf, 1.8e308, 5e-324]
    values += [sys.float_info.max, -sys.float_info.max]
    return bins, values + draw(st.lists(st.one_of(st.floats(), st.floats(bins.low, bins.high)), max_size=20))


def cells_of(bins: NumericBins, values: list[float]) -> list[int]:
    return bins.cells(np.array(values, dtype=float)).tolist()


@given(bins_and_values())
@settings(max_examples=400)
@example((NumericBins(0.0, 0.0, (), (), 0.0), [0.0, -0.0, 1.0, -1.0]))
@example((NumericBins(0.0, 1.0, (0.5,), (0.5, 1.0), 0.5), [0.5, 1.0]))
def test_a_value_falls_into_the_bin_that_a_person_would_choose(case: tuple[NumericBins, list[float]]):
    bins, values = case
    expected = [naive_bin(bins, value) for value in values]
    assert cells_of(bins, values) == expected
    assert [cells_of(bins, [value])[0] for value in values] == expected
    assert cells_of(bins, values * 30) == expected * 30  # many at a time
    finite = [value for value in values if math.isfinite(value)]
    assert cells_of(bins, finite * 30) == [naive_bin(bins, value) for value in finite] * 30


@given(bins_and_values())
@settings(max_examples=200)
def test_bins_keep_the_order_of_values_and_part_them_at_borders_and_singles_only(case: tuple[NumericBins, list[float]]):
    bins, values = case
    found = [(value, cell) for value, cell in zip(values, cells_of(bins, values), strict=True) if math.isfinite(value)]

    def place(value: float) -> tuple[Any, ...]:
        single = [(one < value) + (one <= value) for one in bins.singles]
        return value < bins.low, value > bins.high, [cut <= value for cut in bins.cuts], single

    for (a, cell_a), (b, cell_b) in pairwise(found):
        assert (cell_a == cell_b) == (place(a) == place(b))
        assert a == b or (cell_a <= cell_b) == (a < b) or cell_a == cell_b
    for value, cell in found:
        assert (cell == 0) == (value < bins.low)
        assert (cell == bins.size - 1) == (value > bins.high)
        assert bins.is_single[cell] == (value in bins.singles)


def test_a_million_values_fall_into_the_bins_that_a_search_finds():
    rng = np.random.default_rng(0)
    for values in (rng.lognormal(10, 2, 100_000), rng.normal(size=100_000), rng.integers(0, 40, 100_000) * 1.0):
        bins = wakeful.learn({"x": values, "score": rng.random(100_000)}, score="score").layout.bins["x"]
        assert isinstance(bins, NumericBins)
        live = np.concatenate([values * 1.1, values - 1, bins.edges, np.nextafter(bins.edges, -np.inf)])
        assert (bins.cells(live) == np.searchsorted(bins.edges, live, side="right")).all()


def test_bins_tell_in_words_what_they_hold():
    bins = NumericBins(0.0, 250_000.0, (1000.0,), (0.0, 42.0), 10.0)
    assert [bins.describe(at) for at in range(bins.size)] == [
        "below 0", "0", "0–42", "42", "42–1,000", "1,000–250,000", "above 250,000"
    ]  # fmt: skip


@given(st.lists(st.floats(), min_size=1, max_size=50))
def test_equal_values_share_a_fingerprint(values: list[float]):
    bins = NumericBins(0.0, 1.0, (), (), 0.5)
    prints = bins.fingerprint(np.array(values))
    assert ((prints >= 0) & (prints < bins.fingerprints)).all()
    assert (bins.fingerprint(np.array(values[::-1])) == prints[::-1]).all()
    assert bins.fingerprint(np.array([0.0])) == bins.fingerprint(np.array([-0.0]))


def test_fingerprints_spread_continuous_values_evenly():
    """So that a single value with a share of the traffic stands out; bound: 6 sigma of independent draws."""
    bins = NumericBins(0.0, 1.0, (), (), 0.5)
    rng = np.random.default_rng(1)
    for values in (rng.random(64_000), rng.lognormal(10, 1, 64_000), np.round(rng.normal(0, 1e4, 64_000), 2)):
        times = np.bincount(bins.fingerprint(np.unique(values)), minlength=bins.fingerprints)
        expected = len(np.unique(values)) / bins.fingerprints
        assert np.abs(times - expected).max() < 6 * math.sqrt(expected)


def test_fingerprints_leave_out_single_values():
    layout = layout_of("binary")
    income = layout.bins["income"]
    assert isinstance(income, NumericBins)
    assert 0.0 in income.singles
    counts = count(layout, RowBatch([{"income": 0.0}] * 5 + [{"income": 31_234.56}] * 2 + [{"income": None}]))
    place = layout.cells["income"]
    prints = counts.table[0, place.start + place.values + 2 :][: place.fingerprints]
    assert prints.sum() == prints.max() == 2


# ---------------------------------------------------------------- values finer than training's


def _finer(decimals: int | None, values: Floats, slices: int = 0) -> list[float]:
    """Rows off the grid in all traffic, then in so many slices that take the rows in turns."""
    bins = NumericBins(0.0, 1000.0, (500.0,), (0.0,), 400.0, decimals)
    with np.errstate(all="ignore"):  # as counting does
        found = count_numbers(bins, values, [(np.arange(len(values)) % slices, slices)] if slices else [])
    return found[:, -1].tolist()


@pytest.mark.parametrize("size", [1, 10, 300, 40_000])
def test_values_off_the_grid_are_counted_however_many_there_are_at_a_time(size: int):
    values = np.array([47.3, 0.473, math.nan, 47.0, 12.25, math.inf, -3.1, 1e300, -0.0, 17.3000001])
    many = np.tile(values, -(-size // 10))[:size]
    for decimals, off in [(0, [0, 1, 4, 6, 9]), (1, [1, 4]), (2, [1]), (3, []), (None, [])]:
        expected = np.isin(np.arange(size) % 10, off)
        assert _finer(decimals, many) == [expected.sum()]
        assert _finer(decimals, many, slices=3) == [expected.sum(), *(expected[at::3].sum() for at in range(3))]


_near_grids = st.builds(
    lambda number, decimals, off: number / 10**decimals + off,
    st.one_of(st.integers(-(10**4), 10**4), st.integers(-(2**45), 2**45)),
    st.integers(0, 6),
    st.sampled_from([0.0, 0.0, 1e-9, 2e-4, 0.03]),
)


@given(
    st.lists(st.one_of(_near_grids, _near_grids.map(lambda one: float(np.float32(one))), st.floats()), max_size=40),
    st.integers(0, 4),
    st.sampled_from([1, 7, 300]),
)
@settings(max_examples=300)
def test_rows_off_the_grid_add_up_over_all_batch_sizes(values: list[float], decimals: int, times: int):
    bins = NumericBins(0.0, 1.0, (), (), 0.0, decimals)
    many = np.array(values * times, dtype=float)
    expected = times * sum(naive_off_grid(bins, value) for value in values)
    assert _finer(decimals, many) == [expected]
    assert _finer(decimals, many, slices=2)[0] == expected
    assert sum(_finer(decimals, part)[0] for part in np.array_split(many, 5)) == expected


@pytest.mark.parametrize("decimals", range(5))
def test_no_rounding_of_a_float_leaves_the_grid(decimals: int):
    rng = np.random.default_rng(decimals)
    numbers = np.concatenate([rng.integers(2**bits, 2 ** (bits + 1), 2_000) for bits in range(50)])
    values = numbers / 10.0**decimals
    assert _finer(decimals, values) == _finer(decimals, values.astype(np.float32).astype(float)) == [0]
    assert _finer(decimals, values[:60_000] + 0.3 / 10**decimals) == [60_000]  # up to 2^30 units


# ---------------------------------------------------------------- numbers beyond all reason


@pytest.mark.parametrize("task", TASKS)
def test_huge_numbers_raise_nothing_and_warn_of_nothing(task: str):
    layout = layout_of(task)
    huge = [1.7e308, -1.7e308, 1e200, -1e200, math.inf, -math.inf, math.nan, 5e-324] * 100
    batch = pa.record_batch({name: huge for name in (*FEATURES, *COLUMNS[task]) if name not in ("platform",)})
    counts = count(layout, ArrowBatch(batch))
    assert np.isfinite(counts.vector).all()
    assert counts == count(layout, RowBatch(batch.to_pylist()))
    assert (counts.vector == np.rint(counts.vector)).all()


@pytest.mark.parametrize("task", TASKS)
def test_every_count_is_a_whole_number(task: str):
    names = (*FEATURES, *COLUMNS[task])
    data = {name: values for name, values in applications(2000, seed=9).items() if name in names}
    vector = wakeful.Monitor(_reference(task)).count(data).vector
    assert (vector == np.rint(vector)).all()
