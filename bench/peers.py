"""One Parquet file through wakeful and its peers, each in an environment and a fresh process of its own.

`bench/incidents/environments.sh evidently nannyml whylogs popmon` makes the environments; a tool without one is
left out. What each does by its defaults is in bench/tasks/. The tools do not do the same: whylogs only profiles,
NannyML judges ten chunks, popmon weeks. Reading is included, the start of Python and imports are apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from counting import monitor_of, summing
from data import File, file
from measure import Whole, alone
from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
ENVIRONMENTS = BENCH.parent / "build" / "incidents" / "environments"
BASE, YARDSTICK = "wakeful test", "DuckDB sums"
SLOW = 30.0  # CPU seconds; who takes longer runs once
FEWER = 10  # who does not end in time gets so many times fewer rows


class Contender(NamedTuple):
    """A task, its environment if not this one, and what its work is called with: see ``arguments``."""

    name: str
    task: str
    takes: str
    environment: str | None = None

    @property
    def python(self) -> Path | None:
        return None if self.environment is None else ENVIRONMENTS / self.environment / "bin" / "python"


CONTENDERS = (
    Contender(YARDSTICK, "duckdb_sums", "query"),
    Contender(BASE, "wakeful_test", "data monitor"),
    Contender("wakeful init + test", "wakeful_init_and_test", "data training"),
    Contender("NannyML drift", "nannyml_drift", "data training", "nannyml"),
    Contender("whylogs profile", "whylogs_profile", "data", "whylogs"),
    Contender("popmon metrics", "popmon_metrics", "data training", "popmon"),
    Contender("Evidently preset", "evidently_report", "data training", "evidently"),
)


class Taken(NamedTuple):
    """The runs of a contender, and by how much fewer rows they had."""

    runs: list[Whole]
    fewer: int = 1


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=140)
    console.print(
        f"{options.rows:,} rows x 32 {options.kind} columns, reference of {options.rows // 10:,}; {os.cpu_count()} "
        f"CPUs; up to {options.rounds} rounds in turns after an unmeasured one; medians"
    )
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        whole = file(folder, options.rows, options.kind, "PyArrow")
        (folder / "part").mkdir()
        part = file(folder / "part", options.rows // FEWER, options.kind, "PyArrow")
        usable = [one for one in CONTENDERS if one.python is None or one.python.is_file()]
        for contender in usable:  # unmeasured: what the first run of an environment compiles and caches
            _run(contender, Taken([], FEWER), whole, part, options.limit)
        taken: dict[Contender, Taken] = {}
        for _ in range(options.rounds):
            for contender in usable:
                before = taken.get(contender, Taken([]))
                if before.runs and before.runs[0].work.cpu > SLOW:
                    continue
                taken[contender] = _run(contender, before, whole, part, options.limit)
                last = taken[contender].runs[-1]
                console.print(f"{contender.name}: {last.work.cpu:.1f} CPU s, {last.said}", style="dim", markup=False)
    console.print(_table(taken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=("mixed", "numbers"), default="mixed", help="of columns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=900, help="seconds on the wall that one run may take")
    return parser.parse_args()


def _run(contender: Contender, before: Taken, whole: File, part: File, limit: float) -> Taken:
    """One more run; on fewer rows if it does not end in time."""
    task = BENCH / "tasks" / f"{contender.task}.py"
    python = {} if contender.python is None else {"python": contender.python}
    if before.fewer == 1:
        try:
            return Taken([*before.runs, alone(task, *arguments(contender, whole), limit=limit, **python)])
        except subprocess.TimeoutExpired:
            pass
    return Taken([*before.runs, alone(task, *arguments(contender, part), **python)], FEWER)


def arguments(contender: Contender, on: File) -> list[object]:
    known = {"data": lambda: on.path, "training": lambda: on.training, "monitor": lambda: monitor_of(on)}
    known["query"] = lambda: summing(on.path)
    return [known[one]() for one in contender.takes.split()]


def _table(taken: dict[Contender, Taken]) -> Table:
    """Medians; those of fewer rows scaled up, except for memory."""
    table = Table(title="\nFrom a Parquet file to an answer", title_justify="left", title_style="bold")
    table.add_column("")
    for column in ("wall s", "CPU s", "peak MB", "CPU x wakeful", "CPU x DuckDB", "start-up CPU s", "runs"):
        table.add_column(column, justify="right")
    table.add_column("said")
    cpu = {one.name: [run.work.cpu * its.fewer for run in its.runs] for one, its in taken.items()}
    for one, (runs, fewer) in taken.items():
        scaled = "" if fewer == 1 else f", a {fewer}th of the rows, seconds x {fewer}"
        table.add_row(
            one.name, f"{statistics.median([run.work.wall for run in runs]) * fewer:.2f}",
            f"{statistics.median(cpu[one.name]):.2f}",
            f"{statistics.median([run.peak for run in runs]):,.0f}", _times(cpu[one.name], cpu[BASE]),
            _times(cpu[one.name], cpu[YARDSTICK]), f"{statistics.median([run.around.cpu for run in runs]):.2f}",
            f"{len(runs)}{scaled}", runs[-1].said,
        )  # fmt: skip
    return table


def _times(ours: list[float], theirs: list[float]) -> str:
    """Round by round, as the machine is busier in some; who ran once has the first."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=False)):.1f}"


if __name__ == "__main__":
    main()
