"""Who is told of what: asked of Alertmanager's own tool."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from started import Program, free_port

import wakeful
from wakeful.budget import duration
from wakeful.compile.alertmanager import alertmanager
from wakeful.compile.files import Options, compile_monitors
from wakeful.compile.rules import Compiled
from wakeful.compile.tracing import plan_of
from wakeful.compile.yaml_files import as_yaml


def told_of(amtool: Any, configuration: Path, *labels: str) -> str:
    """The receiver of an alert with these labels."""
    return str(amtool("config", "routes", "test", f"--config.file={configuration}", *labels)).splitlines()[-1]


@pytest.fixture
def configured(loans: wakeful.Monitor, tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(as_yaml(alertmanager([Compiled(loans, plan_of(loans))])), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "owner=credit-risk"], "credit-risk"),
        (["severity=ticket", "owner=ml-team"], "ml-team"),
        (["severity=explain"], "nobody"),
        (["severity=explain", "owner=credit-risk"], "nobody"),
        (["alertname=WakefulWatchdog", "severity=watchdog"], "watchdog"),
        (["severity=ticket"], "anybody"),
    ],
)
def test_routes(configured: Path, amtool: Any, labels: list[str], receiver: str):
    assert told_of(amtool, configured, "model=loans", *labels) == receiver


def test_reminders_come_when_they_are_said_to(configured: Path):
    """Alertmanager looks once in a group's interval, and remembers for five days whom it told."""
    route = yaml.safe_load(configured.read_text(encoding="utf-8"))["route"]
    (beats,) = [one for one in route["routes"] if one["receiver"] == "watchdog"]
    assert duration(beats["repeat_interval"]) < duration(beats["group_interval"])
    assert all(duration(one.get("repeat_interval", "4h")) <= duration("5d") for one in route["routes"])


def test_what_blinds_one_version_does_not_silence_the_others(configured: Path):
    """These alerts are of a model as a whole."""
    rules = yaml.safe_load(configured.read_text(encoding="utf-8"))["inhibit_rules"]
    of_models = [one["source_matchers"] for one in rules if one["equal"] == ["model"]]
    (names,) = [some[0] for some in of_models if len(some) == 1]
    assert names == 'alertname=~"WakefulNotScraped|WakefulNoTraffic|WakefulOtherReference"'


def test_amtool_takes_it_with_and_without_a_webhook(loans: wakeful.Monitor, tmp_path: Path, amtool: Any):
    for webhook in "", "https://hooks.example/{owner}":
        path = compile_monitors([loans], Options(webhook=webhook)).write(tmp_path)[2]
        assert "SUCCESS" in amtool("check-config", path)
        text = path.read_text(encoding="utf-8")
        assert ("have nothing to notify yet" in text) == (not webhook)
    urls = [one["url"] for each in yaml.safe_load(text)["receivers"] for one in each.get("webhook_configs", ())]
    assert urls == [f"https://hooks.example/{name}" for name in ("anybody", "watchdog", "credit-risk", "ml-team")]


def test_an_owner_may_be_called_nobody(reference: wakeful.Reference, tmp_path: Path, amtool: Any):
    monitor = wakeful.Monitor(reference)

    @monitor.check(page="nobody", ticket="watchdog")
    def inputs_are_whole(live: Any) -> None:
        assert live.features.missing() <= 0.3

    path = tmp_path / "alertmanager.yml"
    path.write_text(as_yaml(alertmanager([Compiled(monitor, plan_of(monitor))])), encoding="utf-8")
    amtool("check-config", path)
    assert told_of(amtool, path, "severity=page", "owner=nobody") == "nobody"
    assert told_of(amtool, path, "severity=explain") == "nobody_"


@pytest.fixture
def running(configured: Path, real_component: Any) -> Iterator[Program]:
    """A real Alertmanager with what was compiled."""
    binary = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
    real_component(binary is not None, "Alertmanager", "apt-get install prometheus-alertmanager")
    port = free_port()
    command = [str(binary), f"--config.file={configured}", "--storage.path=data", "--cluster.listen-address="]
    program = Program([*command, f"--web.listen-address=127.0.0.1:{port}"], port, configured.parent)
    program.wait("/api/v2/status", lambda answer: "versionInfo" in answer)
    yield program
    program.process.terminate()
    program.process.wait()


def must_hold_back(running: Program, alerts: list[dict[str, str]], expected: list[bool]) -> None:
    """Some alerts are held back by the others, as is expected of each; Alertmanager takes a moment to say so."""
    body = json.dumps([{"labels": {"model": "loans", "version": "1"} | one} for one in alerts]).encode()
    request = urllib.request.Request(f"{running.url}/api/v2/alerts", body, {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()

    def held_back(answer: list[dict[str, Any]]) -> list[bool]:
        found = [
            [each["status"]["state"] for each in answer if one.items() <= each["labels"].items()] for one in alerts
        ]
        return [states == ["suppressed"] for states in found]

    found = running.wait("/api/v2/alerts", lambda answer: len(answer) == len(alerts) and held_back(answer) == expected)
    assert held_back(found) == expected


def test_an_objective_that_fails_is_not_told_to_burn_as_well(running: Program):
    fails = {"alertname": "WakefulCheckFails", "check": "answers_are_right", "severity": "page", "at": "0"}
    burns = {"alertname": "WakefulObjectiveBurns", "check": "answers_are_right", "severity": "page", "burn": "6"}
    alerts = [
        fails | {"segment": "platform", "value": "web"},
        burns | {"at": "0", "segment": "platform", "value": "web", "window": "1h"},
        burns | {"at": "0", "segment": "platform", "value": "web", "window": "6h"},
        burns | {"at": "0", "segment": "platform", "value": "app"},
        burns | {"at": "1"},
        burns | {"at": "0", "check": "another"},
    ]
    must_hold_back(running, alerts, [False, True, True, False, False, False])


def test_an_objective_that_burns_to_wake_somebody_holds_tickets_back(running: Program):
    burns = {"alertname": "WakefulObjectiveBurns", "check": "answers_are_right", "at": "0", "burn": "6"}
    alerts = [
        burns | {"severity": "page"},
        {"alertname": "WakefulCheckFails", "check": "inputs_are_whole", "severity": "ticket"},
        {"alertname": "WakefulObjectiveBurns", "check": "answers_arrive", "severity": "ticket"},
    ]
    must_hold_back(running, alerts, [False, True, True])


def test_what_cannot_be_seen_does_not_burn(running: Program):
    alerts = [
        {"alertname": "WakefulNotScraped", "severity": "page"},
        {"alertname": "WakefulObjectiveBurns", "check": "answers_are_right", "severity": "page"},
    ]
    must_hold_back(running, alerts, [False, True])
