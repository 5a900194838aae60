"""Series beside those of the checks' values: what models and checks are, in words, and the worst state of each check.

Other series carry names alone. Whoever reads them joins the words, on model and check.
"""

from __future__ import annotations

import hashlib

from wakeful.checks import Check
from wakeful.compile.plan import VERDICT, Recording
from wakeful.compile.promql import quoted
from wakeful.monitor import Monitor

__all__ = ["CHECK", "MODEL", "STEP", "WORST", "board_of", "fear_of", "owner_of", "recordings", "told_by"]

MODEL = "wakeful:model:info"  # 1, with the labels model, task and board: the uid of the model's dashboard
CHECK = "wakeful:check:info"  # 1, with the labels model, check, severity, owner, window and fear
WORST = "wakeful:check:worst"  # of a check's verdicts, by model, version and check: one series in place of hundreds
STEP = "wakeful:backfill:step"  # by model: seconds from one sample to the next of a history that was filled in

_ALWAYS = "vector(1)"


def recordings(monitor: Monitor) -> tuple[Recording, ...]:
    """What is recorded of a monitor beside its plan; what says it in words, whether or not there is traffic."""
    model = monitor.reference.model
    about = {"model": model.name, "task": model.task, "board": board_of(model.name)}
    worst = f"max by (model, version, check) ({VERDICT}{{model={quoted(model.name)}}})"
    words = (_of_check(model.name, check) for check in monitor.checks)
    return (Recording(MODEL, _ALWAYS, about), *words, Recording(WORST, worst, {"model": model.name}))


def _of_check(model: str, check: Check) -> Recording:
    labels = {
        "model": model,
        "check": check.name,
        **told_by(check),
        "window": check.window,
        "fear": fear_of(check),
    }
    return Recording(CHECK, _ALWAYS, {name: value for name, value in labels.items() if value})


def owner_of(check: Check) -> str:
    """Whom it wakes, or whose ticket it becomes."""
    return check.page or check.ticket or ""


def told_by(check: Check) -> dict[str, str]:
    """What an alert of a check says beside what it is about; an empty label is none."""
    return {"severity": check.severity, "owner": owner_of(check)}


def fear_of(check: Check) -> str:
    """What a failure means, in words; what should hold, where nobody said it."""
    return check.fear or f"Not so: {check.name.replace('_', ' ')}"


def board_of(model: str) -> str:
    """The uid of a model's dashboard: letters that a link may hold, always the same for one name."""
    return "wakeful-" + hashlib.sha256(model.encode("utf-8", "backslashreplace")).hexdigest()[:16]
