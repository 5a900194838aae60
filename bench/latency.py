"""What watching does to the answers of a service: a small ASGI service under wrk, with and without wakeful, in turns.

Under as much load as it bears, and under a part of it, where answers do not wait for each other. Needs wrk, which
is a Debian package.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

import wakeful

TASKS = Path(__file__).resolve().parent / "tasks"
sys.path.append(str(TASKS))
from paced import features  # noqa: E402

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
LOADS = {"all it bears": (8, 0), "a part": (16, 20)}  # connections, and ms that each waits between two requests


class Answers(NamedTuple):
    """Answers a second, and how long they took in ms."""

    rate: float
    p50: float
    p99: float


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=120)
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed, and nothing stands in for it. Run: sudo apt-get install wrk")
    console.print(f"{os.cpu_count()} CPUs; {options.rounds} rounds of {options.seconds} s in turns; medians")
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        path = Path(name) / "reference.json"
        _learn(path)
        table = Table("workers", "load", "", "answers/s", "p50 ms", "p99 ms", "p99 of rounds")
        for workers in options.workers:
            for load, (connections, delay) in LOADS.items():
                script = Path(name) / "delay.lua"
                script.write_text(f"function delay() return {delay} end" if delay else "")
                taken: dict[str, list[Answers]] = {"not watched": [], "wakeful": []}
                for _ in range(options.rounds):
                    for who, runs in taken.items():
                        with service(path if who == "wakeful" else None, workers, Path(name)) as port:
                            _wrk(port, connections, 1, script)
                            runs.append(_wrk(port, connections, options.seconds, script))
                for who, runs in taken.items():
                    rate, p50, p99 = (statistics.median(one) for one in zip(*runs, strict=True))
                    rounds = " ".join(f"{run.p99:.2f}" for run in runs)
                    table.add_row(str(workers), load, who, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", rounds)
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of the service")
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _learn(path: Path) -> None:
    rows = [features(random.Random(at)) for at in range(5_000)]
    data: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    data["score"] = [random.Random(at).random() for at in range(5_000)]
    wakeful.learn(data, score="score", threshold=0.5, name="loans").save(path)


@contextmanager
def service(reference: Path | None, workers: int, folder: Path) -> Iterator[int]:
    """A service in processes of its own; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(TASKS / "service.py"), str(port), str(workers)]
    environment = os.environ | {"REFERENCE": str(reference or ""), "WAKEFUL_COUNTS": str(folder / "counts")}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        for _ in range(200):
            time.sleep(0.05)
            with socket.socket() as one:
                if not one.connect_ex(("127.0.0.1", port)):
                    break
        time.sleep(0.5)  # the other workers
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wrk(port: int, connections: int, seconds: int, script: Path) -> Answers:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"the service did not answer:\n{done.stdout}")
    found = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", done.stdout, re.MULTILINE))
    rate = re.search(r"Requests/sec:\s+(\S+)", done.stdout)
    assert rate is not None
    return Answers(float(rate[1]), _milliseconds(found["50"]), _milliseconds(found["99"]))


def _milliseconds(said: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", said).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


if __name__ == "__main__":
    main()
