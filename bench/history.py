"""`wakeful replay` over histories of growing length: does memory stay flat, does time grow with the rows?

Each history is made up in a temporary folder, replayed in a fresh process and deleted, so the longest has to fit
on the disk: 100 million rows take 6 GB. All have the same 100 days, so the same windows. TMPDIR says where.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import ROW_GROUP
from measure import Whole, alone
from rich.console import Console
from rich.table import Table

from wakeful.initialise import start
from wakeful.learning import Roles

REPLAY = Path(__file__).parent / "tasks" / "wakeful_replay.py"
REFERENCE = 200_000  # rows, the first of the shortest history
DAYS = 100
FIRST = np.datetime64("2024-01-01", "us")
LENGTH = DAYS * 86_400_000_000  # microseconds


class Run(NamedTuple):
    """A history that was replayed."""

    rows: int
    in_order: bool
    size: int  # bytes on disk
    taken: Whole


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=120)
    console.print(f"{DAYS} windows of a day, 11 columns; one run each, in a fresh process", markup=False)
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        monitor = _monitor(folder, min(options.rows))
        wanted = [(rows, True) for rows in sorted(options.rows)] + [(rows, False) for rows in sorted(options.unsorted)]
        runs = []
        for rows, in_order in wanted:
            console.print(f"{rows:,} rows, {'in order' if in_order else 'unsorted'} ...", style="dim")
            runs.append(_run(folder, monitor, rows, in_order))
            taken = runs[-1].taken
            console.print(
                f"  {taken.work.cpu:.1f} CPU s, {taken.peak:,.0f} MB, {taken.said}", style="dim", markup=False
            )
    console.print(_table(runs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [1_000_000, 3_000_000, 10_000_000]
    parser.add_argument("--rows", type=int, nargs="+", default=default, help="of histories in order of time")
    parser.add_argument("--unsorted", type=int, nargs="*", default=[1_000_000, 5_000_000], help="of shuffled ones")
    return parser.parse_args()


def _monitor(folder: Path, rows: int) -> Path:
    """The default monitor, learnt from the first rows of a history of that length."""
    sample = pa.Table.from_batches(_batches(rows, in_order=True, most=REFERENCE))
    roles = Roles("score", label="label", threshold=0.3, time="at")
    return start(sample, roles, folder).monitor


def _run(folder: Path, monitor: Path, rows: int, in_order: bool) -> Run:
    path = folder / "history.parquet"
    batches = _batches(rows, in_order)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_batch(first, row_group_size=ROW_GROUP)
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROW_GROUP)
    taken = alone(REPLAY, monitor, path, "1d")
    if not taken.said.startswith(f"{DAYS} windows"):
        raise SystemExit(f"{rows:,} rows gave {taken.said} where {DAYS} windows were written")
    size = path.stat().st_size
    path.unlink()
    return Run(rows, in_order, size, taken)


def _batches(rows: int, in_order: bool, most: int | None = None) -> Iterator[Any]:
    """A history, a row group at a time; the first ``most`` rows of it."""
    stop = min(rows, most or rows)
    for at in range(0, stop, ROW_GROUP):
        rng = np.random.default_rng([rows, at, in_order])
        number = min(ROW_GROUP, stop - at)
        since = np.arange(at, at + number) * (LENGTH / rows) if in_order else rng.integers(0, LENGTH, number)
        yield pa.RecordBatch.from_pydict(
            {"at": FIRST + since.astype(np.int64).astype("timedelta64[us]")} | _columns(rng, number)
        )


def _columns(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Eight features, a score and a label."""
    ratio = rng.normal(size=rows)
    score = 1 / (1 + np.exp(2 - ratio - 0.5 * rng.normal(size=rows)))
    return {
        "ratio": ratio,
        "amount": np.round(rng.lognormal(8, 1, size=rows), 2),
        "balance": pa.array(rng.exponential(1_000, size=rows), mask=rng.random(rows) < 0.05),
        "visits": rng.poisson(4, size=rows),
        "rating": rng.integers(1, 6, size=rows),
        "channel": _names(rng, "channel", 4, rows),
        "region": _names(rng, "region", 30, rows),
        "product": _names(rng, "product", 200, rows),
        "score": score,
        "label": (rng.random(rows) < score).astype(float),
    }


def _names(rng: np.random.Generator, word: str, names: int, rows: int) -> Any:
    known = pa.array([f"{word} {one:03d}" for one in range(names)])
    return known.take(pa.array(rng.zipf(1.6, size=rows) % names))


def _table(runs: list[Run]) -> Table:
    """Every run beside the shortest of its order."""
    table = Table(title="\nReplay of a history", title_justify="left", title_style="bold")
    table.add_column("rows")
    for column in ("GB", "wall s", "CPU s", "rows/s", "peak MB", "rows x", "CPU x", "peak x"):
        table.add_column(column, justify="right")
    for run in runs:
        base = next(one for one in runs if one.in_order == run.in_order)
        work, peak = run.taken.work, run.taken.peak
        table.add_row(
            f"{run.rows:,}{'' if run.in_order else ' unsorted'}", f"{run.size / 1e9:.2f}", f"{work.wall:.1f}",
            f"{work.cpu:.1f}", f"{run.rows / work.wall:,.0f}", f"{peak:,.0f}", f"{run.rows / base.rows:.3g}",
            f"{work.cpu / base.taken.work.cpu:.2f}", f"{peak / base.taken.peak:.2f}",
        )  # fmt: skip
    said = dict.fromkeys(run.taken.said for run in runs)
    around = runs[-1].taken.around
    table.caption = f"{'; '.join(said)}. Start-up and imports apart: {around.cpu:.1f} CPU s"
    return table


if __name__ == "__main__":
    main()
