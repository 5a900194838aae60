"""What is known at a moment: predictions with their outcomes, as a history that checks can be run over."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wakeful.caching import cached_property
from wakeful.counting import Derivation
from wakeful.counts import Layout
from wakeful.delays import Delays
from wakeful.engines.history import History, quoted
from wakeful.engines.tiles import Question, Tile, tiles_of_time
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.outcomes.ageing import ageing
from wakeful.outcomes.folder import write
from wakeful.outcomes.health import Ahead, Health, Known, health, known_by_age, total
from wakeful.outcomes.state import State

__all__ = ["DAY", "Joined", "micro", "resolve"]

DAY = 86_400 * 1_000_000
_BATCH = 65_536


@dataclass(frozen=True, eq=False)
class Joined:
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

    def counts(
        self, layout: Layout, every: str, *, columns: Sequence[str] | None = None, timezone: str = "UTC",
        derived: Mapping[str, Derivation] | None = None, since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Iterator[Tile]:  # fmt: skip
        """Counts per window of prediction time, in its order; windows without predictions are left out.

        They are those of the joined table, counted anew: a correction moves its row from one cell to another. A
        row whose outcome is not known counts as one without.

        Args:
            layout: of the reference.
            every: length of a window, such as ``1d``.
            columns: that derived columns need; all without them.
            timezone: on whose clock windows begin.
            derived: functions of the derived columns.
            since: a moment with a time zone; rows before it are left out.
            until: another; rows from it on are left out.
        """
        span = self.history.span(self.time)
        question = Question(layout, columns, derived or {})
        yield from tiles_of_time(self.history, question, self.time, Every.parse(every, timezone), span, since, until)

    def arrivals(self) -> Any:
        """One row per prediction, as a pyarrow.RecordBatchReader.

        Columns: ``t`` and ``known_at``, when it was made and when its first outcome was told, microseconds since
        1970, the second null where nothing is known; ``label``; ``is_late``, whether something was told, but only
        after the horizon; ``repeats``, further predictions of its id; ``duplicates``, ``corrections`` and
        ``contradictions`` among its outcomes.
        """
        names = "t, known_at, label, is_late, repeats, duplicates, corrections, contradictions"
        return self.run(f"SELECT {names} FROM scratch.known")

    def health(self, every: str, timezone: str = "UTC") -> list[Health]:
        """Label health per window of prediction time."""
        return health(self, every, timezone)

    def total(self) -> Health:
        """Label health of all predictions."""
        return total(health(self, "1mo"))

    def delays(self, every: str, timezone: str = "UTC", bins: int = 1_000) -> tuple[list[int], Delays]:
        """Counts by window, class and age, for ``maturity.windows`` and ``curves``.

        An outcome has the age of the first that was told of its prediction, and the class of the last; one that was
        told before its prediction has none. Predictions whose outcome is neither 0 nor 1 are left out. Where the
        model is not binary, all outcomes are of one class, the positive one.

        Args:
            every: length of a window of prediction time.
            timezone: on whose clock windows begin.
            bins: of age up to the horizon; fewer, down to 50, where there are thousands of windows.

        Returns:
            Starts of the windows, microseconds since 1970, and the counts.

        Raises:
            DataError: there is no prediction.
        """
        return ageing(self, every, timezone, bins)

    def ahead(self) -> Ahead:
        """How much was told of what had not happened yet."""
        of = f"count(*) FROM predictions WHERE t > {self.now}", f"count(*) FROM outcomes WHERE told > {self.now}"
        return Ahead(*(self.rows(f"SELECT {one}")[0][0] for one in of))

    def known_by_age(self) -> list[Known]:
        """How many outcomes are known at which age."""
        return known_by_age(self)

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write Parquet, a file per day of prediction time in UTC; only days that have changed. Names of the files."""
        return write(self, folder)


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
