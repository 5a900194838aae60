"""Every file of a small monitor, as it was: with ``WAKEFUL_GOLDEN=1`` a change is accepted."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wakeful.compile.files import Links, Options, Output, compile_monitors
from wakeful.loading import load_monitor

GOLDEN = Path(__file__).parent / "golden"
OPTIONS = Options(
    Links("https://runbooks.example/{check}", "http://localhost:3000/d/{board}"),
    webhook="https://hooks.example/{owner}",
    targets=("loans:8000", "loans:8001"),
    kubernetes=True,
)


@pytest.fixture(scope="module")
def output() -> Output:
    return compile_monitors([load_monitor(GOLDEN / "monitor_loans.py")], OPTIONS)


@pytest.fixture(scope="module")
def of_quality() -> Output:
    return compile_monitors([load_monitor(GOLDEN / "quality" / "monitor_loans.py")], OPTIONS)


def as_it_was(folder: Path, files: dict[str, str]) -> None:
    if os.environ.get("WAKEFUL_GOLDEN"):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found} == files


def test_what_is_written_is_as_it_was(output: Output):
    """Read the difference before you commit it. Boards have golden files of their own."""
    as_it_was(GOLDEN / "deploy", {name: text for name, text in output.files.items() if not name.endswith(".json")})


def test_what_is_written_of_objectives_is_as_it_was(of_quality: Output):
    files = {name: text for name, text in of_quality.files.items() if name.startswith("rules")}
    as_it_was(GOLDEN / "quality" / "deploy", files)


@pytest.mark.parametrize("name", ["output", "of_quality"])
def test_the_tools_take_it(request: pytest.FixtureRequest, name: str, promtool: Any, amtool: Any, tmp_path: Path):
    request.getfixturevalue(name).write(tmp_path)
    promtool("check", "rules", "rules.yml", cwd=tmp_path)
    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)
    promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    amtool("check-config", "alertmanager.yml", cwd=tmp_path)


def test_compose_mounts_what_is_written_and_pins_its_images(output: Output):
    services = yaml.safe_load(output.files["compose.yml"])["services"]
    assert set(services) == {"prometheus", "alertmanager", "grafana"}
    for service in services.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for mounted in service["volumes"]:
            source = mounted.partition(":")[0]
            if source.startswith("./"):
                assert any(f"./{name}".startswith(source) for name in output.files), source
    assert any(name.startswith("grafana/dashboards/") for name in output.files)
    (source,) = yaml.safe_load(output.files["grafana/provisioning/datasources/prometheus.yml"])["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_the_operator_gets_the_same_rules(output: Output):
    rule, service = yaml.safe_load_all(output.files["kubernetes.yml"])
    assert (rule["kind"], service["kind"]) == ("PrometheusRule", "ServiceMonitor")
    assert rule["spec"] == yaml.safe_load(output.files["rules.yml"])
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", rule["metadata"]["name"])
