"""From judgements to the figures that compare tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from judging import Judged


class Share(NamedTuple):
    """So many of so many."""

    part: int
    whole: int

    @classmethod
    def of(cls, found: Iterable[bool]) -> Share:
        known = list(found)
        return cls(sum(known), len(known))

    def __str__(self) -> str:
        return f"{self.part / self.whole:.1%}" if self.whole else "–"


class Figures(NamedTuple):
    """The figures of a tool, in a world or in all.

    Attributes:
        clean: clean windows with an alarm.
        caught: incident windows with an alarm.
        draws: incidents with an alarm within two windows.
        delay: mean number of windows until the alarm, of incidents caught within two.
        first, top: windows of incidents with a culprit, alarmed, that name it first, and among three.
        benign: benign windows with an alarm.
        milliseconds: per window, mean.
    """

    clean: Share
    caught: Share
    draws: Share
    delay: float
    first: Share
    top: Share
    benign: Share
    milliseconds: float


def figures(judged: list[Judged]) -> Figures:
    """The figures of judgements of one tool."""
    incidents = [one for one in judged if one.kind == "incident"]
    named = [one for one in incidents if one.alarm and one.culprit]
    delays = list(delay_of(incidents))
    caught = [one for one in delays if one is not None]
    return Figures(
        Share.of(one.alarm for one in judged if one.kind == "clean"),
        Share.of(one.alarm for one in incidents),
        Share(len(caught), len(delays)),
        sum(caught) / len(caught) if caught else float("nan"),
        Share.of(is_named(one, 1) for one in named),
        Share.of(is_named(one, 3) for one in named),
        Share.of(one.alarm for one in judged if one.kind == "benign"),
        1e3 * sum(one.seconds for one in judged) / max(1, len(judged)),
    )


def is_named(one: Judged, places: int) -> bool:
    """Whether a culprit is among the first places."""
    return bool(set(one.ranking[:places]) & set(one.culprit))


def delay_of(incidents: list[Judged]) -> Iterator[int | None]:
    """Per draw of an incident the number of its first alarmed window; None if it was missed."""
    draws: dict[tuple[object, ...], list[Judged]] = {}
    for one in incidents:
        draws.setdefault((one.world, one.rows, one.scenario, one.draw), []).append(one)
    for found in draws.values():
        yield min((one.at for one in found if one.alarm), default=None)


class Odd(NamedTuple):
    """A scenario that a tool did not master, with what it said instead.

    Attributes:
        title: tool, world, rows and scenario.
        wrong: so many of so many windows.
        said: the first few words of the first such window.
    """

    title: str
    wrong: Share
    said: str


def missed(judged: list[Judged]) -> list[Odd]:
    """Incidents with windows that were not alarmed."""
    return _odd([one for one in judged if one.kind == "incident"], lambda one: not one.alarm)


def misnamed(judged: list[Judged]) -> list[Odd]:
    """Incidents with a culprit, caught, that another column was named for."""
    named = [one for one in judged if one.kind == "incident" and one.alarm and one.culprit]
    return _odd(named, lambda one: not is_named(one, 1))


def false_alarms(judged: list[Judged]) -> list[Odd]:
    """Clean and benign scenarios with windows that were alarmed."""
    return _odd([one for one in judged if one.kind != "incident"], lambda one: one.alarm)


class History(NamedTuple):
    """Consecutive windows of a world in time order, in which nothing was broken on purpose.

    Attributes:
        windows: how many.
        years: that they span.
        alarms: the windows that a tool alarmed.
    """

    windows: int
    years: float
    alarms: list[Judged]

    @property
    def per_year(self) -> float:
        return len(self.alarms) / self.years


def _odd(judged: list[Judged], is_wrong: object) -> list[Odd]:
    assert callable(is_wrong)
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(f"{one.tool}, {one.world}, {one.rows:,} rows: {one.scenario}", []).append(one)
    found = []
    for title, group in groups.items():
        wrong = [one for one in group if is_wrong(one)]
        if wrong:
            columns, message = ", ".join(wrong[0].ranking[:3]) or "nothing", "; ".join(wrong[0].messages[:3])
            found.append(
                Odd(title, Share(len(wrong), len(group)), f"named {columns}" + (f"; {message}" if message else ""))
            )
    return found
