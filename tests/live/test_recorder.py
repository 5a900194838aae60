"""A service that observes: everything is counted once, whoever asks, however it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import wakeful
from wakeful.counts import Counts
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


def test_a_table_that_cannot_be_logged_is_counted_once(monitor: wakeful.Monitor, tmp_path: Path, traffic: Any) -> None:
    recorder = monitor._recorder
    assert recorder is not None
    recorder.settings = recorder.settings._replace(journal=_no_journal)
    monitor.observe_batch(traffic(100))
    monitor.stop()
    meters = shared(monitor, tmp_path / "counts")[1]
    assert (meters["counted"], meters["dropped_error"], meters["log_lost"]) == (100, 0, 100)


def _no_journal() -> Any:
    raise OSError("no thread can be started")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_small_tables_count_as_one_large_one(monitor: wakeful.Monitor, tmp_path: Path, traffic: Any, size: int) -> None:
    data = traffic(100)
    for start in range(0, 100, size):
        monitor.observe_batch({name: values[start : start + size] for name, values in data.items()})
    monitor.stop()
    vector, meters = shared(monitor, tmp_path / "counts")
    assert np.array_equal(vector, monitor.count(data).vector)
    assert meters["seen"] == meters["counted"] == 100


def test_only_tables_with_a_new_column_are_unexpected(monitor: wakeful.Monitor, tmp_path: Path, traffic: Any) -> None:
    for number in range(10):
        new = {"colour": ["red", "blue"]} if number < 3 else {}
        monitor.observe_batch(traffic(2) | new)
    monitor.stop()
    assert shared(monitor, tmp_path / "counts")[1]["unexpected"] == 6


def test_a_score_may_stand_in_the_features_or_beside_them(
    monitor: wakeful.Monitor, tmp_path: Path, traffic: Any
) -> None:
    rows = rows_of(traffic(100))
    for number, row in enumerate(rows):
        if number % 2:
            monitor.observe(row)
        else:
            monitor.observe({name: value for name, value in row.items() if name != "score"}, score=row["score"])
    monitor.stop()
    assert np.array_equal(shared(monitor, tmp_path / "counts")[0], monitor.count(traffic(100)).vector)


def test_large_ids_and_outcomes_are_refused_before_memory_is_full(reference: wakeful.Reference, tmp_path: Path) -> None:
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path, registry=None, flush=3600)
    for number in range(1_000):
        monitor.observe({}, id=f"{number:1000000}", score=0.1)
        monitor.outcome(f"{number:1000000}", 1)
    monitor.stop()
    meters = shared(monitor, tmp_path)[1]
    assert meters["seen"] == 1_000 == meters["counted"] + meters["dropped_full"]
    assert meters["counted"] < 200  # of a megabyte each
    assert meters["outcomes"] + meters["outcomes_dropped"] == 1_000
    assert meters["outcomes"] < 200


def test_what_comes_while_it_stops_is_served(monitor: wakeful.Monitor, tmp_path: Path) -> None:
    class Late:
        rows = lost = 0

        def write(self, rows: Any) -> None:
            self.rows += len(rows)

        def close(self, timeout: float) -> None:
            monitor.outcome("late", 1)

    recorder = monitor._recorder
    assert recorder is not None
    recorder.settings = recorder.settings._replace(journal=Late)  # type: ignore[arg-type]
    monitor.observe({}, score=0.1)
    monitor.stop()
    assert recorder.inbox.is_served


def test_two_versions_in_one_service_are_both_exported(traffic: Any, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    for version in ("old", "new"):
        learnt = wakeful.learn(traffic(500, seed=ord(version[0])), score="score", name="loans")
        monitor = wakeful.Monitor(learnt)
        for _ in range(2):  # started again, it is still exported once
            monitor.start(counts=tmp_path, version=version, registry=registry)
        monitor.observe_batch(traffic(10))
        monitor.stop()
    text = generate_latest(registry).decode()
    for version in ("old", "new"):
        assert text.count('wakeful_rows_total{model="loans",reference="') == 2
        assert text.count(f'wakeful_observations_counted_total{{model="loans",version="{version}"}} 10.0') == 1


class _Hostile:
    def __len__(self) -> int:
        return 1

    def has(self, name: str) -> bool:
        raise OSError("hostile")


@pytest.mark.parametrize("what", ["cannot be read", "could not be counted", "could not be logged", "cannot be shared"])
def test_a_trouble_is_said_once_and_again_when_it_comes_again(
    monitor: wakeful.Monitor, tmp_path: Path, what: str, traffic: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = monitor._recorder
    assert recorder is not None
    recorder.settings = recorder.settings._replace(flush=1e-6)
    healthy = recorder.settings

    def trouble() -> None:
        if what == "cannot be read":
            monitor.observe_batch("no table")
        elif what == "could not be counted":
            recorder.inbox.observe_table([_Hostile()])  # type: ignore[list-item]
        elif what == "could not be logged":
            recorder.settings = healthy._replace(journal=_no_journal)
            monitor.observe_batch(traffic(1))
        else:
            (tmp_path / "file").write_text("no folder")
            recorder.settings = healthy._replace(folder=tmp_path / "file")
            monitor.observe_batch(traffic(1))
        monitor.stop()
        recorder.settings = healthy

    for _ in range(3):
        trouble()
    assert caplog.text.count(what) == 1
    monitor.observe_batch(traffic(1))  # it works again
    monitor.stop()
    monkeypatch.setattr("wakeful.live.recorder._CALM", 0.0)  # for a while
    trouble()
    assert caplog.text.count(what) > 1  # the thread may flush, too


@pytest.mark.parametrize("wrong", [{"version": "v" * 5_000}, {"counts": "no\0path"}])
def test_what_no_flush_could_share_is_told_at_the_start(reference: wakeful.Reference, wrong: Any) -> None:
    with pytest.raises(wakeful.DataError):
        wakeful.Monitor(reference).start(**wrong, registry=None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"series": 0}, "series must be a number of series that may be exported, at least 1, not 0"),
        ({"series": "many"}, "not 'many'"),
        ({"series": 1e5}, "not 100000.0"),
        ({"series": None}, "not None"),
        ({"series": True}, "not True"),
        ({"buffer": True}, "buffer must be a number of observations, at least 1, not True"),
        ({"flush": float("nan")}, "flush must be seconds between 0 and 3,600, not nan"),
    ],
)
@pytest.mark.parametrize("registry", [None, CollectorRegistry()], ids=["not exported", "exported"])
def test_an_option_that_means_nothing_is_told_at_the_start(
    reference: wakeful.Reference, tmp_path: Path, wrong: Any, said: str, registry: Any
) -> None:
    with pytest.raises(wakeful.DataError, match=said):
        wakeful.Monitor(reference).start(counts=tmp_path, **wrong, registry=registry)


@pytest.mark.parametrize("frame", [dict, pd.DataFrame], ids=["columns", "pandas"])
def test_the_holdout_of_a_table_is_that_of_its_rows(
    frame: Any, traffic: Any, tmp_path: Path, reference: wakeful.Reference
) -> None:
    data = {**traffic(400), "case": [f"A{number}" for number in range(400)]}
    del data["held"]
    learnt = wakeful.learn({**traffic(2_000), "case": range(2_000)}, score="score", label="rejected", threshold=0.5,
                           holdout="held", id="case", name="loans")  # fmt: skip
    found = []
    for name in "rows", "table":
        monitor = wakeful.Monitor(learnt, holdout_share=0.3)
        monitor.start(counts=tmp_path / name, registry=None)
        if name == "table":
            monitor.observe_batch(frame(data))
        else:
            for row in rows_of(data):
                monitor.observe(row, score=row["score"], id=row["case"])
        monitor.stop()
        found.append(shared(monitor, tmp_path / name)[0])
    assert np.array_equal(*found)
    held = Counts(learnt.layout, found[1]).outcome(0)[2, 1].sum()
    assert held > 0
