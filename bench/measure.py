"""Wall-clock and CPU seconds of functions and of processes, taken in turns; memory of tasks that run alone."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Seconds(NamedTuple):
    """What one run took; CPU is that of all threads, user and system."""

    wall: float
    cpu: float


class Whole(NamedTuple):
    """A task that ran in a process of its own.

    Attributes:
        work: reading included.
        around: interpreter, imports and exit.
        peak: most memory that the process held, in MB.
        said: what the task returned, as text.
    """

    work: Seconds
    around: Seconds
    peak: float
    said: str


class Spread(NamedTuple):
    """Median, smallest and largest of several runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        return cls(statistics.median(numbers), min(numbers), max(numbers))

    def text(self, digits: int = 2, unit: float = 1.0) -> str:
        low, middle, high = (f"{one * unit:.{digits}f}" for one in (self.low, self.median, self.high))
        return f"{middle} ({low}–{high})"


def in_turns(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Seconds]]:
    """Run every contender once unmeasured, then all of them ``rounds`` times in turns.

    In turns, so that whatever else the machine does hits all of them alike. A contender that returns
    ``Seconds`` has measured itself.
    """
    for run in contenders.values():
        run()
    taken: dict[str, list[Seconds]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), _cpu()
            found = run()
            here = Seconds(time.perf_counter() - wall, _cpu() - cpu)
            taken[name].append(found if isinstance(found, Seconds) else here)
    return taken


def ratios(ours: Sequence[Seconds], theirs: Sequence[Seconds]) -> tuple[Spread, Spread]:
    """Wall and CPU time of ours as a multiple of theirs, round by round."""
    pairs = list(zip(ours, theirs, strict=True))
    return Spread.of([a.wall / b.wall for a, b in pairs]), Spread.of([a.cpu / b.cpu for a, b in pairs])


def process(*command: str) -> Callable[[], str]:
    """Run a command to its end and return what it prints; exit code 1 is a failing check."""

    def run() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode > 1:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    return run


def statement(line: str, *, after: str = "pass") -> Callable[[], Seconds]:
    """Run one line of Python in a fresh process, measured there, once ``after`` has run."""
    program = (
        f"import time; {after}\n"
        f"wall, cpu = time.perf_counter(), time.process_time()\n{line}\n"
        "print(time.perf_counter() - wall, time.process_time() - cpu)"
    )
    run = process(sys.executable, "-c", program)
    return lambda: Seconds(*map(float, run().split()))


def alone(task: Path, *arguments: object, python: str | Path = sys.executable, limit: float | None = None) -> Whole:
    """Run ``work`` of a task in a fresh process (see alone.py).

    Args:
        task: its file.
        arguments: what ``work`` is called with, as text.
        python: interpreter of the environment that the task needs.
        limit: seconds on the wall; subprocess.TimeoutExpired where it takes longer.
    """
    command = [str(python), str(Path(__file__).with_name("alone.py")), str(task), *map(str, arguments)]
    wall, cpu = time.perf_counter(), _cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    work = Seconds(found["wall"], found["cpu"])
    return Whole(work, Seconds(wall - work.wall, cpu - work.cpu), found["peak"], found["said"])


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)
