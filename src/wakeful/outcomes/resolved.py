"""What is known at a moment, row by row: every prediction once, with its outcome."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from wakeful.caching import cached_property
from wakeful.engines.history import History, quoted
from wakeful.errors import DataError
from wakeful.outcomes.state import State

__all__ = ["DAY", "Resolved", "micro", "resolve"]

DAY = 86_400 * 1_000_000
_BATCH = 65_536


@dataclass(frozen=True, eq=False)
class Resolved:
    """Predictions with what was told of them until a moment.

    Attributes:
        state: whose; what is known is computed once, in ``scratch.known``.
        label: name of the column with the outcome.
        time: of the column with the time of the prediction, in UTC.
        now: the moment, microseconds since 1970.
        horizon: microseconds.
        has_classes: whether there are few labels, which are counted apart.
        is_binary: whether labels are 0 and 1.
        resolved: which time of computing it was; what is computed later takes its place.
    """

    state: State
    label: str
    time: str
    now: int
    horizon: int
    has_classes: bool
    is_binary: bool
    resolved: int

    @cached_property
    def history(self) -> History:
        """Every prediction once, with its columns and its outcome, null where it is not known; replays read it."""
        return self._between("TRUE", "TRUE")

    def day(self, date: dt.date) -> History:
        """The same of one day of prediction time in UTC."""
        start = micro(dt.datetime(date.year, date.month, date.day))
        of = f"BETWEEN {start} AND {start + DAY - 1}"
        return self._between(f"known.t {of}", f"stored.t {of}")

    def _between(self, known: str, stored: str) -> History:
        columns = self.state.columns
        others = {name: one.place for name, one in columns.items() if name != self.time}
        chosen = "".join(f"stored.{place} AS {quoted(name)}, " for name, place in others.items())
        source = (
            f"(SELECT make_timestamptz(known.t) AS {quoted(self.time)}, {chosen}known.label AS {quoted(self.label)} "
            "FROM scratch.known AS known JOIN predictions AS stored "
            "ON stored.key = known.key AND stored.t = known.t AND stored.digest = known.digest "
            f"WHERE {known} AND {stored}) AS joined"
        )
        zones = {name: one.zone for name, one in columns.items() if one.zone is not None}
        return History("the joined predictions", source, self.run, zones=zones)

    def run(self, sql: str) -> Any:
        """Execute a query over the tables of the state; a pyarrow.RecordBatchReader."""
        self._must_be_last()
        return self.state.stream(sql, _BATCH)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The same as a list, for short answers; ``values`` stand for the question marks."""
        self._must_be_last()
        return self.state.rows(sql, *values)

    def _must_be_last(self) -> None:
        if self.resolved != self.state.resolved:
            raise DataError("as_of has been called again since, and only its last answer is kept. Call it again.")

    def arrivals(self) -> Any:
        """One row per prediction, as a pyarrow.RecordBatchReader.

        Columns: ``t`` and ``known_at``, when it was made and when its first outcome was told, microseconds since
        1970, the second null where nothing is known; ``label``; ``is_late``, whether something was told, but only
        after the horizon; ``repeats``, further predictions of its id; ``duplicates``, ``corrections`` and
        ``contradictions`` among its outcomes.
        """
        names = "t, known_at, label, is_late, repeats, duplicates, corrections, contradictions"
        return self.run(f"SELECT {names} FROM scratch.known")


def micro(moment: dt.datetime) -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def resolve(state: State, now: int, horizon: int) -> int:
    """Put into ``scratch.known`` the prediction that counts of every id, and what is known of it at ``now``.

    Returns:
        The how manieth time it was.
    """
    state.resolved += 1
    state.run(
        f"""
        CREATE OR REPLACE TABLE scratch.known AS
        WITH first AS (
            SELECT key, min(t) AS t, arg_min(digest, (t, digest)) AS digest, count(*) - 1 AS repeats
            FROM predictions WHERE t <= {now} GROUP BY key
        ), moments AS (
            SELECT key, t, told, max(label) AS label, count(*) > 1 AS clashes, told > t + {horizon} AS is_late
            FROM outcomes JOIN first USING (key) WHERE told <= {now} GROUP BY key, t, told
        ), last AS (
            SELECT key, min(told) FILTER (WHERE NOT is_late) AS known_at,
                arg_max(label, told) FILTER (WHERE NOT is_late) AS label,
                bool_and(is_late) AS is_late, count(*) FILTER (WHERE clashes AND NOT is_late) AS contradictions,
                count(*) FILTER (WHERE NOT is_late) AS times
            FROM moments GROUP BY key
        ), changes AS (
            SELECT key, count(*) FILTER (WHERE label IS DISTINCT FROM before) - 1 AS corrections
            FROM (
                SELECT key, label, lag(label) OVER (PARTITION BY key ORDER BY told) AS before
                FROM moments SEMI JOIN (FROM last WHERE times > 1) AS often USING (key) WHERE NOT is_late
            ) GROUP BY key
        )
        SELECT first.key, first.t, first.digest, first.repeats, last.known_at, last.label,
            coalesce(last.is_late, false) AS is_late, coalesce(last.contradictions, 0) AS contradictions,
            coalesce(changes.corrections, 0) AS corrections,
            greatest(coalesce(last.times, 0) - 1 - coalesce(changes.corrections, 0), 0) AS duplicates
        FROM first LEFT JOIN last USING (key) LEFT JOIN changes USING (key)
        """
    )
    return state.resolved
