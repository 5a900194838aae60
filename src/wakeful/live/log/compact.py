"""Many small files of a past day become one, in the order of time; a reader sees every row once, or an error.

In a directory a merged day takes the place of the old one in one step (Linux, renameat2), so a reader that lists a
day lists either all the old files or all the new. Elsewhere, and in buckets, which know no such step, the merged
file appears first, whole, and the old ones go within moments. It tells in its metadata which files it replaces, so
readers of this library leave them out; others see rows twice in between, and never too few.

Whatever dies in between, the next compaction finishes.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from wakeful.budget import duration
from wakeful.errors import DataError, MissingExtra
from wakeful.live.log.merged import MERGED, SOURCES, sources_in
from wakeful.live.log.place import TABLES, Place, Stored, date_of, folder_of
from wakeful.live.log.publish import publish, sources_of
from wakeful.live.log.retention import expire
from wakeful.live.log.segment import SUFFIX, orphans

try:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("duckdb", "history", "compacting a log") from error

__all__ = ["Compaction", "compact"]

_WORKING = "_compact"  # folder for days that are being merged
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_AT_FDCWD = -100
_MEMORY = "1GB"


class Compaction(NamedTuple):
    """What a compaction did.

    Attributes:
        recovered: rows of writers that had died.
        days: that were merged.
        before, after: number of their files.
        rows: in them.
        deleted: days whose time had come.
    """

    recovered: int
    days: int
    before: int
    after: int
    rows: int
    deleted: list[str]

    def lines(self) -> list[str]:
        """What a person should know."""
        merged = f"merged {self.before:,} files of {self.days:,} days into {self.after:,} ({self.rows:,} rows)"
        return [
            f"recovered {self.recovered:,} rows of writers that had died",
            merged if self.days else "nothing to merge",
            *(f"deleted {day}" for day in self.deleted),
        ]


def compact(
    url: str | os.PathLike[str],
    *,
    older_than: str = "1d",
    keep: str | None = None,
    spool: str | os.PathLike[str] | None = None,
) -> Compaction:
    """Merge the files of each past day, recover what dead writers left, delete days that are too old.

    Args:
        url: of the log.
        older_than: leave days alone that ended less than this ago: rows may still come.
        keep: delete days that ended longer ago than this.
        spool: folder of unpublished rows, where the log was given one.

    Raises:
        DataError: a duration cannot be read, there is no such log, or another compaction runs on it.
        OSError: the log cannot be read or written; it is whole nevertheless.
    """
    place = Place(url)
    if place.local is not None and not place.local.is_dir():
        raise DataError(f"there is no log at {place.url}: the folder does not exist.")
    if keep is not None:
        duration(keep)
    age = dt.timedelta(seconds=duration(older_than))
    last = (dt.datetime.now(dt.UTC) - age).date().isoformat()
    with _alone(place):
        folder = place.spool if spool is None or place.local is not None else Path(spool)
        recovered = sum(publish(one, place, folder) for one in orphans(folder))
        days = before = after = rows = 0
        for kind in TABLES:
            _finish(place, kind)
            for day in place.days(kind):
                if date_of(day) < last and (merged := _merge(place, kind, day, folder)):
                    days, before, after, rows = days + 1, before + merged[0], after + merged[1], rows + merged[2]
        return Compaction(recovered, days, before, after, rows, expire(place, keep))


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the lock of a directory's compaction; a bucket has none."""
    if place.local is None:
        yield
        return
    folder = place.local / _WORKING
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"another compaction of {place.url} runs. Wait until it has finished.") from error
        yield


def _merge(place: Place, kind: str, day: str, spool: Path) -> tuple[int, int, int] | None:
    """Merge one day; number of files before and after, and of rows. None where there is nothing to merge."""
    files = place.files(kind, day)
    unfinished = {path.name.split(".")[1] for path in spool.glob(f"{kind}.*{SUFFIX}")}  # after files, or one may slip
    mergeable = [one for one in files if one.stem not in unfinished]
    groups = [group for group in _alike(place, mergeable) if len(group) > 1]
    if not groups:
        return None
    work = _working_folder(place, kind, day)
    work.mkdir(parents=True)
    try:
        rows, made = 0, []
        for group in groups:
            made.append(work / f"{MERGED}{uuid.uuid4().hex[:12]}.parquet")
            rows += _write(place, group, made[-1])
        old = [one for group in groups for one in group]
        if place.local is None or not _exchange(place.local / folder_of(kind, day), work, old):
            for path in made:
                place.put(path, f"{folder_of(kind, day)}/{path.name}")
            _delete(place, old)
    finally:
        if place.local is None:
            shutil.rmtree(work, ignore_errors=True)
        else:
            _finish(place, kind)
    return len(old), len(made), rows


def _working_folder(place: Place, kind: str, day: str) -> Path:
    """On the disk of the directory, so that it can be exchanged; for a bucket, in the temporary folder."""
    name = f"{kind}.{day}.{uuid.uuid4().hex[:12]}"
    root = Path(tempfile.gettempdir()) if place.local is None else place.local / _WORKING
    return root / f"wakeful-{name}" if place.local is None else root / name


def _alike(place: Place, files: Sequence[Stored]) -> list[list[Stored]]:
    """Files by their columns, which a new reference may have changed in the middle of a day."""
    groups: dict[str, list[Stored]] = defaultdict(list)
    for one in files:
        with place.open(one.name) as file:
            groups[str(pq.read_schema(file).remove_metadata())].append(one)
    return list(groups.values())


def _write(place: Place, files: Sequence[Stored], target: Path) -> int:
    """Write the rows of files into one, in the order of time; number of rows."""
    with place.open(files[0].name) as file:
        schema = pq.read_schema(file)
    merged = {one.stem for one in files}
    merged |= {stem for one in files if one.stem.startswith(MERGED) for stem in sources_of(place, one.name)}
    about = {**(schema.metadata or {}), SOURCES: json.dumps(sorted(merged)).encode()}
    source = ds.dataset([place.path(one.name) for one in files], filesystem=place.filesystem, format="parquet")
    with (
        tempfile.TemporaryDirectory(prefix="wakeful-") as spill,
        duckdb.connect(
            config={"memory_limit": _MEMORY, "temp_directory": spill, "preserve_insertion_order": False}
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("log", source)
        reader = connection.sql(f'FROM log ORDER BY "{schema.names[0]}"').to_arrow_reader(65_536)
        texts = [one.name for one in schema if pa.types.is_string(one.type)]
        rows = 0
        with pq.ParquetWriter(
            target, schema.with_metadata(about), compression="zstd", compression_level=3, use_dictionary=texts
        ) as sink:
            for batch in reader:
                rows += batch.num_rows
                sink.write_batch(batch.cast(schema.with_metadata(about)))
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return rows


def _exchange(folder: Path, work: Path, old: Sequence[Stored]) -> bool:
    """Let a day's folder and that of its merged files change places; whether the system can do it."""
    replaced = {Path(one.name).name for one in old}
    for path in folder.iterdir():
        if path.name not in replaced:
            os.link(path, work / path.name)
    library = ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(work), _AT_FDCWD, os.fsencode(folder), _EXCHANGE)
    return bool(done == 0)


def _finish(place: Place, kind: str) -> None:
    """Delete what merged files have replaced, after a compaction got no further.

    A folder that was exchanged holds the old files: those that were merged go, those that came meanwhile come back.
    """
    if place.local is not None:
        for work in sorted((place.local / _WORKING).glob(f"{kind}.*")):
            _settle(place.local / folder_of(kind, work.name.split(".")[1]), work)
    for day in place.days(kind):
        files = place.files(kind, day)
        if len(files) == 1:
            continue
        replaced = {stem for one in files if one.stem.startswith(MERGED) for stem in sources_of(place, one.name)}
        _delete(place, [one for one in files if one.stem in replaced])


def _settle(folder: Path, work: Path) -> None:
    """Put a working folder in order: it holds new files that were never seen, or old ones."""
    merged = {path.name: path for path in folder.glob(f"{MERGED}*.parquet")}
    replaced = {stem for path in merged.values() for stem in sources_in(path)}
    new = [path for path in work.glob(f"{MERGED}*.parquet") if path.stem not in replaced and path.name not in merged]
    if not new:
        folder.mkdir(parents=True, exist_ok=True)
        for path in work.glob("*.parquet"):
            if path.stem not in replaced and not (folder / path.name).exists():
                path.rename(folder / path.name)
    shutil.rmtree(work, ignore_errors=True)


def _delete(place: Place, files: Sequence[Stored]) -> None:
    """Delete files, many at a time: in a bucket each takes a while."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda one: place.delete(one.name), files))
