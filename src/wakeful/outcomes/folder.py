"""The joined table as Parquet: a file per day, replaced as a whole and only where something has changed."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from wakeful.errors import DataError, MissingExtra
from wakeful.outcomes.resolved import Resolved

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "writing joined predictions") from error

__all__ = ["write"]

_CONTENT = b"wakeful.content"
_STATE = b"wakeful.state"


def write(joined: Resolved, folder: str | os.PathLike[str]) -> list[str]:
    """Write the days that have changed; files of days that have become empty go.

    Args:
        joined: what is known.
        folder: where to; made if need be. Files of other names in it are left alone.

    Returns:
        Names of the files written or deleted.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = Path(folder)
    schema = joined.history.schema
    names = ", ".join(f"{one.name} {one.type}" for one in schema)
    days = joined.rows(
        "SELECT CAST(make_timestamp(t) AS DATE) AS day, "
        "hash(count(*), bit_xor(hash(key, t, digest, label)), ?) FROM scratch.known GROUP BY day ORDER BY day",
        names,
    )
    mine = (joined.state.told("uuid") or "").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = {path: _told(path) for path in sorted(folder.glob("[0-9]*-[0-9][0-9]-[0-9][0-9].parquet"))}
        changed = []
        for day, content in days:
            path, about = folder / f"{day}.parquet", {_CONTENT: str(content).encode(), _STATE: mine}
            if known.pop(path, {}).get(_CONTENT) != about[_CONTENT]:
                _write_day(joined, day, path, schema.with_metadata(about))
                changed.append(path.name)
        for path, about in known.items():
            if about.get(_STATE) == mine and _is_remembered(joined, path):
                path.unlink()
                changed.append(path.name)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot write to {folder}: {error}") from error
    return changed


def _is_remembered(joined: Resolved, path: Path) -> bool:
    """Whether a day that has no predictions had some once; those of forgotten days are kept."""
    start = dt.datetime.fromisoformat(path.stem).replace(tzinfo=dt.UTC)
    return int(start.timestamp()) * 1_000_000 >= joined.state.cutoff


def _told(path: Path) -> dict[bytes, bytes]:
    try:
        return dict(pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return {}


def _write_day(joined: Resolved, day: dt.date, path: Path, schema: Any) -> None:
    partial = path.with_name(f".{path.name}.partial")
    rows = joined.day(day)
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for batch in rows.rows(None, joined.time, rows.span(joined.time)):
            writer.write_batch(batch.cast(schema))
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
