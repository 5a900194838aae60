"""``wakeful up``: the compiled folder on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import wakeful
from wakeful import cli
from wakeful.compile.up import _alertmanager

UP = "import sys; from wakeful.cli import main; sys.argv = ['wakeful', 'up', *sys.argv[1:]]; main()"
MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(window="1h", page="on-call")
def answers_keep_their_shape(live):
    assert live.score.d1() <= 0.2
"""


@pytest.fixture(scope="module")
def deploy(real_component: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("up")
    for program in ("prometheus", "prometheus-alertmanager"):
        real_component(shutil.which(program) is not None, program, f"sudo apt-get install {program}")
    data = {"income": [float(at) for at in range(200)], "score": [at / 200 for at in range(200)]}
    wakeful.learn(data, score="score", name="loans").save(folder / "reference.json")
    (folder / "monitor_loans.py").write_text(MONITOR, encoding="utf-8")
    webhook = "http://host.docker.internal:5001/{owner}"  # this machine, seen from a container
    arguments = ["compile", str(folder / "monitor_loans.py"), "--out", str(folder / "deploy"), "--webhook", webhook]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    return folder / "deploy"


@contextmanager
def running(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command, and where each program says it is."""
    command = [sys.executable, "-c", UP, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = {}
        for line in process.stdout:
            name, _, where = line.strip().partition(": ")
            told[name] = where
            if len(told) == 3:  # Grafana is there, or is not
                break
        try:
            yield process, told
        finally:
            process.kill()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def found_alertmanagers(prometheus: str) -> list[str]:
    """To which alerts go; Prometheus takes some seconds to find any."""
    for _ in range(300):
        if found := get(f"{prometheus}/api/v1/alertmanagers")["activeAlertmanagers"]:
            break
        time.sleep(0.1)
    return [one["url"] for one in found]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_everything_runs_with_the_compiled_rules_and_ends_together(deploy: Path, tmp_path: Path, how: int) -> None:
    with running(deploy, "--data", tmp_path / "tsdb") as (process, told):
        groups = get(f"{told['prometheus']}/api/v1/rules")["groups"]
        assert [one["name"] for one in groups] == ["wakeful loans"]
        assert all(one["health"] != "err" for one in groups[0]["rules"])
        assert found_alertmanagers(told["prometheus"]) == [f"{told['alertmanager']}/api/v2/alerts"]
        assert any("grafana" in name for name in told)
        process.send_signal(how)
        assert process.wait(30) == 0
    for name in ("prometheus", "alertmanager"):
        with pytest.raises(OSError, match="refused"):
            get(f"{told[name]}/api/v1/rules")
    assert (tmp_path / "tsdb").is_dir()


def test_what_containers_call_this_machine_is_its_loopback(deploy: Path, tmp_path: Path) -> None:
    (configured, *_), _ = _alertmanager(deploy, tmp_path, 9093)
    text = Path(configured.partition("=")[2]).read_text(encoding="utf-8")
    assert "http://127.0.0.1:5001/on-call" in text
    assert "host.docker.internal" in (deploy / "alertmanager.yml").read_text(encoding="utf-8")


def test_a_folder_that_was_not_compiled_and_rules_that_do_not_load_are_told(deploy: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["up", str(tmp_path)])
    assert (done.exit_code, "holds no prometheus.yml. Write it with: wakeful compile" in done.output) == (2, True)
    broken = shutil.copytree(deploy, tmp_path / "broken")
    (broken / "rules.yml").write_text("groups: [{name: x, rules: [{record: 'y', expr: 'sum('}]}]")
    done = subprocess.run([sys.executable, "-c", UP, broken], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "prometheus does not start. It said:" in done.stderr
    assert "sum(" in done.stderr or "parse" in done.stderr


def test_without_prometheus_it_says_how_to_get_it(deploy: Path) -> None:
    environment = os.environ | {"PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", UP, deploy], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 2
    assert "Prometheus is not installed. Get it: sudo apt-get install prometheus" in done.stderr
