"""Failing windows -> alarms: what a team would have been told, and how often."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.every import Every
from wakeful.explain import Cause
from wakeful.replay import Replay, Step
from wakeful.verdicts import Outcome, Verdict, worst

__all__ = ["Alarm", "Tally", "reach"]

_WEEK = 604_800


def reach(check: Check, every: Every | None) -> int:
    """Steps apart within which failures of a check are one alarm: its window's length, at least one."""
    return 1 if every is None else max(1, math.ceil(duration(check.window) / every.seconds))


@dataclass
class Alarm:
    """Failing windows of one check, no more than its window's length apart.

    Attributes:
        check: that fails.
        first, last: windows.
        windows: how many of them fail.
        told: the verdict that failed first, and the first of every other column that joined it.
        explanation: at its first window.
    """

    check: Check
    first: str
    last: str
    windows: int = 0
    told: dict[tuple[str, str | None], Verdict] = field(default_factory=dict)
    explanation: list[Cause] = field(default_factory=list)
    _place: int = 0


class Tally:
    """Marks and alarms of a replay, kept while its steps pass by: memory grows by a letter per check and window.

    Attributes:
        windows: name of every window.
        marks: the worst verdict of every check in every window, by name.
        alarms: of the checks that page or file a ticket, in order of their first window.
        explained: of the others.
        maturing: windows that wait for outcomes, with the share that is known of them, by check.
        rows: judged in all.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.checks = replay.monitor.checks
        self.windows: list[str] = []
        self.marks: dict[str, list[Outcome]] = {check.name: [] for check in self.checks}
        self.alarms: list[Alarm] = []
        self.explained: list[Alarm] = []
        self.maturing: dict[str, list[tuple[str, float]]] = {}
        self.rows = 0
        self._latest: dict[str, Alarm] = {}

    def add(self, step: Step) -> None:
        """Take in the next window."""
        at = len(self.windows)
        self.windows.append(step.window)
        self.rows += step.n
        by_check: dict[str, list[Verdict]] = {}
        for one in step.verdicts:
            by_check.setdefault(one.check, []).append(one)
        for check in self.checks:
            verdicts = by_check.get(check.name, [])
            outcome = worst(one.verdict for one in verdicts)
            self.marks[check.name].append(outcome)
            shares = [one.judgement.maturity for one in verdicts if one.verdict == "maturing"]
            if known := [one for one in shares if one is not None]:
                self.maturing.setdefault(check.name, []).append((step.window, min(known)))
            if outcome == "fail":
                self._fail(check, at, step, [one for one in verdicts if one.verdict == "fail"])

    def _fail(self, check: Check, at: int, step: Step, failed: list[Verdict]) -> None:
        known = self._latest.get(check.name)
        if known is None or at - known._place > reach(check, self._replay.every):
            known = self._latest[check.name] = Alarm(check, step.window, step.window, explanation=step.explanation)
            (self.explained if check.severity == "explain" else self.alarms).append(known)
        known.last, known._place = step.window, at
        known.windows += 1
        for one in failed:
            known.told.setdefault((one.assertion, one.judgement.column), one)

    @property
    def weeks(self) -> float | None:
        """Length of the history; None where its windows are no times."""
        every = self._replay.every
        return None if every is None else len(self.windows) * every.seconds / _WEEK

    def numbers(self) -> Iterator[tuple[Check, int, int]]:
        """Every check with its alarms and its failing windows."""
        for check in self.checks:
            alarms = [one for one in (*self.alarms, *self.explained) if one.check is check]
            yield check, len(alarms), sum(one.windows for one in alarms)
