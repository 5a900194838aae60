"""A service whose workers are killed under load: killed_workers.py REFERENCE FOLDER KILLS, prints a line of JSON.

Every worker has a value of its own in one of the columns, so that the counts tell what came of each.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import wakeful
from wakeful.counts import Layout
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slots import Identity, read

COLUMNS, WORKERS = 5, 25  # a column has at most 30 categories
AT_ONCE = 6


def value_of(worker: int) -> dict[str, str]:
    return {f"worker{worker // WORKERS}": f"w{worker % WORKERS:02d}"}


def main(reference: str, folder: Path, kills: int) -> None:
    shared = mmap.mmap(-1, 16 * COLUMNS * WORKERS)
    told = memoryview(shared).cast("Q")  # of each worker: what it observed, and what surely is in its slot
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=folder, registry=None, flush=0.05)
    recorder = monitor._recorder
    assert recorder is not None
    reader = Reader(folder, recorder.identity, _counts(recorder.layout))
    source = random.Random(7)
    living = {_forked(monitor, worker, told): worker for worker in range(AT_ONCE)}
    killed: list[int] = []
    while len(killed) < kills:
        time.sleep(source.uniform(0, 0.1))
        reader.look()
        process = source.choice(list(living))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        killed.append(living.pop(process))
        living[_forked(monitor, AT_ONCE + len(killed) - 1, told)] = AT_ONCE + len(killed) - 1
    time.sleep(0.2)
    for process in living:
        os.kill(process, signal.SIGTERM)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in living]
    reader.look()
    print(
        json.dumps({
            "killed": killed, "ended": list(living.values()), "statuses": statuses, "looks": reader.looks,
            "fell": reader.fell, "unequal": reader.unequal, "observed": list(told[::2]), "surely": list(told[1::2]),
        })
    )  # fmt: skip


class Reader:
    """Who is scraped all along."""

    def __init__(self, folder: Path, identity: Identity, counts: list[int]) -> None:
        self.folder, self.identity, self.counts = folder, identity, counts
        self.before: Any = np.zeros(identity.counters)
        self.looks = self.fell = self.unequal = 0

    def look(self) -> None:
        now = sum((one.counters for one in read(self.folder, self.identity).readings), np.zeros_like(self.before))
        meters = dict(zip(COUNTERS, now[-len(COUNTERS) :].tolist(), strict=True))
        self.looks += 1
        self.fell += bool(np.any((now < self.before)[self.counts]))
        dropped = meters["dropped_full"] + meters["dropped_error"] + meters["invalid"]
        self.unequal += meters["seen"] != meters["counted"] + dropped
        self.before = now


def _counts(layout: Layout) -> list[int]:
    """Where counts stand in a vector: all but the sums of numbers, which may be negative."""
    columns = layout.cells.values()
    return [0, *(at for one in columns for at in range(one.start, one.stop - one.sums)), *range(-len(COUNTERS), 0)]


def _forked(monitor: wakeful.Monitor, worker: int, told: Any) -> int:
    process = os.fork()
    if not process:
        _work(monitor, worker, told)
    return process


def _work(monitor: wakeful.Monitor, worker: int, told: Any) -> None:
    """Observe in bursts; tell what was observed, and what had been before the last flush began."""
    row, number, generation, marks = value_of(worker), 0, None, [0, 0]
    while True:
        for _ in range(20):
            monitor.observe(row, score=0.3)
            number += 1
            told[2 * worker] = number
        slot = monitor._recorder._slot  # type: ignore[union-attr]
        now = None if slot is None else slot._current.generation
        if now != generation:  # two flushes ended since the first mark: the second began after it
            generation = now
            told[2 * worker + 1] = marks.pop(0)
            marks.append(number)
        time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
