"""From Parquet to counts and verdicts, beside DuckDB summing the same columns and PyArrow reading them."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow.parquet as pq
from data import File
from measure import Seconds, in_turns

from wakeful.counting import count
from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor
from wakeful.tables import Table


class Counting(NamedTuple):
    """Runs on one file, by contender."""

    file: File
    taken: dict[str, list[Seconds]]


def counting(file: File, rounds: int) -> Counting:
    """Measure one file; ``verdicts`` are those of the checks that `wakeful init` writes."""
    monitor = load_monitor(monitor_of(file))
    contenders = {
        "DuckDB sums": in_duckdb(summing(file.path)),
        "PyArrow reads": lambda: pq.read_table(file.path),
        "wakeful counts": lambda: monitor.count(file.path),
        "wakeful verdicts": lambda: monitor.test(file.path),
    }
    return Counting(file, in_turns(contenders, rounds))


def monitor_of(file: File) -> Path:
    """A monitor file with the default checks, learnt from the training file."""
    folder = file.path.with_suffix("")
    return start(file.training, Roles("score", label="label", threshold=0.3), folder).monitor


def summing(path: Path) -> str:
    """SQL that reads every column once: the sum of numbers, the count and the maximum of anything else."""
    terms = []
    with duckdb.connect() as connection:
        for name, kind, *_ in connection.sql(f"describe select * from '{path}'").fetchall():
            is_number = kind in ("DOUBLE", "FLOAT", "BIGINT", "INTEGER")
            terms += [f'sum("{name}")'] if is_number else [f'count("{name}")', f'max("{name}")']
    return f"select {', '.join(terms)} from '{path}'"


def in_duckdb(query: str) -> Callable[[], Any]:
    """Run a query on a fresh connection, which has cached nothing."""

    def run() -> Any:
        with duckdb.connect() as connection:
            return connection.sql(query).fetchall()

    return run


def profile(file: File, most: int = 14) -> str:
    """Where the time of counting goes, by function, in a single thread."""
    layout = load_monitor(monitor_of(file)).reference.layout

    def in_one_thread() -> None:  # a profiler sees no others
        for batch in Table(file.path).batches():
            count(layout, batch)

    in_one_thread()
    profiler = cProfile.Profile()
    profiler.runcall(in_one_thread)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(most)
    rows = text.getvalue().splitlines()
    return "\n".join(row for row in rows if row.strip())
