"""Counts that several processes share: one file per worker, added up by whoever is asked.

A worker owns a *slot*, a file that it holds locked; the kernel frees the lock on any death, and the next owner
adds on to what is there, so that sums never fall.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.live.shared.slot_file import HEADER, Copy, Foreign, Identity, create, newest, version_of, write

__all__ = ["Found", "Identity", "Reading", "Slot", "is_used", "read"]

_MOST = 10_000  # slots of one folder
_FOREIGN = (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EPERM)  # what is there is no slot of ours
_TRANSIENT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EINTR, errno.EAGAIN)


class Slot:
    """One worker's share of the counts, locked as long as it is open.

    It belongs to the process that claimed it: a forked child calls ``abandon`` and claims its own. Only one
    thread at a time may use it.
    """

    def __init__(self, path: Path, identity: Identity, file: int, current: Copy) -> None:
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
            if error.errno in _FOREIGN and os.path.lexists(path):
                return None
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
        following = Copy(self._current.generation + 1, vector)
        if os.fstat(self._file).st_size != self.identity.size:  # somebody cut it: all of it is written anew
            create(self._file, self.identity, self._current)
        write(self._file, self.identity, following)
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
    """Whether a path leads to an open file, and a plain one."""
    try:
        told = os.fstat(file)
        return stat.S_ISREG(told.st_mode) and os.path.samestat(told, path.lstat())
    except OSError:
        return False


def _continue(file: int, identity: Identity) -> Copy | None:
    """What a locked slot holds, made whole where it is new; None where it is foreign or damaged."""
    header = os.pread(file, HEADER, 0)
    if not header.strip(b"\0"):  # nothing was ever added: the header is written last
        nothing = Copy(1, np.zeros(identity.cells))
        create(file, identity, nothing)
        return nothing
    return newest(file, identity) if header == identity.header else None


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
        except Foreign:
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


def is_used(folder: Path) -> bool:
    """Whether a worker that lives counts in a folder; OSError where its slots cannot be read for now."""
    for path in folder.glob("*/*.slot"):
        with path.open("rb") as file:
            if _is_owned(file.fileno()):
                return True
    return False


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
    """A slot; None where it is being made. Raises Foreign, and OSError where it cannot be read for now."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _TRANSIENT:
            raise
        raise Foreign from error
    try:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise Foreign
        header = os.pread(file, HEADER, 0)
        if not header.strip(b"\0"):
            return None
        version = version_of(header, identity)
        copy = newest(file, identity)
        if copy is None:
            raise Foreign
        return _Read(version, copy.vector, _is_owned(file), told.st_mtime)
    finally:
        os.close(file)


def _is_owned(file: int) -> bool:
    """Whether a worker holds the lock; one that claims at this very moment takes the next slot instead."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
