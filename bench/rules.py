"""What compiled rules cost a Prometheus: series, time of evaluation, memory; on this machine.

    python bench/rules.py --models 10 --columns 100 --seconds 180
    python bench/rules.py --models 10 --columns 10 --window 7d      # what burn rates of a precision add

A service exports so many models, a real Prometheus scrapes it and evaluates the rules of each model's default checks
and of the drift of every column.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pandas as pd
from prometheus_client import CollectorRegistry

import wakeful
from wakeful.compile.files import Options, compile_monitors
from wakeful.live.export.exporter import Exporter, register
from wakeful.live.export.exposition import wsgi_app
from wakeful.live.shared.slots import Reading

CHECKS = """
import wakeful

model = wakeful.Monitor("reference.json")


@model.check(window="1h", page="team", fear="The model answers differently than it used to")
def answers_keep_their_shape(live):
    assert live.score.d1() <= 0.15
    assert live.flagged_share() <= 0.7


@model.check(window=WINDOW, page="team")
def answers_are_right(live):
    assert live.precision() >= 0.6


@model.check(window="1h", ticket="team")
def inputs_are_whole(live):
    assert live.features.missing() <= live.reference.features.missing() + 0.02
    assert live.features.out_of_range() <= 0.01


@model.check(window="1h")
def inputs_look_as_in_training(live):
    assert live.features.d1() <= 0.2
"""


def rows(columns: int, n: int = 4_000) -> pd.DataFrame:
    """Normal columns, a score and its outcome."""
    random = np.random.default_rng(1)
    found = pd.DataFrame(random.normal(size=(n, columns)), columns=[f"x{at:03d}" for at in range(columns)])
    found["score"] = random.random(n)
    found["label"] = (random.random(n) < found["score"]).astype(int)
    return found


class Service:
    """Exports some models, whose counts grow with every scrape."""

    def __init__(self, monitors: list[wakeful.Monitor], counts: np.ndarray) -> None:
        self.registry = CollectorRegistry()
        self.scrapes = 0
        for monitor in monitors:
            register(_Growing(self, monitor.reference, counts), self.registry)
        self.server = make_server("127.0.0.1", 0, wsgi_app(self.registry.collect), handler_class=_Quiet)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Growing(Exporter):
    """An exporter of counts that are made up: so many times those of the training data as there were scrapes."""

    def __init__(self, service: Service, reference: wakeful.Reference, counts: np.ndarray) -> None:
        super().__init__(reference, Path("nowhere"))
        self._service, self._counts = service, counts

    def collect(self) -> Iterator[object]:  # type: ignore[override]
        self._service.scrapes += 1
        vector = np.zeros(self.identity.counters)
        vector[: len(self._counts)] = self._service.scrapes * self._counts
        return self.metrics([Reading("", vector, np.zeros((0, self.identity.gauges)), math.inf)])


def ask(port: int, query: str, path: str = "query", **moments: int) -> list[dict[str, object]]:
    """What Prometheus answers now, or at some moments."""
    url = f"http://127.0.0.1:{port}/api/v1/{path}?" + urllib.parse.urlencode({"query": query, **moments})
    with urllib.request.urlopen(url, timeout=120) as answer:
        found: list[dict[str, object]] = json.load(answer)["data"]["result"]
    return found


def value(port: int, query: str) -> float:
    """Of a query that gives one number; NaN where it gives none."""
    found = ask(port, query)
    return float(found[0]["value"][1]) if found else math.nan  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=180, help="how long Prometheus runs")
    parser.add_argument("--window", default="6h", help="of the check of precision; from 24h on it has burn rates")
    options = parser.parse_args()
    if shutil.which("prometheus") is None:
        sys.exit("prometheus is not installed. Run: sudo apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        data = rows(options.columns)
        monitors = list(_monitors(folder, data, options.models, options.window))
        service = Service(monitors, monitors[0].reference.counts.vector)
        began = time.perf_counter()
        files = compile_monitors(monitors, Options(targets=(f"127.0.0.1:{service.server.server_port}",))).files
        took = time.perf_counter() - began
        rules = files["rules.yml"]
        (folder / "rules.yml").write_text(rules)
        size = f"{len(rules) / 1e6:.2f} MB of rules"
        print(f"compiled {len(monitors)} models of {options.columns} columns in {took:.1f} s: {size}")
        measure(folder, service, options.seconds)


def _monitors(folder: Path, data: pd.DataFrame, number: int, window: str) -> Iterator[wakeful.Monitor]:
    from wakeful.loading import load_monitor

    for at in range(number):
        place = folder / f"model{at:02d}"
        place.mkdir()
        wakeful.learn(data, score="score", label="label", threshold=0.5, name=place.name).save(place / "reference.json")
        (place / "monitor.py").write_text(CHECKS.replace("WINDOW", repr(window)))
        yield load_monitor(place / "monitor.py")


def measure(folder: Path, service: Service, seconds: int) -> None:
    """Run Prometheus, and print what it says of itself."""

    def config(port: int) -> dict[str, object]:
        jobs = {"models": service.server.server_port, "prometheus": port}
        scraped = [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]} for name, at in jobs.items()
        ]
        every = {"scrape_interval": "15s", "evaluation_interval": "1m"}
        return {"global": every, "rule_files": ["rules.yml"], "scrape_configs": scraped}

    with serving(folder, config) as port:
        time.sleep(seconds)
        report(port, seconds)


@contextlib.contextmanager
def serving(folder: Path, config: Callable[[int], dict[str, object]]) -> Iterator[int]:
    """A Prometheus on what lies in ``data``; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    (folder / "prometheus.yml").write_text(json.dumps(config(port)))
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield port
        finally:
            running.terminate()


def report(port: int, seconds: int) -> None:
    """What Prometheus says of itself."""
    rules = value(port, "sum(prometheus_rule_group_rules)")
    scraped = value(port, 'sum(scrape_samples_scraped{job="models"})')
    recorded = value(port, 'count({__name__=~"wakeful:.+"})')
    print(f"series scraped {scraped:,.0f}, recorded {recorded:,.0f}; rules {rules:,.0f}")
    longest = value(port, "max(prometheus_rule_group_last_duration_seconds)")
    together = value(port, "sum(prometheus_rule_group_last_duration_seconds)")
    print(f"evaluation of all groups {together:.2f} s, of the slowest {longest:.2f} s")
    memory = value(port, 'process_resident_memory_bytes{job="prometheus"}') / 1e6
    cores = value(port, 'process_cpu_seconds_total{job="prometheus"}') / seconds
    print(f"Prometheus: {memory:,.0f} MB, {cores:.2f} cores on average")
    failed = value(port, "sum(increase(prometheus_rule_evaluation_failures_total[10m]))")
    verdicts = value(port, "count(wakeful:check:verdict)")
    print(f"failed evaluations {failed:.0f}; verdicts {verdicts:,.0f}")


if __name__ == "__main__":
    main()
