"""``wakeful compile``, as it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import wakeful
from wakeful import cli

MONITOR = """
import wakeful

{name} = wakeful.Monitor("{name}.json")


@{name}.check(page="on-call")
def answers_keep_their_shape(live):
    assert live.score.d1() <= 0.2


@{name}.check({role})
def no_value_takes_over(live):
    assert live.score.spike() <= 0.1
"""


def monitor(folder: Path, name: str, role: str = "") -> Path:
    data = {"income": [float(at) for at in range(200)], "score": [at / 200 for at in range(200)]}
    wakeful.learn(data, score="score", name=name).save(folder / f"{name}.json")
    path = folder / f"monitor_{name}.py"
    path.write_text(MONITOR.format(name=name, role=role), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["compile", *map(str, arguments)])


def test_several_models_go_into_one_folder(tmp_path: Path, promtool: Any):
    done = run(monitor(tmp_path, "loans"), monitor(tmp_path, "homes"), "--out", tmp_path / "deploy")
    assert done.exit_code == 0, done.output
    rules = (tmp_path / "deploy" / "rules.yml").read_text(encoding="utf-8")
    assert 'name: "wakeful loans"' in rules
    assert 'name: "wakeful homes"' in rules
    promtool("check", "rules", tmp_path / "deploy" / "rules.yml")
    promtool("test", "rules", "rules_test.yml", cwd=tmp_path / "deploy")
    assert (tmp_path / "deploy" / "grafana" / "dashboards" / "homes.json").is_file()
    assert not (tmp_path / "deploy" / "kubernetes.yml").exists()
    assert "monitor_loans.py:14: left out of no_value_takes_over (explain)" in done.output


def test_what_alarms_and_is_left_out_is_an_exit_code(tmp_path: Path):
    done = run(monitor(tmp_path, "loans", 'ticket="ml-team"'), "--out", tmp_path / "deploy")
    assert done.exit_code == 1
    assert (tmp_path / "deploy" / "rules.yml").is_file()


def test_a_line_number_is_no_emoji(tmp_path: Path):
    path = monitor(tmp_path, "loans")
    path.write_text("\n" * 86 + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = run(path, "--out", tmp_path / "deploy")
    assert "monitor_loans.py:100: left out" in done.output


def test_services_links_and_receivers_are_said(tmp_path: Path):
    options = ["--target", "a:1", "--target", "b:2", "--webhook", "https://hooks.example/{owner}", "--kubernetes"]
    links = ["--runbook-url", "https://x/{check}", "--dashboard-url", "https://y/{board}"]
    done = run(monitor(tmp_path, "loans"), "--out", tmp_path, *options, *links)
    assert done.exit_code == 0, done.output
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.yml")}
    (job,) = yaml.safe_load(written["prometheus.yml"])["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["a:1", "b:2"]}]
    assert "https://hooks.example/on-call" in written["alertmanager.yml"]
    assert "https://x/answers_keep_their_shape" in written["rules.yml"]
    assert "https://y/wakeful-" in written["rules.yml"]
    assert "PrometheusRule" in written["kubernetes.yml"]


def test_rules_that_the_operator_would_skip_are_an_exit_code(tmp_path: Path):
    data = {"score": [at / 200 for at in range(200)], "label": [at // 100 for at in range(200)]}
    wakeful.learn(data, score="score", label="label", threshold=0.5, name="cards").save(tmp_path / "cards.json")
    path = tmp_path / "monitor_cards.py"
    asserts = "".join(
        f'@cards.check(window="{window}", page="on-call")\ndef {name}_of_{window}(live):\n'
        f"    assert live.{name}() >= 0.5\n"
        for window in ("7d", "30d")
        for name in ("recall", "f1")
    )
    path.write_text(f'import wakeful\ncards = wakeful.Monitor("cards.json")\n{asserts}', encoding="utf-8")
    done = run(path, "--out", tmp_path / "deploy", "--kubernetes")
    assert done.exit_code == 1, done.output
    assert "the Prometheus operator skips the rules of cards: " in done.output
    assert (tmp_path / "deploy" / "kubernetes.yml").is_file()
    assert run(path, "--out", tmp_path / "deploy").exit_code == 0  # Prometheus itself has no such limit


def test_services_of_this_machine_are_reached_from_containers(tmp_path: Path):
    targets = ["localhost:9000", "127.0.0.1:9001", "[::1]:9002", "[2001:db8::1]:1", "loans.example:8000"]
    done = run(monitor(tmp_path, "loans"), "--out", tmp_path / "deploy", *(f"--target={one}" for one in targets))
    assert done.exit_code == 0, done.output
    (job,) = yaml.safe_load((tmp_path / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    here = [f"host.docker.internal:{port}" for port in (9000, 9001, 9002)]
    assert job["static_configs"] == [{"targets": [*here, "[2001:db8::1]:1", "loans.example:8000"]}]


@pytest.mark.parametrize(
    "option",
    ["--target=https://loans:8000/metrics", "--target=loans", "--target=", "--target=loans:0", "--target=a b:1",
     "--webhook=localhost:5001", "--webhook=https://"],
)  # fmt: skip
def test_an_address_that_the_tools_would_refuse_is_refused(tmp_path: Path, option: str):
    done = run(monitor(tmp_path, "loans"), "--out", tmp_path / "deploy", option)
    assert done.exit_code == 2
    assert f"{option.partition('=')[2]!r} is no " in done.output
    assert not (tmp_path / "deploy").exists()


@pytest.mark.parametrize("name", ["compose.yml", "alertmanager.yml", "grafana/dashboards/loans.json"])
def test_what_somebody_else_wrote_is_not_replaced(tmp_path: Path, name: str):
    path = monitor(tmp_path, "loans")
    assert run(path, "--out", tmp_path).exit_code == 0
    assert run(path, "--out", tmp_path).exit_code == 0  # it replaces its own files
    written = (tmp_path / "rules.yml").read_bytes()
    (tmp_path / "rules.yml").write_text(written.decode() + "\n", encoding="utf-8")
    (tmp_path / name).write_text('{"services": {}}', encoding="utf-8")
    done = run(path, "--out", tmp_path)
    assert done.exit_code == 2
    assert f"{name} is there, and is none of wakeful compile" in done.output
    assert (tmp_path / name).read_text(encoding="utf-8") == '{"services": {}}'
    assert (tmp_path / "rules.yml").read_bytes() == written + b"\n"  # nothing else is written either


def test_a_folder_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "deploy").touch()
    done = run(monitor(tmp_path, "loans"), "--out", tmp_path / "deploy")
    assert done.exit_code == 2
    assert "rules.yml cannot be written: File exists. Name a folder" in done.output


def test_a_monitor_without_checks_is_named(tmp_path: Path):
    path = monitor(tmp_path, "homes")
    path.write_text(path.read_text(encoding="utf-8").partition("\n\n\n")[0], encoding="utf-8")
    done = run(monitor(tmp_path, "loans"), path, "--out", tmp_path / "deploy")
    assert (done.exit_code, "the monitor of 'homes' has no checks" in done.output) == (2, True)


@pytest.mark.parametrize("module", ["yaml", "grafana_foundation_sdk"])
def test_what_is_not_installed_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str):
    for name in list(sys.modules):
        if name.startswith(("wakeful.compile", module)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    done = run(monitor(tmp_path, "loans"), "--out", tmp_path / "deploy")
    assert done.exit_code == 2
    assert "pip install 'wakeful[" in done.output
    assert not (tmp_path / "deploy").exists()
