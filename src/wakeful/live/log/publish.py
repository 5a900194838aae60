"""A segment -> Parquet files, one per day: exactly once, whenever the process dies.

A file's name follows from its segment, so whoever publishes it again overwrites it with the same rows.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from wakeful.errors import MissingExtra
from wakeful.live.log.merged import MERGED, sources_in
from wakeful.live.log.place import Place, date_of, folder_of
from wakeful.live.log.segment import Segment

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "the log") from error

__all__ = ["PARTIAL", "publish", "sources_of", "writer"]

PARTIAL = ".partial"  # ends the names of files that are being written
_DAY = 86_400 * 1_000_000
_GROUP = 65_536  # rows of a row group, at most
_GROUP_BYTES = 1 << 24


def publish(segment: Segment, place: Place, spool: Path) -> int:
    """Publish a segment and delete it.

    Args:
        segment: whose lock this process holds.
        place: where to.
        spool: folder for what is being written.

    Returns:
        Number of rows published.

    Raises:
        OSError: it cannot be written, or the bucket refuses; the segment is as before.
    """
    rows = 0
    days: dict[str, _Partial] = {}
    try:
        for table in _groups(segment):
            for day, part in _by_day(table):
                if day not in days:
                    days[day] = _Partial(spool / f"{segment.stem}-{date_of(day)}{PARTIAL}", part.schema)
                days[day].writer.write_table(part)
                rows += part.num_rows
        for day, partial in days.items():
            partial.finish()
            if not (segment.is_orphan and _is_merged(place, segment, day)):
                place.put(partial.path, f"{folder_of(segment.kind, day)}/{segment.stem}.parquet")
    finally:
        for partial in days.values():
            partial.discard()
    segment.remove()
    return rows


class _Partial:
    """A Parquet file that is being written."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = writer(path, schema)

    def finish(self) -> None:
        """Write the footer, and have all of it on the disk before it gets its name."""
        self.writer.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Leave nothing behind; a file that was published has gone already."""
        with suppress(pa.ArrowException, OSError):
            self.writer.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def writer(path: Path, schema: Any) -> Any:
    """A Parquet writer for the log's tables; dictionaries pay for texts alone."""
    repeating = [one.name for one in schema if pa.types.is_string(one.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=repeating)


def _groups(segment: Segment) -> Iterator[Any]:
    """The rows of a segment, some ten thousand at a time."""
    held: list[Any] = []
    rows = size = 0
    for batch in segment.batches():
        if held and (rows + batch.num_rows > _GROUP or size + batch.nbytes > _GROUP_BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
    if held:
        yield pa.Table.from_batches(held)


def _by_day(table: Any) -> list[tuple[str, Any]]:
    """Parts of a table by the day of their rows in UTC; the time is its first column."""
    chunks = [np.frombuffer(one.buffers()[1], np.int64, len(one), one.offset * 8) for one in table.column(0).chunks]
    days = np.concatenate(chunks) // _DAY
    # engines take the folder's name for a column, which must not stand in for one of the model's
    key = "log_date" if "date" in (name.casefold() for name in table.schema.names) else "date"
    parts = []
    for number in np.unique(days):
        at = np.flatnonzero(days == number).astype(np.int64)
        part = table if len(at) == len(days) else table.take(_indices(at))
        parts.append((f"{key}={dt.date(1970, 1, 1) + dt.timedelta(days=int(number))}", part))
    return parts


def _indices(at: Any) -> Any:
    return pa.Array.from_buffers(pa.int64(), len(at), [None, pa.py_buffer(at)])


def sources_of(place: Place, name: str) -> set[str]:
    """Stems of the files that a merged one replaces."""
    with place.open(name) as file:
        return sources_in(file)


def _is_merged(place: Place, segment: Segment, day: str) -> bool:
    """Whether a compaction took up the rows of an orphan after its writer published them, and died."""
    merged = [one for one in place.files(segment.kind, day) if one.stem.startswith(MERGED)]
    return any(segment.stem in sources_of(place, one.name) for one in merged)
