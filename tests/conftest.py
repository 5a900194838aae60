"""What the tests share."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from started import Program, free_port

import wakeful

# The same examples in every run, and none that fails because a machine is busy.
settings.register_profile(
    "wakeful", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("wakeful")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The path of a real data set; the test is skipped, and says so, where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"the real data set {name} is not in ../shared/data, beside the project")
        return path

    return find


@pytest.fixture(scope="session")
def real_component() -> Callable[[bool, str, str], None]:
    """What a test needs beside Python: skipped, and told how to install it, where it is absent; a failure in CI."""

    def need(found: bool, what: str, command: str) -> None:
        if found:
            return
        told = f"{what} is not installed, and nothing stands in for it. Run: {command}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(told)
        pytest.skip(told)

    return need


@contextlib.contextmanager
def scripts_of(folder: Path) -> Iterator[Callable[[str], Any]]:
    """Modules of a folder of scripts, by name; afterwards they are forgotten, as other folders have the same names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "").parent == folder:
            del sys.modules[name]


@pytest.fixture(scope="session")
def scripts() -> Callable[[Path], contextlib.AbstractContextManager[Callable[[str], Any]]]:
    """Imports modules of a folder of scripts."""
    return scripts_of


LOANS = Path(__file__).resolve().parents[1] / "examples" / "loans"
Example = Callable[[str], Any]


@pytest.fixture(scope="module")
def example(scripts: Any) -> Iterator[Example]:
    """The modules of the example, by name."""
    with scripts(LOANS) as load:
        yield load


@pytest.fixture(scope="module")
def trained(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the service needs."""
    folder = tmp_path_factory.mktemp("loans")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", str(folder)])
        example("train").main()
    return folder


Traffic = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    """Loan applications of a model that does well: rows, a seed, then columns that are to be different.

    A change is the column's new values, or a function of all columns that gives them.
    """

    def make(rows: int = 2_000, seed: int = 1, **changes: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        income = rng.lognormal(10.5, 0.5, rows).round(2)
        rent = rng.gamma(4, 200, rows).round(2)
        score = 1 / (1 + np.exp(-(rent / 300 - income / 15_000 + rng.normal(0, 0.3, rows))))
        data: dict[str, Any] = {
            "income": income,
            "rent": rent,
            "debt": np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2, 100, rows).round(2)),
            "city": rng.choice(["Berlin", "Hamburg", "Köln"], rows, p=[0.5, 0.3, 0.2]),
            "owner": rng.random(rows) < 0.4,
            "platform": rng.choice(["web", "app"], rows, p=[0.7, 0.3]),
            "score": score,
            "rejected": (rng.random(rows) < score).astype(int),
            "held": rng.random(rows) < 0.2,
        }
        for name, change in changes.items():
            data[name] = change(data) if callable(change) else change
        return data

    return make


@pytest.fixture(scope="session")
def reference(traffic: Traffic) -> wakeful.Reference:
    """What 5,000 of these applications look like."""
    return wakeful.learn(
        traffic(5_000, seed=0),
        score="score",
        label="rejected",
        threshold=0.5,
        holdout="held",
        segments=["platform"],
        name="loans",
    )


@pytest.fixture(scope="session")
def bucket(real_component: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that speaks S3, as the end of an URL."""
    try:
        import moto  # noqa: F401

        found = True
    except ImportError:
        found = False
    real_component(found, "moto", "pip install 'moto[s3]' flask flask-cors")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log) as server:
        try:
            for _ in range(200):
                try:
                    request = urllib.request.Request(f"http://127.0.0.1:{port}/history", method="PUT")
                    urllib.request.urlopen(request, timeout=10).close()  # a bucket
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            log.close()


@pytest.fixture
def prometheus(real_component: Any, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """A real Prometheus that scrapes some addresses every second, keeps what a folder holds already, and records rules.

    One evaluation of the rules has one timestamp, and each sees what those before it have recorded.
    """
    binary = shutil.which("prometheus")
    real_component(binary is not None, "Prometheus", "apt-get install --no-install-recommends prometheus")
    assert binary is not None
    started: list[Program] = []

    def start(*targets: str, data: str | Path = "data", rules: Sequence[Mapping[str, Any]] = ()) -> Program:
        folder, port = tmp_path / "prometheus", free_port()
        folder.mkdir()
        groups = [{"name": "all", "interval": "1s", "rules": rules}] if rules else []
        (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "service", "static_configs": [{"targets": targets}]}],
            "rule_files": ["rules.yml"],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        command = [
            binary, "--config.file=prometheus.yml", f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        started.append(Program(command, port, folder))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.process.terminate()
            one.process.wait()
