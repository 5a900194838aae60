"""The figures of the README, measured here: `make bench`, or `python bench/run.py --help`.

Everything runs on made-up data in a temporary folder. Ratios compare runs that were taken in turns, so they
mean more than seconds do. On a busy machine, CPU says more than wall-clock time.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from counting import Counting, counting, profile
from data import files
from measure import Seconds, Spread, ratios
from rich.console import Console
from rich.table import Table
from startup import commands, imports, pytest_runs

BASELINE = "DuckDB sums"
COUNTING_TARGET = 1.5  # x the CPU time DuckDB takes to read and sum the same columns
IMPORT_TARGETS = {"import wakeful": 100, "the pytest plugin": 50}  # ms


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=120)
    packages = ", ".join(f"{name} {version(name)}" for name in ("wakeful", "numpy", "pyarrow", "duckdb"))
    console.print(
        f"Python {platform.python_version()}, {packages}; {os.cpu_count()} CPUs; {options.rows:,} rows x 32 "
        f"columns; {options.rounds} rounds in turns after an unmeasured one; median (least–most)"
    )
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        made = files(folder, options.rows)
        if options.profile:
            for file in made:
                console.print(f"\n{file.name}\n{profile(file)}", markup=False)
            return
        console.print(_counting_table([counting(file, options.rounds) for file in made]))
        started = imports(2 * options.rounds) | pytest_runs(folder, options.rounds)
        console.print(_process_table(started | commands(folder, made[1::2], options.rounds), IMPORT_TARGETS))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each measured file")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    parser.add_argument("--profile", action="store_true", help="only show where the time of counting goes")
    return parser.parse_args()


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold")
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at else "left")
    return table


def _counting_table(measured: list[Counting]) -> Table:
    table = _table("From Parquet to verdicts", "", "wall s", "CPU s", "wall x DuckDB", "CPU x DuckDB", "target")
    for file, taken in measured:
        table.add_row(f"[bold]{file.name}[/bold]")
        for name, runs in taken.items():
            compared = ratios(runs, taken[BASELINE])
            shown = ["", ""] if name == BASELINE else [one.text() for one in compared]
            target = ""
            if name == "wakeful verdicts":
                target = _target(compared[1].median, COUNTING_TARGET, "x")
            table.add_row(f"  {name}", *_seconds(runs), *shown, target)
    return table


def _process_table(taken: dict[str, list[Seconds]], targets: dict[str, int]) -> Table:
    table = _table("Fresh processes", "", "wall ms", "CPU ms", "target")
    for name, runs in taken.items():
        least = 1e3 * Spread.of([one.wall for one in runs]).median
        target = _target(least, targets[name], "ms") if name in targets else ""
        table.add_row(name, *_seconds(runs, 0, 1e3), target)
    return table


def _seconds(runs: list[Seconds], digits: int = 2, unit: float = 1.0) -> list[str]:
    return [Spread.of(one).text(digits, unit) for one in zip(*runs, strict=True)]


def _target(value: float, most: float, unit: str) -> str:
    return f"[green]✓ ≤ {most:g} {unit}[/green]" if value <= most else f"[red]✗ ≤ {most:g} {unit}[/red]"


if __name__ == "__main__":
    main()
