"""A history: rows that some SQL engine reads, filters and sorts, and hands over as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wakeful.caching import cached_property
from wakeful.errors import DataError, MissingExtra, UnknownName

try:
    import pyarrow as pa

    from wakeful.tables import sturdy
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "reading a history") from error

__all__ = ["History", "Loss", "Span", "Unreadable", "first_line", "quoted", "text"]

Run = Callable[[str], Any]  # an SQL query -> pyarrow.RecordBatchReader; raises DataError


class Loss(NamedTuple):
    """Rows of a history that cannot be read.

    Attributes:
        why: the file, what is wrong with it and what to do, sentences.
        start: no lost row comes before it, a Python value; None where it may be any.
        source: what stands behind FROM for the rows before ``start``.
    """

    why: str
    start: Any
    source: str


Lost = Callable[[str, Sequence[str] | None, bool], Loss | None]  # by, columns, whether to look into the files


class Unreadable(DataError):
    """A history cannot be read to its end.

    Attributes:
        start: a record batch of one row whose only column holds ``Loss.start``.
    """

    def __init__(self, why: str, start: Any) -> None:
        super().__init__(f"{why} What comes from {start.column(0)[0].as_py()} on is not judged.")
        self.start = start


class Span(NamedTuple):
    """What is known of a history before it is read.

    Attributes:
        rows: that have a value in the ordering column.
        without: rows that have none there.
        first, last: least and greatest value there, as Python values; None without rows.
        in_order: the rows come in its order already.
        loss: the rows that cannot be read, of which the others know nothing; None where all can be.
    """

    rows: int
    without: int
    first: Any
    last: Any
    in_order: bool
    loss: Loss | None = None


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
        lost: which rows cannot be read; what the engine says itself comes too late, and names no file.
        changed: types of columns that hold until the first file in which they change, by name.
        clock: time zone of timestamps that have one which nobody knows; hours and weekdays are read on it.
    """

    name: str
    source: str
    run: Run
    keeps_order: bool = False
    instead: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    lost: Lost = lambda by, columns, thorough: None
    changed: Mapping[str, Any] = field(default_factory=dict)
    clock: str = "UTC"

    @cached_property
    def schema(self) -> Any:
        """The pyarrow schema; DataError where the query fails or two columns share a name."""
        with self.run(f"SELECT * FROM {self.source} LIMIT 0") as reader:
            schema = reader.schema
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise DataError(f"column {name!r} stands twice in {self.name}. Rename one of them.")
        return pa.schema(
            [pa.field(one.name, self.changed.get(one.name, one.type), metadata=one.metadata) for one in schema]
        )

    @property
    def trusted(self) -> Any:
        """The schema without the columns that are read in another way than they are stored."""
        return pa.schema([one for one in self.schema if one.name not in self.instead])

    def must_have(self, what: str, name: str) -> None:
        """UnknownName, with near misses, where there is no such column."""
        if name not in self.schema.names:
            raise UnknownName(f"{what} column", name, self.schema.names)

    def span(self, by: str, columns: Sequence[str] | None = ()) -> Span:
        """Extent and order of the rows in column ``by``; reads that column alone.

        Args:
            by: the ordering column.
            columns: that are to be read later; None for all.

        Raises:
            DataError: reading fails, and it is not known which rows come before those that cannot be read.
        """
        loss = self.lost(by, columns, False)
        try:
            return self._span(by, loss)
        except DataError:
            loss = self.lost(by, columns, True)
            if loss is None:
                raise
        try:
            return self._span(by, loss)
        except DataError:
            raise DataError(loss.why) from None

    def _span(self, by: str, loss: Loss | None) -> Span:
        if loss is not None and loss.start is None:
            raise DataError(loss.why)
        key, source = quoted(by), self.source if loss is None else loss.source
        before = "TRUE" if loss is None else f"{key} < {_literal(loss.start)}"
        rows, without, first, last = self._row(
            f"SELECT count({key}), count(*) - count({key}), min({key}), max({key}) FROM {source} WHERE {before}"
        )
        if loss is not None and not rows:
            raise DataError(loss.why)
        in_order = False
        if self.keeps_order:
            back = f"SELECT {key} < lag({key}) OVER () AS back FROM {source} WHERE {key} IS NOT NULL AND {before}"
            in_order = not self._row(f"SELECT count(*) FROM ({back}) WHERE back")[0]
        return Span(rows, without, first, last, in_order, loss)

    def _row(self, query: str) -> list[Any]:
        with self.run(query) as reader:
            try:
                return [column[0].as_py() for column in reader.read_all().columns]
            except (pa.ArrowException, OSError) as error:
                raise self._broken(error) from error

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
            Unreadable: on the way, after all rows that are certain to come before those that cannot be read.
            DataError: reading fails, at once or on the way.
        """
        known = self.schema.names
        names = list(dict.fromkeys([by, *(known if columns is None else (one for one in columns if one in known))]))
        conditions = [f"{quoted(by)} IS NOT NULL"]
        conditions += [f"{quoted(by)} {sign} {limit}" for sign, limit in ((">=", since), ("<", until)) if limit]
        loss, given = span.loss, 0
        try:
            for batch in self._batches(names, by, span.in_order, conditions, loss):
                given += batch.num_rows
                yield batch
        except DataError:  # engines read ahead: rows before those that cannot be read are still to be given
            loss = self.lost(by, names, True)
            if loss is None:
                raise
            yield from self._after(given, names, by, span.in_order, conditions, loss)
        if loss is not None and not (until and self._row(f"SELECT {until} <= {_literal(loss.start)}")[0]):
            raise Unreadable(loss.why, self._zoned(self._one(by, loss.start)))

    def as_stored(self, by: str | None = None, since: str | None = None) -> Iterator[Any]:
        """Record batches of all columns, in no certain order, rows without a time included.

        Args:
            by: the ordering column, of which ``since`` speaks.
            since: an SQL literal; rows before it, or without a value in ``by``, are left out.

        Raises:
            DataError: reading fails, at once or on the way.
        """
        conditions = ["TRUE"] if by is None or since is None else [f"{quoted(by)} >= {since}"]
        yield from self._batches(self.schema.names, "", True, conditions, None)

    def _batches(
        self, names: Sequence[str], by: str, in_order: bool, conditions: Sequence[str], loss: Loss | None
    ) -> Iterator[Any]:
        """Record batches of columns; without the rows that may come after lost ones."""
        chosen = ", ".join(
            f"{self.instead[name]} AS {quoted(name)}" if name in self.instead else quoted(name) for name in names
        )
        source, key = self.source, quoted(by)
        if loss is not None:
            source, conditions = loss.source, [*conditions, f"{key} < {_literal(loss.start)}"]
        order = "" if in_order else f" ORDER BY {key}"
        with self.run(f"SELECT {chosen} FROM {source} WHERE {' AND '.join(conditions)}{order}") as reader:
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except (pa.ArrowException, OSError) as error:
                    raise self._broken(error) from error
                yield self._zoned(sturdy(batch))

    def _after(
        self, given: int, names: Sequence[str], by: str, in_order: bool, conditions: Sequence[str], loss: Loss
    ) -> Iterator[Any]:
        """The batches that come before lost rows, without the first rows; DataError where they cannot be told."""
        try:
            if loss.start is None:
                raise DataError(loss.why)
            for batch in self._batches(names, by, in_order, conditions, loss):
                skipped = min(given, batch.num_rows)
                given -= skipped
                yield batch.slice(skipped)
        except DataError:
            raise DataError(loss.why) from None

    def _one(self, by: str, value: Any) -> Any:
        return pa.RecordBatch.from_arrays([pa.array([value], self.schema.field(by).type)], [by])

    def _broken(self, error: Exception) -> DataError:
        return DataError(f"cannot read on in {self.name}: {first_line(error)}")

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


def first_line(error: Exception) -> str:
    """What an engine says, without what it says besides and the bytes that it stumbled over."""
    line = str(error).strip().splitlines()[0]
    return "".join(one for one in line if one.isprintable()).strip().rstrip(".")


def _literal(value: Any) -> str:
    return text(str(value))  # SQL reads it as whatever it is compared with
