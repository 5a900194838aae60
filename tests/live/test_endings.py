"""The ends of a process that watches several models, and what must not be left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import wakeful
from wakeful.live import recorder as module
from wakeful.live.recorder import Recorder
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slot_file import HEADER
from wakeful.live.shared.slots import read

PROGRAMS = Path(__file__).parent / "programs"
MODELS = 5
Until = Callable[..., None]


@pytest.fixture
def silent_bucket() -> Iterator[str]:
    """A bucket that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(100)
        yield f"s3://key:secret@history/x?scheme=http&endpoint_override=127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("what", ["column", "bucket"])
def test_several_models_end_within_one_patience(what: str, silent_bucket: str, tmp_path: Path) -> None:
    """One after the other, they would take as many."""
    what = silent_bucket if what == "bucket" else what
    program = [sys.executable, str(PROGRAMS / "hangs.py"), str(tmp_path), what, str(MODELS)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2
    counted = [any(slot.read_bytes()[HEADER:]) for slot in tmp_path.glob("counts*/*/*.slot")]
    assert len(counted) == (MODELS - 1 if what == "column" else MODELS)  # all but the one that hangs


def meters(recorder: Recorder) -> dict[str, float]:
    total = sum(one.counters for one in read(recorder.settings.folder, recorder.identity).readings)
    return dict(zip(COUNTERS, np.asarray(total)[-len(COUNTERS) :].tolist(), strict=True))


def recorder_of(monitor: wakeful.Monitor) -> Recorder:
    assert monitor._recorder is not None
    return monitor._recorder


def test_a_recorder_that_was_replaced_ends_whatever_still_comes(
    reference: wakeful.Reference, tmp_path: Path, until: Until
) -> None:
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path, registry=None)
    before = recorder_of(monitor)
    monitor.observe({"income": 1.0}, score=0.1)
    monitor.start(counts=tmp_path, registry=None)
    for _ in range(3):
        before.inbox.observe({"income": 1.0}, 0.1, None, None, None, None)  # as of a thread that had it in its hands
        until(lambda: before._thread is None and before._slot is None and not before.inbox.is_waiting)
    assert meters(before)["counted"] == 4
    assert recorder_of(monitor) is not before
    monitor.stop()


def test_what_cannot_be_started_leaves_what_was(reference: wakeful.Reference, tmp_path: Path) -> None:
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path, registry=None)
    with pytest.raises(wakeful.DataError):
        monitor.start(counts=tmp_path, registry=None, flush=-1)
    monitor.observe({"income": 1.0}, score=0.1)
    monitor.stop()
    assert monitor.counts(tmp_path).rows == 1


def test_a_service_that_outlives_sigterm_flushes_at_its_own_pace_again(
    reference: wakeful.Reference, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HURRIED", 0.5)
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path, registry=None, flush=3600)
    monitor.observe({"income": 1.0}, score=0.1)
    recorder = recorder_of(monitor)
    recorder.hurry(1.0)
    until(lambda: meters(recorder)["flushes"] > 3)
    seen = [-1.0]

    def stands_still() -> bool:  # for as many looks as would see two flushes of a hurry
        seen.append(meters(recorder)["flushes"])
        return seen[-50:] == [seen[-1]] * 50

    until(stands_still)
    monitor.stop()


LAST_RESORT = """
import os, signal, sys, time
import wakeful
monitor = wakeful.Monitor(sys.argv[1])
monitor.observe({"income": 1.0}, score=0.1)
how = sys.argv[2]
if how == "child":
    if not os.fork():
        monitor.observe({"income": 1.0}, score=0.1)
        monitor.stop()
        sys.exit()
    os.wait()
    assert monitor._recorder.settings.folder.is_dir(), "a child has removed it"
    monitor.observe({"income": 1.0}, score=0.1)
if how == "outlived":
    if not os.fork():
        monitor.observe({"income": 1.0}, score=0.1)
        monitor._recorder.flush()
        print("counting", flush=True)
        sys.stdin.read()
        os._exit(0)
    time.sleep(0.01)
    while monitor.counts().rows < 1:  # of the child
        time.sleep(0.01)
if how == "sigterm":
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("how", ["exit", "sigterm", "child", "outlived"])
def test_a_folder_of_last_resort_goes_with_the_process_that_made_it(
    how: str, reference: wakeful.Reference, tmp_path: Path
) -> None:
    """Not with a child of it, and not while a child counts there."""
    reference.save(tmp_path / "reference.json")
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "WAKEFUL_VERSION": "v" * 5_000}  # no slot holds it
    service = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LAST_RESORT, str(tmp_path / "reference.json"), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert service.wait(60) == (-signal.SIGTERM if how == "sigterm" else 0)
    left = [path for path in (tmp_path / "tmp").iterdir() if path.name.startswith("wakeful-")]
    assert len(left) == (how == "outlived")
    for path in left:
        assert wakeful.Monitor(reference).counts(path).rows == 2
    service.communicate()
