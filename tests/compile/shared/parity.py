"""What tests of compiled checks share: numbers and verdicts held against those of promtool."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import zip_longest
from operator import add
from pathlib import Path
from typing import Any

import wakeful
from wakeful.compile.plan import ESTIMATE, VERDICT, Plan
from wakeful.compile.promql import quoted
from wakeful.compile.recorded import numbers
from wakeful.compile.tracing import is_of_all_versions, plan_of
from wakeful.counts import Counts
from wakeful.live.export.batch import reading
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter, slice_labels
from wakeful.verdicts import Verdict

Tool = Callable[..., str]
Told = Iterator[tuple[str, str, str, float]]
Teller = Callable[[wakeful.Monitor, Counts, Counts | None], Told]
TOLERANCE = 1e-6
MOST_SAMPLES = 10_000  # that promtool reads in one query


def compiled(monitor: wakeful.Monitor) -> Plan:
    """The plan of a monitor all of whose checks can be compiled."""
    plan = plan_of(monitor)
    assert not [(one.assertion.source, one.reason) for one in plan.refusals]
    return plan


def compare(
    promtool: Tool,
    folder: Path,
    monitor: wakeful.Monitor,
    plan: Plan,
    some: list[Counts],
    past: list[Counts] | None = None,
    *,
    summed: bool = False,
    told: Teller | None = None,
) -> None:
    """Hold promtool's evaluation of a plan against the verdicts.

    Every window is a version of the model, so that one evaluation judges as many as promtool takes. With ``summed``,
    estimates and verdicts of all columns of an assertion are held against each other as one sum: a series costs
    promtool nearly a millisecond. Windows of an hour ``past``, one for each, are followed by a start of the service.
    What is expected is ``told`` of each window, else it is ``judged``.
    """
    both = list(zip_longest(some, past or ()))
    told = told or judged
    expected = [list(sums(told(monitor, *one)) if summed else told(monitor, *one)) for one in both]
    read = " ".join(one.expr for one in plan.shared)
    inputs = [list(exported(monitor, str(version), *one, read)) for version, one in enumerate(both)]
    most = max(max(Counter(name.partition("{")[0] for name, _ in one).values()) for one in inputs)
    together = MOST_SAMPLES // (3 * most)
    tests = []
    for first in range(0, len(some), together):
        chunk = range(first, min(first + together, len(some)))
        series = [one for version in chunk for one in inputs[version]]
        wanted: Counter[tuple[str, str]] = Counter()
        of_each = [(f',version="{version}"', one) for version in chunk for one in expected[version]]
        together_told = judged(monitor, *whole([both[one] for one in chunk]), of_all=True) if told is judged else ()
        of_all = [("", one) for one in together_told]
        for version, (check, record, labels, value) in of_each + of_all:
            wanted[check, record] += 1
            name = f"{expectation(record)}{{check={quoted(check)}{version}{labels}}}"
            series.append((name, f"{'_ _ _ _' if past else '_ _'} {value!r}"))
        tests.append((series, wanted))
    evaluate(promtool, folder, plan, tests, "2h" if past else "1h", by="check, version, at" if summed else "")


def sums(some: Told) -> Told:
    """The same, all columns of an assertion together."""
    found: Counter[tuple[str, str, str]] = Counter()
    for check, record, labels, value in some:
        if record in (ESTIMATE, VERDICT):
            found[check, record, labels.partition(",column=")[0]] += value  # type: ignore[assignment]
    for key, total in found.items():
        yield *key, float(total)


def expectation(record: str) -> str:
    return f"expected_{record.rsplit(':', 1)[1]}"


def whole(some: list[tuple[Counts, Counts | None]]) -> tuple[Counts, Counts | None]:
    """Windows and those before them, of all versions together."""
    windows, pasts = zip(*some, strict=True)
    return reduce(add, windows), None if None in pasts else reduce(add, pasts)


def judged(monitor: wakeful.Monitor, counts: Counts, past: Counts | None, *, of_all: bool = False) -> Told:
    """Check, record, labels and value of everything that is to be recorded of a window; what has no rows is not.

    Either of what is about all versions together, or of all else.
    """
    for check in monitor.checks:
        assertions = monitor.assertions(check)
        for one in monitor.judge(check, counts, past={} if past is None else {"1h": past}):
            if is_of_all_versions(assertions[one.at]) is of_all:
                yield from numbers_of(monitor, one)


def numbers_of(monitor: wakeful.Monitor, one: Verdict) -> Told:
    """The same of one verdict."""
    layout, judgement = monitor.reference.layout, one.judgement
    value = slice_labels(layout)[layout.find_slice(*judgement.part)].get("value")
    labels = {"at": str(one.at), "column": judgement.column, "value": value}
    text = "".join(f",{label}={quoted(word)}" for label, word in labels.items() if word is not None)
    for record, number in numbers(judgement).items():
        if math.isfinite(number):
            yield one.check, record, text, number


def exported(
    monitor: wakeful.Monitor, version: str, counts: Counts, past: Counts | None, read: str
) -> Iterator[tuple[str, str]]:
    """Every series that a service of that version exports, and that is read, with its values every half hour."""
    exporter = Exporter(monitor.reference, Path("nowhere"), version=version, by_segment=asked(monitor.comparisons()))
    windows = [counts] if past is None else [past, counts]
    told = [exporter.metrics([reading(version, one, math.inf)]) for one in windows]
    for metrics in zip(*told, strict=True):
        for samples in zip(*(one.samples for one in metrics), strict=True):
            if f"{samples[0].name}{{" in read:
                labels = ",".join(f"{label}={quoted(word)}" for label, word in samples[0].labels.items())
                yield f"{samples[0].name}{{{labels}}}", f"0 0 {' 0 '.join(repr(float(one.value)) for one in samples)}"


def evaluate(
    promtool: Tool,
    folder: Path,
    plan: Plan,
    tests: list[tuple[list[tuple[str, str]], Counter[tuple[str, str]]]],
    at: str,
    by: str,
) -> None:
    """Let promtool record everything, and count what is as expected."""
    recordings = [*plan.shared, *(one for some in plan.checks.values() for one in some)]
    rules = [{"record": one.record, "expr": one.expr, "labels": dict(one.labels)} for one in recordings]
    group = {"name": "all", "interval": "1h", "rules": rules}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    content = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1h",
        "tests": [
            {
                "interval": "30m",
                "input_series": [{"series": name, "values": values} for name, values in series],
                "promql_expr_test": [
                    of_record(check, record, number, at, by) for (check, record), number in wanted.items()
                ],
            }
            for series, wanted in tests
        ],
    }
    (folder / "test.yml").write_text(json.dumps(content))
    promtool("test", "rules", "test.yml", cwd=folder)


def of_record(check: str, record: str, number: int, at: str, by: str) -> dict[str, Any]:
    """So many series of a record are as expected."""
    found = f"{record}{{check={quoted(check)}}}"
    found = f"sum by ({by}) ({found})" if by else found
    gap = f"abs({found} - on (check, version, at, column, value) {expectation(record)})"
    return {
        "expr": f"count({gap} <= {TOLERANCE})",
        "eval_time": at,
        "exp_samples": [{"value": number}],
    }
