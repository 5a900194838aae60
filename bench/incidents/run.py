"""Detection and delay against false alarms: python bench/incidents/run.py --help; README.md tells the rest."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models are small: threads would only wait for each other

from benign import benign
from datasets import DATA_SETS, FOLDERS
from judging import ADAPTERS, Adapter, Judged, cases, judge
from report import Reporter
from scenarios import incidents
from worlds import World, build


def main() -> None:
    options = read_options()
    report = Reporter()
    adapters = list(usable(options, report))
    judged: list[Judged] = []
    for world in worlds(options, report):
        for rows in options.rows:
            for adapter in adapters:
                judged += run(adapter, world, rows, options, report)
    report.figures(judged)
    report.details(judged)
    if options.json is not None:
        options.json.write_text("".join(one.line() + "\n" for one in judged), encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", nargs="+", default=["wakeful", "d1-rule", "psi-rule"], metavar="NAME|ADAPTER.py",
                        help=f"one or more of {', '.join(ADAPTERS)}, or a file with an adapter")  # fmt: skip
    parser.add_argument("--world", nargs="+", default=list(DATA_SETS), metavar="NAME", help=", ".join(DATA_SETS))
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000], help="sizes of windows")
    parser.add_argument("--draws", type=int, default=3, help="of every incident and benign change")
    parser.add_argument("--clean", type=int, default=100, help="clean windows per world and size")
    parser.add_argument("--seed", type=int, default=0, help="another one: other rows in every part and window")
    parser.add_argument("--data", type=Path, action="append", default=[], help="more folders to look for data in")
    parser.add_argument("--json", type=Path, help="write every judgement there, a line each")
    return parser.parse_args()


def usable(options: argparse.Namespace, report: Reporter) -> Iterator[Adapter]:
    """The adapters that were asked for and can run here."""
    for name in options.tool:
        adapter = ADAPTERS.get(name) or Adapter(Path(name).stem, Path(name).resolve())
        if not adapter.path.is_file():
            raise SystemExit(f"--tool {name}: neither a file nor one of {', '.join(ADAPTERS)}")
        if adapter.python is not None and not adapter.python.is_file():
            report.skip(f"tool {name}: no environment {adapter.python.parent.parent}; environments.sh makes it")
            continue
        yield adapter


def worlds(options: argparse.Namespace, report: Reporter) -> Iterator[World]:
    """The worlds that were asked for and whose data are here."""
    for name in options.world:
        if name not in DATA_SETS:
            raise SystemExit(f"--world {name}: not one of {', '.join(DATA_SETS)}")
        try:
            rows = DATA_SETS[name].load((*options.data, *FOLDERS))
        except FileNotFoundError as error:
            report.skip(f"world {name}: {error}")
            continue
        yield build(DATA_SETS[name], rows, seed=options.seed)


def run(adapter: Adapter, world: World, rows: int, options: argparse.Namespace, report: Reporter) -> list[Judged]:
    """One tool in one world on windows of one size."""
    start = time.perf_counter()
    scenarios = [*incidents(world), *benign(world)]
    skipped: list[str] = []
    found = cases(world, scenarios, rows, seed=options.seed, draws=options.draws, clean=options.clean, skipped=skipped)
    judged = list(judge(adapter, world, rows, found))
    for one in skipped:
        report.skip(one)
    report.progress(f"{adapter.name}, {world.name}, {rows:,} rows: {len(judged)} windows", time.perf_counter() - start)
    return judged


if __name__ == "__main__":
    main()
