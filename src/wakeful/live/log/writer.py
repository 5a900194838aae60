"""The log: every prediction as a row of Parquet, under a directory or in a bucket.

Rows go to an open segment on a local disk at once, where they outlive the process. A thread turns full segments into
Parquet files, and those of writers that died. Nothing here waits for the network but that thread.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakeful.budget import duration
from wakeful.errors import DataError

if TYPE_CHECKING:
    from wakeful.counts import Layout
    from wakeful.live.log.schema import Table
    from wakeful.live.log.segment import Segment
    from wakeful.live.observations import Outcome, Row

__all__ = ["Log", "LogWriter", "journal"]

_BATCH = 4_096  # rows of a record batch: bounds what is held while they are converted
_TRIES = 4  # to find a place for rows while folders come and go
_MOST_WAITING = 200  # sealed segments of one process
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts to publish


@dataclass(frozen=True)
class Log:
    """Where predictions are logged, and how much of them.

    Attributes:
        url: a directory, or a bucket: ``s3://…``, ``gs://…``, ``abfs://…``.
        sample: share of rows that are logged. The id decides, so a row and its outcome are logged both or not at
            all, by every worker and in every replay; rows without an id are drawn at random.
        exclude: columns that are never written.
        hashed: columns of which a hash is written, keyed with the salt: equal values stay equal.
        salt: the key of hashes and of the sample; keep it as you keep passwords.
        keep: how long, such as ``400d``; files of older days are deleted. None keeps them.
        rotate_seconds: after how long a segment is published.
        rotate_bytes: or from which size on.
        spool: local folder for rows that have not been published; for a directory, always one inside it, and for a
            bucket one in the temporary folder, unless you name it.
        spool_bytes: how much may lie there. Beyond it new rows are lost, and counted: what was logged stays logged.

    Raises:
        DataError: a share outside of 0 … 1, hashed columns without a salt, no such kind of address.
    """

    url: str | os.PathLike[str]
    sample: float = 1.0
    exclude: Collection[str] = ()
    hashed: Collection[str] = ()
    salt: str = ""
    keep: str | None = None
    rotate_seconds: float = 900.0
    rotate_bytes: int = 64 << 20
    spool: str | os.PathLike[str] | None = None
    spool_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        if not 0 <= self.sample <= 1:
            raise DataError(f"sample={self.sample!r}: give the share of rows to log, from 0 to 1.")
        for name, columns in (("exclude", self.exclude), ("hashed", self.hashed)):
            if isinstance(columns, str):
                raise DataError(f"{name}={columns!r}: give a list of column names: [{columns!r}].")
        if self.hashed and not self.salt:
            raise DataError("hashed columns need a salt, or anybody could try all values: Log(…, salt=SECRET).")
        if self.keep is not None:
            duration(self.keep)


def journal(log: Log | str | os.PathLike[str], layout: Layout, version: str) -> Callable[[], LogWriter]:
    """What makes the writer of each process; what cannot work is told now.

    Raises:
        DataError: the address is none, or names of columns collide.
        MissingExtra: pyarrow is not installed.
    """
    from wakeful.live.log import schema
    from wakeful.live.log.place import Place

    log = log if isinstance(log, Log) else Log(log)
    Place(log.url)
    schema.predictions(layout, version, schema.Hidden())
    return lambda: LogWriter(log, layout, version)


class LogWriter:
    """Writes the log of one process; make it after forking.

    Args:
        log: where, and how much.
        layout: of the reference, which knows the columns.
        version: of the service, a column of every row.

    Attributes:
        rows: that are safe in a segment; never falls.
        has_tidied: whether it has looked for what dead writers left, and for days that are too old.
        lost: rows that are not, because the disk was full or gone, or the spool at its bound; never falls.

    Raises:
        DataError: the address is none, or names of columns collide.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, log: Log, layout: Layout, version: str = "") -> None:
        from wakeful.live.log import schema
        from wakeful.live.log.place import Place

        self.log = log
        self.rows = self.lost = 0
        self._place = Place(log.url)
        is_local = log.spool is None or self._place.local is not None
        self._spool = self._place.spool if is_local else Path(log.spool)  # type: ignore[arg-type]
        hidden = schema.Hidden(frozenset(log.exclude), frozenset(log.hashed), log.salt)
        self._predictions = schema.predictions(layout, version, hidden)
        self._outcomes = schema.outcomes(layout, hidden)
        self._key = blake2b(b"sample" + log.salt.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._start()

    def _start(self) -> None:
        """Begin, also anew in a forked child: what the parent holds stays the parent's."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self.has_tidied = False
        self._closing = threading.Event()
        self._open: dict[str, Segment] = {}
        self._sealed: list[Segment] = []
        self._thread = threading.Thread(target=self._work, name="wakeful-log", daemon=True)
        self._thread.start()

    def write(self, rows: Sequence[Row]) -> None:
        """Log predictions; returns once they are in the segment, or counted as lost. Never raises."""
        self._write(self._predictions, rows)

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Log outcomes, in a table of their own; of ids that are not in the sample, none."""
        self._write(self._outcomes, outcomes)

    def close(self, timeout: float = 5.0) -> None:
        """Publish what is open, and stop; what cannot be published in time is left to the next writer."""
        if os.getpid() != self._pid:
            return  # a forked child: what is open is its parent's
        with self._lock:
            self._closing.set()
            self._seal_all(0.0)
        self._wake.set()
        self._thread.join(timeout)

    def _write(self, table: Table, rows: Sequence[Any]) -> None:
        if os.getpid() != self._pid:
            self.rows = self.lost = 0
            self._start()
        try:
            rows = self._sampled(rows)
        except Exception:  # never the host's problem
            self.lost += len(rows)
            return
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            try:
                data = table.batch(part).serialize()
                with self._lock:
                    is_safe = self._append(table, data, len(part))
            except Exception:  # never the host's problem
                is_safe = False
            if is_safe:
                self.rows += len(part)
            else:
                self.lost += len(part)

    def _sampled(self, rows: Sequence[Any]) -> Sequence[Any]:
        if self.log.sample >= 1:
            return rows
        from wakeful.live.log.schema import drawn

        return [row for row in rows if drawn(row.id, self.log.sample, self._key)]

    def _append(self, table: Table, data: Any, rows: int) -> bool:
        """Put rows into the open segment; where it takes no more, into a new one. Whether they are safe."""
        from wakeful.live.log import segment

        if self._closing.is_set() or self._is_full(table.kind):
            return False
        for _ in range(_TRIES):
            try:
                if table.kind not in self._open:
                    mode = 0o700 if self._place.local is None else 0o777  # a temporary folder is everybody's
                    self._open[table.kind] = segment.create(self._spool, table.kind, table.schema, mode)
                found = self._open[table.kind]
                if found.is_there:
                    found.append(data, rows)
                    if found.size >= self.log.rotate_bytes:
                        self._seal(table.kind)
                    return True
            except OSError:
                pass
            self._seal(table.kind)
        return False

    def _is_full(self, kind: str) -> bool:
        """Whether the spool is at its bound, or its disk would have no room left to publish what lies there."""
        try:
            with os.scandir(self._spool) as found:
                used = sum(one.stat().st_size for one in found)
            free = os.statvfs(self._spool)
        except OSError:
            return False  # not there yet, or changing: writing will tell
        largest = max((one.size for one in (*self._open.values(), *self._sealed)), default=0)
        if used < self.log.spool_bytes and free.f_bavail * free.f_frsize >= largest:
            return sum(not one.is_orphan for one in self._sealed) >= _MOST_WAITING
        self._seal(kind)  # publishing it makes room
        return True

    def _seal(self, kind: str) -> None:
        """Hand the open segment of a table to the thread."""
        found = self._open.pop(kind, None)
        if found is None:
            return
        if found.rows:
            self._sealed.append(found)
            self._wake.set()
        else:
            with suppress(OSError):
                found.remove()

    def _seal_all(self, age: float) -> None:
        now = time.monotonic()
        for kind in [kind for kind, one in self._open.items() if now - one.born >= age]:
            self._seal(kind)

    def _work(self) -> None:
        """The thread: publish what is sealed, adopt what the dead left, delete what is too old."""
        from wakeful.live.log.retention import expire, is_clock_right
        from wakeful.live.log.segment import orphans

        pause, looked = _SHORTEST_PAUSE, -math.inf
        while True:
            self._wake.clear()  # before anything is looked at: what is handed over from here on wakes it again
            with self._lock:
                self._seal_all(self.log.rotate_seconds)
                is_last = self._closing.is_set()
            if not is_last and time.monotonic() - looked >= self.log.rotate_seconds:
                looked = time.monotonic()
                with suppress(Exception):  # it is not there yet, or not now
                    for one in orphans(self._spool, _MOST_WAITING):
                        with self._lock:
                            self._sealed.append(one)
                    if is_clock_right(self._place, self.log.keep):
                        expire(self._place, self.log.keep)
                self.has_tidied = True
            is_done = self._publish_all()
            if is_last:
                break
            if is_done:
                pause = _SHORTEST_PAUSE
                self._wake.wait(min(pause, self.log.rotate_seconds))
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        for one in self._sealed:
            one.close()

    def _publish_all(self) -> bool:
        """Whether all that was sealed has been published."""
        from wakeful.live.log.publish import publish

        for segment in list(self._sealed):
            try:
                publish(segment, self._place, self._spool)
            except OSError:  # the disk is full, the bucket refuses: no other will do better
                return False
            except Exception:  # this one cannot be published: it must not hold up the others
                continue
            with self._lock:
                self._sealed.remove(segment)
        return not self._sealed
