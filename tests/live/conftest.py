"""What the tests of live monitoring share: counts in slots, a real Prometheus, logs."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from started import Program, free_port

import wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row
from wakeful.live.shared.meters import COUNTERS, identity
from wakeful.live.shared.slots import Slot


@pytest.fixture(scope="session")
def regression() -> wakeful.Reference:
    rng = np.random.default_rng(2)
    rooms = rng.integers(1, 7, 3_000)
    price = rooms * 50_000 + rng.normal(0, 20_000, 3_000)
    rows = {"rooms": rooms, "price": price + rng.normal(0, 9_000, 3_000), "paid": price}
    return wakeful.learn(rows, score="price", label="paid", kinds={"rooms": "categorical"}, name="houses")


@pytest.fixture(scope="session")
def multiclass() -> wakeful.Reference:
    rng = np.random.default_rng(3)
    kind = rng.choice(["spam", "work", "news", "(missing)"], 3_000)
    guess = np.where(rng.random(3_000) < 0.8, kind, rng.choice(["spam", "work", "news"], 3_000))
    rows = {"length": rng.gamma(3, 200, 3_000), "guess": guess, "kind": kind}
    return wakeful.learn(rows, score="guess", label="kind", name="mails")


Share = Callable[..., Slot]


@pytest.fixture
def share() -> Iterator[Share]:
    """Count rows into a slot, as a worker does; every slot is given back at the end."""
    with contextlib.ExitStack() as stack:

        def count(folder: Path, reference: wakeful.Reference, data: Any, version: str = "", **meters: float) -> Slot:
            whose = identity(reference.layout, version)
            slot = Slot.claim(folder, whose)
            stack.callback(slot.close)
            counts = wakeful.Monitor(reference).count(data)
            told = [meters.get(name, 0.0) for name in COUNTERS]
            slot.add(np.concatenate([counts.vector, told]), np.array([3.0, 100.0, 1_700_000_000.0]))
            return slot

        yield count


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Callable[[Any], str]]:
    """Serve a WSGI application on a free port; its address."""
    with contextlib.ExitStack() as stack:

        def serve(app: Any) -> str:
            server = make_server("127.0.0.1", 0, app, handler_class=_Silent)
            stack.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}"

        yield serve


@pytest.fixture
def promtool(real_component: Any) -> str:
    """The path of the real promtool."""
    binary = shutil.which("promtool")
    real_component(binary is not None, "promtool", "apt-get install --no-install-recommends prometheus")
    assert binary is not None
    return binary


@pytest.fixture
def pushgateway(real_component: Any, tmp_path: Path) -> Iterator[Program]:
    """A real Pushgateway."""
    binary = shutil.which("prometheus-pushgateway")
    real_component(binary is not None, "Pushgateway", "apt-get install --no-install-recommends prometheus-pushgateway")
    assert binary is not None
    port = free_port()
    program = Program([binary, f"--web.listen-address=127.0.0.1:{port}"], port, tmp_path)
    try:
        program.wait("/api/v1/status", lambda answer: answer["status"] == "success")
        yield program
    finally:
        program.process.terminate()
        program.process.wait()


AT = 1_767_268_800.0  # 2026-01-01 12:00 UTC


@pytest.fixture
def observed() -> Callable[..., list[Row]]:
    """What a service hands to the log: rows of ``traffic`` one second apart, ids ``a-0``, ``a-1`` …"""

    def make(data: dict[str, Any], prefix: str = "a", start: float = AT, step: float = 1.0) -> list[Row]:
        columns = {name: list(values) for name, values in data.items()}
        scores, held = columns.pop("score"), columns.pop("held")
        columns.pop("rejected")
        return [
            Row(
                dict(zip(columns, features, strict=True)), score, start + at * step, f"{prefix}-{at}", score >= 0.5, one
            )
            for at, (*features, score, one) in enumerate(zip(*columns.values(), scores, held, strict=True))
        ]

    return make


@pytest.fixture
def writing(reference: wakeful.Reference) -> Iterator[Callable[..., LogWriter]]:
    """Makes writers of a log, which are closed afterwards."""
    made = []

    def make(log: Log | str | Path, layout: Any = None, **options: Any) -> LogWriter:
        log = log if isinstance(log, Log) else Log(log, **options)
        made.append(LogWriter(log, layout or reference.layout, "v1"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def read() -> Callable[..., pa.Table]:
    """All published rows of a log, in the order of their ids."""

    def rows(url: str | Path) -> pa.Table:
        return ds.dataset(str(url), format="parquet").to_table().sort_by("id")

    return rows


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for what another thread does; a failure where it never comes to be."""

    def wait(is_so: Callable[[], object], within: float = 30.0) -> None:
        end = time.monotonic() + within
        while not is_so():
            assert time.monotonic() < end, "it never came to be"
            time.sleep(0.01)

    return wait


@pytest.fixture
def published() -> Callable[[Path], list[str]]:
    """Names of the published files of a directory."""

    def names(folder: Path) -> Sequence[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.glob("date=*/*.parquet"))

    return names
