"""From a service whose incomes are lost to a notification: a real Prometheus, a real Alertmanager, a webhook."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server
from started import Program, free_port

import wakeful
from wakeful.compile.files import Options, compile_monitors

WINDOW = "10s"
_NUMBERS = re.compile(r"([\d.]+) \(([\d.]+)–([\d.]+), n=(\d+)\), limit 0.3, reference 0$")


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a webhook, and the notifications that came."""
    came: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(json.loads(body) | {"path": self.path})
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", came
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stack(real_component: Any, tmp_path: Path) -> Iterator[Callable[..., tuple[Program, Program]]]:
    """Prometheus and Alertmanager, from a compiled folder; they are only quicker to tell."""
    programs: list[Program] = []

    def start(folder: Path) -> tuple[Program, Program]:
        ports = {name: free_port() for name in ("prometheus", "alertmanager")}
        alertmanager = yaml.safe_load((folder / "alertmanager.yml").read_text(encoding="utf-8"))
        alertmanager["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager), encoding="utf-8")
        prometheus = (folder / "prometheus.yml").read_text(encoding="utf-8")
        prometheus = prometheus.replace("alertmanager:9093", f"127.0.0.1:{ports['alertmanager']}")
        prometheus = prometheus.replace("host.docker.internal", "127.0.0.1")
        (folder / "prometheus.yml").write_text(prometheus, encoding="utf-8")
        options = {
            "prometheus": ["--storage.tsdb.path=data"],
            "alertmanager": ["--storage.path=silences", "--cluster.listen-address="],
        }
        for name, port in ports.items():
            binary = shutil.which(name) or shutil.which(f"prometheus-{name}")
            real_component(binary is not None, name, f"apt-get install --no-install-recommends prometheus-{name}")
            own = folder / name  # of its log
            own.mkdir()
            command = [str(binary), f"--config.file=../{name}.yml", f"--web.listen-address=127.0.0.1:{port}"]
            programs.append(Program(command + options[name], port, own))
        programs[0].wait("/api/v1/status/buildinfo", lambda answer: answer["status"] == "success")
        programs[1].wait("/api/v2/status", lambda answer: "versionInfo" in answer)
        return programs[0], programs[1]

    yield start
    for one in programs:
        one.process.terminate()
        one.process.wait()


class Service:
    """Observes traffic all the time, as it comes."""

    def __init__(self, monitor: wakeful.Monitor, folder: Path, traffic: Callable[..., dict[str, Any]]) -> None:
        registry = CollectorRegistry()
        monitor.start(counts=folder, version="7", registry=registry, flush=0.1)
        self._server, self._thread = start_http_server(0, "127.0.0.1", registry)
        self.target = f"127.0.0.1:{self._server.server_port}"
        self._monitor, self._traffic = monitor, traffic
        self.changes: dict[str, Any] = {}
        self._stopped = threading.Event()
        self._observer = threading.Thread(target=self._observe)
        self._observer.start()

    def _observe(self) -> None:
        seed = 0
        while not self._stopped.wait(0.1):
            seed += 1
            self._monitor.observe_batch(self._traffic(100, seed=seed, **self.changes))

    def stop(self) -> None:
        self._stopped.set()
        self._observer.join()
        self._monitor.stop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_lost_incomes_wake_their_team_and_a_campaign_wakes_nobody(
    reference: wakeful.Reference, traffic: Any, stack: Any, webhook: tuple[str, list[Any]], tmp_path: Path
):
    monitor = wakeful.Monitor(reference)

    @monitor.check(
        window=WINDOW, page="credit-risk", fear="We decide without knowing incomes", action="Call the bureau"
    )
    def incomes_are_known(live: Any) -> None:
        assert live["income"].missing() <= 0.3

    @monitor.check(window=WINDOW, ticket="ml-team")
    def inputs_are_whole(live: Any) -> None:
        assert live["income", "rent"].missing() <= 0.3

    @monitor.check(window=WINDOW)
    def rents_are_known(live: Any) -> None:
        assert live["rent"].missing() <= 0.3

    url, came = webhook
    service = Service(monitor, tmp_path / "counts", traffic)
    try:
        folder = tmp_path / "deploy"
        options = Options(webhook=f"{url}/{{owner}}", targets=(service.target,))
        compile_monitors([monitor], options).write(folder)
        prometheus, alertmanager = stack(folder)
        prometheus.query('wakeful:check:verdict{check="incomes_are_known"} == 0')
        service.changes = {"income": lambda data: 3 * data["income"]}  # richer people: nothing is broken
        time.sleep(12)
        assert {one["commonLabels"]["alertname"] for one in came} <= {"WakefulWatchdog"}

        service.changes = {"rent": lambda data: [None] * len(data["rent"])}  # only explained: nobody is told
        prometheus.query('ALERTS{check="rents_are_known",severity="explain",alertstate="firing"}')
        prometheus.query('ALERTS{check="inputs_are_whole",column="rent",alertstate="firing"}')
        deadline = time.monotonic() + 30
        while not (tickets := [one for one in came if one["receiver"] == "ml-team"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert tickets[0]["commonLabels"]["column"] == "rent"

        service.changes = {"income": lambda data: [None] * len(data["income"])}
        deadline = time.monotonic() + 60
        while not (pages := [one for one in came if one["receiver"] == "credit-risk"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        suppressed = alertmanager.wait(
            "/api/v2/alerts?filter=severity%3Dticket&filter=column%3Dincome",
            lambda answer: answer and answer[0]["status"]["state"] == "suppressed",
        )
        assert suppressed[0]["labels"]["check"] == "inputs_are_whole"
    finally:
        service.stop()

    assert pages[0]["path"] == "/credit-risk"
    (alert,) = pages[0]["alerts"]
    assert pages[0]["groupLabels"] == {"model": "loans", "check": "incomes_are_known"}
    labels = {
        "severity": "page",
        "owner": "credit-risk",
        "model": "loans",
        "check": "incomes_are_known",
        "version": "7",
    }
    assert labels.items() <= alert["labels"].items()
    told = alert["annotations"]
    assert told["summary"] == "We decide without knowing incomes"
    assert told["action"] == "Call the bureau"
    assert told["what"] == "live['income'].missing() <= 0.3"
    value, low, high, n = (float(word) for word in _NUMBERS.match(told["value"]).groups())  # type: ignore[union-attr]
    assert 0.3 < low < value < high
    assert n > 100
    assert "income: live" in told["culprit"]
    assert not [one for one in came if any(each["labels"]["severity"] == "explain" for each in one["alerts"])]
