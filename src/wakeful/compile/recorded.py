"""Verdicts as Prometheus records them: the same series and alerts, from the numbers of the checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from wakeful.bins import Floats
from wakeful.checks import Check
from wakeful.compile.about import CHECK, MODEL, WORST, recordings, told_by
from wakeful.compile.alerts import CHECK_FAILS, CULPRIT
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, NOISE, REFERENCE, ROWS, VERDICT, labels_of
from wakeful.compile.quoting import valid
from wakeful.compile.rules import Compiled
from wakeful.compile.tracing import is_of_all_versions
from wakeful.counts import Slice
from wakeful.expression import leaves_of
from wakeful.live.export.exporter import slice_labels
from wakeful.live.export.exposition import Labels
from wakeful.verdicts import Judgement, Outcome, Verdict

__all__ = ["ALERTS", "STATES", "Records", "numbers"]

ALERTS = "ALERTS"  # as Prometheus calls the series of its alerts
STATES: Mapping[Outcome, float] = {"pass": 0.0, "unsure": 1.0, "fail": 2.0}
_NUMBERS: Mapping[str, Callable[[Judgement], float]] = {
    ESTIMATE: lambda one: one.estimate,
    LOW: lambda one: one.low,
    HIGH: lambda one: one.high,
    ROWS: lambda one: one.n,
    LIMIT: lambda one: one.limit,
    NOISE: lambda one: one.noise,
    REFERENCE: lambda one: one.reference,
    VERDICT: lambda one: math.nan if math.isnan(one.limit) else STATES[one.verdict],
}


def numbers(judgement: Judgement) -> dict[str, float]:
    """What is recorded of a judgement, by the name of the series; what is not known has none."""
    if math.isnan(judgement.estimate):  # as that of outcomes that are still to come
        return {}
    found = {record: float(of(judgement)) for record, of in _NUMBERS.items()}
    return {record: value for record, value in found.items() if not math.isnan(value)}


class _Place(NamedTuple):
    """Which series a verdict becomes: its check, the place of its assertion there, its column and slice."""

    check: str
    at: int
    column: str | None
    part: Slice


class Records:
    """All series that Prometheus records of one monitor's checks, beside what they are made of.

    Args:
        compiled: the monitor, and what of it is recorded.
        version: of the model; a label.

    Attributes:
        growths: the increases of counters that are recorded and that rules read again later.
    """

    def __init__(self, compiled: Compiled, version: str = "") -> None:
        monitor = compiled.monitor
        self.growths = compiled.plan.growths
        self._score = monitor.reference.model.score.name
        self._version = Labels(version=valid(version))
        self._asserted = {check.name: compiled.asserted(check) for check in monitor.checks}
        self._words = [one for one in recordings(monitor) if one.record in (MODEL, CHECK)]
        found = dict(self._elements(compiled))
        self._places = {place: at for at, place in enumerate(found)}
        self._labels = list(found.values())
        whose = {check.name: told_by(check) for check in monitor.checks}
        firing = {"alertname": CHECK_FAILS, "alertstate": "firing"}
        self._alerts = [Labels(_valid(one | whose[place.check] | firing)) for place, one in found.items()]
        named = {"model": compiled.name}
        self._worst = {
            (place.check, labels.get("version")): Labels(
                _valid(named | {"check": place.check}), version=labels.get("version", "")
            )
            for place, labels in found.items()
        }

    def asserted(self, check: Check) -> set[int]:
        """Which of a check's assertions are recorded."""
        return self._asserted[check.name]

    def _elements(self, compiled: Compiled) -> Iterator[tuple[_Place, Labels]]:
        """Every element of the assertions that are recorded, with the labels of its series."""
        monitor, layout = compiled.monitor, compiled.monitor.reference.layout
        parts = dict(zip(layout.slices, slice_labels(layout), strict=True))
        for check in compiled.alerting:
            known = monitor.assertions(check)
            for at in sorted(compiled.asserted(check)):
                version = Labels() if is_of_all_versions(known[at]) else self._version
                labels = _valid(labels_of(compiled.name, check.name, known[at].source, at))
                for one in known[at].comparison.elements:
                    [column, *_] = next(leaves_of(one.live)).columns or [None]
                    of_column = {"column": valid(column or "")}
                    place = _Place(check.name, at, column, one.key.part)
                    yield place, Labels(labels, of_column, parts[one.key.part], version)

    def metrics(self, verdicts: Iterable[Verdict]) -> Iterator[Metric]:
        """Every series and its value at the moment of some verdicts: not a number where Prometheus has none."""
        values = {record: np.full(len(self._labels), math.nan) for record in _NUMBERS}
        worst = dict.fromkeys(self._worst, math.nan)
        for one in verdicts:
            place = self._places.get(_Place(one.check, one.at, one.judgement.column, one.judgement.part))
            if place is not None:
                found = numbers(one.judgement)
                for record, value in found.items():
                    values[record][place] = value
                of_check = one.check, self._labels[place].get("version")
                worst[of_check] = np.fmax(worst[of_check], found.get(VERDICT, math.nan))
        for record, some in values.items():
            yield _metric(record, self._labels, some)
        yield _metric(WORST, list(self._worst.values()), list(worst.values()))
        for name in (MODEL, CHECK):
            words = [Labels(_valid(one.labels)) for one in self._words if one.record == name]
            yield _metric(name, words, [1.0] * len(words))
        yield _metric(CULPRIT, self._labels, self._culprits(values))
        yield _metric(ALERTS, self._alerts, np.where(values[VERDICT] == STATES["fail"], 1.0, math.nan))

    def _culprits(self, values: Mapping[str, Floats]) -> Floats:
        """Of each column and slice that fails, the element farthest beyond its limit; the score where it is alone."""
        with np.errstate(invalid="ignore", divide="ignore"):
            beyond = abs(values[ESTIMATE] - values[LIMIT]) / (values[HIGH] - values[LOW])
        found: dict[tuple[str, Slice], int] = {}
        for place, at in self._places.items():
            if place.column is not None and values[VERDICT][at] == STATES["fail"] and not math.isnan(beyond[at]):
                key = place.column, place.part
                if key not in found or beyond[at] > beyond[found[key]]:
                    found[key] = at
        features = [at for (column, _), at in found.items() if column != self._score]
        chosen = features or list(found.values())
        result = np.full(len(beyond), math.nan)
        result[chosen] = beyond[chosen]
        return result


def _metric(name: str, labels: Sequence[Labels], values: Sequence[float] | Floats) -> Metric:
    metric = Metric(name, "What rules record of the checks.", "gauge")
    metric.samples = [Sample(name, one, float(value)) for one, value in zip(labels, values, strict=True)]
    return metric


def _valid(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: valid(value) for name, value in labels.items()}
