"""The demo's service, for real: workers, HTTP, incidents, and every way to end."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import joblib
import numpy as np
import pandas as pd
import pytest

import wakeful
from wakeful.live.shared.meters import COUNTERS, identity
from wakeful.live.shared.slots import read
from wakeful.loading import load_monitor

GUNICORN = "gunicorn {app} --bind 127.0.0.1:{{port}} --workers 2 --no-control-socket"
SERVERS = {
    "FastAPI, gunicorn with uvicorn's workers": f"{GUNICORN} --worker-class uvicorn_worker.UvicornWorker",
    "FastAPI, gunicorn's own ASGI workers": f"{GUNICORN} --worker-class asgi",
    "FastAPI, uvicorn": "uvicorn {app} --port {{port}} --workers 2",
    "Flask, gunicorn sync": GUNICORN,
    "Flask, gunicorn gthread": f"{GUNICORN} --threads 4",
}
BREAKABLE = SERVERS["FastAPI, gunicorn with uvicorn's workers"].format(app="breakable:app")

Example = Callable[[str], Any]


class Running:
    """A service, its traffic, and what its workers count."""

    def __init__(self, example: Example, server: Any, folder: Path) -> None:
        self.server = server
        self.monitor: wakeful.Monitor = load_monitor(folder / "monitor_loans.py")
        self.validation = pd.read_parquet(folder / "validation.parquet")
        self.traffic = example("traffic").Traffic(server.url, folder, rate=1_000)

    def counts(self) -> wakeful.Counts:
        return self.monitor.counts(self.server.counts)

    def readings(self) -> list[Any]:
        return read(self.server.counts, identity(self.monitor.reference.layout)).readings

    def meters(self) -> dict[str, float]:
        total = sum(one.counters[self.monitor.reference.layout.size :] for one in self.readings())
        return dict(zip(COUNTERS, np.asarray(total).tolist(), strict=True))

    def settled(self) -> wakeful.Counts:
        """Counts once everything that was answered is in them."""
        wait_for(lambda: self.counts().rows >= len(self.traffic.answers))
        return self.counts()

    def judged(self, number: int, client: str | None = None, *, campaign: bool = False) -> wakeful.monitor.Report:
        """What the checks say of some applications alone."""
        before = self.settled()
        self.traffic.send(number, client, campaign=campaign)
        return self.monitor.test(self.settled() - before)

    @contextlib.contextmanager
    def only_flagged(self) -> Iterator[None]:
        """Let nobody else apply."""
        everybody = self.traffic.rows
        flagged = self.validation["score"] >= self.monitor.reference.model.threshold
        self.traffic.rows = [row for row, is_flagged in zip(everybody, flagged, strict=True) if is_flagged]
        try:
            yield
        finally:
            self.traffic.rows = everybody

    def exported(self) -> dict[str, float]:
        """Every counter that Prometheus reads."""
        text = httpx2.get(f"{self.server.url}/metrics").raise_for_status().text
        found = re.findall(r"^(wakeful_\w+_total\{.*\}) (\S+)$", text, re.M)
        return {name: float(value) for name, value in found}


@contextlib.contextmanager
def serving(example: Example, server: Any, folder: Path) -> Iterator[Running]:
    running = Running(example, server, folder)
    try:
        yield running
    finally:
        running.traffic.close()


def wait_for(what: Callable[[], bool], patience: float = 30.0) -> None:
    until = time.monotonic() + patience
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def service(example: Example, trained: Path) -> Iterator[Running]:
    with example("server").Server(BREAKABLE, trained) as server, serving(example, server, trained) as running:
        yield running


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """No incident outlasts its test."""
    yield
    if "service" in request.fixturenames:
        turn(request.getfixturevalue("service"), "none")


def turn(service: Running, incident: str) -> None:
    httpx2.post(f"{service.server.url}/incidents/{incident}").raise_for_status()


def test_all_that_was_sent_is_counted_once_by_two_workers(service: Running, trained: Path):
    def both() -> bool:  # each batch comes over connections of its own, until both workers have taken some
        service.traffic._client.close()
        service.traffic._client = httpx2.Client(base_url=service.server.url, timeout=30)
        service.traffic.send(20)
        service.settled()
        return sum(len(one.gauges) for one in service.readings()) == 2

    wait_for(both)

    service.settled()
    meters = service.meters()
    assert meters["seen"] == meters["counted"] == service.counts().rows == len(service.traffic.answers)
    assert meters["dropped_full"] == meters["dropped_error"] == meters["invalid"] == meters["unexpected"] == 0
    assert service.traffic.failed == 0


def test_healthy_traffic_raises_no_alarm(service: Running):
    report = service.judged(400)

    assert not report.alarm, [one.judgement.message for one in report.failed]
    assert report.explanation == []


def test_a_campaign_wakes_nobody_and_is_told_all_the_same(service: Running):
    report = service.judged(400, campaign=True)

    assert not report.alarm, [one.judgement.message for one in report.failed]
    assert report.explanation[0].column == "property"
    assert "condominium from" in report.explanation[0].text


def test_an_application_is_scored_in_the_service_as_it_is_in_a_table(example: Example, trained: Path):
    model = joblib.load(trained / "model.joblib")
    table = pd.read_parquet(trained / "validation.parquet")[:50]
    applications = table.drop(columns=["score", "rejected"]).astype(object).where(table.notna(), None)

    scores = [example("train").score(model, one) for one in applications.to_dict("records")]

    assert scores == table["score"].tolist()


def test_one_in_ten_flagged_applications_is_held_out(service: Running):
    before, answered = service.settled(), len(service.traffic.answers)
    with service.only_flagged():
        service.traffic.send(200)

    rows = (service.settled() - before).outcome(0)[..., 0]  # (cohort, flagged, answer, truth)
    held_out, flagged = rows[2, 1].sum(), rows[:, 1].sum()
    looked_at = sum(answer["next"] == "second look" for answer in service.traffic.answers[answered:])
    assert flagged == 200
    assert looked_at == flagged - held_out  # what is counted is what was done
    assert 0 < held_out < 60
    draws = sum(service.monitor.holdout.draws(f"A{number}") for number in range(100_000))
    assert 0.097 < draws / 100_000 < 0.103


def test_outcomes_are_counted_where_the_bank_did_not_look(service: Running):
    service.traffic.send(300)  # two days pass
    wait_for(lambda: service.meters()["outcomes"] >= service.traffic.outcomes)

    assert service.meters()["outcomes"] == service.traffic.outcomes > 0


@pytest.mark.parametrize(
    ("incident", "culprit", "words"),
    [
        ("cents", "income", "above the range"),
        ("cents-for-condominiums", "income", "in property=condominium"),
        ("default", "income", "one single value"),
        ("error-code", "credit_lines", "below the range"),
        ("lost-field", "liquid_assets", "missing"),
        ("renamed-category", "property", "unseen in training"),
        ("rounded", "price", "100,000"),
        ("swapped", "monthly_debt", "above the range"),
        ("text", "monthly_debt", "invalid"),
    ],
)
def test_what_a_client_does_wrong_raises_an_alarm_that_names_it(
    service: Running, incident: str, culprit: str, words: str
):
    report = service.judged(120, incident)

    assert report.alarm
    assert report.explanation[0].column == culprit
    assert words in report.explanation[0].text


def test_requests_that_are_sent_twice_raise_an_alarm(service: Running):
    report = service.judged(150, "retries")

    assert {one.check for one in report.failed} == {"rows_come_once"}


@pytest.mark.parametrize("incident", ["constant-score", "flipped-classes", "old-model"])
def test_a_broken_model_raises_an_alarm_that_names_the_score(service: Running, incident: str):
    service.settled()
    turn(service, incident)

    report = service.judged(150)

    assert report.alarm
    assert report.explanation[0].column == "score"


def test_a_holdout_that_is_lost_raises_an_alarm(service: Running):
    service.settled()
    turn(service, "holdout-lost")

    with service.only_flagged():  # enough of them, soon
        report = service.judged(300)

    assert "holdout_is_drawn" in {one.check for one in report.failed}


def test_prometheus_reads_the_sum_of_all_workers_from_any(service: Running):
    service.traffic.send(20)
    rows = service.settled().rows

    exported = [service.exported() for _ in range(6)]

    reference = service.monitor.reference.layout.fingerprint
    name = f'wakeful_rows_total{{model="loans",reference="{reference}",version="1"}}'
    assert {one[name] for one in exported} == {rows}


# How workers end.


@pytest.mark.parametrize("kind", SERVERS)
def test_sigterm_loses_nothing(kind: str, example: Example, trained: Path, tmp_path: Path):
    app = "flask_service:app" if kind.startswith("Flask") else "service:app"
    folder = shutil.copytree(trained, tmp_path / "loans", ignore=shutil.ignore_patterns("counts"))
    with (
        example("server").Server(SERVERS[kind].format(app=app), folder) as server,
        serving(example, server, folder) as running,
    ):
        running.traffic.send(150)
        for number in range(30):
            running.traffic._post("/outcomes", {"application_id": f"A{number}", "rejected": False})

    meters = running.meters()
    assert running.traffic.failed == 0
    assert meters["seen"] == meters["counted"] == running.counts().rows == len(running.traffic.answers) == 150
    assert meters["outcomes"] == 30


def test_a_worker_that_is_killed_is_replaced_and_no_counter_falls(example: Example, trained: Path, tmp_path: Path):
    folder = shutil.copytree(trained, tmp_path / "loans", ignore=shutil.ignore_patterns("counts"))
    with (
        example("server").Server(BREAKABLE.replace("breakable", "service"), folder) as server,
        serving(example, server, folder) as running,
    ):
        running.traffic.send(60)
        running.settled()
        seen = [running.exported()]
        victim = workers(server)[0]
        os.kill(victim, signal.SIGKILL)

        def is_replaced() -> bool:
            with contextlib.suppress(httpx2.HTTPError):  # the dead one may have taken the connection
                seen.append(running.exported())
            return len(workers(server)) == 2 and victim not in workers(server)

        wait_for(is_replaced)
        for _ in range(3):
            running.traffic.send(20)
            running.settled()
            seen.append(running.exported())

    falls = [
        name for earlier, later in itertools.pairwise(seen) for name, value in earlier.items() if later[name] < value
    ]
    assert falls == []
    assert len(seen[0]) > 1_000
    assert running.traffic.failed == 0
    assert running.counts().rows == len(running.traffic.answers) == 120


def workers(server: Any) -> list[int]:
    """Processes of a service that answer requests."""
    parent = server._process.pid
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return sorted(map(int, found))
