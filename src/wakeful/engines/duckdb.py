"""DuckDB reads histories from files, buckets, queries and Arrow streams."""

from __future__ import annotations

import glob
import os
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wakeful.engines.history import History, quoted, text
from wakeful.errors import DataError, MissingExtra
from wakeful.tables import Table

try:
    import duckdb
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.dataset as ds
    import pyarrow.fs
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("duckdb", "history", "reading a history") from error

__all__ = ["open_history"]

_BATCH = 65_536
_MEMORY = "1GB"
_CSV = (".csv", ".csv.gz")
_BUCKETS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "hdfs://", "file://")


def open_history(data: object) -> History:
    """A history that DuckDB reads.

    Args:
        data: a Parquet or CSV file, a folder of them, a glob; a bucket URL (``s3://…``, ``gs://…``,
            ``abfs://…``); an SQL query (SELECT, WITH, FROM) over files; or whatever Table takes, such as a
            data frame, a DuckDB relation or an Arrow stream.

    Raises:
        DataError: there are no such data, or they cannot be read; the message names the file or query.
    """
    if isinstance(data, os.PathLike):
        data = str(data)
    if not isinstance(data, str):
        return _from_arrow(data)
    words = data.split(None, 1)
    if not words:
        raise DataError("no data: the path or query is empty.")
    if len(words) == 2 and words[0].lower() in ("select", "with", "from"):
        connection = _connect()
        query = data.strip().rstrip(";")
        return History(
            "the query", f"({query}\n) AS history", lambda sql: _run(connection.cursor(), "the query", sql), True
        )
    if data.startswith(_BUCKETS):
        return _from_bucket(data)
    return _from_files(data)


def _connect() -> Any:
    """A database of its own, in memory; timestamps with a time zone are handed over in UTC, wherever it runs.

    What a sort or a join needs beyond its memory goes to a temporary folder, which goes with the database.
    """
    spill = Path(tempfile.gettempdir()) / f"wakeful-{uuid.uuid4().hex}"
    connection = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(spill)})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # for cursors, too
    return connection


def _run(cursor: Any, name: str, sql: str, files: Sequence[str] = ()) -> Any:
    try:
        return cursor.sql(sql).to_arrow_reader(_BATCH)
    except duckdb.Error as error:
        blame = _broken_file(files)
        raise DataError(f"cannot read {name}{blame and f' ({blame})'}: {str(error).strip()}") from error


def _from_arrow(data: object) -> History:
    table = Table(data)
    name = f"the {type(data).__name__}"
    connection = _connect()

    def run(sql: str) -> Any:
        cursor = connection.cursor()
        cursor.register("history", table.reader())  # anew: a stream is read once
        return _run(cursor, name, sql)

    return History(name, "history", run, True, zones=_zones(table.schema))


def _from_bucket(address: str) -> History:
    """Parquet or CSV in a bucket; Arrow's own file systems read it, so no extension is fetched."""
    name = _safe(address)
    try:
        filesystem, path = pa.fs.FileSystem.from_uri(address)
        form = _csv_format() if path.endswith(_CSV) else "parquet"
        found = ds.dataset(path, filesystem=filesystem, format=form, partitioning="hive")
    except FileNotFoundError as error:
        raise DataError(f"no data at {name}: there is no such file or folder.") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot read {name}: {str(error).replace(address, name)}") from error
    if not found.files:
        raise DataError(f"no data at {name}: it holds no file.")
    connection = _connect()

    def run(sql: str) -> Any:
        cursor = connection.cursor()
        cursor.register("history", found)
        return _run(cursor, name, sql)

    return History(name, "history", run, False, zones=_zones(found.schema))


def _csv_format() -> Any:
    """An empty text is missing, as in files."""
    return ds.CsvFileFormat(convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))


def _safe(address: str) -> str:
    """An address without keys and options."""
    scheme, _, rest = address.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _from_files(path: str) -> History:
    files = _files(path)
    is_csv = files[0].endswith(_CSV)
    connection = _connect()

    def run(sql: str) -> Any:
        return _run(connection.cursor(), path, sql, () if is_csv else files)

    if is_csv:
        one_by_one = files if len(files) > 1 else []
        schemas = {
            file: _run(connection.cursor(), file, f"FROM {_reading([file])} LIMIT 0").schema for file in one_by_one
        }
        instead, notes = _reconciled(schemas)
        return History(path, _reading(files, bool(instead)), run, True, instead, {}, notes)
    schemas = {file: _schema(file) for file in files}
    _refuse_mixed(schemas)
    instead, notes = _reconciled(schemas)
    zones = {name: zone for schema in schemas.values() for name, zone in _zones(schema).items()}
    source = _reading(files, bool(instead))
    return History(path, source, run, True, instead, zones, notes, lambda columns: _broken_file(files, columns))


def _reading(files: Sequence[str], with_names: bool = False) -> str:
    """What stands behind FROM; with a column _file where it is asked for."""
    function = "read_csv" if files[0].endswith(_CSV) else "read_parquet"
    listed = ", ".join(text(file) for file in files)
    named = ", filename = '_file'" if with_names else ""
    return f"{function}([{listed}], union_by_name = true{named})"


def _broken_file(files: Sequence[str], columns: Sequence[str] | None = None) -> str:
    """The first file whose columns cannot be read, after DuckDB failed without saying which."""
    for file in files:
        try:
            with pq.ParquetFile(file, pre_buffer=False) as opened:
                for _ in opened.iter_batches(_BATCH, columns=columns):
                    pass
        except (pa.ArrowException, OSError):
            return f"{file} is broken"
    return ""


def _files(path: str) -> list[str]:
    """All files of a path, in natural order; DataError where there is none, or one of another kind."""
    if Path(path).is_dir():
        inside = [one for suffix in (".parquet", *_CSV) for one in Path(path).rglob(f"*{suffix}")]
        files = sorted((str(one) for one in inside if not _is_hidden(one.relative_to(path))), key=_natural)
        if not files:
            raise DataError(f"the folder {path} has no .parquet or .csv file.")
    elif any(sign in path for sign in "*?["):
        files = sorted(glob.glob(path, recursive=True), key=_natural)  # noqa: PTH207  # a pattern may be absolute
        if not files:
            raise DataError(f"no file matches {path}.")
    elif Path(path).is_file():
        files = [path]
    else:
        raise DataError(f"no data at {path}: the file does not exist.")
    kinds = {"csv" if one.endswith(_CSV) else "parquet" if one.endswith(".parquet") else one for one in files}
    if kinds not in ({"csv"}, {"parquet"}):
        odd = next((one for one in kinds if one not in ("csv", "parquet")), None)
        raise DataError(
            f"cannot tell what {odd} holds: its name must end in .parquet or .csv."
            if odd
            else f"{path} holds both Parquet and CSV files. Name one kind: {path}/*.parquet"
        )
    return files


def _is_hidden(path: Path) -> bool:
    """Whether a file is none of the data: what Spark, Delta Lake and unfinished copies leave beside them."""
    return any(part.startswith((".", "_")) and "=" not in part for part in path.parts)


def _natural(path: str) -> list[tuple[int, str]]:
    """A key by which part-2 comes before part-10."""
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in re.split(r"(\d+)", path)]


def _schema(file: str) -> Any:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"cannot read {file}: {str(error).strip()} The file is broken, or no Parquet. Restore it, or move it away."
        ) from error


def _zones(schema: Any) -> dict[str, str]:
    return {one.name: one.type.tz for one in schema if pa.types.is_timestamp(one.type) and one.type.tz}


def _refuse_mixed(schemas: Mapping[str, Any]) -> None:
    """Raise DataError for what SQL would take for the same column in all files, and is not."""
    spelt: dict[str, dict[str, list[str]]] = {}
    timed: dict[str, dict[bool, list[str]]] = {}
    for file, schema in schemas.items():
        for one in schema:
            spelt.setdefault(one.name.casefold(), {}).setdefault(one.name, []).append(file)
            if pa.types.is_timestamp(one.type):
                timed.setdefault(one.name, {}).setdefault(one.type.tz is not None, []).append(file)
    for names in spelt.values():
        if len(names) > 1 and max(len(files) for files in names.values()) < len(schemas):
            (usual, _), *others = sorted(names.items(), key=lambda one: -len(one[1]))
            odd = "; ".join(f"{name} in {_named(files)}" for name, files in others)
            raise DataError(f"column {usual} has another name in some files: {odd}. Rename it there.")
    for name, kinds in timed.items():
        if len(kinds) > 1:
            with_zone = len(kinds[True]) < len(kinds[False])
            raise DataError(
                f"{name} holds times {'with' if with_zone else 'without'} a time zone in {_named(kinds[with_zone])}, "
                f"and {'without' if with_zone else 'with'} one in the other files. Write it the same way in all."
            )


def _reconciled(schemas: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What to read where a column is text in some files and numbers in others: text is no number.

    Text becomes infinity, which counts as invalid, as it would if its file were read alone. SQL's own way,
    to read all as text, would make the numbers of every file invalid.
    """
    texts: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    for file, schema in schemas.items():
        for one in schema:
            kind = one.type.value_type if pa.types.is_dictionary(one.type) else one.type
            is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if is_number or is_text:
                (numbers if is_number else texts).setdefault(one.name, []).append(file)
    instead, notes = {}, []
    for name in texts.keys() & numbers.keys():
        few, word, other = texts[name], "text", "numbers"
        if len(texts[name]) > len(numbers[name]):
            few, word, other = numbers[name], "numbers", "text"
        else:
            listed = ", ".join(text(one) for one in few)
            key = quoted(name)
            instead[name] = (
                f"CASE WHEN {key} IS NULL THEN NULL WHEN _file IN ({listed}) THEN 'inf'::DOUBLE "
                f"ELSE TRY_CAST({key} AS DOUBLE) END"
            )
        notes.append(f"{name} holds {word} in {_named(few)}, {other} in the other files: it changed its type there")
    return instead, sorted(notes)


def _named(files: Sequence[str]) -> str:
    shown = ", ".join(Path(one).name for one in files[:3])
    return shown + (f" and {len(files) - 3} more" if len(files) > 3 else "")
