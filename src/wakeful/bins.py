"""How the values of a column fall into bins: fixed once, when a reference is learnt.

A column's *cells* are its value bins followed by ``missing`` and ``invalid``. Numeric columns also have
128 *fingerprint* cells (a hash of the value: a single value that suddenly holds a share of the traffic
raises one of them, which no shift of a continuous distribution does), three sums for mean and variance, and
the number of values that are finer than the column's grid.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wakeful.caching import cached_property

__all__ = [
    "HALF",
    "RAISED",
    "REACH",
    "Bins",
    "Category",
    "CategoryBins",
    "Floats",
    "Grid",
    "Ints",
    "NumericBins",
    "Scale",
    "are_finer",
    "can_tell",
    "format_number",
    "halves",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Category: TypeAlias = str | int | bool

_HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplicative hashing, Knuth vol. 3, 6.4
_TOP_BITS = np.uint64(57)
_STEPS = 65_536  # the seen range is this many fixed-point steps wide
_GRID_PAYS = 256  # for fewer values a binary search is faster
_COMPARE_PAYS = 1024  # for more values, comparing with every edge is faster
RAISED = 1.5 * 2.0**52  # near it, numbers are 1 apart: adding it rounds, and leaves whole steps in the low bits
HALF = 2.0**18  # squared steps are summed in two halves
_UNEVEN = 1e-4  # of a unit: the last place of a float, or a sum of floats, is no finer value
_SINGLE = 6e-8  # a float32 is off by less than this share of its number
_TOLD, _TOLD_SINGLE = 2.0**39, 2.0**21  # so many units: beyond, what a float64 or a float32 is off by is too much
_FEW = 0.1  # share of values below which looking at them alone is faster than at all
REACH = 4 * _STEPS  # a value farther than this many steps, four to eight ranges, is summed as if it were there


@dataclass(frozen=True)
class NumericBins:
    """Bins of a numeric column: below the seen range, half-open bins, single values, above.

    Attributes:
        low, high: smallest and largest value seen; what lies outside is ``below`` or ``above``.
        cuts: inner borders; a border belongs to the bin on its right.
        singles: values that hold a visible share and have a bin of their own.
        center: where sums start; near the mean, so that they stay small.
        decimals: with which nearly all values can be written: their grid; None where they lie on none.
    """

    low: float
    high: float
    cuts: tuple[float, ...]
    singles: tuple[float, ...]
    center: float
    decimals: int | None = None

    fingerprints = 128

    @cached_property
    def edges(self) -> Floats:
        """Left edges of all bins but the first, strictly increasing, shape (bins - 1,)."""
        after = [math.nextafter(value, math.inf) for value in (*self.singles, self.high)]
        return np.unique(np.array([self.low, *self.cuts, *self.singles, *after], dtype=float))

    @property
    def size(self) -> int:
        """Number of value bins."""
        return len(self.edges) + 1

    @cached_property
    def is_single(self) -> NDArray[np.bool_]:
        """Which value bins hold one single value, shape (bins,)."""
        return np.isin(np.concatenate(([-np.inf], self.edges)), np.array(self.singles, dtype=float))

    @cached_property
    def middles(self) -> Floats:
        """The value that stands for each value bin: its middle, its one value, or the border of the seen range."""
        left = np.concatenate(([self.low], self.edges))
        right = np.concatenate((self.edges, [self.high]))
        return np.where(self.is_single, left, np.clip(left / 2 + right / 2, self.low, self.high))

    @cached_property
    def step(self) -> float:
        """Unit of the fixed-point sums: a power of two, less than 1/32,768 of the seen range.

        Where the range is narrow beside its distance from zero, a few units in the last place of its values.
        """
        spread = min(self.high - self.low, sys.float_info.max) or abs(self.center) or 1.0
        finest = max(spread / _STEPS, abs(self.center) * 2.0**-50, 2.0**-1000)  # its inverse is a number, too
        return float(2.0 ** np.ceil(np.log2(finest)))

    @cached_property
    def origin(self) -> float:
        """From where steps are counted: the whole step next to ``center``, towards zero."""
        return math.trunc(self.center / self.step) * self.step

    @cached_property
    def scale(self) -> Scale:
        """What turns values into steps."""
        most = sys.float_info.max
        reach = max(self.origin - REACH * self.step, -most), min(self.origin + REACH * self.step, most)
        inverse = 1.0 / self.step
        return Scale(inverse, RAISED - self.origin * inverse, reach)

    @cached_property
    def grid(self) -> Grid:
        """What counts many values fast."""
        return Grid.of(self)

    @cached_property
    def _search(self) -> Floats:
        # -inf, below, …, above, +inf, nan: one search puts every float into its place.
        return np.concatenate(([np.nextafter(-np.inf, 0)], self.edges, [np.inf, np.nan]))

    @cached_property
    def _cell_of(self) -> NDArray[np.uint8]:
        inside = np.arange(self.size)
        invalid = self.size + 1
        return np.concatenate(([invalid], inside, [invalid, self.size])).astype(np.uint8)

    def cells(self, values: Floats) -> NDArray[np.uint8]:
        """Cell of each value, shape (n,): a value bin, then missing (NaN), then invalid (infinite)."""
        if len(values) < _GRID_PAYS:
            return self._cell_of[np.searchsorted(self._search, values, side="right")]
        finite = np.isfinite(values)
        if finite.all():
            return self.grid.bins(values)
        cells = np.where(np.isnan(values), self.size, self.size + 1).astype(np.uint8)
        cells[finite] = self.grid.bins(values[finite])
        return cells

    def fingerprint(self, values: Floats, out: Floats | None = None) -> NDArray[np.int64]:
        """A hash of each value in 0 … 127; equal values have equal hashes (-0.0 equals 0.0)."""
        mixed = np.add(values, 0.0, out=out).view(np.uint64)
        mixed *= _HASH
        mixed >>= _TOP_BITS
        return mixed.view(np.int64)

    def fixed_point(self, values: Floats) -> Floats:
        """Distance of each finite value from the origin in whole steps; NaN and infinity count as 0.

        Whole numbers below 2^53 add exactly, so sums do not depend on the order of the rows.
        Squares would get there after 131,072 far values; ``halves`` keeps them exact for 2^36 rows.
        """
        near = self.scale.near(np.where(np.isfinite(values), values, self.origin))
        steps: Floats = self.scale.raised(near) - RAISED
        return steps

    def off_grid(self, values: Floats, rooms: Floats | None = None) -> NDArray[np.bool_]:
        """Whether each value is finer than the grid, shape (n,); NaN and infinity never are."""
        if self.decimals is None:
            return np.zeros(len(values), dtype=bool)
        return are_finer(values, 10.0**self.decimals, rooms)

    def describe(self, index: int) -> str:
        """The values of bin ``index`` in words: ``12–250``, ``0``, ``above 250``."""
        if index == 0:
            return f"below {format_number(self.low)}"
        if index == self.size - 1:
            return f"above {format_number(self.high)}"
        if self.is_single[index]:
            return format_number(self.edges[index - 1])
        left = self.edges[index - 2 if self.is_single[index - 1] else index - 1]
        ends = format_number(left), format_number(min(self.edges[index], self.high))
        return ends[0] if ends[0] == ends[1] else "–".join(ends)


class Scale(NamedTuple):
    """Turns values into fixed-point steps.

    A value's step is found by adding a number so large that its unit in the last place is 1: what is left in
    the low bits is the value in whole steps, rounded. That never turns the order of two values.

    Attributes:
        inverse, lift: x * inverse + lift is RAISED plus the steps from the origin.
        reach: the smallest and largest value that is summed as it is.
    """

    inverse: float
    lift: float
    reach: tuple[float, float]

    def near(self, values: Floats) -> Floats:
        """Finite values, moved to the end of the reach where they lie beyond it."""
        low, high = self.reach
        if len(values) and (values.min() < low or values.max() > high):
            return np.clip(values, low, high)
        return values

    def raised(self, values: Floats, out: Floats | None = None) -> Floats:
        """Steps of values within the reach, plus RAISED."""
        steps = np.multiply(values, self.inverse, out=out)
        steps += self.lift
        return steps


class Grid(NamedTuple):
    """A lookup table over fixed-point steps: faster than a binary search for every value.

    A step without an edge lies in one bin, and only values in the others have to be searched. The result is that of
    ``np.searchsorted(edges, values, side="right")``, exactly.

    Attributes:
        edges: left edges of all bins but the first.
        scale: what makes the steps.
        first: bits of the raised step of cell 0, just below the seen range.
        cells: bin of each step times ``apart``, or ``doubtful`` where an edge lies in it, shape (steps,).
        doubtful: what no bin times ``apart`` reaches.
        apart: fingerprints of a bin.
    """

    edges: Floats
    scale: Scale
    first: int
    cells: NDArray[np.int16]
    doubtful: int
    apart: int

    @classmethod
    def of(cls, bins: NumericBins) -> Grid:
        """The grid of some bins: steps of the seen range, and one at either end for all beyond."""
        apart, scale = bins.fingerprints, bins.scale
        doubtful = bins.size * apart
        raised = scale.raised(scale.near(bins.edges)).view(np.int64)
        first = int(raised[0]) - 1
        places = raised - first
        cells = np.searchsorted(places, np.arange(places[-1] + 2)) * apart
        cells[places] = doubtful
        return cls(bins.edges, scale, first, cells.astype(np.int16), doubtful, apart)

    def steps(self, raised: Floats, out: Ints | None = None) -> Ints:
        """Whole steps from that of cell 0, shape (n,)."""
        return np.subtract(raised.view(np.int64), self.first, out=out)

    def places(self, values: Floats, steps: Ints) -> None:
        """Turn steps of finite values into their bins times ``apart``, in place."""
        found = self.cells.take(steps, mode="clip")
        doubtful = np.flatnonzero(found == self.doubtful)
        steps[:] = found
        if len(doubtful):
            steps[doubtful] = self.search(values[doubtful]) * np.intp(self.apart)

    def search(self, values: Floats) -> Ints | NDArray[np.uint8]:
        """Bin of each finite value without the table, shape (n,)."""
        if len(values) < _COMPARE_PAYS:
            return np.searchsorted(self.edges, values, side="right")
        found, above = np.zeros(len(values), dtype=np.uint8), np.empty(len(values), dtype=bool)
        for edge in self.edges:  # many values: comparing all of them at once beats searching for each
            np.greater_equal(values, edge, out=above)
            found += above.view(np.uint8)
        return found

    def bins(self, values: Floats) -> NDArray[np.uint8]:
        """Bin of each finite value, shape (n,)."""
        found = self.steps(self.scale.raised(self.scale.near(values)))
        self.places(values, found)
        return (found // self.apart).astype(np.uint8)


def are_finer(values: Floats, units: float | Floats, rooms: Floats | None = None) -> NDArray[np.bool_]:
    """Whether each value is finer than a grid of so many units per one; room to calculate in has shape (2, n).

    Values have shape (n,); those of columns side by side (columns, n), where units have shape (columns, 1).
    What comes from a number with fewer decimals by way of float32 has not; nor have values so large that floats
    cannot tell, NaN and infinity.
    """
    apart, rounded = np.empty((2, *values.shape)) if rooms is None else rooms
    np.multiply(values, units, out=apart)
    np.rint(apart, out=rounded)
    apart -= rounded
    np.abs(apart, out=apart)
    finer: NDArray[np.bool_] = apart > _UNEVEN
    number = np.count_nonzero(finer)
    if number:  # seldom, so the rest may take its time
        doubtful: Any = np.nonzero(finer) if number < _FEW * values.size else slice(None)
        size = np.abs(rounded[doubtful])
        uneven = (apart[doubtful] > _SINGLE * size) | ~_is_single(values[doubtful])
        finer[doubtful] &= uneven & (size <= _TOLD)
    return finer


def can_tell(values: Floats, decimals: int) -> NDArray[np.bool_]:
    """Whether each of finite values would be found finer if it were, shape (n,)."""
    told: NDArray[np.bool_] = np.abs(values) * 10.0**decimals <= np.where(_is_single(values), _TOLD_SINGLE, _TOLD)
    return told


def _is_single(values: Floats) -> NDArray[np.bool_]:
    """Whether each value is one of float32: hardly one in 2^29 of those that were not rounded to it is."""
    single: NDArray[np.bool_] = values.astype(np.float32) == values
    return single


def halves(squares: Floats) -> tuple[Floats, Floats]:
    """Whole numbers up to 2^36 as a x HALF + b, a at most 2^18 and b from -2^17 to 2^17."""
    upper = np.rint(squares * (1.0 / HALF))
    return upper, squares - upper * HALF


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a column with names for values: one per category, then ``other``, then ``unseen``.

    Attributes:
        categories: values with a bin of their own, most frequent first (in natural order for
            booleans, hours and weekdays).
        tail: values seen in training that share the bin ``other``.
        open: there were too many values to remember, so an unknown one also counts as ``other``.
        new_share: share of unseen values to expect in healthy traffic (Good-Turing estimate).
    """

    categories: tuple[Category, ...]
    tail: tuple[Category, ...] = ()
    open: bool = False
    new_share: float = 0.0

    fingerprints = 0

    @property
    def size(self) -> int:
        """Number of value bins."""
        return len(self.categories) + 2

    @cached_property
    def is_single(self) -> NDArray[np.bool_]:
        """Which value bins hold one single value, shape (bins,)."""
        return np.arange(self.size) < len(self.categories)

    @cached_property
    def index(self) -> dict[tuple[type, Category], int]:
        """Bin of each known value; the type is part of the key, since 1, True and '1' differ."""
        known = {(type(value), value): place for place, value in enumerate(self.categories)}
        return known | {(type(value), value): len(self.categories) for value in self.tail}

    @cached_property
    def cells_of(self) -> dict[type, dict[Category | None, int]]:
        """Cell of each known value by its type, and of None, which is missing."""
        found: dict[type, dict[Category | None, int]] = {kind: {None: self.size} for kind in self.types}
        for (kind, value), at in self.index.items():
            found[kind][value] = at
        return found

    @property
    def is_boolean(self) -> bool:
        """Whether the values are true and false, which may also come as 1 and 0."""
        return self.types == {bool}

    @property
    def unknown(self) -> int:
        """The bin of a value that training did not show."""
        return self.size - 2 if self.open else self.size - 1

    @cached_property
    def types(self) -> frozenset[type]:
        """The Python types a value may have; any other is invalid."""
        return frozenset(type(value) for value in (*self.categories, *self.tail)) or frozenset((str, int, bool))

    def describe(self, index: int) -> str:
        """The values of bin ``index`` in words."""
        return [*(str(one) for one in self.categories), "another value", "a value unseen in training"][index]


Bins: TypeAlias = NumericBins | CategoryBins


def format_number(value: float) -> str:
    """A number as people read it: 250,000, 0.0421, 12."""
    if value != value or np.isinf(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
