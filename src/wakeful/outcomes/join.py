"""Reads predictions and outcomes, each file once, and tells what is known of them at a moment."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wakeful.budget import duration
from wakeful.engines.duckdb import Stored, stored_files
from wakeful.engines.history import History, text
from wakeful.engines.opening import open_history
from wakeful.errors import DataError
from wakeful.model import Model
from wakeful.outcomes.intake import Taken, take_outcomes, take_predictions
from wakeful.outcomes.joined import Joined
from wakeful.outcomes.resolved import DAY, micro, resolve
from wakeful.outcomes.state import State

__all__ = ["Join", "Reading"]


class Reading(NamedTuple):
    """What came of reading predictions or outcomes.

    Attributes:
        files: that were read; those read before, and not changed since, are not among them.
        rows: in them.
        new: rows that were not known yet.
        left_out: how many rows were left out, by what they lack; without what is nowhere lacking.
        broken: why files could not be read, sentences; they are tried again next time.
    """

    files: int
    rows: int
    new: int
    left_out: dict[str, int]
    broken: list[str]


class Join:
    """Predictions and outcomes of a model.

    Args:
        state: folder that remembers what has been read; deleting it means to begin anew.
        model: names the id, the label and the task; its columns need not be all there.
        horizon: how long after its prediction an outcome counts, such as ``90d``.
        id, time, label: columns of both tables, where they are not the model's: id without one, ``observed_at``
            (which wakeful's log has) or else the model's time, label without one.
        at: column with the time at which an outcome was told.
        memory: that DuckDB may take.

    Raises:
        DataError: the folder cannot be used, or another process joins in it.
    """

    def __init__(
        self, state: str | os.PathLike[str], model: Model, *, horizon: str,
        id: str | None = None, time: str | None = None, label: str | None = None, at: str = "at", memory: str = "512MB",
    ) -> None:  # fmt: skip
        self._horizon = int(duration(horizon) * 1_000_000)
        self._model = model
        self._id, self._time, self._at = id or model.id or "id", time, at
        self._told_label = label or model.label or "label"  # its name where it is told, and where it is joined
        self._label = model.label or self._told_label
        self._state = State(state, memory)

    def __enter__(self) -> Join:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the state; what was read is remembered."""
        self._state.close()

    def add_predictions(self, data: object) -> Reading:
        """Read predictions: whatever ``open_history`` takes, such as the folder of wakeful's log.

        Raises:
            UnknownName, DataError: nothing of it can be read.
        """
        return self._add("predictions", data, self._take_predictions)

    def add_outcomes(self, data: object) -> Reading:
        """Read outcomes: the same, such as the folder ``_outcomes`` in wakeful's log.

        Raises:
            UnknownName, DataError: nothing of it can be read.
        """
        return self._add("outcomes", data, self._take_outcomes)

    def as_of(self, moment: dt.datetime | None = None, horizon: str | None = None) -> Joined:
        """What is known at a moment, of what has been read.

        Another call takes the place of the one before, whose answer can no longer be used.

        Args:
            moment: now without it; a time without a zone is UTC.
            horizon: in place of the join's own.
        """
        moment = dt.datetime.now(dt.UTC) if moment is None else moment
        now = micro(moment)
        length = self._horizon if horizon is None else int(duration(horizon) * 1_000_000)
        resolved = resolve(self._state, now, length)
        time = self._time or self._state.told("time") or "time"
        task = self._model.task
        return Joined(self._state, self._label, time, now, length, task != "regression", task == "binary", resolved)

    @property
    def newest(self) -> dt.datetime | None:
        """The last time that predictions or outcomes tell, unless it is still to come; None where they tell none."""
        now = micro(dt.datetime.now(dt.UTC))
        told = "(SELECT max(t) AS t FROM predictions UNION ALL SELECT max(told) FROM outcomes)"
        last = self._state.one(f"SELECT max(least(t, {now})) FROM {told}")
        return None if last is None else dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=last)

    def forget(self, before: dt.datetime) -> None:
        """Forget predictions of the days before a moment, with their outcomes, and outcomes told before them.

        They are not read again, so an outcome of theirs that is told later is one of an unknown id.
        """
        cutoff = micro(before) // DAY * DAY
        with self._state.transaction():
            if cutoff > self._state.cutoff:
                old = f"(SELECT key FROM predictions GROUP BY key HAVING min(t) < {cutoff})"
                self._state.run(f"DELETE FROM outcomes WHERE key IN {old}")
                self._state.run(f"DELETE FROM predictions WHERE key IN {old}")
                here = "(SELECT key FROM predictions)"
                self._state.run(f"DELETE FROM outcomes WHERE told < {cutoff} AND key NOT IN {here}")
                self._state.tell("cutoff", str(cutoff))

    def _take_predictions(self, history: History, batches: Any) -> Taken:
        time = self._time_of(history)
        taken = take_predictions(self._state, history, batches, self._id, time, self._label)
        self._state.tell("time", time)
        return taken

    def _time_of(self, history: History) -> str:
        if self._time is not None:
            return self._time
        if "observed_at" in history.schema.names or self._model.time is None:
            return "observed_at"
        return self._model.time

    def _take_outcomes(self, history: History, batches: Any) -> Taken:
        is_class = self._model.task == "multiclass"
        return take_outcomes(self._state, history, batches, self._id, self._at, self._told_label, is_class)

    def _add(self, kind: str, data: object, take: Callable[[History, Any], Taken]) -> Reading:
        files = None if isinstance(data, str) and data.startswith(_SERVERS) else stored_files(data)
        if files is None:
            return self._add_query(kind, data, take)
        path = Path(str(data))
        root = str(path.resolve() if path.exists() else data)
        self._drop_vanished(kind, root, files)
        known = dict(self._state.rows("SELECT source, version FROM read WHERE kind = ?", kind))
        taken: list[Taken] = []
        broken: list[str] = []
        error: Exception | None = None
        for file in files:
            if known.get(file.name) == file.version:
                continue
            try:
                history = file.open()
                taken.append(self._taken(kind, root, file.name, file.version, history, history.as_stored(), take))
            except (DataError, LookupError) as failed:
                if Path(file.name).is_absolute() and not Path(file.name).exists():
                    continue  # compaction has put its rows into another one since the files were listed
                error = failed
                broken.append(str(failed))
        if error is not None and len(broken) == len(files):
            raise error
        return _reading(taken, broken)

    def _add_query(self, kind: str, data: object, take: Callable[[History, Any], Taken]) -> Reading:
        """Read a query or table from a horizon before the newest row that was read last time; anything else whole."""
        history = open_history(data)
        if not isinstance(data, str):
            with self._state.transaction():
                taken = take(history, history.as_stored())
            return _reading([taken])
        name = hashlib.sha256(data.encode()).hexdigest()  # an address may hold a password
        time = self._at if kind == "outcomes" else self._time_of(history)
        history.must_have("time", time)
        newest = self._state.rows("SELECT version FROM read WHERE kind = ? AND source = ?", kind, name)
        since = None if not newest else int(newest[0][0]) - self._horizon
        batches = history.as_stored(time, None if since is None else _moment(since, history, time))
        taken = self._taken(kind, name, name, None, history, batches, take)
        return _reading([taken])

    def _taken(
        self, kind: str, root: str, source: str, version: str | None, history: History, batches: Iterator[Any],
        take: Callable[[History, Any], Taken],
    ) -> Taken:  # fmt: skip
        """Take rows, and remember that they were read, in one transaction."""
        with self._state.transaction():
            taken = take(history, batches)
            known = self._state.rows("SELECT version FROM read WHERE kind = ? AND source = ?", kind, source)
            self._state.rows("DELETE FROM read WHERE kind = ? AND source = ?", kind, source)
            if version is None:  # a query: remember how far it has come, by a clock that does not run ahead
                now = micro(dt.datetime.now(dt.UTC))
                version = str(max(min(taken.newest or 0, now), int(known[0][0]) if known else 0))
            self._state.rows("INSERT INTO read VALUES (?, ?, ?, ?)", kind, root, source, version)
        return taken

    def _drop_vanished(self, kind: str, root: str, files: list[Stored]) -> None:
        """Forget files that are gone: compaction has put their rows into another one, where they are known again."""
        here = {file.name for file in files}
        for (source,) in self._state.rows("SELECT source FROM read WHERE kind = ? AND root = ?", kind, root):
            if source not in here:
                self._state.rows("DELETE FROM read WHERE kind = ? AND source = ?", kind, source)


def _reading(taken: Sequence[Taken], broken: Sequence[str] = ()) -> Reading:
    lacking = {
        "without an id": sum(one.without_id for one in taken),
        "without a time": sum(one.without_time for one in taken),
        "without a label": sum(one.without_label for one in taken),
    }
    left_out = {what: rows for what, rows in lacking.items() if rows}
    return Reading(len(taken), sum(one.rows for one in taken), sum(one.new for one in taken), left_out, list(broken))


_SERVERS = ("postgresql://", "postgres://")


def _moment(at: int, history: History, column: str) -> str:
    """Microseconds since 1970 in the SQL of a history."""
    moment = dt.datetime.fromtimestamp(at / 1_000_000, dt.UTC)
    kind = history.schema.field(column).type
    if getattr(kind, "tz", None) is not None:
        return f"CAST({text(moment.isoformat())} AS TIMESTAMP WITH TIME ZONE)"
    return f"CAST({text(moment.replace(tzinfo=None).isoformat())} AS TIMESTAMP)"
