"""What a join remembers: one DuckDB file in a folder, which a kill leaves as it was after the last file read."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from wakeful.errors import DataError, MissingExtra

try:
    import duckdb
except ImportError as error:
    raise MissingExtra("duckdb", "history", "joining outcomes") from error

__all__ = ["Place", "State"]

_FILE = "outcomes.duckdb"
_FORMAT = "1"
_MEMORY = "512MB"
_TABLES = """
CREATE TABLE about (name VARCHAR, value VARCHAR);
CREATE TABLE columns (name VARCHAR, place VARCHAR, zone VARCHAR);
CREATE TABLE predictions (key VARCHAR, t BIGINT, digest UBIGINT);
CREATE TABLE outcomes (key VARCHAR, told BIGINT, label DOUBLE);
CREATE TABLE read (kind VARCHAR, root VARCHAR, source VARCHAR, version VARCHAR);
"""


class Place(NamedTuple):
    """A column of the predictions as it is stored.

    Attributes:
        place: name of the column that holds it.
        kind: its DuckDB type.
        zone: on whose clock its times are read; None where they have no zone.
    """

    place: str
    kind: str
    zone: str | None


class State:
    """The tables of a join; one process at a time.

    - ``predictions``: id as text, microseconds since 1970, a digest of the row, and the row.
    - ``outcomes``: id as text, microseconds since 1970, label.
    - ``read``: which version of which file has been read, and how far queries have come.
    - ``scratch.known``: what is computed from them, in a database that is forgotten.

    Args:
        folder: where; made if need be.
        memory: that DuckDB may take before it turns to the disk.

    Attributes:
        resolved: how often ``scratch.known`` has been computed.

    Raises:
        DataError: another process has it open, or it is none.
    """

    resolved: int = 0

    def __init__(self, folder: str | os.PathLike[str], memory: str = _MEMORY) -> None:
        file = Path(folder) / _FILE
        spill = file.with_suffix(".spill")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            limits = {"memory_limit": memory, "temp_directory": str(spill), "preserve_insertion_order": "false"}
            self.connection = duckdb.connect(str(file), config={**limits})
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            raise DataError(
                f"cannot open {file}: {_first_line(error)}. One process at a time joins in a folder: wait for the "
                "other, or take another folder."
            ) from error
        except (duckdb.Error, OSError) as error:
            raise DataError(f"cannot open {file}: {_first_line(error)}. Give another folder.") from error
        shutil.rmtree(spill, ignore_errors=True)  # what a kill left: nobody else has the file open
        self.connection.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_progress_bar = false")
        self.connection.execute("ATTACH ':memory:' AS scratch")
        if not self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'about' AND database_name = 'outcomes'"):
            with self.transaction():
                self.connection.execute(_TABLES)
                self.tell("format", _FORMAT)
                self.tell("uuid", uuid.uuid4().hex)
        if self.told("format") != _FORMAT:
            self.close()
            raise DataError(f"{file} was written by another version of wakeful. Join anew, in another folder.")

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing; DataError where the disk is full."""
        self.connection.begin()
        try:
            yield
            self.connection.commit()
        except BaseException as error:
            with suppress(duckdb.Error):  # it has done so by itself
                self.connection.rollback()
            if isinstance(error, duckdb.Error):
                raise DataError(f"cannot join: {_first_line(error)}") from error
            raise

    def run(self, sql: str) -> None:
        """Execute statements; DataError where the disk is full, or what came cannot be stored."""
        try:
            self.connection.execute(sql)
        except duckdb.Error as error:
            raise DataError(f"cannot join: {_first_line(error)}") from error

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows of an answer; ``values`` stand for the question marks."""
        return self.connection.execute(sql, list(values)).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        """The first value of an answer."""
        return self.rows(sql, *values)[0][0]

    def tell(self, name: str, value: str) -> None:
        """Remember a value."""
        self.connection.execute("DELETE FROM about WHERE name = ?", [name])
        self.connection.execute("INSERT INTO about VALUES (?, ?)", [name, value])

    def stream(self, sql: str, rows: int) -> Any:
        """An answer as a pyarrow.RecordBatchReader, so many rows at a time; DataError where it fails."""
        try:
            cursor = self.connection.cursor()
            cursor.execute("SET enable_progress_bar = false")  # it would stand among what a command prints
            return cursor.sql(sql).to_arrow_reader(rows)
        except duckdb.Error as error:
            raise DataError(f"cannot read what is joined: {_first_line(error)}") from error

    def told(self, name: str) -> str | None:
        """A value that was remembered."""
        found = self.rows("SELECT value FROM about WHERE name = ?", name)
        return found[0][0] if found else None

    @property
    def cutoff(self) -> int:
        """Microseconds since 1970: what is older has been forgotten."""
        return int(self.told("cutoff") or -(2**62))

    def kinds(self, table: str) -> dict[str, str]:
        """DuckDB types of a table's columns, by name."""
        return dict(self.rows(f"SELECT column_name, column_type FROM (DESCRIBE {table})"))

    @property
    def columns(self) -> dict[str, Place]:
        """The columns of the predictions, by the names that they came with."""
        kinds = self.kinds("predictions")
        known = self.rows("SELECT name, place, zone FROM columns ORDER BY CAST(substr(place, 2) AS INTEGER)")
        return {name: Place(place, kinds[place], zone) for name, place, zone in known}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
