"""A service that is watched for long, or flooded: memory stays bounded, and every loss is counted."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.live.observations import size
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slots import read

BUFFER = 2_000
MB = 2**20


@pytest.fixture
def monitor(reference: wakeful.Reference, tmp_path: Path) -> Iterator[wakeful.Monitor]:
    made = wakeful.Monitor(reference)
    made.start(counts=tmp_path, registry=None, buffer=BUFFER)
    yield made
    made.stop()


def meters(monitor: wakeful.Monitor, folder: Path) -> dict[str, float]:
    identity = monitor._recorder.identity  # type: ignore[union-attr]
    total = sum((one.counters for one in read(folder, identity).readings), np.zeros(identity.counters))
    return dict(zip(COUNTERS, total[-len(COUNTERS) :].tolist(), strict=True))


def together(threads: int, work: Callable[[], None]) -> None:
    started = [threading.Thread(target=work) for _ in range(threads)]
    for one in started:
        one.start()
    for one in started:
        one.join()


def test_a_flood_by_three_threads_is_dropped_by_count(monitor: wakeful.Monitor, tmp_path: Path) -> None:
    observed, ends, most = [], time.monotonic() + 2, 0
    waiting = monitor._recorder.inbox  # type: ignore[union-attr]

    def work() -> None:
        nonlocal most
        number = 0
        while time.monotonic() < ends:
            monitor.observe({"income": 30_000.0 + number, "city": "Berlin"}, score=0.3, id=number)
            number += 1
            most = max(most, len(waiting))
        observed.append(number)

    together(3, work)
    monitor.stop()
    said = meters(monitor, tmp_path)
    assert said["seen"] == sum(observed) == said["counted"] + said["dropped_full"]
    assert said["dropped_full"] > 0
    assert most <= BUFFER + 3  # each thread may be past the question when the last place is taken


def test_what_the_buffer_holds_is_counted_to_the_last_row(monitor: wakeful.Monitor, tmp_path: Path) -> None:
    bursts = 10

    def work() -> None:
        for number in range(BUFFER // 3):
            monitor.observe({"income": 30_000.0 + number}, score=0.3)

    for _ in range(bursts):
        together(3, work)
        assert monitor._recorder.flush()  # type: ignore[union-attr]
    monitor.stop()
    said = meters(monitor, tmp_path)
    assert said["counted"] == said["seen"] == bursts * 3 * (BUFFER // 3)


def _text(number: int) -> Any:
    return "x" * 2 * MB + str(number)


def _nested(number: int) -> Any:
    return {"texts": ["x" * (MB // 5) + str(at) for at in range(10)]}


def _view(number: int) -> Any:
    return np.full(MB // 4, number)[1:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc, which Linux has")
@pytest.mark.parametrize("large", [_text, _nested, _view])
def test_large_values_are_dropped_before_they_fill_the_memory(
    monitor: wakeful.Monitor, tmp_path: Path, large: Callable[[int], Any]
) -> None:
    before, most = memory(), 0.0
    for number in range(600):  # 1.2 GB
        monitor.observe({"city": large(number)}, score=0.3)
        most = max(most, memory() - before)
    monitor.stop()
    said = meters(monitor, tmp_path)
    assert said["seen"] == 600 == said["counted"] + said["dropped_full"]
    assert most < 600 * MB


def memory() -> float:
    """Bytes that this process holds."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_size_of_an_observation_is_that_of_all_that_it_holds() -> None:
    text = "x" * 10_000
    assert 10_000 < size([text, 1.0]) < 11_000
    assert 30_000 < size([[text + str(at) for at in range(3)]]) < 31_000
    assert 10_000 < size([{"b": {"c": [text]}}]) < 11_000
    assert size([np.zeros(10_000)[::2]]) >= 40_000
