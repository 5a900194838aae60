"""Rows in order -> counts per tile: the shortest windows, of which all longer ones are sums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from wakeful.counting import Derivation, count
from wakeful.counts import Counts, Layout
from wakeful.engines.history import History, Span, Unreadable, quoted, text
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.tables import ArrowBatch, in_threads

__all__ = ["Question", "Tile", "must_hold_times", "tiles_of_column", "tiles_of_time", "without_gaps"]

_MICRO = 1_000_000
_MOST_EMPTY = 20_000  # tiles without rows in a row; more come from a wrong date, not from silence
_LONGEST_SILENCE = 5 * 366 * 86_400  # seconds, for the same reason


class Tile(NamedTuple):
    """The counts of one tile.

    Attributes:
        start: microseconds since 1970 in UTC, or the value of the window column.
        counts: of its rows.
    """

    start: Any
    counts: Counts


class Question(NamedTuple):
    """What is to be counted in a history.

    Attributes:
        layout: which count stands where.
        columns: to read; None for all.
        derived: functions of the derived columns.
    """

    layout: Layout
    columns: Sequence[str] | None
    derived: Mapping[str, Derivation]


def tiles_of_time(
    history: History, question: Question, time: str, every: Every, span: Span,
    since: dt.datetime | None = None, until: dt.datetime | None = None,
) -> Iterator[Tile]:  # fmt: skip
    """Counts per tile of time, in its order; tiles without rows are left out.

    Args:
        history: the rows.
        question: what is counted.
        time: column of timestamps or dates.
        every: length of a tile.
        span: of the time column.
        since: a moment with a time zone; rows before it are left out.
        until: another; rows from it on are left out.

    Raises:
        DataError: the column holds no times, or reading fails.
    """
    kind = must_hold_times(history, time)
    limits = [None if one is None else _literal(one, every, kind) for one in (since, until)]
    batches = history.rows(question.columns, time, span, *limits)
    yield from _tiles(batches, lambda batch: every.starts(batch.column(batch.schema.get_field_index(time))), question)


def must_hold_times(history: History, time: str) -> Any:
    """The Arrow type of the time column; DataError where it holds no times."""
    kind = history.schema.field(time).type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return kind
    key = quoted(time)
    where = " in the first file" if time in history.changed else ""
    raise DataError(
        f"time column {time!r} holds {kind}{where}, not timestamps. Give a query that casts it: "
        f"SELECT * REPLACE (CAST({key} AS TIMESTAMP) AS {key}) FROM …"
    )


def without_gaps(tiles: Iterator[Tile], every: Every, nothing: Counts) -> Iterator[tuple[Tile, int]]:
    """Every tile and its end, those without rows too: silence is news."""
    expected: int | None = None
    for tile in tiles:
        if expected is not None:
            _must_be_near(expected, tile.start, every)
        while expected is not None and expected < tile.start:
            end = every.following(expected)
            yield Tile(expected, nothing), end
            expected = end
        expected = every.following(tile.start)
        yield tile, expected


def _must_be_near(expected: int, start: int, every: Every) -> None:
    """DataError where so much time lies in between that a date is wrong, which 1970 or 9999 often is."""
    silent = (start - expected) / _MICRO
    if silent > _LONGEST_SILENCE or silent / every.seconds > _MOST_EMPTY:
        raise DataError(
            f"no rows from {every.show(expected)} to {every.show(start)}, so one of these times is probably wrong. "
            "Leave it out with --since or --until, or replay what comes before and after by itself."
        )


def tiles_of_column(history: History, question: Question, column: str, span: Span) -> Iterator[Tile]:
    """Counts per value of a column, in its order."""

    def keys(batch: Any) -> Any:
        found = np.empty(batch.num_rows, dtype=object)
        found[:] = batch.column(batch.schema.get_field_index(column)).to_pylist()
        return found

    yield from _tiles(history.rows(question.columns, column, span), keys, question)


def _literal(moment: dt.datetime, every: Every, kind: Any) -> str:
    """A moment in SQL, for a column of a type, which may have a time zone."""
    if pa.types.is_timestamp(kind) and kind.tz is not None:  # DuckDB compares nanoseconds with their like only
        zoned = "TIMESTAMPTZ_NS" if kind.unit == "ns" else "TIMESTAMP WITH TIME ZONE"
        return f"CAST({text(moment.isoformat())} AS {zoned})"
    return f"CAST({text(moment.astimezone(every.zone).replace(tzinfo=None).isoformat())} AS TIMESTAMP)"


def _tiles(batches: Iterator[Any], keys_of: Callable[[Any], Any], question: Question) -> Iterator[Tile]:
    """Count every run of rows with one key, and add up what batches cut apart."""

    def runs() -> Iterator[tuple[Any, Any]]:
        for batch in batches:
            if batch.num_rows:
                keys = keys_of(batch)
                borders = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
                for start, stop in pairwise(borders):
                    yield keys[start], ArrowBatch(batch.slice(start, stop - start))

    def counted(run: tuple[Any, Any]) -> Tile:
        return Tile(run[0], count(question.layout, run[1], question.derived))

    pending: Tile | None = None
    try:
        for tile in in_threads(counted, runs()):
            if pending is not None and pending.start == tile.start:
                pending = Tile(tile.start, pending.counts + tile.counts)
                continue
            if pending is not None:
                yield pending
            pending = tile
    except Unreadable as error:
        if pending is not None and pending.start < keys_of(error.start)[0]:  # no lost row belongs to it
            yield pending
        raise
    if pending is not None:
        yield pending
