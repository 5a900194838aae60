"""The counts of one numeric column: as few passes as possible over every value, in blocks that fit the cache.

Every way of counting here gives the same vector; they differ in what they are fast at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from wakeful.bins import HALF, RAISED, Floats, Ints, NumericBins, halves

__all__ = ["Sliced", "blocks", "count_numbers", "tabulate"]

BLOCK = 32_768  # values at a time: what is computed in between stays in the second-level cache
_FEW = 256  # values: less than a block is worth
_WIDEST = 4096  # range of whole numbers that are counted before they are binned
_SAMPLE = 64  # values that tell whether a column may hold whole numbers only
_LIFT = RAISED * HALF  # near it, numbers are HALF apart
_LIFT_BITS = int(np.float64(_LIFT).view(np.uint64))
_RAISED_BITS = int(np.float64(RAISED).view(np.int64))

Sliced: TypeAlias = list[tuple[Ints, int]]  # per segment: the slice of every row, and how many slices


class _Tally(NamedTuple):
    """What is counted of the finite values of a column.

    Attributes:
        table: rows per bin and fingerprint, whole numbers, shape (bins, fingerprints).
        sums: of steps, of both halves of their squares, and of rows off the grid, shape (4,).
    """

    table: Any
    sums: Floats


def count_numbers(bins: NumericBins, values: Floats, where: Sliced) -> Floats:
    """All counts of a numeric column, shape (slices, cells of the column).

    Args:
        bins: of the column.
        values: float64, shape (n,); NaN is missing, infinity invalid.
        where: the slices of every row.
    """
    if where:
        return sum(_in_slices(bins, values[part], slices) for part, slices in blocks(len(values), where))  # type: ignore[return-value]
    lost = values[:0]
    if not np.isfinite(values.sum()):  # finite numbers, too, may have such a sum: that costs time only
        gone = np.flatnonzero(~np.isfinite(values))
        lost = values[gone]
    table, sums = _tally(bins, values) if not len(lost) else _tally_without(bins, values, gone)
    spread = table[~bins.is_single].sum(axis=0)
    missing = np.count_nonzero(np.isnan(lost))
    return np.concatenate([table.sum(axis=1), [missing, len(lost) - missing], spread, sums])[None].astype(float)


def blocks(rows: int, where: Sliced) -> Iterator[tuple[slice, Sliced]]:
    """Parts of so many rows, at least one, each with the slices of its rows."""
    for start in range(0, max(rows, 1), BLOCK):
        part = slice(start, start + BLOCK)
        yield part, [(codes[part], size) for codes, size in where]


def tabulate(where: Sliced, index: Ints, width: int, weights: Floats | None = None) -> Floats:
    """Rows (or weights) per slice and index, shape (slices, width)."""
    table = np.empty((1 + sum(size for _, size in where), width))
    table[0], at = np.bincount(index, weights, minlength=width), 1
    for codes, size in where:
        found = np.bincount(codes * width + index, weights, minlength=size * width)
        table[at : at + size], at = found.reshape(size, width), at + size
    return table


def _tally(bins: NumericBins, values: Floats) -> _Tally:
    if len(values) < _FEW:
        return _weighted(bins, values, np.ones(len(values)))
    ends = values.min(), values.max()
    repeated = _whole_numbers(values, *ends)
    return _in_blocks(bins, values, *ends) if repeated is None else _weighted(bins, *repeated)


def _tally_without(bins: NumericBins, values: Floats, gone: Ints) -> _Tally:
    """The tally of all values but those ``gone``, which count as one of the others and then come off again."""
    if len(gone) == len(values):
        return _weighted(bins, values[:0], np.zeros(0))
    stand_in = values[np.isfinite(values).argmax()]
    filled = values.copy()
    filled[gone] = stand_in
    table, sums = _tally(bins, filled)
    less = _weighted(bins, np.array([stand_in]), np.array([float(len(gone))]))
    return _Tally(table - less.table, sums - less.sums)


def _weighted(bins: NumericBins, values: Floats, times: Floats) -> _Tally:
    """The tally of finite values, each of which occurs some times."""
    joint = bins.cells(values).astype(np.intp) * bins.fingerprints + bins.fingerprint(values)
    table = np.bincount(joint, times, minlength=bins.size * bins.fingerprints)
    steps = bins.fixed_point(values)
    summed = steps, *halves(np.square(steps)), bins.off_grid(values)
    sums = [(weights * times).sum() for weights in summed]
    return _Tally(table.reshape(bins.size, bins.fingerprints), np.array(sums))


def _whole_numbers(values: Floats, low: float, high: float) -> tuple[Floats, Floats] | None:
    """Each of the values and how often it occurs; None where they are not whole numbers of a narrow range."""
    sample = values[:: len(values) // _SAMPLE]
    if (np.rint(sample) != sample).any():
        return None
    if high - low >= _WIDEST or abs(low) > 2.0**52 or np.rint(low) != low:
        return None
    times = np.zeros(int(high - low) + 1, dtype=np.intp)
    for at in range(0, len(values), BLOCK):
        above = values[at : at + BLOCK] - low
        if (np.rint(above) != above).any():
            return None
        times += np.bincount(above.astype(np.intp), minlength=len(times))
    found = np.flatnonzero(times)
    return found.astype(float) + low, times[found].astype(float)


def _in_blocks(bins: NumericBins, values: Floats, low: float, high: float) -> _Tally:
    """The tally of many finite values."""
    grid, scale = bins.grid, bins.scale
    near = values if scale.reach[0] <= low and high <= scale.reach[1] else np.clip(values, *scale.reach)
    table = np.zeros(bins.size * bins.fingerprints, dtype=np.intp)
    steps = upper = squares = off = 0
    rooms = np.empty((4, min(BLOCK, len(values))))
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        raised, square, joint, prints = rooms[:, : len(block)]
        joint = joint.view(np.intp)
        scale.raised(near[start : start + BLOCK], out=raised)
        steps += int(grid.steps(raised, out=joint).sum()) - len(block) * (_RAISED_BITS - grid.first)
        grid.places(block, joint)
        joint += bins.fingerprint(block, out=prints)
        table += np.bincount(joint, minlength=len(table))
        raised -= RAISED
        np.square(raised, out=square)
        squares += int(square.sum())  # exact: a block of squares of 2^36 stays below 2^53
        square += _LIFT
        upper += (int(square.view(np.uint64).sum()) - len(block) * _LIFT_BITS) % 2**64
        if bins.decimals is not None:
            off += int(np.count_nonzero(bins.off_grid(block, rooms[:2, : len(block)])))
    sums = np.array([steps, upper, squares - upper * int(HALF), off], dtype=float)
    return _Tally(table.reshape(bins.size, bins.fingerprints), sums)


def _in_slices(bins: NumericBins, values: Floats, where: Sliced) -> Floats:
    """All counts of a block of values, shape (slices, cells of the column)."""
    cells, prints = bins.size + 2, bins.fingerprints
    joint = bins.cells(values).astype(np.intp) * prints + bins.fingerprint(values)
    table = tabulate(where, joint, cells * prints).reshape(-1, cells, prints)
    spread = table[:, : bins.size][:, ~bins.is_single].sum(axis=1)
    steps, first = bins.fixed_point(values), np.zeros(len(values), dtype=np.intp)
    sums = [tabulate(where, first, 1, weights) for weights in (steps, *halves(np.square(steps)))]
    finer = np.flatnonzero(bins.off_grid(values))  # few, or none
    off = tabulate([(codes[finer], size) for codes, size in where], first[: len(finer)], 1)
    return np.concatenate([table.sum(axis=2), spread, *sums, off], axis=1)
