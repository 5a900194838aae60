"""The files that are measured: made up, seeded, written as DuckDB and as PyArrow write Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 122_880  # rows; DuckDB's default, given to PyArrow too


class File(NamedTuple):
    """A Parquet file and a small one of the same kind to learn a reference from."""

    name: str
    path: Path
    training: Path


def files(folder: Path, rows: int) -> list[File]:
    """Numbers only, and mixed columns; each written by DuckDB and by PyArrow."""
    return [file(folder, rows, kind, writer) for kind in ("numbers", "mixed") for writer in ("DuckDB", "PyArrow")]


def file(folder: Path, rows: int, kind: str, writer: str) -> File:
    """One of them, with a training file of a tenth of the rows."""
    make = {"numbers": numbers, "mixed": mixed}[kind]
    training = folder / f"{kind}_training.parquet"
    if not training.exists():
        pq.write_table(make(max(2_000, rows // 10), seed=1), training)
    path = folder / f"{kind}_{writer.lower()}.parquet"
    {"DuckDB": _by_duckdb, "PyArrow": _by_pyarrow}[writer](make(rows, seed=2), path)
    return File(f"{kind}, by {writer}", path, training)


def numbers(rows: int, seed: int) -> Any:
    """32 columns of float64: 30 features, a score in [0, 1], a label."""
    rng = np.random.default_rng(seed)
    draw = (rng.normal, rng.lognormal, rng.exponential)
    columns = {f"x{at}": draw[at % 3](size=rows) for at in range(30)}
    return pa.table(columns | _answers(rng, rows, columns["x0"]))


def mixed(rows: int, seed: int) -> Any:
    """32 columns as tables have them: money, whole numbers, codes, names, flags, a time; some with gaps."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for at in range(6):
        columns[f"ratio{at}"] = rng.normal(size=rows)
    for at in range(6):
        columns[f"money{at}"] = _with_gaps(rng, np.round(rng.lognormal(8, 1, size=rows), 2), 0.05 * at)
    for at in range(7):
        columns[f"count{at}"] = rng.poisson(2 + 20 * at, size=rows)
    for at in range(2):
        columns[f"rating{at}"] = _with_gaps(rng, rng.integers(1, 6, size=rows), 0.2)
    for at, names in enumerate((3, 5, 12, 40, 300, 2_000)):
        known = np.array([f"name {one:04d}" for one in range(names)])
        columns[f"name{at}"] = _with_gaps(rng, known[rng.zipf(1.6, size=rows) % names], 0.03 * (at % 2))
    for at in range(2):
        columns[f"flag{at}"] = rng.random(rows) < 0.2 + 0.5 * at
    start = np.datetime64("2024-01-01", "us")
    columns["at"] = start + rng.integers(0, 90 * 86_400_000_000, size=rows).astype("timedelta64[us]")
    return pa.table(columns | _answers(rng, rows, columns["ratio0"]))


def wide(folder: Path, rows: int, columns: int) -> File:
    """So many columns of float64 with a time, a score and a label, and a training file of a tenth of the rows."""

    def make(rows: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        found = {f"x{at}": rng.normal(size=rows) for at in range(columns)}
        start = np.datetime64("2024-01-01", "us")
        found["at"] = start + rng.integers(0, 90 * 86_400_000_000, size=rows).astype("timedelta64[us]")
        return pa.table(found | _answers(rng, rows, found["x0"]))

    training, path = folder / "wide_training.parquet", folder / "wide.parquet"
    pq.write_table(make(max(2_000, rows // 10), seed=1), training)
    _by_pyarrow(make(rows, seed=2), path)
    return File(f"{columns} columns", path, training)


def _answers(rng: np.random.Generator, rows: int, feature: Any) -> dict[str, Any]:
    score = 1 / (1 + np.exp(2 - feature - 0.5 * rng.normal(size=rows)))
    return {"score": score, "label": (rng.random(rows) < score).astype(float)}


def _with_gaps(rng: np.random.Generator, values: Any, share: float) -> Any:
    return pa.array(values, mask=rng.random(len(values)) < share)


def _by_duckdb(table: Any, path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("made", table)
        connection.sql(f"copy made to '{path}' (format parquet, row_group_size {ROW_GROUP})")


def _by_pyarrow(table: Any, path: Path) -> None:
    pq.write_table(table, path, row_group_size=ROW_GROUP)
