"""Alerts about the monitor itself: without them, missing data would read as "all is well"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from wakeful.checks import Check
from wakeful.compile.about import owner_of
from wakeful.compile.alerts import Links
from wakeful.compile.promql import quoted
from wakeful.compile.quoting import in_template, selector
from wakeful.monitor import Monitor

__all__ = ["BLIND", "WATCHDOG", "health_alerts", "losses_owner"]

WATCHDOG = "WakefulWatchdog"
# While one of these fires, the checks of its model have nothing to say.
BLIND = ("WakefulNotScraped", "WakefulNoTraffic", "WakefulOtherReference")
_UNREADABLE = "WakefulCountsUnreadable"  # of one version: the checks of others have

_ENOUGH = 20  # rows of yesterday, beside which none at all is no chance: two random hours differ so once in ten million
_MOST_LOST = 0.01  # of the observations; fewer do not change a verdict


class _Alert(NamedTuple):
    """An alert in words.

    Attributes:
        name: of the alert.
        expr: PromQL.
        summary: what it means.
        action: what to do.
        held: how long it has to hold: Prometheus starts before it has scraped, and rules come before services do.
    """

    name: str
    expr: str
    summary: str
    action: str
    held: str = ""


def health_alerts(monitor: Monitor, links: Links) -> Iterator[dict[str, Any]]:
    """The alerting rules of a model that are about no check.

    What blinds its checks is as grave as the gravest of them, and told to whom that is told. What loses some rows is a
    ticket. The watchdog always fires: who stops hearing it knows that nobody would hear of anything else.
    """
    model = monitor.reference.model.name
    gravest = _first(monitor, "page") or _first(monitor, "ticket")
    yield {
        "alert": WATCHDOG,
        "expr": "vector(1)",
        "labels": {"model": in_template(model), "severity": "watchdog"},
        "annotations": {"summary": "Prometheus evaluates the rules of this model and reaches Alertmanager"},
    }
    for alert in _blind(monitor):
        owner, severity = (owner_of(gravest), gravest.severity) if gravest else ("", "ticket")
        yield _rule(alert, model, owner, severity, links)
    for alert in _lossy(model):
        yield _rule(alert, model, losses_owner(monitor), "ticket", links)


def losses_owner(monitor: Monitor) -> str:
    """Whose ticket it becomes that rows are lost; empty where no check has an owner."""
    check = _first(monitor, "ticket") or _first(monitor, "page")
    return owner_of(check) if check else ""


def _first(monitor: Monitor, severity: str) -> Check | None:
    return next((check for check in monitor.checks if check.severity == severity), None)


def _rule(alert: _Alert, model: str, owner: str, severity: str, links: Links) -> dict[str, Any]:
    labels = {"model": in_template(model), "severity": severity, "owner": in_template(owner)}
    filled = links.annotations(model=model, check=alert.name, owner=owner, severity=severity)
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": alert.held} if alert.held else {}),
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {"summary": alert.summary, "action": alert.action, **filled},
    }


def _blind(monitor: Monitor) -> Iterator[_Alert]:
    model = monitor.reference.model.name
    readable = selector("wakeful_counts_readable", model=model)
    rows = f'wakeful_rows_total{{model={quoted(model)},segment=""}}'
    known = f"{rows[:-1]},reference={quoted(monitor.reference.layout.fingerprint)}}}"
    yield _Alert(
        BLIND[0],
        f"absent({readable})",
        "No service exports this model, so nobody watches it",
        "See whether the service runs, whether Prometheus scrapes it (Status, Targets), and whether it calls start().",
        "5m",
    )
    yield _Alert(
        _UNREADABLE,
        f"max by (model, version) ({readable})\nunless on (model, version) {rows}",  # which are absent then
        "The counts of this model cannot be read, so nobody watches it",
        "See whether the folder that its workers share (WAKEFUL_COUNTS) exists, and can be read and written.",
        "5m",
    )
    yield _Alert(
        BLIND[1],
        f"{_silent(rows, '1h')}\nor {_silent(rows, '1d')}",
        "This model answers nobody, though it did at this time yesterday",
        "See whether requests reach the service, and whether it still calls observe().",
    )
    yield _Alert(
        BLIND[2],
        f"count by (model) (last_over_time({rows}[5m]))\nunless on (model) last_over_time({known}[5m])",
        "The service counts by another reference than these rules were compiled from, so no check is judged",
        "Compile the monitor file again, from the reference that the service has: wakeful compile.",
        "15m",
    )


def _silent(rows: str, length: str) -> str:
    """No rows, though there were a day before, and a week before as far as anybody remembers."""

    def so_long(ago: str = "") -> str:
        return f"sum by (model) (increase({rows}[{length}]{f' offset {ago}' if ago else ''}))"

    return f"({so_long()} == 0\n  and {so_long('1d')} >= {_ENOUGH}\n  unless {so_long('1w')} < {_ENOUGH})"


def _lossy(model: str) -> Iterator[_Alert]:
    shared = selector("wakeful_counts_shared", model=model)

    def lost(name: str) -> str:
        return f"sum by (model, version) (increase({selector(name, model=model)}[1h]))"

    yield _Alert(
        "WakefulLosesObservations",
        f"{lost('wakeful_observations_dropped_total')}\n> {_MOST_LOST} * {lost('wakeful_observations_seen_total')}",
        f"More than {_MOST_LOST:.0%} of the observations of this model were not counted in the last hour",
        "The label reason of wakeful_observations_dropped_total says why: buffer_full, a larger start(buffer=…) or "
        "more CPU; error and invalid, see the service's log.",
    )
    yield _Alert(
        "WakefulLosesOutcomes",
        f"{lost('wakeful_outcomes_dropped_total')} > 0",
        "Outcomes of this model were lost in the last hour",
        "Report them again with outcome(); a larger start(buffer=…) holds more of them.",
    )
    yield _Alert(
        "WakefulLosesLog",
        f"{lost('wakeful_log_lost_rows_total')} > 0",
        "Rows of this model were not written to the log in the last hour",
        "See whether the log's disk is full, or its bucket out of reach; the service's log says which.",
    )
    yield _Alert(
        "WakefulFlushFails",
        # workers that cannot share their counts cannot share how often that failed
        f"{lost('wakeful_flush_failures_total')} > 0\nor min by (model, version) (min_over_time({shared}[1h])) == 0",
        "Counts of this model could not be shared in the last hour, and wait in their workers",
        "See whether the folder that its workers share (WAKEFUL_COUNTS) is full or gone.",
    )
