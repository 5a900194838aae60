"""A table as it is now: what a service hands over as a whole, safe from what it does with it afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from wakeful.counting import Batch, RowBatch
from wakeful.errors import DataError
from wakeful.model import Model

__all__ = ["merged", "snapshot"]

_MOST = 10_000_000  # values of a column that are copied at once
_SMALL = 64  # rows of a table that is counted with others
_TOGETHER = 4096  # rows of such tables that are counted at once


def snapshot(model: Model, data: object, score: Sequence[Any] | None = None) -> list[Batch]:
    """Batches that do not change any more.

    Args:
        model: whose inputs an array without names holds.
        data: a data frame, an Arrow stream, a dict from column name to values, or an array of shape
            (rows, features).
        score: the model's answers where they are no column, shape (rows,).

    Raises:
        DataError: it is no table, or its columns differ in length.
        MissingExtra: a data frame without pyarrow.
    """
    if isinstance(data, np.ndarray):
        return [_of_columns(_named(model, data), model, score)]
    if isinstance(data, Mapping):
        return [_of_columns({str(name): _values(values) for name, values in data.items()}, model, score)]
    return _of_frame(data, model, score)


def merged(tables: Iterable[Batch]) -> Iterator[Batch]:
    """The same rows in fewer tables: counting one costs as much as fifty rows, and a request often has a single row.

    Only neighbours of the same columns are put together.
    """
    rows: list[Mapping[str, Any]] = []
    names: set[str] = set()
    for table in tables:
        is_small = isinstance(table, RowBatch) and len(table) <= _SMALL
        if rows and (not is_small or len(rows) >= _TOGETHER or table.names != names):
            yield RowBatch(rows)
            rows = []
        if is_small:
            rows.extend(table.rows())
            names = table.names
        else:
            yield table
    if rows:
        yield RowBatch(rows)


def _named(model: Model, data: Any) -> dict[str, Sequence[Any]]:
    names = list(dict.fromkeys(column.source for column in model.features if not column.derived))
    if data.ndim != 2 or data.shape[1] != len(names):
        raise DataError(
            f"an array of shape {data.shape} does not hold the {len(names)} input columns of the reference. Give "
            f"shape (rows, {len(names)}), in this order: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}."
        )
    if data.dtype.kind in "fiub":  # at once: many times faster than column by column
        data = data.copy(order="K")
        return {name: data[:, at] for at, name in enumerate(names)}
    return {name: _values(data[:, at]) for at, name in enumerate(names)}


def _of_columns(columns: dict[str, Sequence[Any]], model: Model, score: Sequence[Any] | None) -> Batch:
    if score is not None:
        columns[model.score.source] = _values(score)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns differ in length: {lengths!s:.300}. Give as many values for each.")
    batch = RowBatch([{}] * next(iter(lengths.values()), 0))
    for name, values in columns.items():
        batch.put(name, values)
    return batch


def _values(values: Any) -> Sequence[Any]:
    """A copy: numbers as an array, all else as a list of Python values."""
    if isinstance(values, str | bytes | bytearray):  # a row by mistake, most likely
        raise DataError(f"a column that is a {type(values).__name__} is no list of values. Give one value a row.")
    array = np.asarray(values) if hasattr(values, "__array__") else None
    if array is None:
        listed = list(islice(values, _MOST + 1))
        if len(listed) > _MOST:
            raise DataError(f"a column has more than {_MOST:,} values. Give a table in parts.")
        return listed
    if array.ndim != 1:
        raise DataError(f"a column of shape {array.shape} is no list of values. Give one value a row.")
    if array.dtype.kind in "fiub":
        return array.copy()  # type: ignore[return-value]
    if array.dtype.kind in "mM":
        array = array.astype("datetime64[us]" if array.dtype.kind == "M" else "timedelta64[us]")
    return array.tolist()  # type: ignore[no-any-return]


def _of_frame(data: Any, model: Model, score: Sequence[Any] | None) -> list[Batch]:
    import pyarrow as pa

    from wakeful.tables import ArrowBatch, Table, sturdy

    table = pa.Table.from_batches([batch.record_batch for batch in Table(data).batches()])
    if score is not None:
        if model.score.source in table.column_names:
            table = table.drop_columns([model.score.source])
        table = table.append_column(model.score.source, pa.array(_values(score), from_pandas=True))
    if type(data).__module__.partition(".")[0] != "pandas":  # it never changes, or was read from a stream
        return [ArrowBatch(sturdy(batch)) for batch in table.to_batches()]
    sink = pa.BufferOutputStream()  # a copy: pyarrow may look at the very memory of a frame
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return [ArrowBatch(sturdy(batch)) for batch in pa.ipc.open_stream(sink.getvalue())]
