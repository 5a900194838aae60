"""Rules that promtool takes, that fire where a verdict fails, and that say what a person wants to know."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

import wakeful
from wakeful.compile.about import board_of
from wakeful.compile.alerts import Links
from wakeful.compile.files import Options, compile_monitors
from wakeful.compile.rules import interval
from wakeful.errors import DataError

LINKS = Links("https://runbooks.example/{model}/{check}", "https://boards.example/d/{board}?team={owner}")


@pytest.fixture(scope="module")
def deployed(loans: wakeful.Monitor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    compile_monitors([loans], Options(LINKS, kubernetes=True)).write(folder)
    return folder


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts(folder: Path) -> list[dict[str, Any]]:
    (group,) = load(folder / "rules.yml")["groups"]
    return [rule for rule in group["rules"] if "alert" in rule]


def test_promtool_takes_the_rules_and_every_test_of_theirs_passes(deployed: Path, promtool: Any):
    assert "SUCCESS" in promtool("check", "rules", "rules.yml", cwd=deployed)
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml", cwd=deployed)
    names = [test["name"] for test in load(deployed / "rules_test.yml")["tests"]]
    checks = ("answers_keep_their_shape", "inputs_are_whole", "fewer_are_missing_than_yesterday")
    assert names[:3] == [f"loans: {window} of healthy traffic" for window in ("1h", "7d", "2h")]
    assert names[3:6] == [f"loans: {check} fails" for check in checks]


def _never(rule: dict[str, Any]) -> None:
    rule["expr"] += " > 1e9"


def _always(rule: dict[str, Any]) -> None:
    rule["expr"] = rule["expr"].partition("\nand")[0]


def _other_owner(rule: dict[str, Any]) -> None:
    rule["labels"]["owner"] = "somebody else"


@pytest.mark.parametrize("fault", [_never, _always, _other_owner])
@pytest.mark.parametrize("at", range(2))
def test_the_tests_notice_an_alert_that_is_broken(deployed: Path, promtool: Any, tmp_path: Path, fault: Any, at: int):
    rules = load(deployed / "rules.yml")
    fault([rule for rule in rules["groups"][0]["rules"] if "alert" in rule][at])
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    tests = load(deployed / "rules_test.yml")
    tests["tests"] = [tests["tests"][at], tests["tests"][3 + at]]
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    assert "FAILED" in promtool("test", "rules", "rules_test.yml", cwd=tmp_path, code=1)


@pytest.mark.parametrize(
    "name",
    [
        "WakefulNotScraped",
        "WakefulCountsUnreadable",
        "WakefulNoTraffic",
        "WakefulOtherReference",
        "WakefulLosesObservations",
        "WakefulLosesOutcomes",
        "WakefulLosesLog",
        "WakefulFlushFails",
        "WakefulWatchdog",
    ],
)
def test_the_tests_notice_that_nobody_watches_the_monitor(deployed: Path, promtool: Any, tmp_path: Path, name: str):
    rules, tests = load(deployed / "rules.yml"), load(deployed / "rules_test.yml")
    kept = rules["groups"][0]["rules"]
    rules["groups"][0]["rules"] = [rule for rule in kept if rule.get("alert") != name]
    assert len(rules["groups"][0]["rules"]) == len(kept) - 1
    tests["tests"] = [test for test in tests["tests"] if "ALERTS{alertstate" in test["promql_expr_test"][0]["expr"]]
    for file, content in ("rules.yml", rules), ("rules_test.yml", tests):
        (tmp_path / file).write_text(yaml.safe_dump(content), encoding="utf-8")

    assert name in promtool("test", "rules", "rules_test.yml", cwd=tmp_path, code=1)


def test_a_notification_says_what_is_feared_what_was_measured_and_where_it_comes_from(
    deployed: Path, promtool: Any, tmp_path: Path
):
    tests = load(deployed / "rules_test.yml")
    (case,) = [one for one in tests["tests"] if one["name"] == "loans: inputs_are_whole fails"]
    case["alert_rule_test"] = [
        {
            "eval_time": case["promql_expr_test"][0]["eval_time"],
            "alertname": "WakefulCheckFails",
            "exp_alerts": [
                {
                    "exp_labels": {
                        "model": "loans",
                        "version": "1",
                        "check": "inputs_are_whole",
                        "assertion": "live.features.missing() <= 0.3",
                        "at": "0",
                        "column": "income",
                        "severity": "ticket",
                        "owner": "ml-team",
                    },
                    "exp_annotations": {
                        "summary": "The model decides on broken data",
                        "what": "live.features.missing() <= 0.3",
                        "value": "1 (0.998–1, n=5000), limit 0.3, reference 0",
                        "culprit": "income: live.features.missing() <= 0.3",
                        "runbook_url": "https://runbooks.example/loans/inputs_are_whole",
                        "dashboard_url": f"https://boards.example/d/{board_of('loans')}?team=ml-team",
                    },
                }
            ],
        }
    ]
    (tmp_path / "rules.yml").write_bytes((deployed / "rules.yml").read_bytes())
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(tests | {"tests": [case]}), encoding="utf-8")

    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)


def test_an_alert_outlives_one_failed_scrape(deployed: Path, promtool: Any, tmp_path: Path):
    tests = load(deployed / "rules_test.yml")
    verdict, estimate = (
        f'wakeful:check:{name}{{model="loans",check="inputs_are_whole",at="0",column="income"}}'
        for name in ("verdict", "estimate")
    )
    firing = 'count(ALERTS{check="inputs_are_whole",alertstate="firing"})'
    expected = [("4m", 1), ("9m", 1), ("11m", None), ("13m", 1), ("15m", None)]
    case = {
        "interval": "1m",
        # fails, is not judged for a while, fails again, passes
        "input_series": [
            {"series": verdict, "values": "2x5 _x6 2x2 0x9"},
            {"series": estimate, "values": "0.5x5 _x6 0.5x2 0.1x9"},
        ],
        "promql_expr_test": [
            {"expr": firing, "eval_time": at, "exp_samples": [{"labels": "{}", "value": value}] if value else []}
            for at, value in expected
        ],
    }
    (tmp_path / "rules.yml").write_bytes((deployed / "rules.yml").read_bytes())
    text = yaml.safe_dump(tests | {"evaluation_interval": "1m", "tests": [case]})
    (tmp_path / "rules_test.yml").write_text(text, encoding="utf-8")

    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)


def test_a_weekend_without_traffic_is_no_silence(deployed: Path, promtool: Any, tmp_path: Path):
    tests = load(deployed / "rules_test.yml")
    (rows,) = [
        one["series"]
        for test in tests["tests"]
        if test["name"] == "loans: the monitor does well"
        for one in test["input_series"]
        if one["series"].startswith("wakeful_rows_total")
    ]
    silent = 'count(ALERTS{alertname="WakefulNoTraffic",alertstate="firing"})'

    def case(values: str, hour: int, firing: bool) -> dict[str, Any]:
        expected = [{"labels": "{}", "value": 1}] if firing else []
        return {
            "interval": "30m",
            "input_series": [{"series": rows, "values": values}],
            "promql_expr_test": [{"expr": silent, "eval_time": f"{hour}h", "exp_samples": expected}],
        }

    weeks = "0+20x239 4780x95 4800+20x239 9580x95"  # five days of traffic, then two of nothing, by half hours
    stopped = "0+20x599 11980x60"
    cases = [case(weeks, hour, False) for hour in range(289, 336, 6)] + [case(stopped, 305, True)]
    rules = load(deployed / "rules.yml")
    rules["groups"][0]["rules"] = [one for one in alerts(deployed) if one["alert"] == "WakefulNoTraffic"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    (tmp_path / "rules_test.yml").write_text(
        yaml.safe_dump(tests | {"evaluation_interval": "1h", "tests": cases}), encoding="utf-8"
    )

    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)


ROWS, READABLE = 'wakeful_rows_total{model="loans",reference="%s"}', 'wakeful_counts_readable{model="loans"}'


@pytest.mark.parametrize(
    ("what", "series", "name", "silent", "firing"),
    [
        ("Prometheus starts before it scrapes", {READABLE: "_x2 1x30"}, "WakefulNotScraped", [0, 1, 4, 9], []),
        ("the service is gone", {READABLE: "1x10 stale _x30"}, "WakefulNotScraped", [10, 15], [16, 30]),
        ("the folder comes late", {READABLE: "0x3 1x30", ROWS % "known": "_x4 0x30"}, "WakefulCountsUnreadable",
         [0, 3, 9], []),
        ("the folder is gone", {READABLE: "1x9 0x30", ROWS % "known": "0x9 stale _x30"}, "WakefulCountsUnreadable",
         [9, 14], [15, 30]),
        ("rules come before the service", {ROWS % "other": "0x13 stale", ROWS % "known": "_x12 0x20"},
         "WakefulOtherReference", [0, 5, 12, 30], []),
        ("rules never come", {ROWS % "other": "_x10 0x30", ROWS % "known": "0x9 stale"}, "WakefulOtherReference",
         [12, 25], [32]),
    ],
)  # fmt: skip
def test_who_restarts_or_rolls_out_is_not_woken(
    deployed: Path, reference: wakeful.Reference, promtool: Any, tmp_path: Path,
    what: str, series: dict[str, str], name: str, silent: list[int], firing: list[int],
):  # fmt: skip
    """Minutes in which it fires, and in which it does not yet."""
    known = reference.layout.fingerprint
    case = {
        "name": what,
        "interval": "1m",
        "input_series": [{"series": one.replace("known", known), "values": text} for one, text in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if minute in firing else [],
            }
            for minute in (*silent, *firing)
        ],
    }
    rules = {"groups": [{"name": "health", "rules": [one for one in alerts(deployed) if one["alert"] == name]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)


def test_a_version_that_makes_room_for_another_is_no_lack_of_traffic(
    reference: wakeful.Reference, promtool: Any, tmp_path: Path
):
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="on-call")
    def answers_arrive(live: Any) -> None:
        assert live.traffic() >= 400

    compile_monitors([monitor]).write(tmp_path)
    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)
    rows = f'wakeful_rows_total{{model="loans",reference="{reference.layout.fingerprint}",version="%s"}}'
    case = {
        "interval": "1m",
        "input_series": [
            {"series": rows % "1", "values": "0+10x90 900x150"},
            {"series": rows % "2", "values": "_x90 0+10x90 900x60"},
        ],
        "promql_expr_test": [
            {
                "expr": 'count(ALERTS{check="answers_arrive",alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if minute > 200 else [],
            }
            for minute in (90, 115, 130, 180, 220)
        ],
    }
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": [case]}
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)


def test_values_that_nobody_has_lack_no_traffic(reference: wakeful.Reference, promtool: Any, tmp_path: Path):
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", page="on-call")
    def everybody_asks(live: Any) -> None:
        assert live.by("platform").traffic() >= 10
        assert live.by("platform").traffic() >= 0.5 * live.ago("7d").by("platform").traffic()

    output = compile_monitors([monitor])
    assert not output.untried
    output.write(tmp_path)
    promtool("test", "rules", "rules_test.yml", cwd=tmp_path)  # with healthy traffic, too


def test_same_monitor_same_bytes(loans: wakeful.Monitor):
    first, again = (compile_monitors([loans], Options(LINKS, kubernetes=True)) for _ in range(2))
    assert first == again


def test_what_cannot_be_expressed_is_told_with_its_place_and_gets_no_alert(reference: wakeful.Reference):
    monitor = wakeful.Monitor(reference)

    @monitor.check(ticket="ml-team")
    def no_value_takes_over(live: Any) -> None:
        assert live.features.spike() <= 0.1

    @monitor.check(page="on-call")
    def answers_arrive(live: Any) -> None:
        assert live.score.missing() <= 0.1

    output = compile_monitors([monitor])
    assert output.lacks
    line = no_value_takes_over.__code__.co_firstlineno + 2
    told = list(output.lines())
    source = "assert live.features.spike() <= 0.1"
    assert told[0] == f"test_rules.py:{line}: left out of no_value_takes_over (ticket): {source}"
    assert "fingerprints" in told[1]
    assert told[2].startswith("  nearest: ")
    rules = yaml.safe_load(output.files["rules.yml"])["groups"][0]["rules"]
    alerts = [rule["labels"]["check"] for rule in rules if rule.get("alert") == "WakefulCheckFails"]
    assert alerts == ["answers_arrive"]


def test_a_refusal_of_what_only_explains_lacks_nothing(reference: wakeful.Reference):
    monitor = wakeful.Monitor(reference)

    @monitor.check()
    def no_value_takes_over(live: Any) -> None:
        assert live.features.spike() <= 0.1

    output = compile_monitors([monitor])
    assert output.refusals
    assert not output.lacks


def test_two_models_of_one_name_would_mix(loans: wakeful.Monitor):
    with pytest.raises(DataError, match="2 monitors watch a model called 'loans'"):
        compile_monitors([loans, copy.copy(loans)])


def test_a_monitor_without_checks_has_nothing_to_compile(reference: wakeful.Reference):
    with pytest.raises(DataError, match="no checks"):
        compile_monitors([wakeful.Monitor(reference)])


@pytest.mark.parametrize("link", ["https://x/{chek}", "https://x/{", "https://x/{}"])
def test_a_link_that_cannot_be_filled_in_is_refused(loans: wakeful.Monitor, link: str):
    with pytest.raises(DataError, match=r"\{model\}, \{check\}"):
        compile_monitors([loans], Options(Links(link)))


@pytest.mark.parametrize(
    ("windows", "seconds"), [(["24h", "1h"], 60), (["20m"], 60), (["15m"], 30), (["1m"], 3), (["5s"], 1)]
)
def test_windows_are_looked_at_often_enough(reference: wakeful.Reference, windows: list[str], seconds: int):
    monitor = wakeful.Monitor(reference)
    for at, window in enumerate(windows):

        def check(live: Any) -> None:
            assert live.score.d1() <= 0.2

        check.__name__ = f"check_{at}"
        monitor.check(window=window)(check)
    assert interval(monitor.checks) == seconds
