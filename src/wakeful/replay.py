"""Checks over a history: what would they have told us, and would they have woken us for nothing?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from wakeful.broken import explain_join
from wakeful.budget import duration
from wakeful.checks import Check
from wakeful.counts import Counts
from wakeful.engines.history import History, Span
from wakeful.engines.opening import open_history
from wakeful.engines.tiles import Question, Tile, must_hold_times, tiles_of_column, tiles_of_time, without_gaps
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.explain import Cause
from wakeful.monitor import Monitor
from wakeful.outcomes.followed import Followed, Outcomes, beside, follow
from wakeful.tables import refuse_text
from wakeful.told import Told, Usual
from wakeful.trailing import Window, Windows, before, judge, must_reach_back
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
        maturity: share of the tile's outcomes that is known; None where none are joined, or without rows.
    """

    window: str
    n: int
    verdicts: list[Verdict]
    explanation: list[Cause]
    maturity: float | None = None

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
            **({} if self.maturity is None else {"maturity": round(self.maturity, 6)}),
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
        followed: the predictions with their outcomes, where these are joined.
    """

    monitor: Monitor
    history: History
    by: str
    span: Span
    every: Every | None
    notes: list[str] = field(default_factory=list)
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    followed: Followed | None = None

    def __iter__(self) -> Iterator[Step]:
        question = Question(self.monitor.reference.layout, self.monitor.needed, self.monitor.derived)
        if self.every is None:
            for tile in tiles_of_column(self.history, question, self.by, self.span):
                window = Window(tile.counts, None)
                yield self._step(str(tile.start), tile, {check.name: {"": window} for check in self.monitor.checks})
            return
        windows = Windows(self.monitor, self.followed)
        told: list[tuple[str, Told]] = []
        read_from = None if self.since is None else before(self.since, windows.reach)
        until = None if self.until is None else self.every.border(self.until)  # the last window is whole
        tiles = tiles_of_time(self.history, question, self.by, self.every, self.span, read_from, until)
        first = -(2**63) if self.since is None else int(self.since.timestamp() * _MICRO)
        for tile, end in without_gaps(tiles, self.every, Counts.zero(question.layout)):
            name = self.every.show(tile.start)
            if self.followed is not None:
                told.append((name, self.followed.told(tile.start, tile.counts)))
            found = windows.add(tile, end, told[-1][1] if told else None)
            if tile.start >= first:
                yield self._step(name, tile, found, told)

    def _step(
        self, window: str, tile: Tile, windows: Mapping[str, Mapping[str, Window]],
        told: Sequence[tuple[str, Told]] = (),
    ) -> Step:  # fmt: skip
        verdicts: list[Verdict] = []
        failing: list[_Failing] = []
        for check in self.monitor.checks:
            judged = judge(self.monitor, check, windows[check.name])
            verdicts += judged
            if any(one.verdict == "fail" for one in judged):
                asks = any(self.monitor.asks_outcomes(check, one.at) for one in judged if one.verdict == "fail")
                failing.append(_Failing(check.severity == "explain", duration(check.window), check, asks))
        maturity = None
        if self.followed is not None and told and tile.counts.rows:
            maturity = self.followed.known(told[-1][1], Usual()).maturity
        return Step(window, tile.counts.rows, verdicts, self._causes(failing, windows, told), maturity)

    def _causes(
        self, failing: Sequence[_Failing], windows: Mapping[str, Mapping[str, Window]],
        told: Sequence[tuple[str, Told]],
    ) -> list[Cause]:  # fmt: skip
        """What explains the worst failing check; before it, what broke the outcomes that a failing check asks of."""
        if not failing:
            return []
        worst = min(failing, key=lambda one: one[:2]).check
        causes = self.monitor.explain(windows[worst.name][""].counts, worst.window)
        asking = [one for one in failing if one.asks_outcomes]
        label = self.monitor.reference.model.label
        if not asking or label is None:
            return causes
        known = windows[min(asking, key=lambda one: one[:2]).check.name][""].known
        if known is None:
            return causes
        of_label = [one for one in causes if one.column == label]
        return [*of_label, *explain_join(known, label, told), *(one for one in causes if one.column != label)]


class _Failing(NamedTuple):
    """A failing check, to be sorted: whether it only explains, its window's length, itself, what it asks of."""

    explains: bool
    length: float
    check: Check
    asks_outcomes: bool


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
    outcomes: object = None,
    horizon: str | None = None,
    as_of: str | None = None,
) -> Replay:
    """Run every check of a monitor over the windows of a history.

    Where outcomes are joined, windows are those of the predictions' time, and all are judged by what is known of
    them as of one moment: a window counts when enough of its outcomes has arrived (``maturity``).

    Args:
        monitor: its checks bring their own window lengths; each is judged at the end of every tile.
        data: whatever ``open_history`` takes.
        every: length of a tile, such as ``1h``; each check is judged as often.
        time: column of timestamps or dates; the reference's own time column without it.
        window_column: in place of both: a column whose every value is a window.
        since: ISO 8601; judge windows that begin then or later.
        until: ISO 8601; judge windows that begin before it.
        timezone: on whose clock tiles begin, and times without a zone are read; where outcomes are joined, these
            are UTC.
        outcomes: whatever ``open_history`` takes, with the columns of the model's id and label (without them, ``id``
            and ``label``) and ``at``, when it was told; without it the folder ``_outcomes`` in a log, if it has one.
        horizon: how long after its prediction an outcome counts, such as ``90d``; the longest that any took
            without it, or twice as long while predictions are younger than that.
        as_of: ISO 8601; what was known then. Without it, at the newest row of predictions and outcomes.

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
    if tile is not None and every is not None:
        must_reach_back(monitor, tile, every)
    followed = None
    if outcomes is None and tile is not None and monitor.reference.model.label is not None:
        outcomes = beside(data)
    if outcomes is None and (horizon or as_of):
        raise DataError("horizon and as_of tell which outcomes count, but none are given: outcomes='told.parquet'.")
    if outcomes is not None:
        followed = _follow(monitor, data, Outcomes(outcomes, horizon), as_of, tile, every, time)
        data, time = followed.joined.history, followed.joined.time
    found = opened(monitor, data, time, tile) if tile else opened(monitor, data, window_column, None, timezone)
    first, last = (None if one is None or tile is None else tile.moment(one) for one in (since, until))
    notes = [*(followed.notes if followed else ()), *found.notes, *_long_tiles(monitor, tile)]
    return Replay(monitor, found.history, found.by, found.span, tile, notes, first, last, followed)


def _follow(
    monitor: Monitor, data: object, outcomes: Outcomes, as_of: str | None, tile: Every | None, every: str | None,
    time: str | None,
) -> Followed:  # fmt: skip
    """Join outcomes; DataError where that cannot be."""
    model = monitor.reference.model
    if tile is None or every is None:
        raise DataError("outcomes are joined by time: cut the history with every='1d', not with a window column.")
    if model.label is None:
        raise DataError("the reference was learnt without a label, so no check asks for outcomes: wakeful init --label")
    moment = None if as_of is None else tile.moment(as_of)
    return follow(
        model, data, outcomes._replace(as_of=moment), every,
        time=time, timezone=tile.zone.key, alpha=min(monitor.least_alpha, 0.025),
    )  # fmt: skip


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
