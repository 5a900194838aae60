"""Rows of a history -> the state: each once, however often it is read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from wakeful.arrow import is_text
from wakeful.engines.history import History, quoted, text
from wakeful.engines.tiles import must_hold_times
from wakeful.errors import DataError, MissingExtra
from wakeful.outcomes.state import State

try:
    import duckdb
    import pyarrow as pa
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "joining outcomes") from error

__all__ = ["Taken", "take_outcomes", "take_predictions"]

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_WIDE = ("UBIGINT", "HUGEINT")
_BROKEN = ("FLOAT", "DOUBLE")
_CLOCK = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP")
_MOMENT = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_NOTHING = '"NULL"'
_FIRST, _LAST = -62_104_060_800_000_000, 253_370_764_800_000_000  # microseconds; years that a calendar can go on from


class Taken(NamedTuple):
    """What came of reading.

    Attributes:
        rows: read.
        new: of these, what was not known yet.
        without_id, without_time, without_label: of these, left out.
        newest: microseconds since 1970 of the last one; None without any.
    """

    rows: int
    new: int
    without_id: int
    without_time: int
    without_label: int
    newest: int | None


def take_predictions(state: State, history: History, batches: Any, id: str, time: str, label: str | None) -> Taken:
    """Store predictions inside a transaction.

    Args:
        state: where to.
        history: whose they are.
        batches: iterator of record batches.
        id: name of a column.
        time: of another.
        label: of one that is left out: outcomes bring it.

    Raises:
        UnknownName, DataError: a column is missing, holds no times, or has changed its type.
    """
    history.must_have("id", id)
    history.must_have("time", time)
    must_hold_times(history, time)
    names = [one for one in history.schema.names if label is None or one.casefold() != label.casefold()]
    with _Incoming(state, batches, history) as incoming:
        kinds = incoming.kinds
        digest = ", ".join(_digest(name, kinds[name]) for name in names if kinds[name] != _NOTHING)
        columns = ", ".join(f"{quoted(name)} AS c{at}" for at, name in enumerate(names))
        incoming.load(
            f"{_key(id, kinds[id])} AS key, {_micro(time, kinds[time])} AS t, "
            f"list_aggregate([{digest}], 'bit_xor') AS digest, {columns}"
        )
        places = {}
        for at, name in enumerate(names):
            place = _place(state, name, kinds[name], f"c{at}", history)
            if place is not None:
                places[place] = f"c{at}"
        chosen = _chosen("predictions", "key", "t", "digest", cutoff=state.cutoff, state=state)
        new = incoming.insert("predictions", {"key": "key", "t": "t", "digest": "digest"} | places, chosen)
        return incoming.taken(new, "t", "FALSE")


def take_outcomes(state: State, history: History, batches: Any, id: str, at: str, label: str, is_class: bool) -> Taken:
    """Store outcomes inside a transaction.

    Args:
        state: where to.
        history: whose they are.
        batches: iterator of record batches.
        id: name of a column.
        at: of that with the times.
        label: of that with the outcomes.
        is_class: whether labels are classes; otherwise they are numbers, and what is none is invalid.

    Raises:
        UnknownName, DataError: a column is missing, holds no times, or has changed its type.
    """
    history.must_have("id", id)
    history.must_have("time", at)
    history.must_have("label", label)
    must_hold_times(history, at)
    kind = history.trusted.field(label).type if label in history.trusted.names else pa.float64()
    if not is_class and is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
        raise DataError(f"label {label!r} of {history.name} holds text. Make it numbers: 1 and 0, or the true value.")
    with _Incoming(state, batches, history) as incoming:
        kinds = incoming.kinds
        value = quoted(label) if is_class else _number(label, kinds[label])
        incoming.load(f"{_key(id, kinds[id])} AS key, {_micro(at, kinds[at])} AS told, {value} AS label")
        if is_class and kinds[label] != _NOTHING:
            _fit(state, "outcomes", "label", kinds[label], "label", f"label {label!r} of {history.name}")
        chosen = _chosen("outcomes", "key", "told", "label", cutoff=state.cutoff, state=state)
        new = incoming.insert("outcomes", {"key": "key", "told": "told", "label": "label"}, chosen)
        return incoming.taken(new, "told", "label IS NULL")


class _Incoming:
    """A stream of rows, and the temporary table that it is loaded into."""

    def __init__(self, state: State, batches: Any, history: History) -> None:
        self._state = state
        first = next(batches, None)
        schema = history.schema if first is None else first.schema
        rest = iter(()) if first is None else _with(first, batches)
        self._reader = pa.RecordBatchReader.from_batches(schema, rest)
        self.zones = {one.name: one.type.tz for one in schema if pa.types.is_timestamp(one.type)}

    def __enter__(self) -> _Incoming:
        self._state.connection.register("stream", self._reader)
        self.kinds = self._state.kinds("stream")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(duckdb.TransactionException):  # rolling back what failed will do it
            self._state.connection.unregister("stream")

    def load(self, expressions: str) -> None:
        self._state.run(f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT {expressions} FROM stream")

    def insert(self, table: str, columns: dict[str, str], chosen: str) -> int:
        """Store the chosen rows; how many."""
        before = self._state.one(f"SELECT count(*) FROM {table}")
        self._state.run(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM incoming "
            f"WHERE rowid IN ({chosen})"
        )
        return int(self._state.one(f"SELECT count(*) FROM {table}") - before)

    def taken(self, new: int, time: str, unlabelled: str) -> Taken:
        """What the table held; each row that is left out is told once."""
        lacking = ["key IS NULL", f"key IS NOT NULL AND {time} IS NULL", f"key IS NOT NULL AND {time} IS NOT NULL"]
        lacking[2] += f" AND {unlabelled}"
        numbers = "".join(f"count(*) FILTER (WHERE {one}), " for one in lacking)
        [told] = self._state.rows(f"SELECT {numbers}count(*), max({time}) FROM incoming")
        no_id, no_time, no_label, rows, newest = told
        self._state.run("DROP TABLE incoming")
        return Taken(rows, new, no_id, no_time, no_label, newest)


def _with(first: Any, rest: Any) -> Any:
    yield first
    yield from rest


def _chosen(table: str, *keys: str, cutoff: int, state: State) -> str:
    """A query for one row number of each new row that is whole."""
    time = keys[1]
    low, high = state.rows(f"SELECT min({time}), max({time}) FROM incoming")[0]
    known = " AND ".join(f"known.{one} = one.{one}" for one in keys)
    return (
        f"SELECT min(one.rowid) FROM incoming AS one WHERE {' AND '.join(f'one.{key} IS NOT NULL' for key in keys)} "
        f"AND one.{time} >= {cutoff} AND NOT EXISTS (FROM {table} AS known WHERE {known} "
        f"AND known.{time} BETWEEN {low or 0} AND {high or 0}) GROUP BY {', '.join(f'one.{key}' for key in keys)}"
    )


def _key(id: str, kind: str) -> str:
    """An id as ``ids.text_of`` writes it: 7, 7.0 and '7' are one; NaN, infinity and the empty text are none."""
    name = quoted(id)
    plain = f"CAST(CAST({name} AS INTEGER) AS VARCHAR)" if kind == "BOOLEAN" else f"CAST({name} AS VARCHAR)"
    if kind in _BROKEN or kind.startswith("DECIMAL"):
        whole = f"CAST(CAST({name} AS HUGEINT) AS VARCHAR)"
        plain = f"CASE WHEN {name} = floor({name}) AND abs({name}) < 1e37 THEN {whole} ELSE {plain} END"
        plain = f"CASE WHEN isfinite(CAST({name} AS DOUBLE)) THEN {plain} END"
    return f"nullif({plain}, '')"


def _micro(name: str, kind: str) -> str:
    """A time as microseconds since 1970 in UTC; null where it is beyond the calendar."""
    moment = _in_microseconds(name, kind)
    micro = f"CASE WHEN isfinite({moment}) THEN epoch_us({moment}) END"
    return f"CASE WHEN {micro} BETWEEN {_FIRST} AND {_LAST} THEN {micro} END"


def _in_microseconds(name: str, kind: str) -> str:
    return f"CAST({quoted(name)} AS {'TIMESTAMPTZ' if kind in _MOMENT else 'TIMESTAMP'})"


def _number(name: str, kind: str) -> str:
    """A label as a number, as it is counted: null where it is missing, infinite where it is none."""
    value = quoted(name)
    if kind == _NOTHING:
        return "CAST(NULL AS DOUBLE)"
    if kind == "BOOLEAN" or kind in (*_WHOLE, *_WIDE, *_BROKEN) or kind.startswith("DECIMAL"):
        return f"CASE WHEN NOT isnan(CAST({value} AS DOUBLE)) THEN CAST({value} AS DOUBLE) END"
    return f"CASE WHEN {value} IS NOT NULL THEN 'inf'::DOUBLE END"


def _digest(name: str, kind: str) -> str:
    """What a value adds to the digest of its row: the same for 7 and 7.0, nothing where it is missing."""
    value = quoted(name)
    if kind in (*_WHOLE, *_WIDE, *_BROKEN) or kind.startswith("DECIMAL"):
        plain = f"CAST({value} AS DOUBLE)"
    else:
        plain = _in_microseconds(name, kind) if kind in (*_CLOCK, *_MOMENT) else value
    return f"CASE WHEN {value} IS NULL THEN 0::UBIGINT ELSE hash({text(name)}, {plain}) END"


def _place(state: State, name: str, kind: str, place: str, history: History) -> str | None:
    """Where a column of incoming rows is stored; None where it holds nothing."""
    if kind == _NOTHING:
        return None
    known = state.columns
    field = history.schema.field(name).type
    if name in known:
        filled = _fit(state, "predictions", known[name].place, kind, place, f"column {name!r} of {history.name}")
        return known[name].place if filled else None
    if kind == "VARCHAR" and not state.one(f"SELECT count({place}) FROM incoming"):
        return None  # a CSV file's empty column says nothing of its type
    zone = history.zones.get(name, history.clock) if pa.types.is_timestamp(field) and field.tz is not None else None
    stored = f"c{len(known)}"
    state.run(f"ALTER TABLE predictions ADD COLUMN {stored} {kind}")
    state.rows("INSERT INTO columns VALUES (?, ?, ?)", name, stored, zone)
    return stored


def _fit(state: State, table: str, stored: str, kind: str, incoming: str, what: str) -> bool:
    """Make a stored column able to hold incoming values; whether there are any that it can."""
    before = state.kinds(table)[stored]
    common = _common(before, kind)
    if common == before:
        return True
    if not state.one(f"SELECT count({incoming}) FROM incoming"):
        return False
    if not state.one(f"SELECT count({stored}) FROM {table}"):
        state.run(f"ALTER TABLE {table} ALTER {stored} TYPE {kind} USING NULL")
    elif common is not None:
        state.run(f"ALTER TABLE {table} ALTER {stored} TYPE {common}")
    else:
        raise DataError(
            f"{what} holds {kind}, but {before} in what was read before. Give a query that casts it, or join anew, "
            "in another folder."
        )
    return True


def _common(one: str, other: str) -> str | None:
    """The type that holds both, or None."""
    both = {one, other}
    if len(both) == 1:
        return one
    if both <= {*_WHOLE}:
        return "BIGINT"
    if both <= {*_WHOLE, *_WIDE}:
        return "HUGEINT"
    if all(kind in (*_WHOLE, *_WIDE, *_BROKEN) or kind.startswith("DECIMAL") for kind in both):
        return "DOUBLE"
    if both <= {*_MOMENT}:
        return _MOMENT[0]
    return "TIMESTAMP" if both <= {*_CLOCK} else None
