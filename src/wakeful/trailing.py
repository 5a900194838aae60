"""Trailing windows as sums of tiles, and what checks say of them."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Container, Mapping
from typing import NamedTuple

from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.counts import Counts
from wakeful.engines.tiles import Tile
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.monitor import Monitor, agos
from wakeful.outcomes.followed import Followed
from wakeful.told import Known, Told, Usual
from wakeful.verdicts import Verdict

__all__ = ["Window", "Windows", "before", "judge", "must_reach_back"]

_MICRO = 1_000_000


class Window(NamedTuple):
    """A window: its counts, and what is known of its outcomes where they are joined."""

    counts: Counts
    known: Known | None


class _Part(NamedTuple):
    """A tile as a window takes it in: its middle, its counts, what is told of it."""

    middle: float
    counts: Counts
    told: Told | None


class _Trailing:
    """The sum of the tiles of ``length`` seconds that ended ``ago`` seconds ago; sliding it is exact."""

    def __init__(self, length: float, ago: float, nothing: Counts, followed: Followed | None) -> None:
        self.reach = length + ago
        self.has_begun = False
        self._length, self._ago = length * _MICRO, ago * _MICRO
        self._later: deque[_Part] = deque()  # tiles that have yet to come in
        self._inside: deque[_Part] = deque()
        self._total = nothing
        self._followed, self._usual = followed, Usual()
        self._told: Told | None = None

    def add(self, part: _Part, end: int) -> Window:
        """The window, once time has come to the end of this tile.

        A tile belongs to the window that holds its middle, so a week is seven days when clocks change, too.
        """
        self._later.append(part)
        while self._later and self._later[0].middle < end - self._ago:
            self.has_begun = True
            self._inside.append(self._later.popleft())
            self._take(self._inside[-1])
        keep = 0 if self._ago else 1  # a window is never shorter than a tile
        while len(self._inside) > keep and self._inside[0].middle < end - self._ago - self._length:
            self._leave(self._inside.popleft())
        if self._told is None or self._followed is None:
            return Window(self._total, None)
        return Window(self._total, self._followed.known(self._told, self._usual))

    def _take(self, one: _Part) -> None:
        self._total = self._total + one.counts
        if one.told is not None:
            self._told = one.told if self._told is None else self._told.plus(one.told)

    def _leave(self, one: _Part) -> None:
        self._total = self._total - one.counts
        if one.told is not None and self._told is not None:
            self._told = self._told.plus(one.told, -1.0)
            self._usual.add(one.told.arrived)


class Windows:
    """The windows that checks ask for; checks that ask for the same one share it.

    Args:
        monitor: whose checks.
        followed: the predictions with their outcomes, where these are joined.
    """

    def __init__(self, monitor: Monitor, followed: Followed | None = None) -> None:
        nothing = Counts.zero(monitor.reference.layout)
        self._asked = {
            check.name: {ago: (check.window, ago) for ago in ("", *agos(monitor.assertions(check)))}
            for check in monitor.checks
        }
        self._known = {
            one: _Trailing(duration(one[0]), duration(one[1]) if one[1] else 0.0, nothing, followed)
            for asked in self._asked.values()
            for one in asked.values()
        }

    @property
    def reach(self) -> float:
        """How many seconds back the farthest begins."""
        return max((one.reach for one in self._known.values()), default=0.0)

    def add(self, tile: Tile, end: int, told: Told | None = None) -> dict[str, dict[str, Window]]:
        """The windows of every check as this tile ends, by its name and how long ago they ended.

        Windows that ended before the history began are left out: nothing is known of them.
        """
        part = _Part((tile.start + end) / 2, tile.counts, told)
        found = {one: window.add(part, end) for one, window in self._known.items()}
        known = {one for one, window in self._known.items() if not one[1] or window.has_begun}
        return {
            name: {ago: found[one] for ago, one in asked.items() if one in known} for name, asked in self._asked.items()
        }


def before(moment: dt.datetime, seconds: float) -> dt.datetime | None:
    """So much earlier; None where the calendar has not begun."""
    try:
        return moment - dt.timedelta(seconds=seconds)
    except OverflowError:
        return None


def must_reach_back(monitor: Monitor, tile: Every, every: str) -> None:
    """DataError where a check looks back by less than a step.

    Args:
        monitor: whose checks.
        tile: a step.
        every: the same, as it was given.
    """
    for check in monitor.checks:
        for ago in agos(monitor.assertions(check)):
            if duration(ago) < tile.seconds:
                raise DataError(
                    f'{check.where}: in {check.name}: live.ago("{ago}") is shorter than a step of {every}, so a window '
                    "would be compared with itself. Take shorter steps."
                )


def judge(
    monitor: Monitor, check: Check, asked: Mapping[str, Window], only: Container[int] | None = None
) -> list[Verdict]:
    """The verdicts of a check on its windows.

    Args:
        monitor: whose check.
        check: one of its checks.
        asked: its windows, by how long ago they ended.
        only: places of the assertions to judge; all without it.
    """
    past = {ago: one.counts for ago, one in asked.items()}
    known = {ago: one.known for ago, one in asked.items() if one.known is not None}
    return monitor.judge(check, past[""], past=past, known=known, only=only)
