"""A history: rows that some SQL engine reads, filters and sorts, and hands over as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from wakeful.errors import DataError, MissingExtra, UnknownName

try:
    import pyarrow as pa

    from wakeful.tables import sturdy
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "reading a history") from error

__all__ = ["History", "Span", "quoted", "text"]

Run = Callable[[str], Any]  # an SQL query -> pyarrow.RecordBatchReader; raises DataError


class Span(NamedTuple):
    """What is known of a history before it is read.

    Attributes:
        rows: that have a value in the ordering column.
        without: rows that have none there.
        first, last: least and greatest value there, as Python values; None without rows.
        in_order: the rows come in its order already.
    """

    rows: int
    without: int
    first: Any
    last: Any
    in_order: bool


@dataclass(frozen=True, eq=False)
class History:
    """Rows of an SQL engine.

    Attributes:
        name: what it is called in errors.
        source: what stands behind FROM.
        run: executes a query.
        keeps_order: without ORDER BY, rows come as they are stored.
        instead: SQL expressions that stand for columns whose type needs care, by name.
        zones: time zone of timestamp columns that the engine forgets, by name.
        notes: what a person should know of the data, sentences.
        culprit: after columns could not be read: what is to blame, such as a file; empty where that is not known.
        clock: time zone of timestamps that have one which nobody knows; hours and weekdays are read on it.
    """

    name: str
    source: str
    run: Run
    keeps_order: bool = False
    instead: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    culprit: Callable[[Sequence[str]], str] = lambda columns: ""
    clock: str = "UTC"

    @cached_property
    def schema(self) -> Any:
        """The pyarrow schema; DataError where the query fails or two columns share a name."""
        with self.run(f"SELECT * FROM {self.source} LIMIT 0") as reader:
            schema = reader.schema
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise DataError(f"column {name!r} stands twice in {self.name}. Rename one of them.")
        return schema

    @property
    def trusted(self) -> Any:
        """The schema without the columns that are read in another way than they are stored."""
        return pa.schema([one for one in self.schema if one.name not in self.instead])

    def must_have(self, what: str, name: str) -> None:
        """UnknownName, with near misses, where there is no such column."""
        if name not in self.schema.names:
            raise UnknownName(f"{what} column", name, self.schema.names)

    def span(self, by: str) -> Span:
        """Extent and order of the rows in column ``by``; reads that column alone."""
        key = quoted(by)
        rows, without, first, last = self._row(
            f"SELECT count({key}), count(*) - count({key}), min({key}), max({key}) FROM {self.source}",
            by,
        )
        in_order = False
        if self.keeps_order:
            back = f"SELECT {key} < lag({key}) OVER () AS back FROM {self.source} WHERE {key} IS NOT NULL"
            in_order = not self._row(f"SELECT count(*) FROM ({back}) WHERE back", by)[0]
        return Span(rows, without, first, last, in_order)

    def _row(self, query: str, by: str) -> list[Any]:
        with self.run(query) as reader:
            try:
                return [column[0].as_py() for column in reader.read_all().columns]
            except (pa.ArrowException, OSError) as error:
                raise self._broken(error, [by]) from error

    def rows(
        self, columns: Sequence[str] | None, by: str, span: Span, since: str | None = None, until: str | None = None
    ) -> Iterator[Any]:
        """Record batches in the order of column ``by``; rows without a value there are left out.

        Args:
            columns: to read; those that the history lacks are ignored, None reads all.
            by: the ordering column.
            span: what ``span`` gave for it; rows in order are not sorted again.
            since: an SQL literal; rows before it are left out.
            until: another; rows from it on are left out.

        Raises:
            DataError: reading fails, at once or on the way.
        """
        known = self.schema.names
        names = dict.fromkeys([by, *(known if columns is None else (one for one in columns if one in known))])
        chosen = ", ".join(
            f"{self.instead[name]} AS {quoted(name)}" if name in self.instead else quoted(name) for name in names
        )
        key = quoted(by)
        conditions = [f"{key} IS NOT NULL"]
        conditions += [f"{key} {sign} {limit}" for sign, limit in ((">=", since), ("<", until)) if limit]
        order = "" if span.in_order else f" ORDER BY {key}"
        with self.run(f"SELECT {chosen} FROM {self.source} WHERE {' AND '.join(conditions)}{order}") as reader:
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except (pa.ArrowException, OSError) as error:
                    raise self._broken(error, list(names)) from error
                yield self._zoned(sturdy(batch))

    def _broken(self, error: Exception, columns: Sequence[str]) -> DataError:
        culprit = self.culprit(columns)
        return DataError(f"cannot read on in {self.name}{culprit and f' ({culprit})'}: {_first_line(error)}")

    def _zoned(self, batch: Any) -> Any:
        """Moments on the clock that the data name, or else that the caller named: hours and weekdays are read on it."""
        fields = [
            pa.field(one.name, pa.timestamp(one.type.unit, self.zones.get(one.name, self.clock)))
            if pa.types.is_timestamp(one.type) and one.type.tz is not None
            else one
            for one in batch.schema
        ]
        schema = pa.schema(fields)
        return batch if schema.equals(batch.schema) else batch.cast(schema)


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """An SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
