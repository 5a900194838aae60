"""Any table -> Arrow batches, as often as they are asked for."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wakeful.bins import CategoryBins, Floats, Ints
from wakeful.encoding import encode_numbers
from wakeful.errors import DataError, MissingExtra

try:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    from wakeful import arrow
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "reading tables") from error

__all__ = ["ArrowBatch", "Table", "in_threads", "refuse_text", "sturdy"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_BATCH = 122_880  # rows: a row group as DuckDB writes them, so that few batches join two
_BATCH_VALUES = 64 * _BATCH  # of all columns: wide tables come in smaller batches
_ROW_LABELS = re.compile(r"__index_level_\d+__|")  # what pandas calls its index in Parquet and Arrow, and in CSV


class ArrowBatch:
    """A batch of a pyarrow table; what counting asks for, column by column."""

    def __init__(self, batch: Any) -> None:
        self.record_batch = batch
        self._names = {name: at for at, name in enumerate(batch.schema.names)}

    def __len__(self) -> int:
        return int(self.record_batch.num_rows)

    @property
    def names(self) -> set[str]:
        """Names of all columns."""
        return set(self._names)

    def has(self, name: str) -> bool:
        """Whether the table has that column."""
        return name in self._names

    def column(self, name: str) -> Any:
        """The pyarrow array."""
        return self.record_batch.column(self._names[name])

    def values(self, name: str) -> Any:
        """The column as numpy numbers where it is numeric, else as a list of Python values."""
        column = self.column(name)
        if pa.types.is_null(column.type):
            return arrow.numbers_of(column)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            return column.to_numpy(zero_copy_only=False)
        return column.to_pylist()

    def numbers(self, name: str) -> Floats:
        """The column as float64."""
        return arrow.numbers_of(self.column(name))

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """The column as cells."""
        return arrow.categories_of(self.column(name), bins)

    def clock(self, name: str, part: str, bins: CategoryBins) -> Ints:
        """A part of a datetime column, such as its hour, as cells."""
        return arrow.clock_of(self.column(name), part, bins)

    def ids(self, name: str) -> Ints:
        """The column as cells of hashed ids."""
        return arrow.ids_of(self.column(name))

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The batch as one dict per row."""
        rows: list[Mapping[str, Any]] = self.record_batch.to_pylist()
        return rows


class Table:
    """A table that can be read several times, whatever it was made from.

    Args:
        data: a path to a ``.parquet`` or ``.csv`` file; an object with ``__arrow_c_stream__`` (pandas,
            Polars, PyArrow, DuckDB); or a mapping from column name to a sequence of values. The row labels
            (unnamed index) of a pandas frame are no column.

    Raises:
        DataError: the data cannot be read, have duplicate column names, or are of another type.
    """

    def __init__(self, data: object) -> None:
        self._spool: _Spool | None = None
        self._file: Path | None = None
        self._table: Any = None
        if isinstance(data, str | os.PathLike):
            self._file = _existing(Path(data))
        elif isinstance(data, Table):
            self._spool, self._file, self._table = data._spool, data._file, data._table
        elif isinstance(data, Mapping):
            self._table = _from_mapping(data)
        elif isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
            names_of_rows = dict.fromkeys(name for row in data for name in row)
            self._table = _from_mapping({name: [row.get(name) for row in data] for name in names_of_rows})
        elif isinstance(data, pa.RecordBatchReader) or not isinstance(data, pa.Table | pa.RecordBatch):
            self._read_stream(data)
        else:
            self._table = pa.table(data)
        names = self.schema.names
        if not names:
            raise DataError("the data have no columns. Give a table with one column per feature, and the score.")
        _refuse_twice(names)

    def _read_stream(self, data: Any) -> None:
        """Take an Arrow stream; one that can be read only once is spooled to a temporary file."""
        if not hasattr(data, "__arrow_c_stream__"):
            raise DataError(
                f"cannot read a table from {type(data).__name__}. Give a path to a Parquet or CSV file, a data "
                "frame (pandas, Polars, PyArrow, DuckDB), or a dict from column name to values."
            )
        try:
            reader = pa.RecordBatchReader.from_stream(data)
            if not isinstance(data, pa.RecordBatchReader) and _is_in_memory(data):
                self._table = reader.read_all()
                return
            self._spool = _Spool()
            self._file = self._spool.directory / "stream.arrow"
            with pa.OSFile(str(self._file), "wb") as sink, pa.ipc.new_stream(sink, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            if hasattr(data, "columns") and not isinstance(error, OSError):  # pandas, mixed types
                _refuse_twice([str(name) for name in data.columns])
                self._table = _from_mapping({name: data[name].to_list() for name in data.columns})
                return
            raise DataError(f"cannot read a table from {type(data).__name__}: {error}") from error

    @property
    def schema(self) -> Any:
        """The pyarrow schema, without the row labels that pandas adds."""
        fields = [field for field in self._raw_schema() if not _ROW_LABELS.fullmatch(field.name)]
        return pa.schema([(field.name, arrow.sturdy(field.type)) for field in fields])

    def _raw_schema(self) -> Any:
        if self._table is not None:
            return self._table.schema
        assert self._file is not None
        if self._file.suffix == ".arrow":
            with pa.OSFile(str(self._file)) as file, pa.ipc.open_stream(file) as reader:
                return reader.schema
        try:
            if self._file.suffix == ".csv":
                with _open_csv(self._file) as reader:
                    return reader.schema
            return pq.read_schema(self._file)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read {self._file}: {error}") from error

    def refuse_text(self, **roles: str | None) -> None:
        """Raise DataError where the column of a role that needs numbers, such as a label, holds text."""
        refuse_text(self.schema, **roles)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ArrowBatch]:
        """The rows, up to a hundred thousand at a time; only ``columns`` where they are named."""
        try:
            for batch in self._record_batches(columns):
                yield ArrowBatch(sturdy(batch))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read {self._file or 'the data'}: {error}") from error

    def reader(self) -> Any:
        """The rows as a pyarrow.RecordBatchReader, from the first one."""
        return pa.RecordBatchReader.from_batches(self.schema, (batch.record_batch for batch in self.batches()))

    def _record_batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        schema, asked = self.schema, set(columns or ())
        wanted = [name for name in schema.names if columns is None or name in asked]
        rows = max(1, min(_BATCH, _BATCH_VALUES // max(1, len(wanted))))
        if self._table is not None:
            yield from self._table.select(wanted).to_batches(max_chunksize=rows)
        elif self._file is not None and self._file.suffix == ".parquet":
            # pre_buffer would keep the whole compressed file in memory until the last batch
            texts = [field.name for field in schema if pa.types.is_string(field.type)]
            with pq.ParquetFile(self._file, pre_buffer=False, read_dictionary=texts) as file:
                yield from file.iter_batches(batch_size=rows, columns=wanted)
        elif self._file is not None and self._file.suffix == ".csv":
            with _open_csv(self._file) as reader:
                for batch in reader:
                    yield batch.select(wanted)
        elif self._file is not None:
            with pa.OSFile(str(self._file)) as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    yield batch.select(wanted)


def refuse_text(schema: Any, **roles: str | None) -> None:
    """Raise DataError where the column of a role that needs numbers, such as a label, holds text."""
    for role, name in roles.items():
        if name is None or name not in schema.names:
            continue
        kind = schema.field(name).type
        if arrow.is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise DataError(f"{role} {name!r} holds text. Make it 1 and 0, or true and false.")


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The function of every item, in their order, computed by a thread for every other core.

    The other cores read and decode the next items. numpy lets go of the interpreter while it calculates. At
    most two items a thread wait at a time, so memory stays flat. Where the items end in an error, the results
    of those before it come first.
    """
    workers = max(1, (os.cpu_count() or 1) // 2)
    broken: Exception | None = None
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Result]] = deque()
        source = iter(items)
        while True:
            try:
                waiting.append(pool.submit(function, next(source)))
            except StopIteration:
                break
            except Exception as error:
                broken = error
                break
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    if broken is not None:
        raise broken


class _Spool:
    """A temporary directory that goes with the last table that reads from it."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wakeful-"))
        weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)


def sturdy(batch: Any) -> Any:
    """A record batch in the types that can be counted (see ``arrow.sturdy``)."""
    schema = pa.schema([(field.name, arrow.sturdy(field.type)) for field in batch.schema])
    return batch if schema.equals(batch.schema) else batch.cast(schema)


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name one Parquet or CSV file in it.")
    if not path.is_file():
        raise DataError(f"no data at {path}: the file does not exist.")
    if path.suffix not in (".parquet", ".csv"):
        raise DataError(f"cannot tell what {path} holds: its name must end in .parquet or .csv.")
    return path


def _open_csv(path: Path) -> Any:
    return pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=1 << 24),
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True),  # an empty text is missing, as in pandas
    )


def _refuse_twice(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"column {name!r} stands twice in the data. Rename one of them.")
        seen.add(name)


def _is_in_memory(data: object) -> bool:
    return type(data).__module__.split(".")[0] in ("pandas", "polars", "pyarrow")


def _from_mapping(data: Mapping[str, Any]) -> Any:
    _refuse_twice([str(name) for name in data])
    columns = {}
    for name, values in data.items():
        try:
            columns[str(name)] = pa.array(values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            if not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
                raise DataError(f"column {str(name)!r} is {values!r:.60}. Give a list or array of values.") from None
            columns[str(name)] = _mixed(values)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns differ in length: {lengths}. Give as many values for each.")
    return pa.table(columns)


def _mixed(values: Any) -> Any:
    """A column of mixed types: as numbers, where most are, the rest invalid; else as text."""
    values = list(values)
    encoded = encode_numbers(values)
    if np.isfinite(encoded).sum() * 2 >= (~np.isnan(encoded)).sum():
        return pa.array(encoded)
    return pa.array([None if value is None or value != value else str(value) for value in values], pa.large_string())
