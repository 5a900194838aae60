"""Rows or Arrow batches -> counts. Every engine calls this one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from wakeful import encoding
from wakeful.bins import Bins, CategoryBins, Floats, Ints, NumericBins
from wakeful.counts import Counts, Layout
from wakeful.model import Column
from wakeful.tally import Sliced, count_numbers, tabulate

__all__ = ["Batch", "Derivation", "RowBatch", "count", "encode"]

_UNIT = 2.0**20  # fixed-point steps per unit in the sums of the outcome table
_FAR = 4.0  # errors and labels beyond four times the reference's scale are summed as if they were there


Derivation: TypeAlias = "Callable[[Batch], Sequence[Any]]"  # a derived column: a value per row of a batch


class Batch(Protocol):
    """A table of rows whose columns can be encoded."""

    def __len__(self) -> int:
        """Number of rows."""

    def has(self, name: str) -> bool:
        """Whether there is a column of that name."""

    def numbers(self, name: str) -> Floats:
        """A column as float64: NaN is missing, infinity invalid."""

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """A column as cells of its bins."""

    def clock(self, name: str, part: str, bins: CategoryBins) -> Ints:
        """A part of a datetime column, such as its hour, as cells."""

    def values(self, name: str) -> Sequence[Any]:
        """A column as it came, for derived columns."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Every row as a mapping, for derived columns."""


class RowBatch:
    """A batch made of rows: one mapping per row, from column name to Python value."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, name: str) -> bool:
        """Whether any row has that column."""
        return any(name in row for row in self._rows)

    def _column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self._rows]

    def values(self, name: str) -> Sequence[Any]:
        """The column as numpy numbers where all that is there is numeric, else as a list, None where missing."""
        values = self._column(name)
        if not encoding.are_numbers(values):
            return values
        whole = all(isinstance(value, int) for value in values)
        return np.array(values) if whole else encoding.encode_numbers(values)  # type: ignore[return-value]

    def numbers(self, name: str) -> Floats:
        """The column as float64."""
        return encoding.encode_numbers(self._column(name))

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """The column as cells."""
        return encoding.encode_categories(self._column(name), bins)

    def clock(self, name: str, part: str, bins: CategoryBins) -> Ints:
        """A part of a datetime column, such as its hour, as cells."""
        return encoding.encode_clock(self._column(name), part, bins)

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows themselves."""
        return self._rows


@np.errstate(over="ignore", invalid="ignore")  # numbers beyond all reason are clipped or invalid
def count(layout: Layout, batch: Batch, derived: Mapping[str, Derivation] | None = None) -> Counts:
    """Count a batch.

    Args:
        layout: which count stands where.
        batch: the rows; columns that it lacks count as missing in every row.
        derived: functions of the derived columns, by name.

    Returns:
        The counts of these rows alone; add them to others with ``+``.
    """
    model = layout.model
    counts = Counts(layout, np.zeros(layout.size), _absent(layout, batch))
    if not len(batch):
        return counts
    where = [
        (encode(layout, batch, model.column(name), derived).astype(np.intp), layout.bins[name].size + 2)
        for name in model.segments
    ]
    table = counts.table
    table[:, :1] = tabulate(where, np.zeros(len(batch), dtype=np.intp), 1)
    for column in layout.counted:
        values = encode(layout, batch, column, derived)
        place = layout.cells[column.name]
        table[:, place.start : place.stop] = _count_column(layout.bins[column.name], values, where)
    if np.prod(layout.outcome_shape):
        answers = encode(layout, batch, model.score, derived)
        table[:, layout.outcome_start :] = _count_outcomes(layout, batch, answers, where)
    return counts


def _absent(layout: Layout, batch: Batch) -> frozenset[str]:
    return frozenset(
        column.name for column in layout.model.columns if not column.derived and not batch.has(column.source)
    )


def encode(layout: Layout, batch: Batch, column: Column, derived: Mapping[str, Derivation] | None) -> Any:
    """A column as float64 (numeric) or as cells (all other kinds), shape (n,)."""
    bins = layout.bins[column.name]
    if column.derived:
        values = derived[column.name](batch) if derived else [None] * len(batch)
        if isinstance(bins, NumericBins):
            return encoding.encode_numbers(values)
        return encoding.encode_categories(values, bins)
    if not batch.has(column.source):
        return np.full(len(batch), np.nan) if isinstance(bins, NumericBins) else np.full(len(batch), bins.size)
    if isinstance(bins, NumericBins):
        return batch.numbers(column.source)
    if column.kind in ("hour", "weekday", "hour_of_week"):
        return batch.clock(column.source, column.kind, bins)
    return batch.categories(column.source, bins)


def _count_column(bins: Bins, values: Any, where: Sliced) -> Floats:
    """All counts of one column, shape (slices, cells of the column)."""
    if isinstance(bins, CategoryBins):
        return tabulate(where, values.astype(np.intp), bins.size + 2)
    return count_numbers(bins, values, where)


def _count_outcomes(layout: Layout, batch: Batch, answers: Any, where: Sliced) -> Floats:
    """The outcome table of every slice, flattened, shape (slices, cells of the table)."""
    model = layout.model
    cohorts, flags, width, truths, _ = layout.outcome_shape
    cohort = _cohort(batch, model.holdout)
    bins = layout.bins[model.score.name]
    cells = bins.cells(answers) if isinstance(bins, NumericBins) else answers
    if model.task == "binary":
        flagged, truth, sums = _binary(layout, batch, answers)
    elif model.task == "regression":
        flagged, truth, sums = _regression(layout, batch, answers)
    else:
        flagged, truth, sums = _multiclass(layout, batch)
    place = ((cohort * flags + flagged) * width + cells.astype(np.intp)) * truths + truth
    size = cohorts * flags * width * truths
    statistics = [None, *(np.rint(one * _UNIT) for one in sums)]
    table = np.stack([tabulate(where, place, size, weights) for weights in statistics], axis=2)
    return table.reshape(len(table), -1)


_Outcome: TypeAlias = tuple[Any, Ints, list[Floats]]  # flagged, truth, and what is summed


def _binary(layout: Layout, batch: Batch, scores: Floats) -> _Outcome:
    model = layout.model
    labels = _labels(layout, batch)
    truth = np.select([labels == 0, labels == 1, np.isnan(labels)], [0, 1, 2], default=3)
    flagged = np.zeros(len(batch), dtype=bool)
    if model.threshold is not None:
        flagged = np.isfinite(scores) & (scores >= model.threshold)
    if model.decision is not None and batch.has(model.decision):
        decided = batch.numbers(model.decision)
        flagged = np.where(np.isin(decided, (0.0, 1.0)), decided == 1.0, flagged)
    p = np.clip(np.nan_to_num(scores, nan=0.5, posinf=0.5, neginf=0.5), 0.0, 1.0)
    tiny = np.finfo(float).eps  # as scikit-learn's log_loss clips
    right = np.clip(np.where(truth == 1, p, 1.0 - p), tiny, 1.0)
    return flagged, truth, [p, p * p, -np.log(right)]


def _regression(layout: Layout, batch: Batch, predictions: Floats) -> _Outcome:
    labels = _labels(layout, batch)
    truth = np.select([np.isfinite(labels), np.isnan(labels)], [0, 1], default=2)
    usable = np.isfinite(labels) & np.isfinite(predictions)
    error = np.subtract(predictions, labels, where=usable, out=np.zeros(len(batch)))
    e = np.clip(error / layout.error_scale, -_FAR, _FAR)
    y = np.clip(np.where(usable, labels - layout.label_center, 0.0) / layout.label_scale, -_FAR, _FAR)
    sums = [e, np.abs(e), e**2, e**4, y, y**2, y**4, e**2 * y**2]
    return np.zeros(len(batch), dtype=bool), truth, sums


def _multiclass(layout: Layout, batch: Batch) -> _Outcome:
    bins = layout.bins[layout.model.score.name]
    label = layout.model.label
    assert isinstance(bins, CategoryBins)
    truth = np.full(len(batch), bins.size)
    if label is not None and batch.has(label):
        truth = batch.categories(label, bins)
    return np.zeros(len(batch), dtype=bool), truth, []


def _labels(layout: Layout, batch: Batch) -> Floats:
    label = layout.model.label
    return batch.numbers(label) if label is not None and batch.has(label) else np.full(len(batch), np.nan)


def _cohort(batch: Batch, holdout: str | None) -> Ints:
    """0 where nothing is said of a holdout, 1 where a row is not held out, 2 where it is."""
    if holdout is None or not batch.has(holdout):
        return np.zeros(len(batch), dtype=np.intp)
    said = batch.numbers(holdout)
    return np.where(np.isnan(said), 0, np.where(said == 1.0, 2, 1)).astype(np.intp)


def _is_one(batch: Batch, name: str | None) -> Any:
    """Where a yes-or-no column says yes; missing is no."""
    if name is None or not batch.has(name):
        return np.zeros(len(batch), dtype=bool)
    return batch.numbers(name) == 1.0
