"""What a formula sees: the counts of one column, or the outcomes of one model, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import HALF, Bins, CategoryBins, Floats, Ints, NumericBins
from wakeful.caching import cached_property
from wakeful.counts import SUM_UNIT, Counts
from wakeful.errors import SignalError
from wakeful.release import EVEN, Release
from wakeful.strata import Strata

__all__ = [
    "BinaryOutcomes",
    "ClassOutcomes",
    "ColumnCounts",
    "NumberOutcomes",
    "Outcomes",
    "column_counts",
    "outcomes",
]

_DISCRETE = 0.95  # share of the rows on single values from which on a column is no continuous one


@dataclass(frozen=True, eq=False)
class ColumnCounts:
    """Counts of one column in one slice.

    Attributes:
        name: the column.
        kind: its kind.
        bins: what each value bin holds.
        values: rows per value bin, shape (bins,).
        seen: whether any row of any slice fell into the bin, shape (bins,).
        missing, invalid: rows without a value, and with one of the wrong type or infinite.
        prints: rows of continuous values by fingerprint, shape (128,); empty for categories.
        sums: of steps from ``bins.origin`` and of both halves of their squares; empty for categories.
        off_grid: rows whose value is finer than the grid of the column; 0 where it has none.
        training: as a reference that is not all of training, but some hours of it or an earlier window: the same column
            in all of training, which says once for all how bins are grouped and which values are new; else None.
    """

    name: str
    kind: str
    bins: Bins
    values: Floats
    seen: NDArray[np.bool_]
    missing: float
    invalid: float
    prints: Floats
    sums: Floats
    off_grid: float = 0.0
    training: ColumnCounts | None = None

    @property
    def rows(self) -> float:
        """All rows."""
        return float(self.values.sum() + self.missing + self.invalid)

    @property
    def n(self) -> float:
        """Rows that have a value."""
        return float(self.values.sum())

    @property
    def freedom(self) -> float:
        """Degrees of freedom of an estimate's error, at most."""
        return self.n - 1.0

    @property
    def share(self) -> Floats:
        """Share of each value bin among the rows that have a value, shape (bins,); NaN without rows."""
        with np.errstate(invalid="ignore"):
            return self.values / self.n

    @property
    def steps(self) -> float:
        """Sum of the steps of a numeric column from its origin."""
        return float(self.sums[0])

    @property
    def squared_steps(self) -> float:
        """Sum of their squares."""
        return float(self.sums[1] * HALF + self.sums[2])

    @property
    def numeric(self) -> NumericBins:
        """The bins of a numeric column; SignalError for any other."""
        if not isinstance(self.bins, NumericBins):
            raise SignalError(f"{self.name!r} is {self.kind}: it has no numbers to calculate with.")
        return self.bins

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Whether a bin of numbers lies below or above all that training showed, shape (bins,)."""
        self.numeric  # noqa: B018  # raises where there are none
        return np.isin(np.arange(len(self.values)), (0, len(self.values) - 1))

    @property
    def not_shown(self) -> NDArray[np.bool_]:
        """As a reference: whether a bin holds values that training did not show, shape (bins,).

        Of categories the last one does. Numbers that are nearly all among a few single values leave gaps; those
        outside of their range are another matter.
        """
        if isinstance(self.bins, CategoryBins):
            return np.isin(np.arange(len(self.values)), len(self.values) - 1)
        training = self.training or self
        if training.values[self.bins.is_single].sum() < _DISCRETE * training.n:  # room for more, between a sample's
            return np.zeros(len(self.values), dtype=bool)
        found: NDArray[np.bool_] = ~training.seen & ~self.outside
        return found

    def rows_of(self, at: int) -> float:
        """Rows of one bin."""
        return float(self.values[at])

    def within(self, bins: NDArray[np.bool_]) -> float:
        """Rows in some of the bins."""
        return float(self.values[bins].sum())

    @property
    def unseen(self) -> float:
        """As a reference: rows to expect of healthy traffic with a value that training did not show."""
        return self.bins.new_share * self.n if isinstance(self.bins, CategoryBins) else 0.0

    @property
    def expected(self) -> ColumnCounts:
        """As a reference: with the unseen rows to expect, taken from rare categories, of which it has too many."""
        bins, rows = self.bins, self.values.copy()
        if not isinstance(bins, CategoryBins) or not bins.new_share:
            return self
        new = bins.new_share * self.n
        rows *= 1.0 if rows[-2] >= new else 1.0 - bins.new_share
        rows[-2:] += (-new, new) if rows[-2] >= new else (0.0, new)
        return replace(self, values=rows)

    def groups(self, wanted: int) -> Ints:
        """As a reference: the group of each bin, of about so many; shape (bins,).

        Groups are neighbours of about equal mass in training, with the unseen rows to expect.
        """
        rows = (self.training or self).expected.values
        if len(rows) <= wanted:
            return np.arange(len(rows))
        mass = np.cumsum(rows) - rows / 2
        found = np.minimum(np.floor(wanted * mass / max(rows.sum(), 1)), wanted - 1)
        return np.unique(found, return_inverse=True)[1]  # none is empty

    def grouped(self, groups: Ints) -> Floats:
        """Rows per group of neighbouring bins, shape (number of groups,)."""
        return np.bincount(groups, self.values).astype(float)

    def nudged(self, share: float) -> Iterator[tuple[float, ColumnCounts]]:
        """For every non-empty bin: its rows, and these counts with that bin grown by ``share``."""
        for at in np.flatnonzero(self.values):
            values = self.values.copy()
            values[at] *= 1 + share
            yield float(self.values[at]), replace(self, values=values)


def column_counts(counts: Counts, name: str, at: int = 0, training: Counts | None = None) -> ColumnCounts:
    """The counts of a column in slice ``at``; as a reference, with those of all of training."""
    layout = counts.layout
    place = layout.cells.get(name)
    if place is None:
        raise SignalError(f"the reference counts no {name}. Learn it again with: wakeful init")
    row = counts.table[at, place.start : place.stop]
    seen = counts.table[0, place.start : place.start + place.values] > 0
    values, missing, invalid = row[: place.values], row[place.values], row[place.values + 1]
    rest = row[place.values + 2 :]
    return ColumnCounts(
        name, layout.kinds[name], layout.bins[name], values, seen, float(missing), float(invalid),
        rest[: place.fingerprints], rest[place.fingerprints :][:3], float(rest[-1]) if place.sums else 0.0,
        None if training is None else _in_training(training, name, at),
    )  # fmt: skip


def _in_training(training: Counts, name: str, at: int) -> ColumnCounts:
    """A column in a slice of training; in all traffic, where that showed no values in the slice."""
    found = column_counts(training, name, at)
    return found if found.n or not at else column_counts(training, name)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Answers beside their outcomes in one slice.

    Attributes:
        table: rows and sums, shape (cohorts, flagged, answers, truths, statistics).
        held_out: only the holdout counts among flagged rows.
        truths: names of the truth axis.
        scales: error scale, label center and label scale (regression).
        bins: of the score.
        has_decision: the model flags rows.
        has_label: the outcome is known at all.
        release: how the holdout is drawn.
    """

    table: Floats
    held_out: bool
    truths: tuple[str, ...]
    scales: tuple[float, float, float]
    bins: Bins
    has_decision: bool
    has_label: bool
    release: Release = EVEN

    def nudged(self, share: float) -> Iterator[tuple[float, Outcomes]]:
        """For every non-empty cell: its rows, and these outcomes with that cell grown by ``share``.

        Where outcomes came of rows that were answered before, more are known than were answered, and those unknown
        are fewer than none. These vary as much as so many rows, and grow towards none.
        """
        for place in np.argwhere(self.table[..., 0]):
            table, rows = self.table.copy(), float(self.table[(*tuple(place), 0)])
            table[tuple(place)] *= 1 + math.copysign(share, rows)
            yield abs(rows), replace(self, table=table)

    @property
    def answered(self) -> Floats:
        """The table of rows that have an answer."""
        return self.table[:, :, : self.bins.size]

    @property
    def n(self) -> float:
        """Rows behind an estimate: those with an answer and a known outcome."""
        raise NotImplementedError

    @property
    def freedom(self) -> float:
        """Degrees of freedom of an estimate's error, at most."""
        return self.n - 1.0


_UNSEEN = 0.05  # share of rows of whose scores nothing is known, from which on a delta method says too much


@dataclass(frozen=True, eq=False)
class BinaryOutcomes(Outcomes):
    """Binary outcomes. Each labelled row stands for all rows of the same decision that are let through alike.

    A decision hides outcomes: of flagged rows they are known for the holdout only, and late ones are
    missing everywhere. So every labelled row is weighted by rows / labelled rows of its decision, and of its
    score where the holdout is drawn by it (Horvitz & Thompson 1952, post-stratified: Holt & Smith 1979, J. R.
    Statist. Soc. A 142:33); with all labels known every weight is 1.
    """

    @cached_property
    def labelled(self) -> Floats:
        """Rows with a known outcome, and sums of p, p², log loss; shape (flagged, answers, truth, 4)."""
        return self._known[:, : self.bins.size]

    @cached_property
    def _known(self) -> Floats:
        """The same of all rows, those without a score included: a decision may have been made all the same."""
        _must_have(self.has_label)
        table = self.table[..., :2, :]
        everyone: Floats = table.sum(axis=0)
        said = self.table[1:] if self.release.from_all else self.table[1:, 1]
        if self.held_out and said.any():  # the data say who is held out
            everyone = np.stack([table[2, 0] if self._hides_unflagged else everyone[0], table[2, 1]])
        return everyone

    @cached_property
    def _hides_unflagged(self) -> bool:
        """Whether outcomes of unflagged rows are seen in the holdout only: what all reveal needs no sample."""
        return self.release.from_all and bool(self.table[:, 0, :, 2:, 0].any())

    @cached_property
    def decided(self) -> Floats:
        """Rows, labelled or not, unflagged and flagged, shape (2,)."""
        found: Floats = self.table[..., 0].sum(axis=(0, 2, 3))
        return found

    @cached_property
    def strata(self) -> tuple[Strata, Strata] | None:
        """Unflagged and flagged rows, by how likely their outcome is known; None where a decision tells all."""
        if not self.held_out or not self.release.strata.any():
            return None
        rows = np.maximum(self.table[..., 0].sum(axis=(0, 3)), 0.0)
        alike = np.zeros(rows.shape[1], dtype=np.intp)
        return (
            Strata(rows[0], self._known[0, ..., 0], self.release.strata if self._hides_unflagged else alike),
            Strata(rows[1], self._known[1, ..., 0], self.release.strata),
        )

    @cached_property
    def weights(self) -> Floats:
        """Rows that one labelled row stands for, by decision and answer, shape (2, answers), or (2, 1) for all alike.

        NaN where there are rows of a decision, but no outcome of any: nothing is known of them.
        """
        if self.strata is not None:
            return np.stack([side.weights[: self.bins.size] for side in self.strata])
        labelled = self._known[..., 0].sum(axis=(1, 2))
        nothing = np.where(self.decided > 0, np.nan, 0.0)
        return np.where(labelled > 0, self.decided / np.maximum(labelled, 1.0), nothing)[:, None]

    @property
    def drawn_from(self) -> tuple[Floats, Floats]:
        """Rows that might be held out and are not, and those that are, by answer, each of shape (answers,)."""
        self.must_decide()
        rows = self.table[..., 0].sum(axis=3)
        if len(rows) < 3:
            return np.zeros(rows.shape[2]), np.zeros(rows.shape[2])
        rest, held_out = rows[1:].sum(axis=1) if self.release.from_all else rows[1:, 1]
        return rest, held_out

    @property
    def odds(self) -> Floats:
        """Cases held out for each that is not, up to a constant, shape (answers,), or (1,) for all alike."""
        return self.release.odds

    def weighs_alike(self, decisions: NDArray[np.bool_]) -> bool:
        """Whether every labelled row of some decisions, a mask of shape (2,), stands for as many rows."""
        weights = self.weights[decisions & (self.decided > 0), 0]
        if self.strata is not None:
            weights = np.concatenate([self.strata[decision].each for decision in np.flatnonzero(decisions)])
        return len(weights) < 2 or bool(np.ptp(weights) == 0)

    @property
    def negative(self) -> Floats:
        """Weighted negatives per answer bin, shape (answers,)."""
        return self.weighted[:, 0, 0]

    @property
    def positive(self) -> Floats:
        """Weighted positives per answer bin, shape (answers,)."""
        return self.weighted[:, 1, 0]

    @cached_property
    def weighted(self) -> Floats:
        """Weighted rows and sums, shape (answers, truth, 4)."""
        found: Floats = (self.labelled * self.weights[..., None, None]).sum(axis=0)
        return found

    @cached_property
    def matrix(self) -> Floats:
        """Labelled rows, unweighted, shape (flagged, truth): [[tn, fn], [fp, tp]]."""
        self.must_decide()
        found: Floats = self._known[..., 0].sum(axis=1)
        return found

    @property
    def decisions(self) -> Floats:
        """Rows by decision, labelled or not: unflagged, flagged; SignalError where nothing is decided."""
        self.must_decide()
        return self.decided

    def must_decide(self) -> None:
        """SignalError where nothing is decided."""
        if not self.has_decision:
            raise SignalError(
                "the model has no decision: no threshold and no decision column were given to `wakeful init`. "
                "Use roc_auc, brier_score or log_loss, or learn the reference again with --threshold."
            )

    @property
    def n(self) -> float:
        """Labelled rows."""
        return float(self.labelled[..., 0].sum())

    @property
    def freedom(self) -> float:
        """Degrees of freedom of an estimate's error, at most.

        Where one labelled row stands for many, such rows carry the error: it has as many degrees of freedom
        as they are, and none while all have the same outcome, since then they do not show how they vary.
        None either where of many rows nothing is known but from other scores.
        """
        if self.strata and sum(side.unseen for side in self.strata) > _UNSEEN * self.decided.sum():
            return 0.0
        rows = self.labelled[..., 0]
        weights = np.broadcast_to(self.weights, rows.shape[:2])
        is_heavy = weights > 2 * weights[weights > 0].min(initial=np.inf)
        heavy = [side[chosen].sum(axis=0) for side, chosen in zip(rows, is_heavy, strict=True) if chosen.any()]
        if not heavy:
            return self.n - 1.0
        return float(min(one.sum() for one in heavy)) - 1.0 if np.all(heavy) else 0.0


@dataclass(frozen=True, eq=False)
class ClassOutcomes(Outcomes):
    """Multi-class outcomes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.truths[:-4]

    @cached_property
    def matrix(self) -> Floats:
        """Rows by true class and predicted class, shape (classes, classes), as scikit-learn's."""
        known = len(self.truths) - 2
        found: Floats = self.answered[..., :known, 0].sum(axis=(0, 1)).T
        return found

    @property
    def hits(self) -> Floats:
        """Rows whose predicted class is the true one, shape (classes,).

        Classes that training did not show share a row and a column of the matrix: none of them is a hit.
        """
        right = np.diag(self.matrix).copy()
        right[len(self.classes) :] = 0.0
        return right

    @property
    def n(self) -> float:
        """Labelled rows."""
        return float(self.matrix.sum())


@dataclass(frozen=True, eq=False)
class NumberOutcomes(Outcomes):
    """Regression outcomes: sums over rows with a prediction and a label, in the label's unit."""

    @property
    def sums(self) -> Floats:
        """n, then sums of e, |e|, e², e⁴, y, y², y⁴, e²y² (y from the reference's mean), shape (9,)."""
        found: Floats = self.by_answer.sum(axis=0)
        return found

    @cached_property
    def by_answer(self) -> Floats:
        """The same per bin of predictions, shape (answers, 9)."""
        raw = self.answered[..., 0, :].sum(axis=(0, 1))
        error, _, label = self.scales
        units = np.array([1.0, error, error, error**2, error**4, label, label**2, label**4, error**2 * label**2])
        scaled: Floats = raw * units
        scaled[:, 1:] /= SUM_UNIT
        return scaled

    @property
    def predicted(self) -> Floats:
        """Rows per bin of predictions, whether or not their outcome is known, shape (answers,)."""
        found: Floats = self.answered[..., 0].sum(axis=(0, 1, 3))
        return found

    @property
    def n(self) -> float:
        """Labelled rows."""
        return float(self.sums[0])


_KINDS = {"binary": BinaryOutcomes, "multiclass": ClassOutcomes, "regression": NumberOutcomes}


def outcomes(counts: Counts, at: int = 0, held_out: bool = False, release: Release = EVEN) -> Outcomes:
    """The outcomes in slice ``at``; only those of the holdout drawn by ``release``, if asked for and present."""
    layout = counts.layout
    model = layout.model
    if model.task != "binary":
        _must_have(model.label is not None)
    return _KINDS[model.task](
        counts.outcome(at),
        held_out,
        layout.truths,
        (layout.error_scale, layout.label_center, layout.label_scale),
        layout.bins[model.score.name],
        model.threshold is not None or model.decision is not None,
        model.label is not None,
        release,
    )


def _must_have(label: bool) -> None:
    if not label:
        raise SignalError(
            "the reference was learnt without a label, so there are no outcomes. Learn it with: wakeful init --label"
        )
