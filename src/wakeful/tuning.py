"""Limits that a history bears: which would have kept the alarm budget, and what they would have caught."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wakeful.alarms import reach
from wakeful.bins import Floats
from wakeful.budget import AlarmBudget, duration
from wakeful.checks import Assertion, Check
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.expression import Node, Number, Op
from wakeful.replay import Replay, Step
from wakeful.source import Literal
from wakeful.verdicts import Verdict

__all__ = ["Dial", "Incident", "Proposal", "Trial", "Tuning", "incident"]


class Incident(NamedTuple):
    """A stretch of the history that is known to have been broken: it is there to be caught."""

    text: str
    first: dt.datetime
    last: dt.datetime


def incident(text: str, every: Every) -> Incident:
    """Read ``2024-03-01..2024-03-05``, both days included; DataError for anything else."""
    first, dots, last = text.partition("..")
    if not dots:
        raise DataError(f"{text!r} is no stretch of time. Write 2024-03-01..2024-03-05.")
    begin, end = every.moment(first), every.moment(last)
    if len(last) <= 10:
        end += dt.timedelta(days=1)
    if end <= begin:
        raise DataError(f"{text!r} ends before it begins.")
    return Incident(text, begin, end)


@dataclass(eq=False)
class Dial:
    """A number in the monitor file, and the loosest it would have had to be in every window.

    Attributes:
        check: whose assert it limits.
        source: the assert.
        literal: where it stands.
        needed: per window, the limit at which no element would have failed; infinitely tight where nothing
            was known.
    """

    check: Check
    source: str
    literal: Literal
    needed: list[float] = field(default_factory=list)

    @property
    def is_upper(self) -> bool:
        """Live values must stay below it."""
        return self.literal.symbol in ("<=", "<")

    @property
    def limit(self) -> float:
        """The limit of today, as it is added to the other side."""
        return self.literal.factor * self.literal.value

    def fails(self, limit: float) -> NDArray[np.bool_]:
        """Windows that fail under a limit, shape (windows,)."""
        needed = np.array(self.needed)
        return needed > limit if self.is_upper else needed < limit

    def beyond(self, windows: NDArray[np.bool_]) -> float | None:
        """The tightest limit, in two digits, under which none of these windows fails."""
        needed = np.array(self.needed)[windows]
        needed = needed[np.isfinite(needed)]
        if not len(needed):
            return None
        return _rounded(float(needed.max() if self.is_upper else needed.min()), up=self.is_upper)

    def strength(self) -> Floats:
        """How far every window lies beyond today's limit, in units of how much windows differ; (windows,)."""
        needed = np.array(self.needed)
        known = needed[np.isfinite(needed)]
        spread = float(np.subtract(*np.percentile(known, [75, 25]))) if len(known) else 0.0
        distance = needed - self.limit if self.is_upper else self.limit - needed
        return np.where(np.isfinite(distance), distance, -np.inf) / max(spread, abs(self.limit) / 100, 1e-9)


class Trial(NamedTuple):
    """What a limit would have done: alarms outside of incidents, windows that fail there, incidents caught."""

    limit: float
    alarms: int
    windows: int
    caught: int


class Proposal(NamedTuple):
    """What to do with a dial.

    Attributes:
        dial: the number.
        now: with today's limit.
        proposed: with the limit that keeps the budget; today's where that does.
        tightest: with the tightest limit under which no healthy window fails; None where nothing is known.
    """

    dial: Dial
    now: Trial
    proposed: Trial
    tightest: Trial | None

    @property
    def value(self) -> float:
        """The proposed limit as the file writes it."""
        return self.dial.literal.factor * self.proposed.limit


class Tuning:
    """Learns from a replay which limits would have kept the budget.

    Of the alarms that the history would have given, the budget bears some. The strongest stay; limits are
    loosened until the others are silent. Checks that neither page nor file a ticket are left alone.

    Args:
        replay: over the history; only windows of time have a rate.
        budget: alarms that the team can bear.
        known: incidents: alarms in them are wanted, and no reason to loosen a limit.
        written: numbers in the monitor file.
    """

    def __init__(
        self, replay: Replay, budget: AlarmBudget, known: Sequence[Incident], written: Sequence[Literal]
    ) -> None:
        if replay.every is None:
            raise DataError("a budget is a rate, so windows must be times: give every='1h' and a time column.")
        self._every = replay.every
        self._budget = budget
        self.incidents = list(known)
        self.windows: list[tuple[dt.datetime, dt.datetime]] = []  # when each begins and ends
        self.fixed: list[tuple[Check, str]] = []
        self._checks = {one.name: one for one in replay.monitor.checks if one.severity != "explain"}
        self._others: dict[str, list[bool]] = {name: [] for name in self._checks}  # asserts without a dial fail
        self._dials: dict[tuple[str, int], Dial] = {}
        by_place: dict[Literal, Dial] = {}
        for check in replay.monitor.checks:
            if check.severity == "explain":
                continue
            for at, one in enumerate(replay.monitor.assertions(check)):
                literal = _literal_of(one, written)
                if literal is None:
                    self.fixed.append((check, one.source))
                else:
                    self._dials[check.name, at] = by_place.setdefault(literal, Dial(check, one.source, literal))
        self.dials = sorted(by_place.values(), key=lambda one: one.literal.start)

    def add(self, step: Step) -> None:
        """Take in the next window."""
        start = dt.datetime.fromisoformat(step.window)
        end = dt.datetime.fromisoformat(self._every.show(self._every.following(round(start.timestamp() * 1e6))))
        self.windows.append((start, end))
        for name, fails in self._others.items():
            fails.append(any(one.check == name and self._fails_otherwise(one) for one in step.verdicts))
        for dial in self.dials:
            dial.needed.append(-math.inf if dial.is_upper else math.inf)
        for one in step.verdicts:
            found = self._dials.get((one.check, one.at))
            excess = one.judgement.excess
            if found is None or not math.isfinite(excess):
                continue
            if found.is_upper:
                found.needed[-1] = max(found.needed[-1], found.limit + excess)
            else:
                found.needed[-1] = min(found.needed[-1], found.limit - excess)

    def _fails_otherwise(self, one: Verdict) -> bool:
        """Whether an assert fails that no number in the file limits."""
        return one.verdict == "fail" and (one.check, one.at) not in self._dials

    @property
    def bears(self) -> float:
        """Alarms that the budget allows for a history of this length."""
        return self._budget.pages * len(self.windows) * self._every.seconds / self._budget.seconds

    def proposals(self) -> list[Proposal]:
        """One for every number, in the order of the file; DataError where there was no window to learn from."""
        if not self.windows:
            raise DataError("the history has no window to learn limits from. Look at --since, --until and its times.")
        for one in self.incidents:
            if not self._within(one).any():
                raise DataError(f"no window of the history lies in {one.text}. Are its days, and the time zone, right?")
        limits = self._limits()
        found = []
        for dial in self.dials:
            tightest = dial.beyond(self._healthy(dial.check))
            found.append(
                Proposal(
                    dial,
                    self._trial(dial, dial.limit),
                    self._trial(dial, limits[dial]),
                    None if tightest is None else self._trial(dial, tightest),
                )
            )
        return found

    def _limits(self) -> dict[Dial, float]:
        """Limits that keep the budget, with as many of the strongest alarms as it bears.

        A looser limit can tear one long alarm into two, which may be one too many: then one less is kept.
        """
        limits: dict[Dial, float] = {}
        for number in range(math.floor(self.bears), -1, -1):
            kept = self._kept(number)
            for dial in self.dials:
                silenced = self._healthy(dial.check) & ~kept[dial.check.name]
                fails = bool((dial.fails(dial.limit) & silenced).any())
                silent = dial.beyond(silenced) if fails else None
                limits[dial] = dial.limit if silent is None else silent
            if self.alarms(list(limits.items())) <= self.bears:
                break
        return limits

    def alarms(self, limits: Sequence[tuple[Dial, float]]) -> int:
        """Alarms of all checks together outside of incidents, under these limits."""
        fails = {name: np.array(found, dtype=bool) for name, found in self._others.items()}
        for dial, limit in limits:
            fails[dial.check.name] |= dial.fails(limit)
        checks = self._checks.items()
        return sum(len(self._episodes(check, fails[name] & self._healthy(check))) for name, check in checks)

    def _trial(self, dial: Dial, limit: float) -> Trial:
        fails, healthy = dial.fails(limit), self._healthy(dial.check)
        caught = sum(bool(fails[self._within(one)].any()) for one in self.incidents)
        return Trial(limit, len(self._episodes(dial.check, fails & healthy)), int((fails & healthy).sum()), caught)

    def _kept(self, number: int) -> dict[str, NDArray[np.bool_]]:
        """Windows of the strongest alarms of all checks, so many of them; by check, shape (windows,).

        The longer an alarm, the stronger; of equally long ones, the farther beyond its limit.
        """
        episodes: list[tuple[int, float, str, list[int]]] = []
        for check in {dial.check.name: dial.check for dial in self.dials}.values():
            dials = [dial for dial in self.dials if dial.check is check]
            fails = np.any([dial.fails(dial.limit) for dial in dials], axis=0) & self._healthy(check)
            strength = np.max([dial.strength() for dial in dials], axis=0)
            found = self._episodes(check, fails)
            episodes += [(len(one), float(strength[one].max()), check.name, one) for one in found]
        kept = {name: np.zeros(len(self.windows), dtype=bool) for name in self._checks}
        for *_, name, windows in sorted(episodes, key=lambda one: one[:2], reverse=True)[:number]:
            kept[name][windows] = True
        return kept

    def _episodes(self, check: Check, fails: NDArray[np.bool_]) -> list[list[int]]:
        """Failing windows, those no more than the check's window apart together: one alarm each."""
        apart = reach(check, self._every)
        found: list[list[int]] = []
        for at in np.flatnonzero(fails).tolist():
            if found and at - found[-1][-1] <= apart:
                found[-1].append(at)
            else:
                found.append([at])
        return found

    def _healthy(self, check: Check) -> NDArray[np.bool_]:
        """Steps whose trailing window holds nothing of an incident, shape (windows,)."""
        longer = max(0.0, duration(check.window) - self._every.seconds)
        broken = np.zeros(len(self.windows), dtype=bool)
        for one in self.incidents:
            broken |= self._within(one._replace(last=one.last + dt.timedelta(seconds=longer)))
        return ~broken

    def _within(self, one: Incident) -> NDArray[np.bool_]:
        return np.array([one.first < end and start < one.last for start, end in self.windows], dtype=bool)


def _literal_of(assertion: Assertion, written: Sequence[Literal]) -> Literal | None:
    """The number in the file that limits a comparison; None where it is computed."""
    comparison = assertion.comparison
    sought = (assertion.line, assertion.source, comparison.direction, _constant(comparison.live[1]))
    for one in written:
        if (one.line, one.source, one.symbol, one.factor * one.value) == sought:
            return one
    return None


def _constant(node: Node) -> float | None:
    """What is added to the other side: c of ``c``, ``x + c`` and ``x - c``."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Op) and node.symbol in ("+", "-", "neg"):
        if node.symbol == "neg":
            inner = _constant(node.operands[0])
            return None if inner is None else -inner
        numbers = [one.value for one in node.operands if isinstance(one, Number)]
        if len(numbers) == 1 and (node.symbol == "+" or isinstance(node.operands[1], Number)):
            return numbers[0] if node.symbol == "+" else -numbers[0]
    return None


def _rounded(value: float, *, up: bool) -> float:
    """Two digits, away from what must stay silent."""
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    scaled = round(value * 10**digits, 6)
    return float((math.ceil(scaled) if up else math.floor(scaled)) / 10.0**digits)
