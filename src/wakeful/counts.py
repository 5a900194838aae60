"""The additive state of a monitored model: one flat vector of counts and its layout.

The vector is a table. Its rows are *slices*: all traffic, then one per value of every segment. Its
columns are, in this order: the number of rows; for each counted column its value bins, ``missing``,
``invalid``, fingerprints, sums and rows off the grid; the outcome table. Every entry is a whole number, so
adding is exact and the order of rows, batches, processes and machines does not matter.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wakeful.bins import Bins, CategoryBins, Floats, NumericBins
from wakeful.caching import cached_property
from wakeful.errors import DataError, UnknownName
from wakeful.model import Column, Kind, Model
from wakeful.panel import Panel, Place

__all__ = ["CLOCK", "IDS", "SUM_UNIT", "Cells", "Counts", "Layout", "Slice"]

BINARY_TRUTHS = ("negative", "positive", "unknown", "invalid")
NUMBER_TRUTHS = ("known", "unknown", "invalid")
SUM_UNIT = 2.0**20  # fixed-point steps per unit in the sums of the outcome table
CLOCK = "(hour of week)"  # counts how many rows are of each hour, where the reference learnt that hours differ
IDS = "(id)"  # counts how many rows have an id of each hash, where an id column was named


class Slice(NamedTuple):
    """Rows for which everything is counted apart: all of them, or one value of a segment."""

    segment: str | None
    value: str | None

    def __str__(self) -> str:
        return "" if self.segment is None else f"{self.segment}={self.value}"


class Cells(NamedTuple):
    """Where one column stands in a slice of the vector; the last of its sums is the rows off its grid."""

    start: int
    values: int
    fingerprints: int
    sums: int

    @property
    def stop(self) -> int:
        """Where the next column begins."""
        return self.start + self.values + 2 + self.fingerprints + self.sums


@dataclass(frozen=True, eq=False)
class Layout:
    """Which count stands where; derived from the model and its bins alone.

    Attributes:
        model: what is monitored.
        bins: the bins of every counted column and of every segment, by name.
        error_scale: regression only: the largest error in the reference, unit of sums in the outcome table.
        label_center: the mean label there, from which labels are summed.
        label_scale: how far labels lie from it at most.
    """

    model: Model
    bins: Mapping[str, Bins]
    error_scale: float = 1.0
    label_center: float = 0.0
    label_scale: float = 1.0

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """All traffic first, then every value of every segment."""
        found = [Slice(None, None)]
        for segment in self.model.segments:
            found.extend(Slice(segment, name) for name in self.segment_values(segment))
        return tuple(found)

    def segment_values(self, segment: str) -> list[str]:
        """Names of the slices of a segment: its categories, then other, unseen, missing, invalid."""
        bins = self.bins[segment]
        assert isinstance(bins, CategoryBins)
        return [*(str(one) for one in bins.categories), "(other)", "(unseen)", "(missing)", "(invalid)"]

    @cached_property
    def counted(self) -> tuple[Column, ...]:
        """Every column of the model, its clock where hours of the week differ, and its ids where they are named."""
        if IDS not in self.bins or self.model.id is None:
            return self.hourly
        return (*self.hourly, Column(IDS, "id", self.model.id))

    @cached_property
    def hourly(self) -> tuple[Column, ...]:
        """Every column that may differ by the hour of the week: all but ids."""
        if CLOCK not in self.bins or self.model.time is None:
            return self.model.columns
        return (*self.model.columns, Column(CLOCK, "hour_of_week", self.model.time))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Kind of every counted column."""
        return {column.name: column.kind for column in self.counted}

    @cached_property
    def cells(self) -> dict[str, Cells]:
        """Place of every counted column inside a slice."""
        places: dict[str, Cells] = {}
        at = 1  # cell 0 is the number of rows
        for column in self.counted:
            bins = self.bins[column.name]
            place = Cells(at, bins.size, bins.fingerprints, 4 if isinstance(bins, NumericBins) else 0)
            places[column.name] = place
            at = place.stop
        return places

    @cached_property
    def numeric(self) -> tuple[Column, ...]:
        """Every counted column of numbers."""
        return tuple(column for column in self.counted if isinstance(self.bins[column.name], NumericBins))

    @cached_property
    def panel(self) -> Panel:
        """What counts all of these at once; there is at least one."""
        columns = []
        for column in self.numeric:
            bins, place = self.bins[column.name], self.cells[column.name]
            assert isinstance(bins, NumericBins)
            columns.append((bins, Place(place.start, place.start + place.values + 2, place.stop - place.sums)))
        return Panel(columns)

    @cached_property
    def outcome_start(self) -> int:
        """Where the outcome table of a slice begins."""
        return max((place.stop for place in self.cells.values()), default=1)

    @cached_property
    def outcome_shape(self) -> tuple[int, int, int, int, int]:
        """(cohorts, flagged, answers, truths, statistics) of the outcome table.

        Cohorts tell, where the model has a holdout, rows of which nothing is said, rows that are not held out,
        and rows that are. Answers are the cells of
        the score. Truths are those of ``truths``. Statistic 0 is the number of rows; binary models add
        sums of p, p² and log loss, regression those of the error and the label.
        """
        model = self.model
        if model.label is None and model.task != "binary":
            return (0, 0, 0, 0, 0)
        cohorts = 3 if model.holdout else 1
        answers = self.bins[model.score.name].size + 2
        flagged, statistics = {"binary": (2, 4), "multiclass": (1, 1), "regression": (1, 9)}[model.task]
        return (cohorts, flagged, answers, len(self.truths), statistics)

    @property
    def truths(self) -> tuple[str, ...]:
        """Names of the truth axis: outcomes, then unknown and invalid."""
        if self.model.task == "binary":
            return BINARY_TRUTHS
        if self.model.task == "regression":
            return NUMBER_TRUTHS
        bins = self.bins[self.model.score.name]
        assert isinstance(bins, CategoryBins)
        return (*(str(one) for one in bins.categories), "(other)", "(unseen)", "unknown", "invalid")

    @cached_property
    def width(self) -> int:
        """Number of counts per slice."""
        return self.outcome_start + int(np.prod(self.outcome_shape))

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return len(self.slices) * self.width

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the layout: counts of different layouts never mix."""
        text = repr((self.model, sorted(self.bins.items()), self.error_scale, self.label_center, self.label_scale))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def find_slice(self, segment: str | None, value: str | None) -> int:
        """Index of a slice; raises UnknownName with near misses."""
        try:
            return self.slices.index(Slice(segment, value))
        except ValueError:
            raise UnknownName(f"value of {segment}", value, self.segment_values(str(segment))) from None


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of some rows: add them, subtract them, look at their table.

    Attributes:
        layout: what each entry means.
        vector: float64 of shape (layout.size,), whole numbers.
        absent: columns that the data did not have at all; their rows count as missing.
    """

    layout: Layout
    vector: Floats
    absent: frozenset[str] = frozenset()

    @classmethod
    def zero(cls, layout: Layout) -> Counts:
        """No rows yet."""
        return cls(layout, np.zeros(layout.size))

    @property
    def table(self) -> Floats:
        """The vector as (slices, width), a view."""
        return self.vector.reshape(len(self.layout.slices), self.layout.width)

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return int(self.table[0, 0])

    @property
    def hours(self) -> Floats:
        """Rows by hour of the week, from Monday's midnight, shape (168,); shape (0,) where hours are not counted."""
        place = self.layout.cells.get(CLOCK)
        return np.zeros(0) if place is None else self.table[0, place.start : place.start + 168]

    def outcome(self, at: int) -> Floats:
        """The outcome table of slice ``at``, shape ``layout.outcome_shape``, a view."""
        return self.table[at, self.layout.outcome_start :].reshape(self.layout.outcome_shape)

    def __add__(self, other: Counts) -> Counts:
        self._must_match(other)
        return Counts(self.layout, self.vector + other.vector, self.absent | other.absent)

    def __sub__(self, other: Counts) -> Counts:
        self._must_match(other)
        return Counts(self.layout, self.vector - other.vector, self.absent)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        same = self.layout.fingerprint == other.layout.fingerprint
        return same and bool(np.array_equal(self.vector, other.vector))

    __hash__ = None  # type: ignore[assignment]  # equal by content, and the content is an array

    def _must_match(self, other: Counts) -> None:
        mine, theirs = self.layout.fingerprint, other.layout.fingerprint
        if mine != theirs:
            raise DataError(f"counts of different references do not add: {mine} and {theirs}. Count both with one.")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the counts as ``.npz``: the vector and the fingerprint of its layout."""
        with Path(path).open("wb") as file:
            np.savez_compressed(
                file,
                vector=self.vector,
                layout=self.layout.fingerprint,
                absent=np.array(sorted(self.absent), dtype=str),
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], layout: Layout) -> Counts:
        """Read counts written by ``save``; raises DataError if they belong to another reference."""
        # only here: a service that counts does not read counts
        from tokenize import TokenError  # which numpy lets through where a header is damaged
        from zipfile import BadZipFile

        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                written, vector, absent = str(file["layout"]), file["vector"], file["absent"]
        except FileNotFoundError:
            raise DataError(f"no counts at {path}: the file does not exist.") from None
        except (ValueError, KeyError, OSError, EOFError, TypeError, TokenError, BadZipFile, zlib.error) as error:
            raise DataError(f"{path} does not hold counts: {error}. Write them with Counts.save.") from error
        if written != layout.fingerprint:
            raise DataError(
                f"{path} was counted with reference {written}, this one is {layout.fingerprint}. Count again."
            )
        if vector.shape != (layout.size,):
            raise DataError(f"{path} is damaged: it holds {vector.size} counts instead of {layout.size}. Count again.")
        return cls(layout, vector, frozenset(str(one) for one in absent))
