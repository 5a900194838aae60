"""What Prometheus makes of objectives over shorter windows: the checks' own numbers, and an alert that ends in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from parity import Told, Tool, compare, numbers_of

import wakeful
from wakeful.compile.files import Links, Options, compile_monitors
from wakeful.compile.plan import BURN
from wakeful.compile.promql import quoted
from wakeful.compile.tracing import plan_of
from wakeful.counts import Counts
from wakeful.live.export.batch import reading
from wakeful.live.export.exporter import Exporter

MINUTES = 130


def answers(seed: int, n: int, wrong: float) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    flagged = random.random(n) < 0.4
    return {
        "platform": random.choice(["web", "a\"p'p"], n, p=[0.7, 0.3]),
        "score": np.where(flagged, 0.8, 0.2),
        "label": (flagged ^ (random.random(n) < wrong)).astype(int),
    }


@pytest.fixture(scope="module")
def reference() -> wakeful.Reference:
    data = answers(1, 6_000, 0.005)
    return wakeful.learn(data, score="score", label="label", threshold=0.5, segments=["platform"], name="lo{a}ns")


@pytest.fixture(scope="module")
def monitor(reference: wakeful.Reference) -> wakeful.Monitor:
    made = wakeful.Monitor(reference)

    @made.check(window="30d", page="credit-risk", fear="We turn away {good} customers", action="Stop it", min_n=10)
    def rejections_are_right(live: Any) -> None:
        assert live.precision() >= 0.99

    return made


def test_shorter_windows_are_judged_as_the_check_judges_its_own(
    reference: wakeful.Reference, promtool: Tool, tmp_path: Path
):
    """Those of an hour: of those of six, promtool would have to be told for six times as long."""
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="30d", page="credit-risk", min_n=10)
    def rejections_are_right(live: Any) -> None:
        assert live.precision() >= 0.99

    @monitor.check(window="30d", ticket="ml-team")
    def nobody_is_treated_worse(live: Any) -> None:
        assert live.by("platform").recall() >= live.reference.by("platform").recall() - 0.01
        assert live.by("platform").false_positive_rate() <= 0.02

    plan = plan_of(monitor)
    of_an_hour = [one for one in plan.burning if one.window == "1h"]
    assert [one.check.name for one in of_an_hour] == ["rejections_are_right", "nobody_is_treated_worse"]

    def told(monitor: wakeful.Monitor, counts: Counts, past: Counts | None) -> Told:
        for burn in (burn for one in of_an_hour for burn in one.burns):
            for verdict in burn.judge(monitor, counts):
                for check, record, labels, value in numbers_of(monitor, verdict):
                    if record in BURN:
                        yield check, BURN[record], labels, value

    random = np.random.default_rng(2)
    some = [Counts.zero(monitor.reference.layout)]
    for seed in range(30):
        n, wrong = int(10 ** random.uniform(0, 3.5)), random.choice([0.005, 0.05, 0.15, 0.3, 1.0])
        some.append(monitor.count(answers(seed, n, wrong)))
    verdicts = {record for counts in some for _, name, _, record in told(monitor, counts, None) if "verdict" in name}
    assert verdicts == {0.0, 1.0, 2.0}
    only_these = plan._replace(checks={one.check.name: one.recordings for one in of_an_hour})
    compare(promtool, tmp_path, monitor, only_these, some, told=told)


def counted(monitor: wakeful.Monitor, label: int, name: str = "wakeful_outcome_total") -> str:
    """The series that counts a flagged row with that outcome, of all traffic."""
    counts = monitor.count({"platform": ["web"], "score": [0.8], "label": [label]})
    exporter = Exporter(monitor.reference, Path("nowhere"), version="1")
    samples = [sample for metric in exporter.metrics([reading("1", counts, 0.0)]) for sample in metric.samples]
    (one,) = [sample for sample in samples if sample.name == name and sample.value and not sample.labels.get("segment")]
    return f"{one.name}{{{','.join(f'{label}={quoted(word)}' for label, word in one.labels.items())}}}"


def case(monitor: wakeful.Monitor, right: dict[range, int], wrong: dict[range, int]) -> dict[str, Any]:
    """So many flagged rows a minute whose outcome comes then."""

    def values(some: dict[range, int]) -> str:
        each = (sum(rows for minutes, rows in some.items() if at in minutes) for at in range(MINUTES))
        return " ".join(map(str, accumulate(each)))

    series = {counted(monitor, 1): values(right), counted(monitor, 0): values(wrong)}
    series[counted(monitor, 1, "wakeful_rows_total")] = values(right | wrong)  # so the version is still there
    return {"interval": "1m", "input_series": [{"series": one, "values": told} for one, told in series.items()]}


OF_HOUR = 'check="rejections_are_right",window="1h"'


def expectations(burns: dict[int, bool], fails: list[int]) -> Iterator[dict[str, Any]]:
    """Whether the alert fires at a minute, and at which of them its verdict is a failure all the same."""
    for at, is_so in burns.items():
        found = [{"labels": "{}", "value": 1}] if is_so else []
        alerts = f'count(ALERTS{{alertname="WakefulObjectiveBurns",{OF_HOUR},alertstate="firing"}})'
        yield {"expr": alerts, "eval_time": f"{at}m", "exp_samples": found}
    for at in fails:
        found = [{"labels": "{}", "value": 2}]
        yield {"expr": f"sum(wakeful:burn:verdict{{{OF_HOUR}}})", "eval_time": f"{at}m", "exp_samples": found}


@pytest.fixture(scope="module")
def deployed(monitor: wakeful.Monitor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    compile_monitors([monitor], Options(Links("https://runbooks.example/{check}"))).write(folder)
    return folder


def test_promtool_takes_it_all_and_tries_each_alert_silent_and_firing(deployed: Path, promtool: Tool):
    assert "SUCCESS" in promtool("check", "rules", "rules.yml", cwd=deployed)
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml", cwd=deployed)
    names = [test["name"] for test in yaml.safe_load((deployed / "rules_test.yml").read_text())["tests"]]
    assert [name.removeprefix("lo{a}ns: ") for name in names if " over " in name] == [
        f"rejections_are_right {what} over {window}" for window in ("1h", "6h") for what in ("is kept", "burns")
    ]


def _never(rule: dict[str, Any]) -> None:
    rule["expr"] = f"({rule['expr']}) > 1e9"


def _always(rule: dict[str, Any]) -> None:
    rule["expr"] = rule["expr"].partition("\nand")[0]


def _milder(rule: dict[str, Any]) -> None:
    rule["labels"]["severity"] = "ticket"


@pytest.mark.parametrize("fault", [_never, _always, _milder])
def test_the_tests_notice_an_alert_that_is_broken(deployed: Path, promtool: Tool, tmp_path: Path, fault: Any):
    rules = yaml.safe_load((deployed / "rules.yml").read_text(encoding="utf-8"))
    alerts = [one for one in rules["groups"][0]["rules"] if one.get("alert") == "WakefulObjectiveBurns"]
    assert [one["labels"]["window"] for one in alerts] == ["1h", "6h"]
    fault(alerts[1])
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    (tmp_path / "rules_test.yml").write_bytes((deployed / "rules_test.yml").read_bytes())
    told = promtool("test", "rules", "rules_test.yml", cwd=tmp_path, code=1).replace("\\", "")
    assert 'alertname="WakefulObjectiveBurns"' in told
    assert 'window="6h"' in told


def run(promtool: Tool, deployed: Path, folder: Path, test: dict[str, Any]) -> None:
    (folder / "rules.yml").write_bytes((deployed / "rules.yml").read_bytes())
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", "test.yml", cwd=folder)


def test_a_collapse_is_told_within_minutes_and_so_is_its_end(
    monitor: wakeful.Monitor, deployed: Path, promtool: Tool, tmp_path: Path
):
    collapse, healthy = range(60, 90), {range(60): 10, range(90, MINUTES): 10}
    test = case(monitor, healthy, {collapse: 10})
    test["promql_expr_test"] = list(
        expectations({59: False, 64: False, 80: True, 90: True, 97: False, 125: False}, fails=[80, 97])
    )
    test["alert_rule_test"] = [
        {
            "eval_time": "80m",
            "alertname": "WakefulObjectiveBurns",
            "exp_alerts": [
                {
                    "exp_labels": {
                        "model": "lo{a}ns",
                        "version": "1",
                        "check": "rejections_are_right",
                        "assertion": "live.precision() >= 0.99",
                        "at": "0",
                        "severity": "page",
                        "owner": "credit-risk",
                        "burn": burn,
                        "window": window,
                    },
                    "exp_annotations": {
                        "summary": "We turn away {good} customers",
                        "action": "Stop it",
                        "what": f"live.precision() >= 0.99: over {window}, wrong answers come more than {burn} times "
                        "as fast as it allows",
                        "value": value,
                        "culprit": "no column stands out",
                        "runbook_url": "https://runbooks.example/rejections_are_right",
                    },
                }
                for burn, window, value in (
                    ("14.4", "1h", "0.65 (0.568–0.727, n=600), limit 0.856"),
                    ("6", "6h", "0.738 (0.679–0.791, n=800), limit 0.94"),
                )
            ],
        }
    ]
    run(promtool, deployed, tmp_path, test)


def test_outcomes_that_come_in_batches_keep_it_up_until_a_better_batch_comes(
    monitor: wakeful.Monitor, deployed: Path, promtool: Tool, tmp_path: Path
):
    bad, better = range(60, 61), range(85, 86)
    test = case(monitor, {range(5, 6): 100, better: 100}, {bad: 100})
    fires = {59: False, 62: True, 70: True, 84: True, 87: False, 95: False, 115: False}
    test["promql_expr_test"] = list(expectations(fires, fails=[70, 95, 115]))
    run(promtool, deployed, tmp_path, test)
