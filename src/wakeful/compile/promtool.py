"""Tests of compiled rules for ``promtool test rules``, from the reference's own counts."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prometheus_client.samples import Sample

from wakeful.budget import duration
from wakeful.checks import Assertion, Check
from wakeful.compile.about import told_by
from wakeful.compile.alerts import BURNS, CHECK_FAILS
from wakeful.compile.health import WATCHDOG
from wakeful.compile.incidents import Incident, Trial, healthy, incident
from wakeful.compile.plan import Burning, Recording, labels_of
from wakeful.compile.promql import one_of
from wakeful.compile.quoting import selector, valid
from wakeful.compile.rules import Compiled
from wakeful.compile.tracing import is_of_all_versions
from wakeful.counts import Counts
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter
from wakeful.live.export.series import REFERENCE
from wakeful.live.shared.meters import COUNTERS, GAUGES
from wakeful.live.shared.slots import Reading
from wakeful.monitor import agos
from wakeful.verdicts import Verdict

__all__ = ["Tests", "rules_tests"]

_VERSION = "1"
_DAY = 86_400  # seconds between evaluations: promtool evaluates every rule from the start to the end of a test
_MOST_SERIES = 500  # of a test: promtool looks at no more than 10,000 samples in a rule, which reads them repeatedly
_ANY_SERIES = 10**9  # the budget of series is for services
_INCREASE = re.compile(r"wakeful:([a-z_]+):increase(\d+[smhdw]):[0-9a-f]+")
_METRIC = re.compile(r"\bwakeful[_:][A-Za-z0-9_:]+")


class Tests(NamedTuple):
    """What promtool is to try.

    Attributes:
        document: of the file.
        untried: names of models and checks for whose alert no counts were found that would set it off.
    """

    document: dict[str, Any]
    untried: list[tuple[str, str]]


def rules_tests(monitors: Sequence[Compiled], rules: str) -> Tests:
    """A clean case in which every check stays silent, and one per alert in which it fires.

    promtool looks at no more than 10,000 samples in a rule, and days of counters are more. So what is recorded of
    the counters over a window is given, and all that is recorded of it, and alerted on, is tried.

    Args:
        monitors: that the rules were compiled from.
        rules: name of their file.
    """
    tests: list[dict[str, Any]] = []
    untried = []
    for one in monitors:
        traffic = _Traffic(one)
        for window in dict.fromkeys(check.window for check in one.alerting):
            tests += _clean(one, traffic, window)
        for check in one.alerting:
            found = incident(_trial(one, check))
            if found is None:
                untried.append((one.name, check.name))
            else:
                tests.append(_broken(one, check, traffic, found))
        for burning in one.plan.burning:
            trial = Trial.of_burns(one.monitor, burning)
            clean, found = healthy(trial), incident(trial)
            if clean is not None:
                tests.append(_burning(one, burning, traffic, clean, clean))
            if found is None:
                untried.append((one.name, f"{burning.check.name} over {burning.window}"))
            else:
                tests.append(_burning(one, burning, traffic, found.before, found.now))
        tests += _of_health(one)
    return Tests({"rule_files": [rules], "evaluation_interval": f"{_DAY}s", "tests": tests}, untried)


class _Traffic:
    """Counts as the series that rules read of them."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        monitor = compiled.monitor
        comparisons = [one.comparison for check in monitor.checks for one in monitor.assertions(check)]
        self._exporter = Exporter(
            monitor.reference, Path(), version=_VERSION, series=_ANY_SERIES, by_segment=asked(comparisons)
        )

    def series(
        self, rules: Iterable[Recording], assertions: Iterable[Assertion], counts: Counts
    ) -> dict[str | None, dict[str, float]]:
        """What the rules of assertions read of the counts of a window, by column, then by how PromQL writes it."""
        recorded = [(one[1], one[0]) for one in map(_INCREASE.fullmatch, sorted(self._names(rules))) if one is not None]
        leaves = [leaf for one in assertions for leaf in one.comparison.leaves]
        columns = {name for leaf in leaves for name in leaf.columns or ()} | {None}
        segments = {part.segment for leaf in leaves for part in leaf.parts} | {None}
        found: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for one in self._samples(counts):
            column = one.labels.get("column")
            if column not in columns or one.labels.get("segment") not in segments:
                continue
            if one.name in REFERENCE:
                found[column][selector(one.name, **one.labels)] = one.value
            for counter, name in recorded:
                if one.name == f"wakeful_{counter}_total":
                    kept = {label: value for label, value in one.labels.items() if label != "reference"}
                    found[column][selector(name, **kept)] += one.value
        return found

    def _samples(self, counts: Counts) -> Iterator[Sample]:
        counters = np.concatenate([counts.vector, np.zeros(len(COUNTERS))])
        reading = Reading(_VERSION, counters, np.zeros((1, len(GAUGES))), 0.0)
        for metric in self._exporter.metrics([reading]):
            yield from metric.samples

    def of_check(self, check: Check, counts: Counts) -> dict[str | None, dict[str, float]]:
        """The same of a check."""
        compiled = self._compiled
        return self.series(compiled.plan.checks[check.name], compiled.monitor.assertions(check), counts)

    def _names(self, rules: Iterable[Recording]) -> set[str]:
        """Names of the series that rules read, by way of other rules too."""
        shared = {one.record: one.expr for one in self._compiled.plan.shared if not _INCREASE.fullmatch(one.record)}
        names: set[str] = set()
        texts = [one.expr for one in rules]
        while texts:
            new = set(_METRIC.findall(texts.pop())) - names
            names |= new
            texts += [shared[name] for name in new & shared.keys()]
        return names


def _clean(compiled: Compiled, traffic: _Traffic, window: str) -> Iterator[dict[str, Any]]:
    """Healthy traffic, now and as long ago as anybody asks: no check of that window fails. Some columns at a time."""
    monitor = compiled.monitor
    checks = [check for check in compiled.alerting if check.window == window]
    series: dict[str | None, dict[str, float]] = defaultdict(dict)
    for check in checks:
        counts = healthy(_trial(compiled, check))
        for column, some in traffic.of_check(check, counts).items() if counts is not None else ():
            series[column] |= some
    pasts = [int(duration(ago)) for check in checks for ago in agos(monitor.assertions(check))]
    firing = (
        f"{selector('ALERTS', **_firing(compiled, CHECK_FAILS))[:-1]},check=~{one_of(check.name for check in checks)}}}"
    )
    common = series.pop(None, {})
    for columns in _portions({column: len(some) for column, some in series.items()}):
        fed = common | {one: value for column in columns for one, value in series[column].items()}
        yield _case(compiled, f"{window} of healthy traffic", fed, fed, pasts, firing, [])


def _portions(sizes: Mapping[str | None, int]) -> list[list[str | None]]:
    """Columns whose series promtool bears together; one portion at least."""
    portions: list[list[str | None]] = [[]]
    size = 0
    for column, more in sizes.items():
        if portions[-1] and size + more > _MOST_SERIES:
            portions.append([])
            size = 0
        portions[-1].append(column)
        size += more
    return portions


def _broken(compiled: Compiled, check: Check, traffic: _Traffic, found: Incident) -> dict[str, Any]:
    """What is fed is of the column that fails alone."""
    failed = {one.judgement.column for one in found.failed}
    leaves = [leaf for one in compiled.monitor.assertions(check) for leaf in one.comparison.leaves]
    single = {name for leaf in leaves for name in leaf.columns or () if len(leaf.columns or ()) == 1}
    fed = {None, *failed, *single}
    before, now = (
        {one: value for column, some in series.items() if column in fed for one, value in some.items()}
        for series in (traffic.of_check(check, counts) for counts in (found.before, found.now))
    )
    pasts = [int(duration(ago)) for ago in agos(compiled.monitor.assertions(check))]
    labels = _firing(compiled, CHECK_FAILS) | {"check": check.name}
    alerts = [{"labels": _labels(compiled, labels, check, one), "value": 1} for one in found.failed]
    return _case(compiled, f"{check.name} fails", before, now, pasts, selector("ALERTS", **labels), alerts)


def _burning(compiled: Compiled, burning: Burning, traffic: _Traffic, before: Counts, now: Counts) -> dict[str, Any]:
    """Counts that the window has and the shorter one, which tells whether it goes on."""
    check, monitor = burning.check, compiled.monitor
    labels = _firing(compiled, BURNS) | {"check": check.name, "window": burning.window}
    alerts = [
        {"labels": _labels(compiled, labels | {"burn": burn.rate}, check, one), "value": 1}
        for burn in burning.burns
        for one in burn.judge(monitor, now)
        if one.verdict == "fail"
    ]
    assertions = [burn.assertion for burn in burning.burns]
    earlier, later = (
        {one: value for some in series.values() for one, value in some.items()}
        for series in (traffic.series(burning.recordings, assertions, counts) for counts in (before, now))
    )
    what = f"{check.name} {'burns' if alerts else 'is kept'} over {burning.window}"
    return _case(compiled, what, earlier, later, [], selector("ALERTS", **labels), alerts)


def _case(
    compiled: Compiled,
    what: str,
    before: Mapping[str, float],
    now: Mapping[str, float],
    pasts: Sequence[int],
    asked: str,
    expected: list[dict[str, Any]],
) -> dict[str, Any]:
    """A test at the end of as many days as anybody looks back; samples stand at every moment that is asked of."""
    end = max(1, math.ceil(max(pasts, default=0) / _DAY)) * _DAY
    spacing = math.gcd(_DAY, *pasts)
    earlier = end // spacing - 1  # beside the first and the last
    return {
        "name": valid(f"{compiled.name}: {what}"),
        "interval": f"{spacing}s",
        "input_series": [
            {"series": series, "values": f"{_number(before[series])}x{earlier} {_number(value)}"}
            for series, value in now.items()
        ],
        "promql_expr_test": [{"expr": asked, "eval_time": f"{end}s", "exp_samples": expected}],
    }


def _trial(compiled: Compiled, check: Check) -> Trial:
    return Trial.of_check(compiled.monitor, check, compiled.asserted(check))


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else repr(value)


def _firing(compiled: Compiled, alert: str) -> dict[str, str]:
    return {"alertname": alert, "alertstate": "firing", "model": compiled.name}


def _labels(compiled: Compiled, common: Mapping[str, str], check: Check, verdict: Verdict) -> str:
    """An alert that fires, by how PromQL writes it."""
    part = verdict.judgement.part
    of_all = is_of_all_versions(compiled.monitor.assertions(check)[verdict.at])
    labels = {
        **common,
        "version": "" if of_all else _VERSION,
        **labels_of(compiled.name, check.name, verdict.assertion, verdict.at),
        "column": verdict.judgement.column or "",
        "segment": part.segment or "",
        "value": part.value or "",
        **told_by(check),
    }
    return selector("ALERTS", **{name: value for name, value in labels.items() if value})


def _of_health(compiled: Compiled) -> Iterator[dict[str, Any]]:
    """What the monitor tells of itself: a service that does well, and one whose every part is broken in turn."""
    of_model = {"model": compiled.name, "version": _VERSION}
    known = compiled.monitor.reference.layout.fingerprint
    rows = selector("wakeful_rows_total", **of_model, reference=known)
    other = selector("wakeful_rows_total", **of_model, reference="another")
    readable = selector("wakeful_counts_readable", **of_model)
    shared = selector("wakeful_counts_shared", **of_model)
    lost = {
        "WakefulLosesObservations": selector("wakeful_observations_dropped_total", **of_model, reason="buffer_full"),
        "WakefulLosesOutcomes": selector("wakeful_outcomes_dropped_total", **of_model),
        "WakefulLosesLog": selector("wakeful_log_lost_rows_total", **of_model),
        "WakefulFlushFails": selector("wakeful_flush_failures_total", **of_model),
    }
    spacing, end = 900, 2 * _DAY
    samples = end // spacing
    steady, stopped = f"0+100x{samples}", f"0+100x{samples - 8} {100 * (samples - 8)}x7"
    well = {
        rows: steady,
        readable: f"1x{samples}",
        shared: f"1x{samples}",
        selector("wakeful_observations_seen_total", **of_model): steady,
    }
    well |= dict.fromkeys(lost.values(), f"0x{samples}")
    alerts = selector("ALERTS", alertstate="firing", model=compiled.name)
    found = f"count by (alertname) ({alerts[:-1]},alertname!~{one_of((BURNS, CHECK_FAILS))}}})"

    def case(what: str, series: dict[str, str], firing: Iterable[str]) -> dict[str, Any]:
        expected = [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in (WATCHDOG, *firing)]
        return {
            "name": valid(f"{compiled.name}: {what}"),
            "interval": f"{spacing}s",
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [{"expr": found, "eval_time": f"{end}s", "exp_samples": expected}],
        }

    yield case("the monitor does well", well, [])
    yield case("nothing is scraped", {}, ["WakefulNotScraped"])
    yield case("counts cannot be read", {readable: f"0x{samples}"}, ["WakefulCountsUnreadable"])
    yield case("counts cannot be shared", well | {shared: f"0x{samples}"}, ["WakefulFlushFails"])
    without = {one: values for one, values in well.items() if one != rows}
    yield case("counts never could be shared", without, ["WakefulCountsUnreadable"])
    yield case("nobody asks", well | {rows: stopped}, ["WakefulNoTraffic"])
    yield case("another reference", without | {other: steady}, ["WakefulOtherReference"])
    yield case("rows are lost", well | dict.fromkeys(lost.values(), steady), list(lost))
