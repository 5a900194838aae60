"""What all workers have counted, read as counts: windows are differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import wakeful


def served(reference: wakeful.Reference, folder: Path, version: str, rows: Any) -> wakeful.Monitor:
    """A service that has observed some rows, and ended."""
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=folder, registry=None, version=version)
    monitor.observe_batch(pd.DataFrame(rows))
    monitor.stop()
    return monitor


def test_what_several_versions_counted_is_their_sum_or_each_alone(
    reference: wakeful.Reference, traffic: Any, tmp_path: Path
):
    old, new = traffic(300, seed=1), traffic(200, seed=2)
    served(reference, tmp_path, "1", old)
    monitor = served(reference, tmp_path, "2", new)

    assert monitor.counts(tmp_path) == monitor.counts() == monitor.count(old) + monitor.count(new)
    assert monitor.counts(tmp_path, version="1") == monitor.count(old)
    assert monitor.counts(str(tmp_path), version="2") == monitor.count(new)
    assert monitor.counts(tmp_path, version="3").rows == 0


def test_two_readings_make_a_window_that_checks_can_judge(reference: wakeful.Reference, traffic: Any, tmp_path: Path):
    monitor = served(reference, tmp_path, "", traffic(300, seed=1))
    before = monitor.counts()
    broken = traffic(250, seed=2, income=lambda data: 100 * data["income"])
    served(reference, tmp_path, "", broken)

    window = monitor.counts() - before

    assert window == monitor.count(broken)
    assert monitor.explain(window)[0].column == "income"


def test_nothing_is_counted_where_nobody_has_counted(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WAKEFUL_COUNTS", str(tmp_path / "missing"))
    monitor = wakeful.Monitor(reference)

    assert not monitor.counts().vector.any()
    assert monitor._recorder is None  # who only reads watches nothing
    assert not (tmp_path / "missing").exists()


def test_counts_of_another_reference_are_left_out(reference: wakeful.Reference, traffic: Any, tmp_path: Path):
    served(reference, tmp_path, "", traffic(300))
    other = wakeful.learn(traffic(900, rent=np.zeros(900)), score="score", threshold=0.5, name="loans")

    assert wakeful.Monitor(other).counts(tmp_path).rows == 0
