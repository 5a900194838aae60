"""Tables that a service hands over: counted as they were then, whatever it does with them afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import wakeful
from wakeful.counting import count
from wakeful.counts import Counts
from wakeful.live.tables import snapshot
from wakeful.tables import ArrowBatch

NAMES = ["a", "b", "c"]
ROWS = 500


@pytest.fixture(scope="module")
def learnt() -> wakeful.Reference:
    return wakeful.learn({**rows(1), "score": np.random.default_rng(2).random(ROWS)}, score="score", threshold=0.5)


def rows(seed: int) -> dict[str, Any]:
    values = np.random.default_rng(seed).normal(size=(ROWS, len(NAMES)))
    return {name: values[:, at].copy() for at, name in enumerate(NAMES)}


def counted(learnt: wakeful.Reference, batches: Any) -> Counts:
    total = Counts.zero(learnt.layout)
    for batch in batches:
        total += count(learnt.layout, batch, {})
    return total


MADE: dict[str, Callable[[Any], Any]] = {
    "array": lambda array: array,
    "array by column": np.asfortranarray,
    "array of objects": lambda array: array.astype(object),
    "columns": lambda array: {name: array[:, at] for at, name in enumerate(NAMES)},
    "pandas": lambda array: pd.DataFrame(array, columns=NAMES, copy=False),
    "pandas by column": lambda array: pd.DataFrame(np.asfortranarray(array), columns=NAMES, copy=False),
}


@pytest.mark.parametrize("how", MADE)
def test_what_is_changed_afterwards_is_counted_as_it_was(learnt: wakeful.Reference, how: str) -> None:
    data = rows(3)
    score = np.random.default_rng(4).random(ROWS)
    wanted = wakeful.Monitor(learnt).count({**data, "score": score})
    table = MADE[how](np.column_stack(list(data.values())))

    batches = snapshot(learnt.model, table, score)
    score[:] = -1
    for name in NAMES if isinstance(table, dict | pd.DataFrame) else ():
        values = np.asarray(table[name])
        values.flags.writeable = True  # pandas would rather not, but its rows lie there
        values[:] = -1
    if isinstance(table, np.ndarray):
        table[:] = -1

    assert counted(learnt, batches) == wanted


@pytest.mark.parametrize("frame", [pa.table, lambda data: pl.DataFrame(data), lambda data: pa.record_batch(data)])
def test_a_table_that_never_changes_is_not_copied(learnt: wakeful.Reference, frame: Callable[[Any], Any]) -> None:
    score = np.random.default_rng(4).random(ROWS)
    table = frame({**rows(3), "other": score})
    wanted = wakeful.Monitor(learnt).count({**rows(3), "score": score})

    (batch,) = snapshot(learnt.model, table, score)
    score[:] = -1

    assert isinstance(batch, ArrowBatch)
    for name in NAMES:
        column = pa.table(table).column(name).chunk(0)
        assert batch.column(name).buffers()[1].address == column.buffers()[1].address
    assert counted(learnt, [batch]) == wanted


def test_a_stream_is_read_once(learnt: wakeful.Reference) -> None:
    table = pa.table({**rows(3), "score": np.random.default_rng(4).random(ROWS)})
    for stream in table.to_reader(), duckdb.from_arrow(table):
        assert counted(learnt, snapshot(learnt.model, stream)) == wakeful.Monitor(learnt).count(table)
