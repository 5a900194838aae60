"""DuckDB reads histories from files, buckets, queries and Arrow streams."""

from __future__ import annotations

import glob
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from wakeful.engines.history import History, Run, quoted, text
from wakeful.engines.losses import Files, lost
from wakeful.engines.schemas import guessed, lasting, reconciled, refuse_spellings, zones_of
from wakeful.errors import DataError, MissingExtra
from wakeful.live.log.merged import sources_in, without_replaced
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

__all__ = ["Stored", "open_history", "stored_files"]

_BATCH = 65_536
_MEMORY = "1GB"
_CSV = (".csv", ".csv.gz")
_BUCKETS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "hdfs://", "file://")

# A query that does one of these may give its rows in another order each time.
_MIXING = re.compile(r"\b(join|union|intersect|except|group|distinct|from\s+[^\s,]+(\s+(as\s+)?\w+)?\s*,)", re.I)


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
    if not data.strip():
        raise DataError("no data: the path or query is empty.")
    if _is_query(data):
        connection = _connect()
        query = data.strip().rstrip(";")
        keeps_order = _MIXING.search(query) is None
        run = partial(_query, connection)
        return History("the query", f"({query}\n) AS history", run, keeps_order)
    if data.startswith(_BUCKETS):
        return _from_bucket(data)
    return _from_files(data)


class Stored(NamedTuple):
    """A file that a history can be read from.

    Attributes:
        name: its path, on its file system.
        version: changes when the file does: size and time of the last change.
        open: its rows; raises DataError.
    """

    name: str
    version: str
    open: Callable[[], History]


def stored_files(data: object) -> list[Stored] | None:
    """The files of a path, glob or bucket URL, in natural order; None for queries and what is no file.

    Raises:
        DataError: there is none, or they cannot be listed.
    """
    if not isinstance(data, str | os.PathLike) or _is_query(str(data)):
        return None
    address = str(data)
    if not address.startswith(_BUCKETS):
        return [_local(Path(file).resolve()) for file in _files(address)]
    found = _dataset(address)
    known = found.filesystem.get_file_info(found.files)
    return [
        Stored(one.path, f"{one.size}-{one.mtime_ns}", partial(_bucket_file, address, one.path))
        for one in sorted(known, key=lambda one: _natural(one.path))
    ]


def _local(file: Path) -> Stored:
    try:
        found = file.stat()
        version = f"{found.st_size}-{found.st_mtime_ns}"
    except FileNotFoundError:  # deleted since it was listed: reading it will say so
        version = ""
    return Stored(str(file), version, partial(_from_files, str(file)))


def _bucket_file(address: str, file: str) -> History:
    return _from_dataset(file, _dataset(address, file))


def _query(connection: Any, sql: str) -> Any:
    return _run(connection.cursor(), "the query", sql)


def _is_query(data: str) -> bool:
    words = data.split(None, 1)
    return len(words) == 2 and words[0].lower() in ("select", "with", "from")


def _connect() -> Any:
    """A database of its own, in memory; timestamps with a time zone are handed over in UTC, wherever it runs.

    What a sort or a join needs beyond its memory goes to a temporary folder, which goes with the database.
    """
    spill = Path(tempfile.gettempdir()) / f"wakeful-{uuid.uuid4().hex}"
    connection = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(spill)})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # for cursors, too
    return connection


def _run(cursor: Any, name: str, sql: str) -> Any:
    try:
        return cursor.sql(sql).to_arrow_reader(_BATCH)
    except duckdb.Error as error:
        raise DataError(f"cannot read {name}: {str(error).strip()}") from error


def _from_arrow(data: object) -> History:
    table = Table(data)
    name = f"the {type(data).__name__}"
    connection = _connect()

    def run(sql: str) -> Any:
        cursor = connection.cursor()
        cursor.register("history", table.reader())  # anew: a stream is read once
        return _run(cursor, name, sql)

    return History(name, "history", run, True, zones=zones_of(table.schema))


def _from_bucket(address: str) -> History:
    """Parquet or CSV in a bucket; Arrow's own file systems read it, so no extension is fetched."""
    return _from_dataset(_safe(address), _dataset(address))


def _dataset(address: str, file: str | None = None) -> Any:
    """A bucket's files as a pyarrow dataset, or one of them; DataError where there is none."""
    name = _safe(address) if file is None else file
    try:
        filesystem, path = pa.fs.FileSystem.from_uri(address)
        path = path if file is None else file
        form = _csv_format() if path.endswith(_CSV) else "parquet"
        found = ds.dataset(path, filesystem=filesystem, format=form, partitioning="hive")
        found = _whole_files(found, path)
    except FileNotFoundError as error:
        raise DataError(f"no data at {name}: there is no such file or folder.") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot read {name}: {str(error).replace(address, name)}") from error
    if not found.files:
        raise DataError(f"no data at {name}: it holds no file.")
    return found


def _whole_files(found: Any, root: str) -> Any:
    """A bucket's dataset without the files of a log that a merged one replaces."""

    def sources_of(file: str) -> set[str]:
        with found.filesystem.open_input_file(file) as opened:
            return sources_in(opened)

    files = without_replaced(found.files, sources_of)
    if len(files) == len(found.files):
        return found
    return ds.dataset(
        files, found.schema, format=found.format, filesystem=found.filesystem, partitioning="hive",
        partition_base_dir=root,
    )  # fmt: skip


def _from_dataset(name: str, found: Any) -> History:
    connection = _connect()

    def run(sql: str) -> Any:
        cursor = connection.cursor()
        cursor.register("history", found)
        return _run(cursor, name, sql)

    return History(name, "history", run, False, zones=zones_of(found.schema))


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
        return _run(connection.cursor(), path, sql)

    def schema(file: str) -> Any:
        return _run(connection.cursor(), file, f"FROM {_reading([file])} LIMIT 0").schema if is_csv else _schema(file)

    known, broken = _schemas(files, schema)
    refuse_spellings(known)
    if is_csv:
        known, filled = guessed(known, lambda file, name: _is_empty(run, file, name))
    instead, notes = reconciled(known)
    zones = {} if is_csv else {name: zone for one in known.values() for name, zone in zones_of(one).items()}
    whole = Files(files, known, broken, is_csv, lambda some: _reading(some, bool(instead)), run)
    if is_csv:
        instead |= filled
    return History(
        path, whole.reading(list(known)), run, True, instead, zones, notes, partial(lost, whole), lasting(known)
    )


def _is_empty(run: Run, file: str, column: str) -> bool:
    with run(f"SELECT count({quoted(column)}) FROM {_reading([file])}") as reader:
        return not reader.read_all().column(0)[0].as_py()


def _schemas(files: Sequence[str], schema: Callable[[str], Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Schemas of files, and what is wrong with the others; DataError where it is all of them."""
    known, broken = {}, {}
    for file in files:
        try:
            known[file] = schema(file)
        except DataError as error:
            broken[file] = str(error)
    if not known:
        raise DataError(broken[files[0]])
    return known, broken


def _reading(files: Sequence[str], with_names: bool = False) -> str:
    """What stands behind FROM; with a column _file where it is asked for."""
    function = "read_csv" if files[0].endswith(_CSV) else "read_parquet"
    listed = ", ".join(text(file) for file in files)
    named = ", filename = '_file'" if with_names else ""
    return f"{function}([{listed}], union_by_name = true{named})"


def _files(path: str) -> list[str]:
    """All files of a path, in natural order; DataError where there is none, or one of another kind."""
    if Path(path).is_dir():
        inside = [one for suffix in (".parquet", *_CSV) for one in Path(path).rglob(f"*{suffix}")]
        files = sorted((str(one) for one in inside if not _is_hidden(one.relative_to(path))), key=_natural)
        files = without_replaced(files, _sources_of)
        if not files:
            raise DataError(f"the folder {path} has no .parquet or .csv file.")
    elif any(sign in path for sign in "*?["):
        files = sorted(glob.glob(path, recursive=True), key=_natural)  # noqa: PTH207  # a pattern may be absolute
        files = without_replaced(files, _sources_of)
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


def _sources_of(file: str) -> set[str]:
    """What a merged file of a log replaces; nothing where it cannot be read, which reading it will say."""
    try:
        return sources_in(file)
    except (pa.ArrowException, OSError):
        return set()


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
