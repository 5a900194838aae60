"""What watching costs a service: an observation of 30 features by wakeful and by its peers.

Contenders run in turns, each in a fresh process. `bench/incidents/environments.sh whylogs` makes the environment of
whylogs; without it, it is left out. What every contender does is in bench/tasks/observe_*.py. Times are those of
one observation; what the same service takes that is not watched is subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import alone
from rich.console import Console
from rich.table import Table

import wakeful

BENCH = Path(__file__).resolve().parent
WHYLOGS = BENCH.parent / "build" / "incidents" / "environments" / "whylogs" / "bin" / "python"
NOTHING, BASE = "not watched", "wakeful"
CALLER, ALL, TIMES = 1.0, 8.0, 10.0  # targets: µs on the caller's thread, µs in all, times less than a peer


class Contender(NamedTuple):
    """A task, what it is called with after rate and seconds, its interpreter, and the rate that it may bear."""

    name: str
    task: str
    takes: tuple[str, ...] = ()
    python: str = sys.executable
    most: int = 1_000_000


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=130)
    console.print(
        f"an observation of 25 numbers and 5 categories; {os.cpu_count()} CPUs; {options.rounds} rounds of "
        f"{options.seconds:g} s in turns after an unmeasured one; medians"
    )
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        contenders = _contenders(Path(name))
        for rate in options.rates:
            taken: dict[str, list[dict[str, float]]] = {}
            for at in range(options.rounds + 1):
                for one in contenders:
                    task = BENCH / "tasks" / f"{one.task}.py"
                    found = alone(
                        task, min(rate, one.most), options.seconds if at else 1, *one.takes, python=one.python
                    )
                    if at:
                        taken.setdefault(one.name, []).append(json.loads(found.said))
            console.print(_table(rate, taken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="+", default=[5_000, 50_000], help="observations a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _contenders(folder: Path) -> list[Contender]:
    wakefuls = [
        Contender(BASE, "observe_wakeful", (str(_reference(folder / "plain.json")),)),
        Contender("wakeful, 1 segment", "observe_wakeful", (str(_reference(folder / "one.json", "name0")),)),
        Contender(
            "wakeful, 3 segments",
            "observe_wakeful",
            (str(_reference(folder / "three.json", "name0", "name1", "name2")),),
        ),
    ]
    peers = [
        Contender("30 histograms", "observe_histograms"),
        Contender("30 histograms, label kept", "observe_histograms", ("kept",)),
        Contender("30 histograms, label asked", "observe_histograms", ("asked",)),
        Contender("30 histograms, shared", "observe_histograms_shared"),
    ]
    if WHYLOGS.is_file():
        peers += [
            Contender(f"whylogs, {mode}", "observe_whylogs", (mode,), str(WHYLOGS), 1_000)
            for mode in ("row", "rolling")
        ]
    return [Contender(NOTHING, "observe_nothing"), *wakefuls, *peers]


def _reference(path: Path, *segments: str) -> Path:
    sys.path.append(str(BENCH / "tasks"))
    from paced import features

    source = random.Random(0)
    rows = [features(source) for _ in range(20_000)]
    data: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    data["score"] = np.random.default_rng(0).random(len(rows))
    wakeful.learn(data, score="score", threshold=0.5, segments=segments, id="id", name="loans").save(path)
    return path


def _table(rate: int, taken: dict[str, list[dict[str, float]]]) -> Table:
    table = Table(title=f"\n{rate:,} a second", title_justify="left", title_style="bold")
    table.add_column("")
    for column in ("reached/s", "call p50 µs", "p99 µs", "caller CPU µs", "CPU µs in all", "CPU x wakeful", "target"):
        table.add_column(column, justify="right")
    base = _over(taken[BASE], taken[NOTHING], "all")
    for name, runs in taken.items():
        p50, p99, reached = (statistics.median(run[key] for run in runs) for key in ("p50", "p99", "rate"))
        if name == NOTHING:
            own, both = (statistics.median(run[key] for run in runs) for key in ("caller", "all"))
            table.add_row(name, f"{reached:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"({own:.2f})", f"({both:.2f})", "", "")
            continue
        own, both = (_over(runs, taken[NOTHING], key) for key in ("caller", "all"))
        times = both / base
        table.add_row(
            name, f"{reached:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{own:.2f}", f"{both:.2f}", f"{times:.1f}",
            _targets(name, own, both, times),
        )  # fmt: skip
    return table


def _over(runs: list[dict[str, float]], nothing: list[dict[str, float]], key: str) -> float:
    """What it takes more than nothing does, round by round."""
    return statistics.median(run[key] - none[key] for run, none in zip(runs, nothing, strict=True))


def _targets(name: str, own: float, both: float, times: float) -> str:
    if name == BASE:
        return f"{_met(own <= CALLER)} ≤ {CALLER:g} {_met(both <= ALL)} ≤ {ALL:g}"
    return "" if name.startswith(BASE) else f"{_met(times >= TIMES)} ≥ {TIMES:g} x"


def _met(is_met: bool) -> str:
    return "[green]✓[/green]" if is_met else "[red]✗[/red]"


if __name__ == "__main__":
    main()
