"""What Prometheus records and when it alarms: one group of rules per model, evaluated in order at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.compile.about import recordings
from wakeful.compile.alerts import Links, burn_alert, check_alert, culprits
from wakeful.compile.health import health_alerts
from wakeful.compile.plan import VERDICT, Plan, Recording
from wakeful.compile.quoting import valid
from wakeful.monitor import Monitor

__all__ = ["Compiled", "bridge", "group", "interval"]

_STEPS = (60, 30, 20, 15, 10, 5, 3, 2, 1)  # seconds
_LOOKS = 20  # looks at a window while it passes: coarser ones move what is estimated
_BRIDGED = 5  # evaluations that may fail before an alert ends


class Compiled(NamedTuple):
    """A monitor with what Prometheus is to record of it."""

    monitor: Monitor
    plan: Plan

    @property
    def name(self) -> str:
        """Of the model."""
        return self.monitor.reference.model.name

    @property
    def alerting(self) -> list[Check]:
        """The checks of which something is recorded, in the order of the file."""
        return [check for check in self.monitor.checks if self.asserted(check)]

    def asserted(self, check: Check) -> set[int]:
        """Which of a check's comparisons are recorded."""
        refused = [one.assertion for one in self.plan.refusals if one.check is check]
        recorded = any(one.record == VERDICT for one in self.plan.checks.get(check.name, ()))
        known = self.monitor.assertions(check) if recorded else []
        return {at for at, one in enumerate(known) if not any(one is other for other in refused)}


def interval(checks: Sequence[Check]) -> int:
    """Seconds between two evaluations: a minute, or less where a window is shorter than twenty of them."""
    shortest = min((duration(check.window) for check in checks), default=float("inf"))
    return next((step for step in _STEPS if step * _LOOKS <= shortest), _STEPS[-1])


def bridge(checks: Sequence[Check]) -> str:
    """How long the last verdict counts while none can be calculated, since a scrape failed."""
    return _written(_BRIDGED * interval(checks))


def group(compiled: Compiled, links: Links) -> dict[str, Any]:
    """All rules of one model: recordings first, each after those that it reads, then alerts."""
    monitor, plan = compiled.monitor, compiled.plan
    of_checks = [one for check in monitor.checks for one in plan.checks.get(check.name, ())]
    of_burns = [one for burning in plan.burning for one in burning.recordings]
    bridged = bridge(monitor.checks)
    rules = [_recording(one) for one in (*plan.shared, *of_checks, *of_burns, *recordings(monitor))]
    if compiled.alerting:
        rules.append(culprits(compiled.name, monitor.reference.model.score.name))
    rules += [check_alert(compiled.name, check, links, bridged) for check in compiled.alerting]
    rules += [burn_alert(compiled.name, burning, links, bridged) for burning in plan.burning]
    rules += health_alerts(monitor, links)
    return {"name": valid(f"wakeful {compiled.name}"), "interval": _written(interval(monitor.checks)), "rules": rules}


def _recording(one: Recording) -> dict[str, Any]:
    labels: Mapping[str, str] = {name: valid(value) for name, value in one.labels.items()}
    return {"record": one.record, "expr": one.expr, **({"labels": dict(labels)} if labels else {})}


def _written(seconds: int) -> str:
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
