"""The counts of all numeric columns at once: for few rows, calls of numpy cost more than what they do.

They are the counts of ``tally``, which goes column by column and is faster for many rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import HALF, RAISED, REACH, Floats, Ints, NumericBins, are_finer
from wakeful.tally import Sliced

__all__ = ["Panel", "Place"]

_SHIFT = 4  # low bits of a step that the lookup leaves out, so that the cache holds those of all columns
_ENTRIES = (2 * REACH >> _SHIFT) + 1  # of the lookup of one column
_LOWEST = int(np.float64(RAISED - REACH).view(np.int64)) >> _SHIFT
_DOUBTFUL = 255  # no bin: an edge lies there
_ROWS = 1024  # at a time
_ROOMS = 6  # in which they are worked on: memory that is new each time would cost more than all the rest


class Place(NamedTuple):
    """Where counts of a column begin in a slice: its bins, fingerprints, and sums."""

    values: int
    prints: int
    sums: int


class Panel:
    """Numeric columns side by side.

    Args:
        columns: their bins and places, at least one.
    """

    def __init__(self, columns: Sequence[tuple[NumericBins, Place]]) -> None:
        bins = [one for one, _ in columns]
        self._bins = bins
        self._places = np.array([place for _, place in columns]).T[:, :, None]
        self._sizes = np.array([[one.size] for one in bins])
        self._origins = np.array([[one.origin] for one in bins])
        self._inverse = np.array([[one.scale.inverse] for one in bins])
        self._lift = np.array([[one.scale.lift] for one in bins])
        self._first = _LOWEST - np.arange(len(bins))[:, None] * _ENTRIES
        self._lookup = np.concatenate([_lookup(one) for one in bins])
        self._edges = _side_by_side([one.edges for one in bins])
        self._rooms: list[Floats] = []
        self._gridded = np.flatnonzero([one.decimals is not None for one in bins])
        self._units = np.array([10.0**one.decimals for one in bins if one.decimals is not None]).reshape(-1, 1)
        singles, prints = _singles(columns)
        order = np.argsort(prints, kind="stable")
        self._singles = singles[order]
        self._shared, self._runs = np.unique(prints[order], return_index=True)

    def count(self, table: Floats, columns: Sequence[Floats], where: Sliced) -> None:
        """Put the counts of some rows into a table.

        Args:
            table: shape (slices, cells), zeros where these columns stand. In cell 0, which they do not have, it
                holds rubbish afterwards.
            columns: float64, shape (rows,) each; NaN is missing, infinity invalid.
            where: per segment the slice of every row, and how many there are.
        """
        try:
            room = self._rooms.pop()
        except IndexError:  # as many as there are threads that count at once
            room = np.empty(_ROOMS * len(columns) * _ROWS)
        rows = len(columns[0])
        for at in range(0, rows, _ROWS):
            part = slice(at, at + _ROWS)
            shape = _ROOMS, len(columns), min(rows - at, _ROWS)
            rooms = room[: math.prod(shape)].reshape(shape)
            np.stack([one[part] for one in columns], out=rooms[0])
            self._count(table, rooms, [(codes[part], size) for codes, size in where])
        self._rooms.append(room)
        if len(self._singles):  # a bin of one single value has one fingerprint
            table[:, self._shared] -= np.add.reduceat(table[:, self._singles], self._runs, axis=1)

    def _count(self, table: Floats, rooms: Floats, where: Sliced) -> None:
        """Add the counts of a block of rows, all but that fingerprints of single values are counted, too.

        Args:
            table: as above.
            rooms: the values, and rooms to calculate in, shape (6, columns, rows).
            where: as above.
        """
        (starts, prints, _), width = self._places, table.shape[1]
        values, steps, joint = rooms[0], rooms[1], rooms[2:4].view(np.intp)
        cells, marks = joint  # of each value, and of its fingerprint
        finer = are_finer(values[self._gridded], self._units) if len(self._units) else None
        lost = None
        if not np.isfinite(values.sum()):  # finite numbers, too, may have such a sum: that costs time only
            lost = ~np.isfinite(values)
            outside = (starts + self._sizes + np.isinf(values))[lost]
            np.copyto(values, self._origins, where=lost)  # which adds nothing to sums
        self._bin(values, steps, cells)
        cells += starts
        self._bins[0].fingerprint(values, rooms[3])  # the same for all bins
        marks += prints
        if lost is not None:
            cells[lost], marks[lost] = outside, 0
        self._sum(table, (steps, *rooms[4:]), finer, where)
        for found, (codes, size) in _parts(where):
            index = joint if codes is None else np.add(joint, codes * width, out=rooms[4:].view(np.intp))
            table[found] += np.bincount(index.reshape(-1), minlength=size * width).reshape(size, width)

    def _bin(self, values: Floats, steps: Floats, out: Ints) -> None:
        """Put the bin of each finite value into ``out``, and its steps from the origin into ``steps``."""
        np.multiply(values, self._inverse, out=steps)
        steps += self._lift
        np.clip(steps, RAISED - REACH, RAISED + REACH, out=steps)
        np.right_shift(steps.view(np.int64), _SHIFT, out=out)
        out -= self._first
        found = self._lookup.take(out, mode="clip")
        doubtful = np.nonzero(found == _DOUBTFUL)
        out[:] = found
        if len(doubtful[0]):
            out[doubtful] = self._search(values[doubtful], doubtful[0])
        steps -= RAISED

    def _search(self, values: Floats, columns: Ints) -> Ints:
        """The bin of each of some finite values by halving what is left of the edges of its column."""
        width = self._edges.shape[1]
        edges = self._edges.reshape(-1)
        before: Ints = columns * width - 1
        step = width // 2
        while step:
            before += (values >= edges[before + step]) * step
            step //= 2
        before -= columns * width - 1
        return before

    def _sum(self, table: Floats, rooms: tuple[Floats, ...], finer: NDArray[np.bool_] | None, where: Sliced) -> None:
        """Add the sums of steps, which are in the first room, of their squares' halves, and of rows off the grid."""
        starts, (steps, squares, upper) = self._places[2, :, 0], rooms
        np.square(steps, out=squares)
        np.multiply(squares, 1.0 / HALF, out=upper)
        np.rint(upper, out=upper)
        off = np.nonzero(finer) if finer is not None and finer.any() else None
        for part, (codes, size) in _parts(where):
            index = None if codes is None else (codes + np.arange(len(steps))[:, None] * size).reshape(-1)
            a, b, c = (_total(one, index, size) for one in (steps, squares, upper))
            for at, total in enumerate((a, c, b - c * HALF)):
                table[part, starts + at] += total
            if off is not None:
                columns, rows = off
                slices = 0 if codes is None else codes[rows]
                place: Any = slices, starts[self._gridded[columns]] + 3
                np.add.at(table[part], place, 1.0)


def _total(values: Floats, index: Ints | None, size: int) -> Floats:
    """Sums per slice and column, shape (slices, columns)."""
    if index is None:
        sums: Floats = values.sum(axis=1)[None]
    else:
        sums = np.bincount(index, values.reshape(-1), minlength=len(values) * size).reshape(-1, size).T  # type: ignore[assignment]  # with weights it gives floats
    return sums


def _parts(where: Sliced) -> Iterator[tuple[slice, tuple[Ints | None, int]]]:
    """Where slices stand in a table, and the slice of every row: first all traffic, then every segment."""
    yield slice(0, 1), (None, 1)
    start = 1
    for codes, size in where:
        yield slice(start, start + size), (codes, size)
        start += size


def _lookup(bins: NumericBins) -> NDArray[np.uint8]:
    """The bin of all values whose steps differ in low bits alone, or _DOUBTFUL."""
    scale = bins.scale
    places = (scale.raised(scale.near(bins.edges)).view(np.int64) >> _SHIFT) - _LOWEST
    found = np.cumsum(np.bincount(places, minlength=_ENTRIES))
    found[places] = _DOUBTFUL
    return found.astype(np.uint8)


def _side_by_side(edges: Sequence[Floats]) -> Floats:
    """Edges of every column, then infinity, shape (columns, a power of two)."""
    width = 1 << max(map(len, edges)).bit_length()
    return np.array([np.pad(one, (0, width - len(one)), constant_values=np.inf) for one in edges])


def _singles(columns: Sequence[tuple[NumericBins, Place]]) -> tuple[Ints, Ints]:
    """Where bins of one single value stand, and where its fingerprint stands."""
    bins = [place.values + np.flatnonzero(one.is_single) for one, place in columns]
    prints = [place.prints + one.fingerprint(one.edges[one.is_single[1:]]) for one, place in columns]
    return np.concatenate(bins), np.concatenate(prints)
