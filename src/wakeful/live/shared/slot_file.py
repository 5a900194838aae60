"""The file of one slot: a header that says whose counts they are, and two copies of a vector.

Each copy has a generation and a checksum. Writing overwrites the older one, so whatever interrupts it, the newer
one is whole.

Slots are read and written, not mapped: a full disk or a truncated file is an OSError here, and would be the
death of a process that has it mapped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import struct
import zlib
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import DataError

__all__ = ["HEADER", "Copy", "Foreign", "Identity", "create", "newest", "version_of", "write"]

HEADER = 4096  # bytes
_MAGIC = "wakeful counts 1"
_HEAD = struct.Struct("<QQ")  # of a copy: its generation, and the checksum of the generation and the vector
_TRIES = 50  # a writer may overtake a reader, but not so often


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
        if len(text) >= HEADER:
            raise DataError(
                f"the names of model and version have {len(self.model) + len(self.version):,} characters; "
                f"a header of {HEADER:,} bytes does not hold them. Give a shorter version."
            )
        return text.ljust(HEADER - 1) + b"\n"

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
        return HEADER + 2 * self.copy_size


class Copy(NamedTuple):
    """A vector, and how many were written before it."""

    generation: int
    vector: Floats


class Foreign(Exception):
    """A file that is damaged, or not one of these slots."""


def create(file: int, identity: Identity, current: Copy) -> None:
    """Write a whole slot, its header last; where there is no space for it, none is kept."""
    try:
        os.ftruncate(file, 0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, identity.size)  # or later writes might find no space
        else:
            _write_all(file, bytes(identity.size), 0)
        write(file, identity, current)
        _write_all(file, identity.header, 0)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
        raise


def write(file: int, identity: Identity, copy: Copy) -> None:
    """Write a copy over the older one."""
    data = np.ascontiguousarray(copy.vector, dtype="<f8").tobytes()
    head = _HEAD.pack(copy.generation, _checksum(copy.generation, data))
    _write_all(file, head + data, HEADER + copy.generation % 2 * identity.copy_size)


def _write_all(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _checksum(generation: int, data: bytes | memoryview) -> int:
    return zlib.crc32(data, generation & 0xFFFFFFFF)


def newest(file: int, identity: Identity) -> Copy | None:
    """The newest whole copy; None where there is none."""
    size = identity.copy_size
    for _ in range(_TRIES):
        data = memoryview(os.pread(file, 2 * size, HEADER))
        if len(data) < 2 * size:
            return None
        found = [(*_HEAD.unpack_from(part), part[_HEAD.size :]) for part in (data[:size], data[size:])]
        for generation, checksum, vector in sorted(found, key=lambda one: -one[0]):
            if generation and checksum == _checksum(generation, vector):
                return Copy(generation, np.frombuffer(vector, dtype="<f8").astype(float))
    return None


def version_of(header: bytes, identity: Identity) -> str:
    """The version that a header tells; Foreign where it is another's."""
    try:
        version = json.loads(header)["version"]
        same = isinstance(version, str) and header == identity._replace(version=version).header
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Foreign from error
    if not same:
        raise Foreign
    return str(version)
