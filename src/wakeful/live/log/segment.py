"""The open segment of the log: an append-only Arrow stream that reads whole up to its last flush, whoever dies.

Its writer holds a lock on it, which the kernel frees on any death; a segment whose lock is free is an orphan.
"""

from __future__ import annotations

import fcntl
import io
import os
import time
import uuid
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from wakeful.errors import MissingExtra

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "logging predictions") from error

__all__ = ["SUFFIX", "Segment", "create", "orphans"]

SUFFIX = ".arrows"


class Segment:
    """An Arrow stream in a file of its own, locked by this process.

    Attributes:
        path: KIND.STEM.arrows
        fd: its descriptor, open for reading and writing.
        size: bytes that are whole.
        rows: that were appended by this process.
        is_orphan: another process wrote it.
    """

    def __init__(self, path: Path, fd: int, *, is_orphan: bool = False) -> None:
        self.path, self.fd, self.is_orphan = path, fd, is_orphan
        self.size = os.fstat(fd).st_size
        self.rows = 0
        self.born = time.monotonic()
        _forget_in_children()
        _held.add(self)

    @property
    def kind(self) -> str:
        """Of the table."""
        return self.path.name.partition(".")[0]

    @property
    def stem(self) -> str:
        """What the published files are called."""
        return self.path.name.split(".")[1]

    @property
    def is_there(self) -> bool:
        """Whether the file still stands under its name: folders are removed, disks unmounted."""
        try:
            return os.stat(self.path).st_ino == os.fstat(self.fd).st_ino  # noqa: PTH116  # a path's stat costs more
        except OSError:
            return False

    def append(self, data: Any, rows: int) -> None:
        """Write one message; OSError, and nothing is written, where it does not fit."""
        view, at = memoryview(data), self.size
        try:
            while view:
                written = os.pwrite(self.fd, view, at)
                at, view = at + written, view[written:]
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        self.size = at
        self.rows += rows

    def batches(self) -> Iterator[Any]:
        """The record batches, up to where the stream is torn; nothing where not even its schema is whole.

        Raises:
            OSError: the disk cannot be read; what was given before is whole.
        """
        source = _Positioned(self.fd, self.size)
        try:
            with pa.ipc.open_stream(pa.PythonFile(source, mode="r")) as reader:
                while True:
                    batch = reader.read_next_batch()
                    if self.is_orphan:
                        batch.validate(full=True)
                    yield batch
        except (StopIteration, pa.ArrowException, OSError):
            if source.error is not None:  # the disk failed: that says nothing of the rows
                raise source.error from None

    def remove(self) -> None:
        """Delete the file, if it is still this one, and let go of it."""
        if self.is_there:
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of it; the file stays, for whoever comes next."""
        if self in _held:
            _held.discard(self)
            os.close(self.fd)


class _Positioned(io.RawIOBase):
    """Reads a descriptor without moving its position, up to a size."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._size, self._at = fd, size, 0
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at
        try:
            data = os.pread(self._fd, left if size < 0 else min(size, left), self._at)
        except OSError as error:
            self.error = error
            raise
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at


_held: weakref.WeakSet[Segment] = weakref.WeakSet()


@cache
def _forget_in_children() -> None:
    """A forked child shares the lock as long as it holds the descriptor: it must not outlive its parent's."""
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    for segment in list(_held):
        segment.close()


def create(folder: Path, kind: str, schema: Any, mode: int = 0o777) -> Segment:
    """A new segment in a folder, which is made where it is missing, of that mode; OSError where that cannot be."""
    folder.mkdir(mode, parents=True, exist_ok=True)
    stem = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:12]}"
    path = folder / f"{kind}.{stem}{SUFFIX}"
    segment = Segment(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        fcntl.flock(segment.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError where it was taken for an orphan
        if not segment.is_there:
            raise FileNotFoundError(str(path))
        segment.append(schema.serialize(), 0)
    except OSError:
        segment.remove()
        raise
    return segment


def orphans(folder: Path, most: int = 1_000) -> Iterator[Segment]:
    """Segments whose writer is dead, oldest first, locked by this process from here on."""
    for path in sorted(folder.glob(f"*{SUFFIX}"))[:most]:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # published meanwhile
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue  # its writer lives
        segment = Segment(path, fd, is_orphan=True)
        if segment.is_there:
            yield segment
        else:
            segment.close()
