"""What models and checks are, in series: whatever they are called, Prometheus takes it as it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import wakeful
from wakeful.compile.about import CHECK, MODEL, WORST, board_of, recordings
from wakeful.compile.plan import VERDICT


def test_a_real_prometheus_records_them_as_they_are(reference: wakeful.Reference, real_component: Any, tmp_path: Path):
    promtool = shutil.which("promtool")
    real_component(promtool is not None, "promtool", "apt-get install --no-install-recommends prometheus")
    fear = 'We turn away "good" ones\n{{ $value }} \\ $version – größer'
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", page='risk"', fear=fear)
    def rejections_are_right(live: Any) -> None:
        assert live.precision() >= 0.9

    @monitor.check()
    def inputs_look_as_in_training(live: Any) -> None:
        assert live.features.d1() <= 0.2

    found = recordings(monitor)

    assert [(one.record, dict(one.labels)) for one in found] == [
        (MODEL, {"model": "loans", "task": "binary", "board": board_of("loans")}),
        (CHECK, {"model": "loans", "check": "rejections_are_right", "severity": "page", "owner": 'risk"',
                 "window": "24h", "fear": fear}),
        (CHECK, {"model": "loans", "check": "inputs_look_as_in_training", "severity": "explain", "window": "24h",
                 "fear": "Not so: inputs look as in training"}),
        (WORST, {"model": "loans"}),
    ]  # fmt: skip
    rules = [one._asdict() for one in found]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "about", "rules": rules}]}))
    expected = [{"labels": f"{CHECK}{labels(one.labels)}", "value": 1} for one in found[1:3]]
    of_check = {"model": "loans", "version": "7", "check": "rejections_are_right"}
    verdicts = [
        {"series": f"{VERDICT}{labels(of_check | {'column': column})}", "values": f"{state}x1"}
        for column, state in (("income", 0), ("rent", 2), ("debt", 1))
    ]
    asked = [
        {"expr": CHECK, "eval_time": "1m", "exp_samples": expected},
        {"expr": WORST, "eval_time": "1m", "exp_samples": [{"labels": f"{WORST}{labels(of_check)}", "value": 2}]},
    ]
    test = {"rule_files": ["rules.yml"], "tests": [{"input_series": verdicts, "promql_expr_test": asked}]}
    (tmp_path / "test.yml").write_text(json.dumps(test))
    done = subprocess.run([str(promtool), "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def labels(some: Any) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in some.items()) + "}"


def test_a_board_has_a_name_that_links_may_hold():
    names = [board_of(name) for name in ("loans", "Loans", "größe\n", "\ud800", "x" * 500)]
    assert len(set(names)) == 5
    assert all(re.fullmatch(r"wakeful-[0-9a-f]{16}", name) for name in names)
