"""Counts that several processes share: one file per worker, added up by whoever is asked.

A worker owns a *slot*, a file that it holds locked; the kernel frees the lock on any death, and the next owner
adds on to what is there, so that sums never fall. A slot holds a header and two copies of its vector, each with
a generation and a checksum. Writing overwrites the older copy, so whatever interrupts it, the newer one is whole.

Slots are read and written, not mapped: a full disk or a truncated file is an OSError here, and would be the
death of a process that has it mapped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import DataError

__all__ = ["Found", "Identity", "Reading", "Slot", "read"]

_MAGIC = "wakeful counts 1"
_HEADER = 4096  # bytes
_HEAD = struct.Struct("<QQ")  # of a copy: its generation, and the checksum of the generation and the vector
_MOST = 10_000  # slots of one folder
_TRIES = 50  # a writer may overtake a reader, but not so often
_TRANSIENT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EINTR, errno.EAGAIN)


class Identity(NamedTuple):
    """Whose counts they are; slots of another identity are never added up.

    Attributes:
        model: its name.
        layout: fingerprint of the layout.
        counters, gauges: how many cells are added up, and how many are overwritten.
        version: of the model, as the service calls it.
    """

    model: str
    layout: str
    counters: int
    gauges: int
    version: str = ""

    @property
    def prefix(self) -> str:
        """What names of folders of all versions begin with."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-")[:40] or "model"
        return f"{slug}-{self.layout}"

    @property
    def folder(self) -> str:
        """Name of the folder of this version's slots."""
        if not self.version:
            return self.prefix
        return f"{self.prefix}-{hashlib.sha256(self.version.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    @property
    def header(self) -> bytes:
        """What a slot of this identity begins with; DataError where model and version are too long for it."""
        text = json.dumps({"wakeful": _MAGIC, **self._asdict()}).encode()
        if len(text) >= _HEADER:
            raise DataError(
                f"the names of model and version have {len(self.model) + len(self.version):,} characters; "
                f"a header of {_HEADER:,} bytes does not hold them. Give a shorter version."
            )
        return text.ljust(_HEADER - 1) + b"\n"

    @property
    def cells(self) -> int:
        """Length of the vector."""
        return self.counters + self.gauges

    @property
    def copy_size(self) -> int:
        """Bytes of one copy of the vector."""
        return _HEAD.size + 8 * self.cells

    @property
    def size(self) -> int:
        """Bytes of a slot."""
        return _HEADER + 2 * self.copy_size


class _Copy(NamedTuple):
    generation: int
    vector: Floats


class Slot:
    """One worker's share of the counts, locked as long as it is open.

    It belongs to the process that claimed it: a forked child calls ``abandon`` and claims its own. Only one
    thread at a time may use it.
    """

    def __init__(self, path: Path, identity: Identity, file: int, current: _Copy) -> None:
        self.path = path
        self.identity = identity
        self._file = file
        self._current = current

    @classmethod
    def claim(cls, folder: Path, identity: Identity) -> Slot:
        """The first slot that nobody owns; a new one where there is none.

        Args:
            folder: shared by all workers; made where it is missing.
            identity: whose counts they are.

        Raises:
            OSError: the folder cannot be made or written to, or there is no space left.
        """
        place = folder / identity.folder
        place.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST):
            path = place / f"{number:03d}.slot"
            slot = cls._open(path, identity)
            if slot is not None:
                return slot
        raise OSError(errno.EBUSY, f"all {_MOST:,} slots are in use", str(place))

    @classmethod
    def _open(cls, path: Path, identity: Identity) -> Slot | None:
        """The slot at that path; None where it is owned, foreign or damaged."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO):
                return None  # somebody else's
            raise
        keep = False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                current = _continue(file, identity)
                keep = current is not None
                return cls(path, identity, file, current) if current is not None else None
        except BlockingIOError:
            pass  # it has an owner
        finally:
            if not keep:
                os.close(file)
        return None

    def add(self, counters: Floats, gauges: Floats) -> None:
        """Add to the counters and overwrite the gauges, both or neither.

        Args:
            counters: what is new, shape (identity.counters,).
            gauges: their values now, shape (identity.gauges,).

        Raises:
            OSError: it could not be written; what others read is what was there before, and may be added again.
        """
        split = self.identity.counters
        vector = np.concatenate([self._current.vector[:split] + counters, gauges])
        following = _Copy(self._current.generation + 1, vector)
        if os.fstat(self._file).st_size != self.identity.size:  # somebody cut it: all of it is written anew
            _create(self._file, self.identity, self._current)
        _write(self._file, self.identity, following)
        self._current = following

    def is_lost(self) -> bool:
        """Whether its file is no longer where others look for it, so that a new slot has to be claimed."""
        return not _is_at(self._file, self.path)

    def abandon(self) -> None:
        """Let go of it in a forked child; the parent goes on owning it."""
        self.close()  # closing frees the lock only when nobody has it open any more

    def close(self) -> None:
        """Give it back; the next owner adds on."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _continue(file: int, identity: Identity) -> _Copy | None:
    """What a locked slot holds, made whole where it is new; None where it is foreign or damaged."""
    header = os.pread(file, _HEADER, 0)
    if not header.strip(b"\0"):  # nothing was ever added: the header is written last
        nothing = _Copy(1, np.zeros(identity.cells))
        _create(file, identity, nothing)
        return nothing
    return _newest(file, identity) if header == identity.header else None


def _create(file: int, identity: Identity, current: _Copy) -> None:
    """Write a whole slot, its header last; where there is no space for it, none is kept."""
    try:
        os.ftruncate(file, 0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, identity.size)  # or later writes might find no space
        else:
            _write_all(file, bytes(identity.size), 0)
        _write(file, identity, current)
        _write_all(file, identity.header, 0)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
        raise


def _write(file: int, identity: Identity, copy: _Copy) -> None:
    """Write a copy over the older one."""
    data = np.ascontiguousarray(copy.vector, dtype="<f8").tobytes()
    head = _HEAD.pack(copy.generation, _checksum(copy.generation, data))
    _write_all(file, head + data, _HEADER + copy.generation % 2 * identity.copy_size)


def _write_all(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _checksum(generation: int, data: bytes | memoryview) -> int:
    return zlib.crc32(data, generation & 0xFFFFFFFF)


def _newest(file: int, identity: Identity) -> _Copy | None:
    """The newest whole copy; None where there is none."""
    size = identity.copy_size
    for _ in range(_TRIES):
        data = memoryview(os.pread(file, 2 * size, _HEADER))
        if len(data) < 2 * size:
            return None
        found = [(*_HEAD.unpack_from(part), part[_HEAD.size :]) for part in (data[:size], data[size:])]
        for generation, checksum, vector in sorted(found, key=lambda one: -one[0]):
            if generation and checksum == _checksum(generation, vector):
                return _Copy(generation, np.frombuffer(vector, dtype="<f8").astype(float))
    return None


class Reading(NamedTuple):
    """The counts of one version.

    Attributes:
        version: of the model.
        counters: of all its workers, the dead included, shape (counters,).
        gauges: of the living ones, shape (living, gauges).
        changed: when one of them last wrote, in seconds since 1970.
    """

    version: str
    counters: Floats
    gauges: Floats
    changed: float


class Found(NamedTuple):
    """What is in a folder: a reading per version, sorted, and how many files were skipped as damaged or foreign."""

    readings: list[Reading]
    skipped: int


def read(folder: Path, identity: Identity) -> Found:
    """Add up the slots of all versions of one model and layout.

    Args:
        folder: that the workers share; nothing is found where it is missing.
        identity: whose counts; its version does not matter.

    Raises:
        OSError: a file could not be read for now, such as with too many open files. Sums without it would fall.
    """
    slots: dict[str, list[_Read]] = {}
    skipped = 0
    for path in _paths(folder, identity):
        try:
            one = _read(path, identity)
        except FileNotFoundError:
            continue
        except _Foreign:
            skipped += 1
            continue
        if one is not None:
            slots.setdefault(one.version, []).append(one)
    readings = []
    for version, some in sorted(slots.items()):
        counters = np.sum([one.vector[: identity.counters] for one in some], axis=0)
        gauges = [one.vector[identity.counters :] for one in some if one.alive]
        changed = max(one.changed for one in some)
        readings.append(Reading(version, counters, np.array(gauges).reshape(-1, identity.gauges), changed))
    return Found(readings, skipped)


class _Foreign(Exception):
    """A file that is damaged, or not one of these slots."""


class _Read(NamedTuple):
    version: str
    vector: Floats
    alive: bool
    changed: float


def _paths(folder: Path, identity: Identity) -> Iterator[Path]:
    """Files of slots of all versions."""
    wanted = re.compile(re.escape(identity.prefix) + r"(-[0-9a-f]{8})?")
    try:
        for place in sorted(folder.iterdir()):
            if wanted.fullmatch(place.name) and place.is_dir():
                yield from sorted(place.glob("*.slot"))
    except (FileNotFoundError, NotADirectoryError):
        return


def _read(path: Path, identity: Identity) -> _Read | None:
    """A slot; None where it is being made. Raises _Foreign, and OSError where it cannot be read for now."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _TRANSIENT:
            raise
        raise _Foreign from error
    try:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise _Foreign
        header = os.pread(file, _HEADER, 0)
        if not header.strip(b"\0"):
            return None
        version = _version(header, identity)
        copy = _newest(file, identity)
        if copy is None:
            raise _Foreign
        return _Read(version, copy.vector, _is_owned(file), told.st_mtime)
    finally:
        os.close(file)


def _version(header: bytes, identity: Identity) -> str:
    """The version that a header tells; _Foreign where it is another's."""
    try:
        version = json.loads(header)["version"]
        same = isinstance(version, str) and header == identity._replace(version=version).header
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _Foreign from error
    if not same:
        raise _Foreign
    return str(version)


def _is_owned(file: int) -> bool:
    """Whether a worker holds the lock; one that claims at this very moment takes the next slot instead."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
