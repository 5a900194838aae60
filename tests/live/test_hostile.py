"""Whatever a service hands over, nothing is raised into it, and everything is accounted for."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import Watched

import wakeful

VALUES = 1_000_000


class Seeded:
    """Choices of a random generator; counts them, of which each value takes one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.values = 0

    def choice(self, several: Any) -> Any:
        self.values += several is not hostile.NAMES
        return several[int(self._random.random() * len(several))]

    def number(self, most: int) -> int:
        return int(self._random.random() * (most + 1))


class Drawn:
    """Choices of hypothesis, which looks for the simplest that fail."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def choice(self, several: Any) -> Any:
        return several[self.number(len(several) - 1)]

    def number(self, most: int) -> int:
        return int(self._data.draw(st.integers(0, most)))


class Service(Watched):
    """A service that is handed whatever there is."""

    def __init__(self, reference: wakeful.Reference, folder: Path) -> None:
        super().__init__(wakeful.Monitor(reference, holdout_share=0.2), folder)

    def must_be_well(self) -> None:
        """Everything is accounted for, and healthy rows are counted as if nothing had been."""
        self.recorder.flush()
        before, meters = self.counters, self.meters
        assert (
            meters["seen"] == meters["counted"] + meters["dropped_full"] + meters["dropped_error"] + meters["invalid"]
        )
        healthy = {"income": 30_000.0, "rent": 700.0, "debt": None, "city": "Berlin", "owner": True, "platform": "web"}
        for number in range(10):
            self.monitor.observe(healthy, score=0.4, id=number)
        thread = self.recorder._thread
        assert thread is not None
        assert thread.is_alive()
        self.recorder.flush()
        expected = self.monitor.count([{**healthy, "score": 0.4, "held": False}] * 10).vector
        size = len(expected)
        assert np.array_equal((self.counters - before)[:size], expected)
        assert self.meters["counted"] == meters["counted"] + 10


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "wakeful")


@pytest.fixture
def watched(reference: wakeful.Reference, tmp_path: Path) -> Iterator[Service]:
    made = Service(reference, tmp_path / "counts")
    yield made
    made.monitor.stop()


def hand_over(monitor: wakeful.Monitor, source: hostile.Source) -> int:
    """One call with whatever comes; returns how many observations it was."""
    kind = source.number(15)
    if kind == 0:
        monitor.decide(hostile.value(source), hostile.value(source))
    elif kind == 1:
        more = {name: hostile.value(source) for name in ("time", "score", "decision")[: source.number(3)]}
        more |= {"features": hostile.row(source)} if source.number(1) else {}
        monitor.outcome(hostile.value(source), hostile.value(source), **more)
    else:
        more = {
            name: hostile.value(source) for name in ("score", "id", "decision", "time", "label")[: source.number(5)]
        }
        monitor.observe(hostile.row(source), **more)
        return 1
    return 0


def test_a_million_hostile_values_raise_nothing_and_are_accounted_for(watched: Service) -> None:
    source = Seeded(1)
    observed = calls = 0
    while source.values < VALUES:
        observed += hand_over(watched.monitor, source)
        calls += 1
        if not calls % 100:  # or most are dropped unread, as hostile values count as large
            watched.recorder.flush()
    watched.must_be_well()
    assert watched.meters["counted"] > 0.8 * observed
    assert watched.meters["seen"] == observed + 10


@settings(max_examples=150)
@given(data=st.data())
def test_no_hostile_row_raises_anything(reference: wakeful.Reference, tmp_path_factory: Any, data: Any) -> None:
    watched = Service(reference, tmp_path_factory.mktemp("counts"))
    try:
        for _ in range(data.draw(st.integers(1, 20))):
            hand_over(watched.monitor, Drawn(data))
        watched.must_be_well()
    finally:
        watched.monitor.stop()


def test_hostile_batches_raise_nothing_and_are_accounted_for(watched: Service) -> None:
    source = Seeded(2)
    for _ in range(3_000):
        score = hostile.value(source) if source.number(1) else None
        with contextlib.suppress(SystemExit, GeneratorExit):  # long enough for a signal's to be among them: they pass
            watched.monitor.observe_batch(hostile.table(source), score=score)
    watched.must_be_well()


def test_a_new_a_missing_and_a_changed_column_are_counted_and_told_once(
    watched: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "wakeful")
    for _ in range(5):
        watched.monitor.observe({"income": "a lot", "colour": "red"}, score=0.4)  # rent and others are missing
        assert watched.recorder.flush()
    layout = watched.recorder.layout
    vector = watched.counters
    income, rent = layout.cells["income"], layout.cells["rent"]
    assert vector[income.start + income.values + 1] == 5  # invalid
    assert vector[rent.start + rent.values] == 5  # missing
    assert watched.meters["unexpected"] == watched.meters["counted"] == 5
    assert caplog.text.count("colour") == 1
