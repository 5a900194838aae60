"""Tests of compiled rules for ``promtool test rules``, from the reference's own counts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prometheus_client.samples import Sample

from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.compile.alerts import CHECK_FAILS, owner_of
from wakeful.compile.health import WATCHDOG
from wakeful.compile.incidents import Incident, healthy, incident
from wakeful.compile.quoting import quoted, selector, valid
from wakeful.compile.rules import Compiled
from wakeful.counts import Counts
from wakeful.expression import Leaf, leaves_of
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter
from wakeful.live.export.series import REFERENCE
from wakeful.live.shared.meters import COUNTERS, GAUGES
from wakeful.live.shared.slots import Reading
from wakeful.monitor import Monitor, agos
from wakeful.verdicts import Verdict

__all__ = ["Tests", "rules_tests"]

_VERSION = "1"
_STEP = 3600  # seconds between evaluations; windows that are summed up from hours need one at every hour
_SAMPLES = 4  # of a window's counters at least: increase() of a straight line is exact with any number from two on
_ANY_SERIES = 10**9  # the budget of series is for services
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
    """One clean case that stays silent and one that fires, per alert.

    Args:
        monitors: that the rules were compiled from.
        rules: name of their file.
    """
    tests: list[dict[str, Any]] = []
    untried = []
    for one in monitors:
        traffic = _Traffic(one)
        for check in one.alerting:
            asserted = one.asserted(check)
            clean = healthy(one.monitor, check, asserted)
            if clean is not None:
                tests.append(_case(one, check, traffic, Incident(clean, clean, 0.0, []), "stays silent"))
            broken = incident(one.monitor, check, asserted)
            if broken is not None:
                tests.append(_case(one, check, traffic, broken, "fails"))
            else:
                untried.append((one.name, check.name))
        tests += _of_health(one)
    return Tests({"rule_files": [rules], "evaluation_interval": f"{_STEP}s", "tests": tests}, untried)


class _Traffic:
    """Counts as the series that an exporter would make of them."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        monitor = compiled.monitor
        comparisons = [one.comparison for check in monitor.checks for one in monitor.assertions(check)]
        self._exporter = Exporter(
            monitor.reference, Path(), version=_VERSION, series=_ANY_SERIES, by_segment=asked(comparisons)
        )

    def series(self, check: Check, counts: Counts) -> Iterator[tuple[Sample, str]]:
        """What a check's rules read of the counts of a window, and how PromQL writes it."""
        leaves = list(_leaves(self._compiled.monitor, check))
        columns = {name for leaf in leaves for name in leaf.columns or ()} | {None}
        segments = {part.segment for leaf in leaves for part in leaf.parts} | {None}
        names = self._names(check)
        counters = np.concatenate([counts.vector, np.zeros(len(COUNTERS))])
        reading = Reading(_VERSION, counters, np.zeros((1, len(GAUGES))), 0.0)
        for metric in self._exporter.metrics([reading]):
            for one in metric.samples:
                if one.name in names and one.labels.get("column") in columns and one.labels.get("segment") in segments:
                    yield one, selector(one.name, **one.labels)

    def _names(self, check: Check) -> set[str]:
        """Names of what a check's rules read, by way of other rules too."""
        plan = self._compiled.plan
        shared = {one.record: one.expr for one in plan.shared}
        names: set[str] = set()
        texts = [one.expr for one in plan.checks[check.name]]
        while texts:
            new = set(_METRIC.findall(texts.pop())) - names
            names |= new
            texts += [shared[name] for name in new & shared.keys()]
        return names


def _leaves(monitor: Monitor, check: Check) -> Iterator[Leaf]:
    for one in monitor.assertions(check):
        for side in (one.comparison.left, one.comparison.right):
            yield from leaves_of(side)


def _case(compiled: Compiled, check: Check, traffic: _Traffic, found: Incident, what: str) -> dict[str, Any]:
    """A test: healthy counters, then those of an incident, and the alerts that fire at its end."""
    window, lasts = int(duration(check.window)), int(found.lasts)
    pasts = [int(duration(ago)) for ago in agos(compiled.monitor.assertions(check))]
    spacing = _spacing(_STEP, window, *pasts)
    end = math.ceil((window + max(pasts, default=0) + _STEP) / _STEP) * _STEP
    first, then = (end - lasts) // spacing, lasts // spacing
    pairs = zip(traffic.series(check, found.before), traffic.series(check, found.after), strict=True)
    series = [
        {"series": written, "values": f"{_number(one.value)}x{first + then}"}
        if one.name in REFERENCE
        else {"series": written, "values": _counter(one.value, after.value, window / spacing, first, then)}
        for (one, written), (after, _) in pairs
    ]
    firing = selector("ALERTS", alertname=CHECK_FAILS, alertstate="firing", model=compiled.name, check=check.name)
    alerts = [{"labels": _labels(compiled, check, one), "value": 1} for one in found.failed]
    return {
        "name": valid(f"{compiled.name}: {check.name} {what}"),
        "interval": f"{spacing}s",
        "input_series": series,
        "promql_expr_test": [{"expr": firing, "eval_time": f"{end}s", "exp_samples": alerts}],
    }


def _spacing(*lengths: int) -> int:
    """Seconds between samples: a part of every length, so that one lies at each end and some between."""
    common = math.gcd(*lengths)
    parts = next((one for one in range(_SAMPLES, common + 1) if common % one == 0), common)
    return common // parts


def _counter(before: float, after: float, per_window: float, first: int, then: int) -> str:
    """Samples of a counter that grows by so much in a window, then by so much."""
    slow, fast = before / per_window, after / per_window
    calm = f"0+{_number(slow)}x{first}"
    return f"{calm} {_number(slow * first + fast)}+{_number(fast)}x{then - 1}" if then else calm


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else repr(value)


def _labels(compiled: Compiled, check: Check, verdict: Verdict) -> str:
    part = verdict.judgement.part
    labels = {
        "alertname": CHECK_FAILS,
        "alertstate": "firing",
        "model": compiled.name,
        "version": _VERSION,
        "check": check.name,
        "assertion": verdict.assertion,
        "at": str(verdict.at),
        "column": verdict.judgement.column or "",
        "segment": part.segment or "",
        "value": part.value or "",
        "severity": check.severity,
        "owner": owner_of(check),
    }
    return selector("ALERTS", **{name: value for name, value in labels.items() if value})


def _of_health(compiled: Compiled) -> Iterator[dict[str, Any]]:
    """What the monitor tells of itself: a service that does well, and one whose every part is broken in turn."""
    of_model = {"model": compiled.name, "version": _VERSION}
    known = compiled.monitor.reference.layout.fingerprint
    rows = selector("wakeful_rows_total", **of_model, reference=known)
    other = selector("wakeful_rows_total", **of_model, reference="another")
    readable = selector("wakeful_counts_readable", **of_model)
    lost = {
        "WakefulLosesObservations": selector("wakeful_observations_dropped_total", **of_model, reason="buffer_full"),
        "WakefulLosesOutcomes": selector("wakeful_outcomes_dropped_total", **of_model),
        "WakefulLosesLog": selector("wakeful_log_lost_rows_total", **of_model),
        "WakefulFlushFails": selector("wakeful_flush_failures_total", **of_model),
    }
    spacing, end = _STEP // _SAMPLES, 27 * _STEP
    samples = end // spacing
    steady, stopped = f"0+100x{samples}", f"0+100x{samples - 8} {100 * (samples - 8)}x7"
    well = {rows: steady, readable: f"1x{samples}", selector("wakeful_observations_seen_total", **of_model): steady}
    well |= dict.fromkeys(lost.values(), f"0x{samples}")
    alerts = selector("ALERTS", alertstate="firing", model=compiled.name)
    found = f"count by (alertname) ({alerts[:-1]},alertname!={quoted(CHECK_FAILS)}}})"

    def case(what: str, series: dict[str, str], firing: Iterable[str]) -> dict[str, Any]:
        expected = [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in (WATCHDOG, *firing)]
        return {
            "name": valid(f"{compiled.name}: {what}"),
            "interval": f"{spacing}s",
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [{"expr": found, "eval_time": f"{end}s", "exp_samples": expected}],
        }

    yield case("all is well", well, [])
    yield case("nothing is scraped", {}, ["WakefulNotScraped"])
    yield case("counts cannot be read", {readable: f"0x{samples}"}, ["WakefulCountsUnreadable"])
    yield case("nobody asks", well | {rows: stopped}, ["WakefulNoTraffic"])
    without = {one: values for one, values in well.items() if one != rows}
    yield case("another reference", without | {other: steady}, ["WakefulOtherReference"])
    yield case("rows are lost", well | dict.fromkeys(lost.values(), steady), list(lost))
