"""What Grafana's boards cost a Prometheus: every panel's queries, as a board asks them when it opens.

    python bench/boards.py --models 10 --columns 100

Three hours of traffic of so many models are filled in by `wakeful backfill`, a sample a minute, with what rules would
have recorded; a real Prometheus is asked for the last two. Files lie in a temporary folder; TMPDIR says where.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rules import CHECKS, ask, rows, serving

import wakeful
from wakeful.backfill import backfill, write
from wakeful.compile.files import Options, compile_monitors
from wakeful.loading import load_monitor

HOURS, LOOKED_AT, STEP = 3, 2 * 3600, 60  # seconds
_VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)?\}?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="how often every panel is asked")
    options = parser.parse_args()
    if shutil.which("prometheus") is None:
        sys.exit("prometheus is not installed. Run: sudo apt-get install --no-install-recommends prometheus")
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        monitors, series, end = [], 0, 0
        for monitor, history in _models(folder, options.models, options.columns):
            written = write(backfill(monitor, history, every="1m", time="at"), folder / "history.om")
            command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "history.om", "data"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            monitors.append(monitor)
            series, end = series + written.series, written.last
        files = compile_monitors(monitors, Options()).files
        boards = {name: json.loads(text) for name, text in files.items() if name.startswith("grafana/dashboards/")}
        print(
            f"{len(monitors)} models of {options.columns} columns, {series:,} series; median of {options.rounds} rounds"
        )
        with serving(folder, lambda _: {}) as port:
            _wait(port)
            for name in ("fleet", "model00"):
                report(name, boards[f"grafana/dashboards/{name}.json"], port, end, options.rounds)


def _models(folder: Path, number: int, columns: int) -> Iterator[tuple[wakeful.Monitor, pd.DataFrame]]:
    start = pd.Timestamp.now("UTC").floor("h") - pd.Timedelta(hours=HOURS + 4)
    for at in range(number):
        place = folder / f"model{at:02d}"
        place.mkdir()
        data = rows(columns)
        wakeful.learn(data, score="score", label="label", threshold=0.5, name=place.name).save(place / "reference.json")
        (place / "monitor.py").write_text(CHECKS.replace("WINDOW", '"6h"'))
        data["at"] = start + pd.to_timedelta(np.linspace(0, HOURS * 3600, len(data), endpoint=False), unit="s")
        yield load_monitor(place / "monitor.py"), data


def report(name: str, board: dict[str, Any], port: int, end: int, rounds: int) -> None:
    """How long Prometheus takes for each panel; medians."""
    panels = [one for one in board["panels"] if one.get("targets")]
    values = {one["name"]: _chosen(one) for one in board["templating"]["list"]}
    values |= {"__rate_interval": "4m", "__range": f"{LOOKED_AT}s"}
    taken, found = {}, {}
    for one in panels:
        runs = []
        for _ in range(rounds):
            began = time.perf_counter()
            found[one["title"]] = sum(_ask(port, target, values, end) for target in one["targets"])
            runs.append(time.perf_counter() - began)
        taken[one["title"]] = float(np.median(runs))
    slowest = sorted(taken, key=taken.__getitem__, reverse=True)[:3]
    empty = [title for title, series in found.items() if not series]
    told = ", ".join(f"{title!r} {taken[title]:.2f} s" for title in slowest)
    print(f"{name}: {len(panels)} panels {sum(taken.values()):.2f} s; slowest {told}; nothing to show: {empty}")


def _wait(port: int) -> None:
    """Until it answers."""
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return
        time.sleep(0.1)
    sys.exit("Prometheus does not come up")


def _chosen(variable: dict[str, Any]) -> str:
    """What a board has chosen as it opens."""
    value = variable.get("current", {}).get("value", "")
    return str(value) if isinstance(value, str) else str(variable["allValue"])


def _ask(port: int, target: dict[str, Any], values: dict[str, str], end: int) -> int:
    """How many series there are."""
    query = _VARIABLE.sub(lambda found: values[found[1]], target["expr"])
    if target.get("instant"):
        return len(ask(port, query, time=end))
    return len(ask(port, query, "query_range", start=end - LOOKED_AT, end=end, step=STEP))


if __name__ == "__main__":
    main()
