"""The figures of the README, measured here: `make bench`, or `python bench/run.py --help`.

Everything runs on made-up data in a temporary folder. A ratio compares runs that were taken in turns, so it
means more than the seconds do. Where this machine is busy, trust CPU ratios more than wall-clock ones.
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
from startup import commands, imports, test_runs

COUNTING_TARGET = 1.5  # x the time DuckDB takes to read and sum the same columns
IMPORT_TARGET = 100  # ms
PLUGIN_TARGET = 50  # ms


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
                console.print(f"\n[bold]{file.name}[/bold]\n{profile(file)}", markup=True)
            return
        console.print(_counting_table([counting(file, options.rounds) for file in made]))
        console.print(_import_table(imports(2 * options.rounds), test_runs(folder, 2 * options.rounds)))
        console.print(_command_table(commands(folder, made[1::2], options.rounds)))


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
    table = _table(
        f"From Parquet to verdicts; target: verdicts in at most {COUNTING_TARGET} x DuckDB's time",
        "file", "run", "wall s", "CPU s", "wall x DuckDB", "CPU x DuckDB",
    )  # fmt: skip
    for file, taken in measured:
        baseline = taken["DuckDB sums"]
        for name, runs in taken.items():
            wall, cpu = ratios(runs, baseline)
            compared = ["", ""] if runs is baseline else [wall.text(), cpu.text()]
            if name == "wakeful verdicts":
                compared = [_judged(text, spread.median, COUNTING_TARGET) for text, spread in zip(compared, (wall, cpu), strict=True)]
            table.add_row(file.name, name, *_seconds(runs), *compared)
        table.add_section()
    return table


def _import_table(imported: dict[str, list[Seconds]], tested: dict[str, list[Seconds]]) -> Table:
    table = _table(
        "Fresh processes: wall-clock ms over the process without it",
        "what", "over", "ms", "target",
    )  # fmt: skip
    rows = [
        ("import numpy", imported, "numpy", "nothing", None),
        ("import wakeful", imported, "wakeful", "nothing", IMPORT_TARGET),
        ("from wakeful import Monitor", imported, "wakeful.Monitor", "nothing", IMPORT_TARGET),
        ("import wakeful.pytest_plugin", imported, "pytest and the plugin", "pytest", PLUGIN_TARGET),
        ("a run of pytest with the plugin", tested, "with", "without", PLUGIN_TARGET),
    ]
    for what, taken, name, baseline, target in rows:
        over = Spread.of([a.wall - b.wall for a, b in zip(taken[name], taken[baseline], strict=True)])
        text = over.text(0, 1e3)
        if target is not None:
            text = _judged(text, over.median * 1e3, target)
        table.add_row(what, {"nothing": "python", "pytest": "import pytest", "without": "pytest without it"}[baseline], text, f"< {target}" if target else "")
    return table


def _command_table(taken: dict[str, list[Seconds]]) -> Table:
    table = _table("Whole processes, from start to exit", "command", "wall s", "CPU s")
    for name, runs in taken.items():
        table.add_row(name, *_seconds(runs))
    return table


def _seconds(runs: list[Seconds]) -> tuple[str, str]:
    return Spread.of([one.wall for one in runs]).text(), Spread.of([one.cpu for one in runs]).text()


def _judged(text: str, value: float, target: float) -> str:
    colour = "green" if value <= target else "red"
    return f"[{colour}]{text} {'✓' if value <= target else '✗'}[/{colour}]"


if __name__ == "__main__":
    main()
