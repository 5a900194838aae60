"""Detection and delay against false alarms: python bench/incidents/run.py --help; README.md tells the rest."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models are small: threads would only wait for each other

from benign import benign
from datasets import DATA_SETS, FOLDERS, own
from in_time import history
from judging import ADAPTERS, Adapter, Judged, cases, judge
from report import Reporter
from scenarios import incidents
from threadpoolctl import threadpool_limits
from worlds import World, build

IN_TIME = "-in-time"
MOST_APART = {"draws": 1, "clean": 20}  # for tools that take up to seconds per window, unless --in-full


def main() -> None:
    options = read_options()
    report = Reporter()
    adapters = list(usable(options, report))
    judged: list[Judged] = []
    with threadpool_limits(1):
        for world in worlds(options, report):
            for adapter in adapters:
                if world.time is not None:
                    report.history(adapter.name, world.name, history(adapter, world, options.seed))
                    continue
                for rows in options.rows:
                    judged += run(adapter, world, rows, options, report)
    if judged:
        report.figures(judged)
        report.details(judged)
    if options.json is not None:
        options.json.write_text("".join(one.line() + "\n" for one in judged), encoding="utf-8")
    if options.picture is not None:
        from picture import draw  # needs altair and vl-convert, which only pictures do

        draw(judged, options.picture)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    tools = ["wakeful", "d1-rule", "psi-rule"]
    add("--tool", nargs="+", action="extend", metavar="NAME|ADAPTER.py",
        help=f"{', '.join(ADAPTERS)}, or a file with an adapter; {', '.join(tools)} if none is named")  # fmt: skip
    add("--world", nargs="+", action="extend", metavar="NAME",
        help=f"{', '.join(DATA_SETS)}, or one of them with {IN_TIME}; the four if none is named")  # fmt: skip
    add("--rows", nargs="+", type=int, default=[1_000], help="sizes of windows")
    add("--draws", type=int, default=3, help="of every incident and benign change")
    add("--clean", type=int, default=100, help="clean windows per world and size")
    add("--seed", type=int, default=0, help="another one: other rows in every part and window")
    add("--in-full", action="store_true",
        help="as many windows for tools in environments of their own; else {clean} clean ones, {draws} draw".format(
            **MOST_APART))  # fmt: skip
    add("--json", type=Path, help="write every judgement there, a line each")
    add("--picture", type=Path, help="write the figures there as a picture, .svg or .png")
    add("--data", type=Path, action="append", default=[], help="more folders to look for data in")
    mine = parser.add_argument_group("a world of your own")
    mine.add_argument("--own", type=Path, metavar="FILE", help="Parquet or CSV; takes the place of --world")
    mine.add_argument("--label", help="column with the outcome, 0 or 1")
    mine.add_argument("--time", help=f"column with the time: the world {IN_TIME} is run too")
    mine.add_argument("--every", default="W", help="length of a window in time order, as pandas names it")
    mine.add_argument("--segment", help="column whose values are parts of the traffic")
    mine.add_argument("--ignore", nargs="+", default=[], help="columns that the model must not have")
    options = parser.parse_args()
    options.tool = options.tool or tools
    if (options.own is None) != (options.label is None):
        parser.error("--own and --label go together")
    return options


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
    known = DATA_SETS
    if options.own is not None:
        mine = own(options.own, options.label, options.time, options.every, options.segment, options.ignore)
        known = {mine.name: mine}
        wanted = [mine.name] + ([mine.name + IN_TIME] if options.time else [])
    for name in options.world or list(DATA_SETS) if options.own is None else wanted:
        if name.removesuffix(IN_TIME) not in known:
            raise SystemExit(f"--world {name}: not one of {', '.join(known)}, with or without {IN_TIME}")
        data = known[name.removesuffix(IN_TIME)]
        try:
            rows = data.load((*options.data, *FOLDERS))
        except FileNotFoundError as error:
            report.skip(f"world {name}: {error}")
            continue
        world = build(data, rows, in_time=name.endswith(IN_TIME), seed=options.seed)
        if world.left_out:
            report.skip(f"columns of {name} that no model can use: {', '.join(world.left_out)}")
        yield world


def run(adapter: Adapter, world: World, rows: int, options: argparse.Namespace, report: Reporter) -> list[Judged]:
    """One tool in one iid world on windows of one size."""
    start = time.perf_counter()
    if rows > len(world.live):
        report.skip(f"world {world.name} at {rows:,} rows: its live part has {len(world.live):,}")
        return []
    number = {"draws": options.draws, "clean": options.clean}
    if adapter.environment is not None and not options.in_full:
        number = {name: min(most, MOST_APART[name]) for name, most in number.items()}
        report.note(f"{adapter.name} is slow: {number['clean']} clean windows, {number['draws']} draw of each scenario")
    skipped: list[str] = []
    found = cases(world, [*incidents(world), *benign(world)], rows, seed=options.seed, skipped=skipped, **number)
    judged = list(judge(adapter, world, rows, found))
    for one in skipped:
        report.skip(one)
    taken = time.perf_counter() - start
    report.note(f"{adapter.name}, {world.name}, {rows:,} rows: {len(judged)} windows in {taken:.0f} s")
    return judged


if __name__ == "__main__":
    main()
