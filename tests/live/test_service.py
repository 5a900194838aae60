"""The first observation of a service that was never set up: whatever is wrong there stays outside."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import wakeful
from wakeful.live import service
from wakeful.live.export.exporter import exporters, unregister
from wakeful.live.shared import folder


@pytest.fixture(autouse=True)
def _nothing_is_exported_afterwards() -> object:
    yield
    for one in exporters(REGISTRY):
        unregister(one, REGISTRY)


def test_where_no_folder_can_be_written_to_nothing_is_raised(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAKEFUL_COUNTS", raising=False)
    monkeypatch.setattr(folder, "MEMORY", tmp_path / "missing")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monitor = wakeful.Monitor(reference)
    monitor.observe({}, score=0.1)
    monitor.outcome(1, 1)
    monitor.stop()


def test_a_log_that_cannot_be_costs_the_log_alone(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WAKEFUL_COUNTS", str(tmp_path))
    monkeypatch.setenv("WAKEFUL_LOG", "ftp://nowhere")
    monitor = wakeful.Monitor(reference)
    monitor.observe({}, score=0.1)
    monitor.stop()
    assert "ftp" in caplog.text
    assert monitor.counts(tmp_path).rows == 1
    assert len(exporters(REGISTRY)) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_observes_first_is_not_held_up(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAKEFUL_COUNTS", str(tmp_path))
    monitor, starting, forked = wakeful.Monitor(reference), threading.Event(), threading.Event()
    start = service.start_quietly

    def slow(*args: object) -> object:
        starting.set()
        forked.wait()
        return start(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "start_quietly", slow)
    thread = threading.Thread(target=monitor.observe, args=({},), kwargs={"score": 0.1})
    thread.start()
    starting.wait()
    child = os.fork()
    if not child:
        forked.set()
        monitor.observe({}, score=0.1)
        monitor.stop()
        os._exit(0)
    forked.set()
    thread.join()
    monitor.stop()
    end = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, 9)
        time.sleep(0.01)
    assert monitor.counts(tmp_path).rows == 2
