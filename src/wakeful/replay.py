"""Checks over a history: what would they have told us, and would they have woken us for nothing?"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.counts import Counts
from wakeful.engines.history import History, Span
from wakeful.engines.tiles import Question, Tile, must_hold_times, tiles_of_column, tiles_of_time, without_gaps
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.explain import Cause
from wakeful.monitor import Monitor, agos
from wakeful.tables import refuse_text
from wakeful.verdicts import Verdict

__all__ = ["Opened", "Replay", "Step", "open_history", "opened", "replay"]

_MICRO = 1_000_000


class Step(NamedTuple):
    """What the checks said at the end of one tile.

    Attributes:
        window: start of the tile in ISO 8601, or the value of the window column.
        n: rows of the tile.
        verdicts: of every check, each on its own trailing window.
        explanation: of a failing check, one that raises an alarm before others; empty where none fails.
    """

    window: str
    n: int
    verdicts: list[Verdict]
    explanation: list[Cause]

    @property
    def alarm(self) -> bool:
        """Whether a check that pages or files a ticket failed."""
        return any(one.verdict == "fail" and one.severity != "explain" for one in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """The step as one line of JSON."""
        return {
            "window": self.window,
            "n": self.n,
            "alarm": self.alarm,
            "verdicts": [one.as_dict() for one in self.verdicts],
            "explanation": [one.as_dict() for one in self.explanation],
        }


@dataclass(frozen=True)
class Replay:
    """Checks that are run over a history; iterating gives one Step a tile, in order.

    Attributes:
        monitor: whose checks.
        history: the rows.
        by: the time or window column.
        span: its extent.
        every: length of a tile; None where a column names the windows.
        notes: what a person should know of the data, sentences.
        since, until: of the windows to judge; rows before ``since`` still fill trailing windows.
    """

    monitor: Monitor
    history: History
    by: str
    span: Span
    every: Every | None
    notes: list[str] = field(default_factory=list)
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def __iter__(self) -> Iterator[Step]:
        question = Question(self.monitor.reference.layout, self.monitor.needed, self.monitor.derived)
        if self.every is None:
            for tile in tiles_of_column(self.history, question, self.by, self.span):
                yield self._step(
                    str(tile.start), tile, {check.name: {"": tile.counts} for check in self.monitor.checks}
                )
            return
        windows = _Windows(self.monitor)
        read_from = None if self.since is None else _before(self.since, windows.reach)
        until = None if self.until is None else self.every.border(self.until)  # the last window is whole
        tiles = tiles_of_time(self.history, question, self.by, self.every, self.span, read_from, until)
        first = -(2**63) if self.since is None else int(self.since.timestamp() * _MICRO)
        for tile, end in without_gaps(tiles, self.every, Counts.zero(question.layout)):
            counts = windows.add(tile, end)
            if tile.start >= first:
                yield self._step(self.every.show(tile.start), tile, counts)

    def _step(self, window: str, tile: Tile, counts: Mapping[str, Mapping[str, Counts]]) -> Step:
        verdicts: list[Verdict] = []
        failing: list[tuple[bool, float, Check]] = []
        for check in self.monitor.checks:
            known = counts[check.name]
            judged = self.monitor.judge(check, known[""], past=known)
            verdicts += judged
            if any(one.verdict == "fail" for one in judged):
                failing.append((check.severity == "explain", duration(check.window), check))
        worst = min(failing, key=lambda one: one[:2])[2] if failing else None
        causes = [] if worst is None else self.monitor.explain(counts[worst.name][""], worst.window)
        return Step(window, tile.counts.rows, verdicts, causes)


class _Trailing:
    """The sum of the tiles of ``length`` seconds that ended ``ago`` seconds ago; sliding it is exact."""

    def __init__(self, length: float, ago: float, nothing: Counts) -> None:
        self.reach = length + ago
        self.has_begun = False
        self._length, self._ago = length * _MICRO, ago * _MICRO
        self._later: deque[tuple[float, Counts]] = deque()  # middles and counts of tiles that have yet to come in
        self._inside: deque[tuple[float, Counts]] = deque()
        self._total = nothing

    def add(self, tile: Tile, end: int) -> Counts:
        """The counts of the window, once time has come to the end of this tile.

        A tile belongs to the window that holds its middle, so a week is seven days when clocks change, too.
        """
        self._later.append(((tile.start + end) / 2, tile.counts))
        while self._later and self._later[0][0] < end - self._ago:
            self.has_begun = True
            self._inside.append(self._later.popleft())
            self._total = self._total + self._inside[-1][1]
        keep = 0 if self._ago else 1  # a window is never shorter than a tile
        while len(self._inside) > keep and self._inside[0][0] < end - self._ago - self._length:
            self._total = self._total - self._inside.popleft()[1]
        return self._total


class _Windows:
    """The windows that checks ask for; checks that ask for the same one share it."""

    def __init__(self, monitor: Monitor) -> None:
        nothing = Counts.zero(monitor.reference.layout)
        self._asked = {
            check.name: {ago: (check.window, ago) for ago in ("", *agos(monitor.assertions(check)))}
            for check in monitor.checks
        }
        self._known = {
            one: _Trailing(duration(one[0]), duration(one[1]) if one[1] else 0.0, nothing)
            for asked in self._asked.values()
            for one in asked.values()
        }

    @property
    def reach(self) -> float:
        """How many seconds back the farthest begins."""
        return max(one.reach for one in self._known.values())

    def add(self, tile: Tile, end: int) -> dict[str, dict[str, Counts]]:
        """Counts of the windows of every check, by its name and how long ago they ended.

        Windows that ended before the history began are left out: nothing is known of them.
        """
        counts = {one: window.add(tile, end) for one, window in self._known.items()}
        known = {one for one, window in self._known.items() if not one[1] or window.has_begun}
        return {
            name: {ago: counts[one] for ago, one in asked.items() if one in known}
            for name, asked in self._asked.items()
        }


def _before(moment: dt.datetime, seconds: float) -> dt.datetime | None:
    """So much earlier; None where the calendar has not begun."""
    try:
        return moment - dt.timedelta(seconds=seconds)
    except OverflowError:
        return None


class Opened(NamedTuple):
    """A history that can be counted.

    Attributes:
        history: the rows.
        by: the time or window column.
        span: its extent.
        notes: what a person should know of the data, sentences.
    """

    history: History
    by: str
    span: Span
    notes: list[str]


def open_history(data: object) -> History:
    """A history of whatever kind: files, buckets, queries, PostgreSQL, DuckDB relations, Arrow streams, frames.

    Raises:
        DataError: the data cannot be read; the message names what and why.
    """
    if isinstance(data, History):
        return data
    if isinstance(data, str) and data.startswith(("postgresql://", "postgres://")):
        from wakeful.engines import postgresql  # an extra of its own

        return postgresql.open_history(data)
    from wakeful.engines import duckdb

    return duckdb.open_history(data)


def replay(
    monitor: Monitor,
    data: object,
    *,
    every: str | None = None,
    time: str | None = None,
    window_column: str | None = None,
    since: str | None = None,
    until: str | None = None,
    timezone: str = "UTC",
) -> Replay:
    """Run every check of a monitor over the windows of a history.

    Args:
        monitor: its checks bring their own window lengths; each is judged at the end of every tile.
        data: whatever ``open_history`` takes.
        every: length of a tile, such as ``1h``; each check is judged as often.
        time: column of timestamps or dates; the reference's own time column without it.
        window_column: in place of both: a column whose every value is a window.
        since: ISO 8601; judge windows that begin then or later.
        until: ISO 8601; judge windows that begin before it.
        timezone: on whose clock tiles begin, and times without a zone are read.

    Raises:
        DataError, UnknownName, CheckError: when called, or while iterating: what was given before stays right.
    """
    if not monitor.checks:
        raise DataError("the monitor has no checks. Register one with @monitor.check().")
    if (every is None) == (window_column is None):
        raise DataError("say how the history is cut: every='1h' with a time column, or window_column='batch'.")
    if window_column is not None and (since or until or time):
        raise DataError(
            "windows named by a column have no times: leave out time, since and until (or --window-column)."
        )
    monitor.must_derive()
    tile = None if every is None else Every.parse(every, timezone)
    for check in monitor.checks:
        for ago in agos(monitor.assertions(check)):
            if tile is not None and duration(ago) < tile.seconds:
                raise DataError(
                    f'{check.where}: in {check.name}: live.ago("{ago}") is shorter than a step of {every}, so a window '
                    "would be compared with itself. Take shorter steps."
                )
    found = opened(monitor, data, time, tile) if tile else opened(monitor, data, window_column, None, timezone)
    first, last = (None if one is None or tile is None else tile.moment(one) for one in (since, until))
    notes = [*found.notes, *_long_tiles(monitor, tile)]
    return Replay(monitor, found.history, found.by, found.span, tile, notes, first, last)


def _long_tiles(monitor: Monitor, tile: Every | None) -> list[str]:
    short = [one.name for one in monitor.checks if tile is not None and duration(one.window) < tile.seconds]
    return [f"judged over a whole tile, which is longer than their window: {', '.join(short)}"] if short else []


def opened(monitor: Monitor, data: object, by: str | None, tile: Every | None, timezone: str = "UTC") -> Opened:
    """A history that the reference of a monitor can count.

    Args:
        monitor: whose reference.
        data: whatever ``open_history`` takes.
        by: the time or window column; the reference's own time column without it.
        tile: how it is cut; None where a column names the windows.
        timezone: of moments whose zone nobody knows, where there is no tile to tell.

    Raises:
        DataError, UnknownName: it cannot be read, lacks a column, or is empty.
    """
    by = by or monitor.reference.model.time
    if by is None:
        raise DataError("name the column with the time: time='applied_at' (--time applied_at).")
    history = replace(open_history(data), clock=tile.zone.key if tile else timezone)
    history.must_have("time" if tile else "window", by)
    model = monitor.reference.model
    history.must_have("score", model.score.source)
    label = model.label if model.task == "binary" else None
    refuse_text(history.trusted, decision=model.decision, holdout=model.holdout, label=label)
    if tile is not None:
        must_hold_times(history, by)
    span = history.span(by, monitor.needed)
    if not span.rows:
        raise DataError(f"no row of {history.name} has a value in {by!r}, so there is nothing to read.")
    return Opened(history, by, span, _notes(monitor, history, by, span))


def _notes(monitor: Monitor, history: History, by: str, span: Span) -> list[str]:
    notes = list(history.notes)
    if span.without:
        notes.append(f"{span.without:,} of {span.rows + span.without:,} rows have no {by} and are left out")
    known = set(history.schema.names)
    model = monitor.reference.model
    absent = [one.source for one in model.columns if one.source not in known and not one.derived]
    absent += [name for name in (model.decision, model.label, model.id) if name and name not in known]
    if absent:
        notes.append(f"not in the data, so missing in every row: {', '.join(absent)}")
    return notes
