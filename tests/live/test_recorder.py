"""A service that observes: everything is counted once, whoever asks, however it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slots import read


@pytest.fixture
def monitor(reference: wakeful.Reference, tmp_path: Path) -> Any:
    made = wakeful.Monitor(reference, holdout_share=0.2)
    made.start(counts=tmp_path / "counts", registry=None)
    yield made
    made.stop()


def rows_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    names = list(data)
    columns = [np.asarray(data[name]).tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def shared(monitor: wakeful.Monitor, folder: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Counts and self-metrics that the workers of a service share."""
    found = read(folder, monitor._recorder.identity)  # type: ignore[union-attr]
    total = sum(one.counters for one in found.readings)
    size = monitor.reference.layout.size
    return total[:size], dict(zip(COUNTERS, total[size:].tolist(), strict=True))


def test_a_service_counts_what_a_file_of_the_same_rows_counts(
    monitor: wakeful.Monitor, tmp_path: Path, traffic: Any
) -> None:
    rows = rows_of(traffic(500))
    for number, row in enumerate(rows):
        score = row.pop("score")
        monitor.observe(row, score=score, id=number)
    monitor.stop()
    vector, meters = shared(monitor, tmp_path / "counts")
    assert np.array_equal(vector, monitor.count(traffic(500)).vector)
    assert meters["seen"] == meters["counted"] == 500
