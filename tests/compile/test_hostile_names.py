"""Names and words mean themselves, whatever they hold: nothing in them becomes PromQL, YAML or a template."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import wakeful
from wakeful.compile.alerts import Links
from wakeful.compile.files import Options, compile_monitors
from wakeful.compile.quoting import matcher, slug, valid
from wakeful.compile.yaml_files import as_yaml

HOSTILE = [
    'a"b\\c',
    "two\nlines\n",
    "{{ $labels.model }}",
    "{{",
    "{",
    '{{"{"}}',
    '"} or vector(1) #',
    "größe 価格 😀",
    "$value $labels ${HOME} %s %d",
    "- a: [b]\n# c",
    "yes",
    "1_000",
    "0o7",
    "~",
    " spaces ",
    "\t\r\x00\x07\x7f\x85\u2028\ufeff\ufffe",
    "half \ud800 a pair",
    "it's `so`",
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=12), st.sampled_from(HOSTILE).map(" ".join))
NUMBERS = itertools.count()
QUICK = (Phase.explicit, Phase.generate)  # every example runs programs, so a failure is shown as it was found

MONITOR = """
import wakeful

def make(reference):
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page={owner!r}, fear={fear!r}, action={action!r})
    def größe_bleibt(live):
        assert live[{column!r}].missing() <= 0.3

    return monitor
"""


OBJECTIVE = """
import wakeful

def make(reference):
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="30d", page={owner!r}, fear={fear!r}, action={action!r})
    def größe_stimmt(live):
        assert live.by({column!r}).precision() >= 0.5

    return monitor
"""


def made(folder: Path, model: str, column: str, owner: str, fear: str, action: str) -> wakeful.Monitor:
    """A monitor of a column; both have names that need care."""
    rng = np.random.default_rng(1)
    data = {column: rng.normal(size=400), "score": rng.random(400)}
    reference = wakeful.learn(data, score="score", name=model)
    return loaded(folder, MONITOR.format(owner=owner, fear=fear, action=action, column=column), reference)


def loaded(folder: Path, text: str, reference: wakeful.Reference) -> wakeful.Monitor:
    path = folder / f"monitor_{next(NUMBERS)}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make(reference)  # type: ignore[no-any-return]


@settings(
    max_examples=25, phases=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(texts, texts, texts, texts, texts)
@example(*HOSTILE[:5])
@example(*HOSTILE[5:10])
@example(*HOSTILE[10:15])
@example(*HOSTILE[-1:-6:-1])
def test_names_arrive_in_alerts_as_they_are(
    promtool: Any, amtool: Any, tmp_path: Path,
    model: str, column: str, owner: str, fear: str, action: str,
):  # fmt: skip
    column = valid(column) if column != "score" else "rent"
    monitor = made(tmp_path, model, column, owner, fear, action)
    options = Options(Links("https://x/{model}?by={owner}"), webhook="https://y/{owner}", kubernetes=True)
    folder = tmp_path / f"deploy{next(NUMBERS)}"
    output = compile_monitors([monitor], options)
    output.write(folder)
    assert not output.untried
    assert all(json.loads(text) for name, text in output.files.items() if name.endswith(".json"))
    promtool("check", "rules", "rules.yml", cwd=folder)
    amtool("check-config", folder / "alertmanager.yml")

    tests = yaml.safe_load((folder / "rules_test.yml").read_text(encoding="utf-8"))
    tests["tests"] = tests["tests"][:2]  # of the check
    (check,) = monitor.checks
    source = monitor.assertions(check)[0].source.removeprefix("assert ")
    labels = {"model": model, "version": "1", "check": check.name, "assertion": source, "at": "0"}
    labels |= {"column": monitor.reference.model.features[0].name, "severity": "page", "owner": owner}
    rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    (link,) = [one["annotations"]["runbook_url"] for one in rules if one.get("alert") == "WakefulCheckFails"]
    annotations = {
        "summary": fear,
        "action": action,
        "what": source,
        "value": "1 (0.971–1, n=400), limit 0.3, reference 0",
        "culprit": f"{labels['column']}: {source}",
        "runbook_url": link,
    }
    tests["tests"][1]["alert_rule_test"] = [
        {
            "eval_time": tests["tests"][1]["promql_expr_test"][0]["eval_time"],
            "alertname": "WakefulCheckFails",
            "exp_alerts": [
                {
                    "exp_labels": {name: valid(text) for name, text in labels.items()},
                    "exp_annotations": {name: valid(text) for name, text in annotations.items()},
                }
            ],
        }
    ]
    (folder / "rules_test.yml").write_text(as_yaml(tests), encoding="utf-8")
    promtool("test", "rules", "rules_test.yml", cwd=folder)


@settings(
    max_examples=5, phases=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(texts, texts, texts, texts, texts, texts)
@example(*HOSTILE[:6])
@example(*HOSTILE[6:12])
@example(*HOSTILE[-1:-7:-1])
def test_names_arrive_in_alerts_of_objectives_too(
    promtool: Any, tmp_path: Path, model: str, segment: str, value: str, owner: str, fear: str, action: str,
):  # fmt: skip
    segment, value = valid(segment) if segment not in ("score", "label") else "rent", valid(value)
    answers = np.tile([0.2, 0.8], 1_000)
    data = {segment: [value] * 2_000, "score": answers, "label": (answers > 0.5).astype(int)}
    reference = wakeful.learn(data, score="score", label="label", threshold=0.5, segments=[segment], name=model)
    text = OBJECTIVE.format(owner=owner, fear=fear, action=action, column=segment)
    folder = tmp_path / f"deploy{next(NUMBERS)}"
    output = compile_monitors([loaded(tmp_path, text, reference)], Options(Links("https://x/{model}?by={owner}")))
    output.write(folder)
    assert not output.untried
    promtool("check", "rules", "rules.yml", cwd=folder)

    tests = yaml.safe_load((folder / "rules_test.yml").read_text(encoding="utf-8"))
    (case,) = [one for one in tests["tests"] if one["name"].endswith("größe_stimmt burns over 1h")]
    source = f"live.by({segment!r}).precision() >= 0.5"
    labels = {"model": model, "version": "1", "check": "größe_stimmt", "assertion": source, "at": "0", "burn": "1.5"}
    labels |= {"segment": segment, "value": value, "severity": "page", "owner": owner}
    rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    links = {one["annotations"]["runbook_url"] for one in rules if one.get("alert") == "WakefulObjectiveBurns"}
    annotations = {
        "summary": fear,
        "action": action,
        "culprit": "no column stands out",
        "runbook_url": links.pop(),
        "what": f"{source}: over 1h, wrong answers come more than 1.5 times as fast as it allows",
        "value": "0 (0–0.0133, n=1000), limit 0.25",
    }
    alert = {
        "exp_labels": {name: valid(text) for name, text in (labels | {"window": "1h"}).items()},
        "exp_annotations": {name: valid(text) for name, text in annotations.items()},
    }
    moment = case["promql_expr_test"][0]["eval_time"]
    case["alert_rule_test"] = [{"eval_time": moment, "alertname": "WakefulObjectiveBurns", "exp_alerts": [alert]}]
    (folder / "rules_test.yml").write_text(as_yaml(tests | {"tests": [case]}), encoding="utf-8")
    promtool("test", "rules", "rules_test.yml", cwd=folder)


@settings(max_examples=40, phases=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1, max_size=3, unique_by=valid))
def test_routes_find_their_owners_whatever_they_are_called(amtool: Any, tmp_path: Path, owners: list[str]):
    routes = [{"receiver": f"receiver {at}", "matchers": [matcher("owner", one)]} for at, one in enumerate(owners)]
    names = [{"name": "other"}, *({"name": f"receiver {at}"} for at in range(len(owners)))]
    path = tmp_path / "alertmanager.yml"
    path.write_text(as_yaml({"route": {"receiver": "other", "routes": routes}, "receivers": names}), encoding="utf-8")
    for at, one in enumerate(owners):
        if "\0" in one:
            continue  # no argument of a program
        told = amtool("config", "routes", "test", f"--config.file={path}", matcher("owner", one))
        assert told.splitlines()[-1] == f"receiver {at}"


@given(
    st.recursive(texts | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner))
)
def test_yaml_is_read_as_it_was_written(value: Any):
    def utf8(value: Any) -> Any:
        if isinstance(value, dict):
            return {valid(key): utf8(one) for key, one in value.items()}
        if isinstance(value, list):
            return [utf8(one) for one in value]
        return valid(value) if isinstance(value, str) else value

    assert yaml.safe_load(as_yaml(utf8(value))) == utf8(value)


@given(texts)
def test_names_that_kubernetes_takes(name: str):
    assert all(letter.isascii() and (letter.isalnum() or letter == "-") for letter in slug(name))
