"""Rows or Arrow batches -> counts. Every engine calls this one function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, starmap
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from wakeful import encoding
from wakeful.bins import Bins, CategoryBins, Floats, Ints, NumericBins
from wakeful.counts import SUM_UNIT, Counts, Layout
from wakeful.ids import encode_ids
from wakeful.model import Column
from wakeful.tally import Sliced, blocks, count_numbers, tabulate

__all__ = ["FAR", "Batch", "Derivation", "RowBatch", "count", "count_known", "encode"]

_FEW = 4096  # rows: so many numeric columns are counted at once
FAR = 4.0  # errors and labels beyond four times the reference's scale are summed as if they were there


Derivation: TypeAlias = "Callable[[Batch], Sequence[Any]]"  # a derived column: a value per row of a batch


class Batch(Protocol):
    """A table of rows whose columns can be encoded."""

    def __len__(self) -> int:
        """Number of rows."""

    @property
    def names(self) -> set[str]:
        """Names of all columns."""

    def has(self, name: str) -> bool:
        """Whether there is a column of that name."""

    def numbers(self, name: str) -> Floats:
        """A column as float64: NaN is missing, infinity invalid."""

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """A column as cells of its bins."""

    def clock(self, name: str, part: str, bins: CategoryBins) -> Ints:
        """A part of a datetime column, such as its hour, as cells."""

    def ids(self, name: str) -> Ints:
        """A column of identifiers as cells of ``ids.BINS``."""

    def values(self, name: str) -> Sequence[Any]:
        """A column as it came, for derived columns."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Every row as a mapping, for derived columns."""


class RowBatch:
    """A batch made of rows: one mapping per row, from column name to Python value; they may differ in columns.

    Args:
        rows: the mappings.
        numeric: columns that are likely to be asked for as numbers, and as nothing else.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], numeric: Collection[str] = ()) -> None:
        self._rows = rows
        self._beside: dict[str, Sequence[Any]] = {}
        self._columns, self._numbers = _columns(rows, numeric)
        self._are_all = bool(self._columns or self._numbers)  # whether no row has any other

    def put(self, name: str, values: Sequence[Any]) -> None:
        """Put a column beside the rows, or in place of theirs; a value per row."""
        self._beside[name] = self._columns[name] = values
        self._numbers.pop(name, None)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def names(self) -> set[str]:
        """Names of all columns."""
        return {*self._columns, *self._numbers} if self._are_all else set(self._beside).union(*self._rows)

    def has(self, name: str) -> bool:
        """Whether any row has that column."""
        if name in self._columns or name in self._numbers:
            return True
        return not self._are_all and any(name in row for row in self._rows)

    def _column(self, name: str) -> Sequence[Any]:
        found = self._columns.get(name)
        return [row.get(name) for row in self._rows] if found is None else found

    def values(self, name: str) -> Sequence[Any]:
        """The column as numpy numbers where all that is there is numeric, else as a list, None where missing."""
        values = self._column(name)
        if not encoding.are_numbers(values):
            return values
        whole = all(isinstance(value, int) for value in values)
        return np.array(values) if whole else encoding.encode_numbers(values)  # type: ignore[return-value]

    def numbers(self, name: str) -> Floats:
        """The column as float64."""
        found = self._numbers.get(name)
        return encoding.encode_numbers(self._column(name)) if found is None else found

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """The column as cells."""
        return encoding.encode_categories(self._column(name), bins)

    def clock(self, name: str, part: str, bins: CategoryBins) -> Ints:
        """A part of a datetime column, such as its hour, as cells."""
        return encoding.encode_clock(self._column(name), part, bins)

    def ids(self, name: str) -> Ints:
        """The column as cells of hashed ids."""
        return encode_ids(self._column(name))

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows themselves, with what stands beside them."""
        if not self._beside:
            return self._rows
        beside = zip(*self._beside.values(), strict=True)
        return [
            {**row, **dict(zip(self._beside, more, strict=True))} for row, more in zip(self._rows, beside, strict=True)
        ]


def _columns(
    rows: Sequence[Mapping[str, Any]], numeric: Collection[str]
) -> tuple[dict[str, Sequence[Any]], dict[str, Floats]]:
    """The columns of rows that all have the same ones, which is fast to tell, and those that are numbers; else none."""
    if not rows or set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(rows[0])}:
        return {}, {}
    numbers = _numbers(rows, [name for name in rows[0] if name in numeric])
    names = [name for name in rows[0] if name not in numbers]
    try:
        if len(names) < 2:
            return {name: list(map(itemgetter(name), rows)) for name in names}, numbers
        values = list(chain.from_iterable(map(itemgetter(*names), rows)))
    except KeyError:
        return {}, {}
    return {name: values[at :: len(names)] for at, name in enumerate(names)}, numbers


def _numbers(rows: Sequence[Mapping[str, Any]], names: list[str]) -> dict[str, Floats]:
    """Columns of numbers alone, without a list of each; none where there is anything else."""
    if len(names) < 2:
        return {}
    try:
        data = b"".join(starmap(Struct(f"{len(names)}d").pack, map(itemgetter(*names), rows)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a name or a number is missing, or a hostile __float__ raises
        return {}
    return dict(zip(names, np.frombuffer(data).reshape(len(rows), -1).T.copy(), strict=True))


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
    counts = Counts(layout, np.zeros(layout.size), _absent(layout, batch))
    if not len(batch):
        return counts
    where = _slices(layout, batch, derived)
    table = counts.table
    at_once = bool(layout.numeric) and len(batch) <= _FEW
    if at_once:
        numbers = [encode(layout, batch, column, derived) for column in layout.numeric]
        layout.panel.count(table, numbers, where)
    table[:, :1] = tabulate(where, np.zeros(len(batch), dtype=np.intp), 1)
    for column in layout.counted:
        bins, place = layout.bins[column.name], layout.cells[column.name]
        if not (at_once and isinstance(bins, NumericBins)):
            values = encode(layout, batch, column, derived)
            table[:, place.start : place.stop] = _count_column(bins, values, where)
    if np.prod(layout.outcome_shape):
        table[:, layout.outcome_start :] = _count_outcomes(layout, _answers(layout, batch, derived), where)
    return counts


@np.errstate(over="ignore", invalid="ignore")
def count_known(
    layout: Layout, batch: Batch, derived: Mapping[str, Derivation] | None = None, *, by_segment: bool = True
) -> Counts:
    """What changes where the outcomes of rows become known that were counted without them.

    Args:
        layout: which count stands where.
        batch: answers, decisions, holdout and segments as they were counted, and the outcomes.
        derived: functions of the derived columns, by name.
        by_segment: the batch has the segments of its rows; without, only all traffic changes.

    Returns:
        Less of "unknown" and as much more of the truths: added to the counts of the rows without outcomes, the
        counts of the rows with them. By itself, nothing but a change: what it takes away may be negative.
    """
    change = Counts.zero(layout)
    if len(batch) and np.prod(layout.outcome_shape):
        where = _slices(layout, batch, derived) if by_segment else []
        known = _answers(layout, batch, derived)
        unknown = known._replace(labels=_unlabelled(layout, len(batch)))
        found = _count_outcomes(layout, known, where) - _count_outcomes(layout, unknown, where)
        change.table[: len(found), layout.outcome_start :] = found
    return change


def _slices(layout: Layout, batch: Batch, derived: Mapping[str, Derivation] | None) -> Sliced:
    """The value of every segment, row by row."""
    return [
        (encode(layout, batch, layout.model.column(name), derived).astype(np.intp), layout.bins[name].size + 2)
        for name in layout.model.segments
    ]


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
    if column.kind == "id":
        return batch.ids(column.source)
    return batch.categories(column.source, bins)


def _count_column(bins: Bins, values: Any, where: Sliced) -> Floats:
    """All counts of one column, shape (slices, cells of the column)."""
    if isinstance(bins, CategoryBins):
        return tabulate(where, values.astype(np.intp, copy=False), bins.size + 2)
    return count_numbers(bins, values, where)


class _Answers(NamedTuple):
    """Some rows' answers and what is known of them, shape (n,) each.

    Attributes:
        answers: of the model: numbers, or cells.
        cells: those of the answers.
        labels: numbers, or cells for classes.
        decided: 1 where the model's decision flags the row, 0 where it does not, anything else unknown; None
            where only the threshold tells.
        cohort: place on the outcome table's first axis.
    """

    answers: Any
    cells: Any
    labels: Any
    decided: Floats | None
    cohort: Ints | None

    def part(self, rows: slice) -> _Answers:
        """The same of some of the rows."""
        parts: list[Any] = [None if one is None else one[rows] for one in self]
        return _Answers(*parts)


def _answers(layout: Layout, batch: Batch, derived: Mapping[str, Derivation] | None) -> _Answers:
    model, bins = layout.model, layout.bins[layout.model.score.name]
    answers = encode(layout, batch, model.score, derived)
    return _Answers(
        answers,
        bins.cells(answers) if isinstance(bins, NumericBins) else answers,
        _labels(layout, batch),
        batch.numbers(model.decision) if model.decision is not None and batch.has(model.decision) else None,
        _cohort(batch, model.holdout),
    )


def _count_outcomes(layout: Layout, some: _Answers, where: Sliced) -> Floats:
    """The outcome table of every slice, flattened, shape (slices, cells of the table)."""
    parts = [_count_answers(layout, some.part(rows), part) for rows, part in blocks(len(some.cells), where)]
    return sum(parts)  # type: ignore[return-value]  # at least one part


def _count_answers(layout: Layout, some: _Answers, where: Sliced) -> Floats:
    """The outcome table of a block of rows, shape (slices, cells of the table)."""
    cohorts, flags, width, truths, _ = layout.outcome_shape
    flagged, truth, sums = _OUTCOMES[layout.model.task](layout, some)
    place = some.cells.astype(np.intp)
    if flagged is not None or some.cohort is not None:
        place += (flags * (0 if some.cohort is None else some.cohort) + (0 if flagged is None else flagged)) * width
    place *= truths
    place += truth
    size = cohorts * flags * width * truths
    statistics = [None, *(np.rint(one * SUM_UNIT) for one in sums)]
    table = np.stack([tabulate(where, place, size, weights) for weights in statistics], axis=2)
    return table.reshape(len(table), -1)


_Outcome: TypeAlias = tuple[Any, Any, list[Floats]]  # flagged, if any may be; truth; and what is summed


def _binary(layout: Layout, some: _Answers) -> _Outcome:
    scores, labels, threshold = some.answers, some.labels, layout.model.threshold
    positive, usable = labels == 1, np.isfinite(scores)
    # arithmetic, since choosing by a mask waits for every other row
    truth = np.full(len(labels), 3, dtype=np.int8)
    for rows, less in (labels == 0, 3), (positive, 2), (np.isnan(labels), 1):
        truth -= rows.view(np.int8) * np.int8(less)
    flagged = None if threshold is None else usable & (scores >= threshold)
    if some.decided is not None:
        undecided = False if flagged is None else flagged
        flagged = np.where(np.isin(some.decided, (0.0, 1.0)), some.decided == 1.0, undecided)
    p = np.where(usable, np.clip(scores, 0.0, 1.0), 0.5)
    tiny = np.finfo(float).eps  # as scikit-learn's log_loss clips
    right = np.maximum(np.abs(p - ~positive), tiny)  # p where positive, else 1 - p
    return flagged, truth, [p, p * p, -np.log(right)]


def _regression(layout: Layout, some: _Answers) -> _Outcome:
    predictions, labels = some.answers, some.labels
    truth = np.select([np.isfinite(labels), np.isnan(labels)], [0, 1], default=2)
    usable = np.isfinite(labels) & np.isfinite(predictions)
    error = np.subtract(predictions, labels, where=usable, out=np.zeros(len(labels)))
    e = np.clip(error / layout.error_scale, -FAR, FAR)
    y = np.clip(np.where(usable, labels - layout.label_center, 0.0) / layout.label_scale, -FAR, FAR)
    return None, truth, [e, np.abs(e), e**2, e**4, y, y**2, y**4, e**2 * y**2]


def _multiclass(layout: Layout, some: _Answers) -> _Outcome:
    return None, some.labels, []


_OUTCOMES: dict[str, Callable[[Layout, _Answers], _Outcome]] = {
    "binary": _binary,
    "regression": _regression,
    "multiclass": _multiclass,
}


def _labels(layout: Layout, batch: Batch) -> Any:
    """Outcomes as numbers, or as cells for classes, shape (n,)."""
    bins, label = layout.bins[layout.model.score.name], layout.model.label
    if label is None or not batch.has(label):
        return _unlabelled(layout, len(batch))
    if layout.model.task == "multiclass":
        assert isinstance(bins, CategoryBins)
        return batch.categories(label, bins)
    return batch.numbers(label)


def _unlabelled(layout: Layout, rows: int) -> Any:
    """The same where no outcome is known."""
    if layout.model.task == "multiclass":
        return np.full(rows, layout.bins[layout.model.score.name].size)
    return np.full(rows, np.nan)


def _cohort(batch: Batch, holdout: str | None) -> Ints | None:
    """0 where nothing is said of a holdout, 1 where a row is not held out, 2 where it is; None without one."""
    if holdout is None or not batch.has(holdout):
        return None
    said = batch.numbers(holdout)
    return np.where(np.isnan(said), 0, np.where(said == 1.0, 2, 1)).astype(np.intp)
