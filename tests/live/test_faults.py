"""Whatever happens to a service, or to what it shares: it goes on, and every loss is counted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from watched import Watched

import wakeful

PROGRAMS = Path(__file__).parent / "programs"
KILLS = 100
COLUMNS, WORKERS = 5, 25
PATIENCE = 30.0  # s; what takes longer never comes


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference whose columns know 125 workers by name."""
    rows = 40 * WORKERS
    names = [f"w{at % WORKERS:02d}" for at in range(rows)]
    score = np.random.default_rng(1).random(rows)
    data = {f"worker{at}": names for at in range(COLUMNS)} | {"score": score}
    path = tmp_path_factory.mktemp("workers") / "reference.json"
    wakeful.learn(data, score="score", threshold=0.5, name="workers").save(path)
    return path


class Shared(Watched):
    """What the workers of a service share."""

    def __init__(self, reference: Path | wakeful.Reference, folder: Path) -> None:
        super().__init__(wakeful.Monitor(reference), folder, flush=0.02)

    def of_worker(self, worker: int) -> float:
        layout, name = self.recorder.layout, f"worker{worker // WORKERS}"
        cell = layout.bins[name].index[(str, f"w{worker % WORKERS:02d}")]  # type: ignore[union-attr]
        return float(self.counters[layout.cells[name].start + cell])


@pytest.fixture
def service(reference: wakeful.Reference, tmp_path: Path) -> Iterator[Shared]:
    made = Shared(reference, tmp_path / "counts")
    yield made
    made.monitor.stop()


def until(true: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, f"within {PATIENCE:g} s, it is never true that {what}"
        time.sleep(0.01)


def observe(service: Shared, number: int) -> None:
    for at in range(number):
        service.monitor.observe({"income": 30_000.0, "city": "Berlin"}, score=0.3, id=at)


def dropped(meters: dict[str, float]) -> float:
    return meters["dropped_full"] + meters["dropped_error"] + meters["invalid"]


# Ends of processes ---------------------------------------------------------------------------------------------


def test_workers_that_are_killed_lose_their_last_flush_and_nothing_is_counted_twice(
    workers: Path, tmp_path: Path
) -> None:
    program = [sys.executable, str(PROGRAMS / "killed_workers.py"), str(workers), str(tmp_path / "counts"), str(KILLS)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["fell"], said["unequal"]) == (0, 0)
    assert said["looks"] > KILLS
    shared = Shared(workers, tmp_path / "counts")
    lost = dropped(shared.meters)
    assert len(said["killed"]) == KILLS
    for worker in said["killed"]:
        counted, observed = shared.of_worker(worker), said["observed"][worker]
        assert said["surely"][worker] - lost <= counted <= observed + 1  # 1: observed, and killed before it told
    for worker in said["ended"]:
        counted, observed = shared.of_worker(worker), said["observed"][worker]
        assert observed - lost <= counted <= observed + 1
    assert set(said["statuses"]) == {-signal.SIGTERM}
    assert sum(said["observed"]) > 10_000  # there was load
    assert sum(said["surely"]) > 0.2 * sum(said["observed"])  # and they lived long enough to share it


@pytest.mark.parametrize("how", ["plain", "uncaught", "threads", "thread", "fork", "spawn", "forkserver"])
def test_an_exit_loses_nothing(workers: Path, tmp_path: Path, how: str) -> None:
    process = _started(workers, tmp_path / "counts", how)
    process.communicate(timeout=PATIENCE)
    assert Shared(workers, tmp_path / "counts").of_worker(0) == 200
    assert process.returncode == (1 if how == "uncaught" else 0)


@pytest.mark.parametrize("how", ["plain", "threads", "thread", "fork", "spawn", "forkserver"])
def test_sigterm_loses_nothing(workers: Path, tmp_path: Path, how: str) -> None:
    process = _started(workers, tmp_path / "counts", f"{how}+term")
    assert process.stdout is not None
    observing = int(process.stdout.readline())
    os.kill(observing, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert Shared(workers, tmp_path / "counts").of_worker(0) == 200
    if observing == process.pid:
        assert process.returncode == -signal.SIGTERM


def test_sigterm_loses_nothing_where_a_server_exits_at_once(workers: Path, tmp_path: Path) -> None:
    process = _started(workers, tmp_path / "counts", "abrupt+term")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert Shared(workers, tmp_path / "counts").of_worker(0) == 200


def test_sigterm_again_and_again_loses_nothing(workers: Path, tmp_path: Path) -> None:
    process = _started(workers, tmp_path / "counts", "plain+term")
    assert process.stdout is not None
    process.stdout.readline()
    while process.poll() is None:
        process.terminate()
        time.sleep(0.0005)
    process.communicate(timeout=PATIENCE)
    assert Shared(workers, tmp_path / "counts").of_worker(0) == 200


def test_a_fork_in_the_middle_of_everything_counts_each_observation_once(workers: Path, tmp_path: Path) -> None:
    process = _started(workers, tmp_path / "counts", "busy-fork")
    process.communicate(timeout=PATIENCE)
    shared = Shared(workers, tmp_path / "counts")
    assert (shared.of_worker(0), shared.of_worker(1)) == (200, 200)


def _started(workers: Path, folder: Path, how: str) -> subprocess.Popen[str]:
    program = [sys.executable, str(PROGRAMS / "ends.py"), str(workers), str(folder), how, "200"]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# What is shared cannot be written for a while ------------------------------------------------------------------


def _replaced_by_a_file(folder: Path) -> Callable[[], None]:
    shutil.rmtree(folder)
    folder.write_text("this is no folder")
    return folder.unlink


def _replaced_by_a_dangling_link(folder: Path) -> Callable[[], None]:
    shutil.rmtree(folder)
    folder.symlink_to(folder.parent / "gone" / "away")
    return folder.unlink


@pytest.mark.parametrize("harm", [_replaced_by_a_file, _replaced_by_a_dangling_link])
def test_a_folder_that_is_gone_and_comes_back_loses_nothing_new(
    service: Shared, harm: Callable[[Path], Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    observe(service, 100)
    until(lambda: service.meters["counted"] == 100, "100 are counted")
    mend = harm(service.folder)
    observe(service, 70)
    until(lambda: "cannot be shared" in caplog.text, "it is said")
    mend()
    until(lambda: service.meters["counted"] == 70, "what was kept in memory is shared")
    assert service.meters["flush_failures"] >= 1
    assert service.meters["seen"] == 70


def test_what_cannot_be_shared_is_told_by_the_worker_that_knows_it_and_looks_like_no_restart(
    reference: wakeful.Reference, tmp_path: Path
) -> None:
    folder, registry = tmp_path / "counts", CollectorRegistry()
    folder.write_text("this is no folder")
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=folder, registry=registry, flush=0.01)

    def told(name: str) -> list[float]:
        lines = re.findall(rf"^{name}{{model=\"loans\"}} (\S+)$", generate_latest(registry).decode(), re.M)
        return [float(value) for value in lines]

    shared, unshared = "wakeful_counts_shared", "wakeful_unshared_observations"
    seen, counted = "wakeful_observations_seen_total", "wakeful_observations_counted_total"
    assert told(shared) == [1.0]
    assert told(seen) == [0.0]  # a counter has to begin at 0
    for observed in 100, 170:
        for _ in range(observed - 100 or 100):
            monitor.observe({"income": 30_000.0}, score=0.3)
        until(lambda: told(unshared) == [float(observed)], "they are told")  # noqa: B023
        assert told(shared) == [0.0]
        assert told(seen) == told(counted) == []  # not 0, which would say that nobody comes
    folder.unlink()
    until(lambda: told(counted) == [170.0], "they are shared")
    assert (told(shared), told(unshared)) == ([1.0], [0.0])
    monitor.stop()


def test_a_folder_that_is_removed_is_made_again(service: Shared) -> None:
    observe(service, 100)
    until(lambda: service.meters["counted"] == 100, "100 are counted")
    shutil.rmtree(service.folder)
    observe(service, 70)
    until(lambda: service.meters["counted"] == 70, "70 are counted anew")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB; the test is skipped, and says so, where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk of 4 MB can be mounted here, which takes root: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(disk: Path) -> Path:
    full = disk / "full"
    with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return full


def test_a_disk_that_is_full_at_first_delays_counts(
    reference: wakeful.Reference, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = _fill(small_disk)
    service = Shared(reference, small_disk / "counts")
    observe(service, 100)
    until(lambda: "cannot be shared" in caplog.text, "it is said")
    observe(service, 100)
    full.unlink()
    until(lambda: service.meters["counted"] == 200, "all are counted once there is space")
    assert caplog.text.count("cannot be shared") == 1  # said once, not with every flush
    service.monitor.stop()


def test_a_disk_that_fills_up_later_hurts_nothing(reference: wakeful.Reference, small_disk: Path) -> None:
    service = Shared(reference, small_disk / "counts")
    observe(service, 100)
    until(lambda: service.meters["counted"] == 100, "100 are counted")
    _fill(small_disk)
    observe(service, 100)
    until(lambda: service.meters["counted"] == 200, "its space was taken before")
    assert service.meters["flush_failures"] == 0
    service.monitor.stop()


def test_a_folder_that_nobody_may_write_to_delays_counts(
    reference: wakeful.Reference, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _remount(small_disk, "ro")
    service = Shared(reference, small_disk / "counts")
    observe(service, 100)
    until(lambda: "cannot be shared" in caplog.text, "it is said")
    _remount(small_disk, "rw")
    until(lambda: service.meters["counted"] == 100, "all are counted once it may be written to")
    service.monitor.stop()


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


# Clocks --------------------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_an_hour_changes_no_count(service: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    observe(service, 100)
    until(lambda: service.meters["counted"] == 100, "100 are counted")
    flushes, real = service.meters["flushes"], time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    observe(service, 50)
    until(lambda: service.meters["counted"] == 150, "150 are counted")
    until(lambda: service.meters["flushes"] > flushes + 2, "it goes on flushing")
    assert service.meters["seen"] == 150
