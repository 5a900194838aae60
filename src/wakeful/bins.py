"""How the values of a column fall into bins: fixed once, when a reference is learnt.

A column's *cells* are its value bins followed by ``missing`` and ``invalid``. Numeric columns also have
128 *fingerprint* cells (a hash of the value: a single value that suddenly holds a share of the traffic
raises one of them, which no shift of a continuous distribution does) and three sums for mean and variance.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["HALF", "Bins", "Category", "CategoryBins", "Floats", "Ints", "NumericBins", "format_number", "halves"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Category: TypeAlias = str | int | bool

_HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplicative hashing, Knuth vol. 3, 6.4
_TOP_BITS = np.uint64(57)
_STEPS = 65_536  # the seen range is this many fixed-point steps wide
_CELLS = 4096  # of a lookup table: it stays in the fastest cache
_SEARCH = 255  # in a lookup table: this cell does not decide
_GRID_PAYS = 256  # for fewer values a binary search is faster
HALF = 2.0**18  # squared steps are summed in two halves
_REACH = 4 * _STEPS  # a value farther than this many steps, four to eight ranges, is summed as if it were there


@dataclass(frozen=True)
class NumericBins:
    """Bins of a numeric column: below the seen range, half-open bins, single values, above.

    Attributes:
        low, high: smallest and largest value seen; what lies outside is ``below`` or ``above``.
        cuts: inner borders; a border belongs to the bin on its right.
        singles: values that hold a visible share and have a bin of their own.
        center: where sums start; near the mean, so that they stay small.
    """

    low: float
    high: float
    cuts: tuple[float, ...]
    singles: tuple[float, ...]
    center: float

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
        """Unit of the fixed-point sums: a power of two, less than 1/32,768 of the seen range."""
        spread = min(self.high - self.low, sys.float_info.max) or abs(self.center) or 1.0
        return float(2.0 ** max(-1000.0, np.ceil(np.log2(spread / _STEPS))))  # its inverse is a number, too

    @cached_property
    def _search(self) -> Floats:
        # -inf, below, …, above, +inf, nan: one search puts every float into its place.
        return np.concatenate(([np.nextafter(-np.inf, 0)], self.edges, [np.inf, np.nan]))

    @cached_property
    def _cell_of(self) -> NDArray[np.uint8]:
        inside = np.arange(self.size)
        invalid = self.size + 1
        return np.concatenate(([invalid], inside, [invalid, self.size])).astype(np.uint8)

    @cached_property
    def _grid(self) -> Grid:
        return Grid.of(self.edges)

    @np.errstate(over="ignore", invalid="ignore")  # a sum of huge or infinite values
    def cells(self, values: Floats) -> NDArray[np.uint8]:
        """Cell of each value, shape (n,): a value bin, then missing (NaN), then invalid (infinite)."""
        if len(values) < _GRID_PAYS:
            return self._cell_of[np.searchsorted(self._search, values, side="right")]
        if np.isfinite(values.sum()):
            return self._grid.bins(values)
        finite = np.isfinite(values)
        cells = np.where(np.isnan(values), self.size, self.size + 1).astype(np.uint8)
        cells[finite] = self._grid.bins(values[finite])
        return cells

    def fingerprint(self, values: Floats) -> NDArray[np.int64]:
        """A hash of each value in 0 … 127; equal values have equal hashes (-0.0 equals 0.0)."""
        mixed = (values + 0.0).view(np.uint64)
        mixed *= _HASH
        mixed >>= _TOP_BITS
        return mixed.view(np.int64)

    @np.errstate(over="ignore", invalid="ignore")
    def fixed_point(self, values: Floats) -> Floats:
        """Distance of each finite value from the centre in whole steps; NaN and infinity count as 0.

        Whole numbers below 2^53 add exactly, so sums do not depend on the order of the rows.
        Squares would get there after 131,072 far values; ``halves`` keeps them exact for 2^35 rows.
        """
        steps = values - self.center
        steps *= 1.0 / self.step
        np.rint(steps, out=steps)
        np.clip(steps, -_REACH, _REACH, out=steps)
        if not np.isfinite(values.sum()):
            steps[~np.isfinite(values)] = 0.0
        return steps

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


class Grid(NamedTuple):
    """A lookup table over even cells: three times as fast as a binary search for every value.

    The bulk of the edges is cut into even cells. Most cells lie inside one bin; of the others, those with
    up to two edges compare with them, and the rest (and all beyond the bulk) are searched. The result is
    that of ``np.searchsorted(edges, values, side="right")``, exactly.

    Attributes:
        edges: left edges of all bins but the first.
        scale, offset: cell of x = clip(x * scale + offset).
        base: bin left of the first edge in a cell, or SEARCH, shape (cells,).
        first, second: edges inside a cell, infinite where there is none, shape (cells,).
        compares: whether any cell compares.
    """

    edges: Floats
    scale: float
    offset: float
    base: NDArray[np.uint8]
    first: Floats
    second: Floats
    compares: bool

    @classmethod
    def of(cls, edges: Floats) -> Grid:
        """The widest grid in which no cell is crowded: long tails may have to stay outside."""
        widest = 1 if len(edges) >= 6 else 0
        grids = [cls._over(edges, trim) for trim in range(widest, max(widest + 1, min(4, len(edges) // 4)))]
        return next((grid for grid, crowded in grids if not crowded), grids[-1][0])

    @classmethod
    def _over(cls, edges: Floats, trim: int) -> tuple[Grid, bool]:
        """A grid that leaves out ``trim`` edges at both ends, and whether a cell has more than two edges."""
        left, right = float(edges[trim]), float(edges[len(edges) - 1 - trim])
        scale = (_CELLS - 4) / (right - left) if right > left else 1.0
        if not np.isfinite(scale) or not np.isfinite(scale * left):
            scale, left = 0.0, 0.0  # one cell for all: everything is searched
        offset = 2.0 - left * scale
        with np.errstate(over="ignore", invalid="ignore"):
            places = np.clip(np.nan_to_num(edges * scale + offset), 0, _CELLS - 1).astype(np.int32)
        base = np.searchsorted(places, np.arange(_CELLS), side="left").astype(np.uint8)
        inside = np.bincount(places, minlength=_CELLS)
        first, second = np.full(_CELLS, np.inf), np.full(_CELLS, np.inf)
        first[places[::-1]] = edges[::-1]
        second[places] = np.where(inside[places] == 2, edges, np.inf)
        compares = bool((inside[1:-1] == 2).any())  # single values: both of their edges share a cell
        base[(inside > 2) | ((inside == 1) & (not compares))] = _SEARCH
        base[[0, -1]] = _SEARCH
        return cls(edges, scale, offset, base, first, second, compares), bool((inside[1:-1] > 2).any())

    def bins(self, values: Floats) -> NDArray[np.uint8]:
        """Bin of each finite value, shape (n,)."""
        places = values * self.scale
        places += self.offset
        np.clip(places, 0, _CELLS - 1, out=places)
        at = places.astype(np.int32)
        found = self.base.take(at)
        hard = np.flatnonzero(found == _SEARCH)
        if self.compares:
            found += values >= self.first.take(at)
            found += values >= self.second.take(at)
        if len(hard):
            found[hard] = np.searchsorted(self.edges, values[hard], side="right")
        return found


def halves(squares: Floats) -> tuple[Floats, Floats]:
    """Whole numbers below 2^36 as a x HALF + b, a and b below 2^18; overwrites its argument."""
    upper = np.floor(squares * (1.0 / HALF))
    squares -= upper * HALF
    return upper, squares


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
