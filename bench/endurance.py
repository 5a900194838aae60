"""Whether a service can be watched for long: memory and the caller's times at a rate, then at far more than it bears.

The process observes 50,000 times a second for a minute, and then as often as three threads can for half a minute.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

import wakeful
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slots import read

sys.path.append(str(Path(__file__).resolve().parent / "tasks"))
from paced import features

PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20  # MB


class Watched(NamedTuple):
    """Memory in MB, by seconds, and what one observation in a hundred took the caller in ns."""

    memory: list[tuple[float, float]]
    took: list[int]

    @property
    def slope(self) -> float:
        """MB a minute, over the second half: what a cache takes at first is no leak."""
        later = self.memory[len(self.memory) // 2 :]
        return 60 * statistics.linear_regression(*zip(*later, strict=True)).slope

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.took, n=1000)
        memory = [megabytes for _, megabytes in self.memory]
        return (
            f"memory {memory[0]:.0f} MB at first, at most {max(memory):.0f}, {memory[-1]:.0f} at last, "
            f"{self.slope:+.1f} a minute; the caller's p50 {cuts[499] / 1e3:.1f} µs, p99 {cuts[989] / 1e3:.1f}, "
            f"p99.9 {cuts[998] / 1e3:.1f}"
        )


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=140)
    rows = [features(random.Random(1)) for _ in range(1_000)]
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        path = folder / "reference.json"
        data: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
        wakeful.learn(data | {"score": [0.001 * at for at in range(1_000)]}, score="score", threshold=0.5).save(path)
        monitor = wakeful.Monitor(path)
        monitor.start(counts=folder / "counts", series=100_000)
        paced, seen = sustained(monitor, rows, options.rate, options.seconds)
        console.print(f"{seen / options.seconds:,.0f} a second for {options.seconds} s: {paced}")
        monitor.stop()
        console.print(_accounts(monitor, folder / "counts", seen))
        flooded, more = overloaded(monitor, rows, options.overload)
        console.print(f"{more / options.overload:,.0f} a second by 3 threads for {options.overload} s: {flooded}")
        monitor.stop()
        console.print(_accounts(monitor, folder / "counts", seen + more))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=50_000, help="observations a second")
    parser.add_argument("--seconds", type=int, default=60, help="at this rate")
    parser.add_argument("--overload", type=int, default=30, help="seconds at more than it bears")
    return parser.parse_args()


def sustained(monitor: wakeful.Monitor, rows: list[dict[str, Any]], rate: int, seconds: float) -> tuple[Watched, int]:
    """Observe at a rate."""
    began, number, memory, took = time.perf_counter(), 0, [], []
    while number < rate * seconds:
        _observe(monitor, rows, number, rate // 1000, took)
        number += rate // 1000
        if not number % (rate // 1000 * 500):
            memory.append((time.perf_counter() - began, _memory()))
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
    return Watched(memory, took), number


def overloaded(monitor: wakeful.Monitor, rows: list[dict[str, Any]], seconds: float) -> tuple[Watched, int]:
    """Observe as often as three threads can."""
    ends, took, numbers = time.perf_counter() + seconds, [[], [], []], [0, 0, 0]

    def work(at: int) -> None:
        while time.perf_counter() < ends:
            _observe(monitor, rows, numbers[at], 100, took[at])
            numbers[at] += 100

    threads = [threading.Thread(target=work, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    memory = []
    while time.perf_counter() < ends:
        memory.append((time.perf_counter(), _memory()))
        time.sleep(0.25)
    for thread in threads:
        thread.join()
    return Watched(memory, [one for some in took for one in some]), sum(numbers)


def _observe(monitor: wakeful.Monitor, rows: list[dict[str, Any]], number: int, several: int, took: list[int]) -> None:
    """Observe several fresh rows; the last is timed."""
    observe: Callable[..., None] = monitor.observe
    for at in range(number, number + several - 1):
        observe(dict(rows[at % 1_000].items()), score=0.3, id=at)
    last = dict(rows[number % 1_000].items())
    before = time.perf_counter_ns()
    observe(last, score=0.3, id=number)
    took.append(time.perf_counter_ns() - before)


def _memory() -> float:
    """What this process holds now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _accounts(monitor: wakeful.Monitor, folder: Path, observed: int) -> str:
    recorder = monitor._recorder
    assert recorder is not None
    total = sum(one.counters for one in read(folder, recorder.identity).readings)[-len(COUNTERS) :].tolist()
    meters = dict(zip(COUNTERS, map(int, total), strict=True))
    dropped = sum(meters[name] for name in ("dropped_full", "dropped_error", "invalid"))
    right = meters["seen"] == observed == meters["counted"] + dropped
    return (
        f"  observed {observed:,}: seen {meters['seen']:,} = counted {meters['counted']:,} + dropped {dropped:,} "
        f"{'[green]✓[/green]' if right else '[red]✗[/red]'}"
    )


if __name__ == "__main__":
    main()
