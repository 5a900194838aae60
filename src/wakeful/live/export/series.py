"""Which series a layout becomes in Prometheus, and which counts each of them adds up.

Every series is a weighted sum of cells of one slice and never falls: what may be negative, such as a sum of
errors, is raised by the most that a row can take off, and the rows that raised it are told beside it, as one series.
Rows whose outcome is unknown become fewer when it comes, so they are told as the rows that were answered, less those
whose outcome is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import HALF, REACH, Bins, CategoryBins, Ints, NumericBins
from wakeful.counting import FAR
from wakeful.counts import SUM_UNIT, Cells, Layout

__all__ = [
    "HELP",
    "HOUR",
    "KNOWN",
    "REFERENCE",
    "SHARES",
    "TIMED",
    "Series",
    "bin_labels",
    "series_of_column",
    "series_of_outcomes",
    "series_of_rows",
    "unique",
]

_BY_BIN, SHARES = "wakeful_bin_total", "wakeful_reference_share"
_MISSING, _ROWS = "wakeful_reference_missing_share", "wakeful_reference_rows"
_ANSWERS, _SCORES = "wakeful_answer_total", "wakeful_answer_score_total"
_OUTCOMES, _OUTCOME_SUMS = "wakeful_outcome_total", "wakeful_outcome_sum_total"
TIMED, KNOWN, HOUR = "wakeful_timed_rows_total", "wakeful_usual_rows_total", "wakeful_usual_hour_total"

HELP = {
    "wakeful_rows_total": "Rows counted.",
    _BY_BIN: "Rows by the value of a column; (missing) and (invalid) beside the bins of its values.",
    "wakeful_column_sum_total": (
        "Sums of a numeric column: of rows, of steps above the lowest that is summed, of squared steps from its origin."
    ),
    "wakeful_off_grid_total": "Rows whose value has more decimals than nearly all had in training.",
    _ANSWERS: "Rows by answer, whether or not their outcome is known.",
    _SCORES: "Sum of the scores of these rows, where scores are probabilities.",
    _OUTCOMES: "Rows by answer and true outcome, where that is known; it may have come long after the answer.",
    "wakeful_outcome_invalid_total": "Rows whose outcome is no valid one.",
    _OUTCOME_SUMS: "Sums over rows with an answer and a known outcome; errors and labels in the reference's scales.",
    TIMED: "Rows that have a time.",
    KNOWN: "Rows of an hour of the week of which training had rows.",
    HOUR: "The same by hour, divided by the root of the rows that training had of it and one more.",
    "wakeful_usual_bin_total": "Rows by the value of a column, as training had them at the same hours of the week.",
    "wakeful_usual_column_sum_total": "Sums of a numeric column, likewise.",
    "wakeful_usual_off_grid_total": "Rows whose value has more decimals than most, likewise.",
    SHARES: "Share of a bin to expect among the values: that of training, which new categories take a part of.",
    _MISSING: "Share of rows without a value in training.",
    _ROWS: "Rows of the training data.",
}
REFERENCE = frozenset((SHARES, _MISSING, _ROWS))  # calculated from the reference, not from live counts

_LONGEST = 100  # characters of a label
_STATISTICS = ("error", "absolute_error", "squared_error", "error_to_the_fourth",
               "label", "squared_label", "label_to_the_fourth", "squared_error_by_squared_label")  # fmt: skip
_SIGNED = ("error", "label")


class Series(NamedTuple):
    """One series of every slice for which it is exported.

    Attributes:
        name: of its metric.
        labels: beside those of the model and the slice.
        cells: places inside a slice.
        weights: what each counts for.
    """

    name: str
    labels: dict[str, str]
    cells: Sequence[int]
    weights: Sequence[float]


def _sum(name: str, cells: NDArray[np.intp], **labels: str) -> Series:
    places = cells.ravel().tolist()
    return Series(name, labels, places, [1.0] * len(places))


def _total(name: str, cells: NDArray[np.intp], **labels: str) -> Series:
    """A sum of the outcome table, in units instead of its steps."""
    found = _sum(name, cells, **labels)
    return found._replace(weights=[1 / SUM_UNIT] * len(found.cells))


def bin_labels(bins: Bins) -> list[str]:
    """A label for every cell of a column that is no fingerprint: its bins, missing, invalid. No two are equal.

    Categories are called by their names; bins of numbers by their place and what they hold, so that they sort.
    """
    if isinstance(bins, NumericBins):
        return [*(f"{at:02d} {bins.describe(at)}" for at in range(bins.size)), "(missing)", "(invalid)"]
    return unique([str(one) for one in bins.categories], ("(other)", "(unseen)", "(missing)", "(invalid)"))


def unique(names: Sequence[str], fixed: Sequence[str]) -> list[str]:
    """Names as labels, then the fixed ones; a name that is taken already gets its place in front."""
    labels: dict[str, None] = dict.fromkeys(fixed)
    for at, name in enumerate(names):
        label = name.encode("utf-8", "backslashreplace").decode()[:_LONGEST]
        while label in labels:
            label = f"{at:02d} {label}"
        labels[label] = None
    return [*list(labels)[len(fixed) :], *fixed]


def series_of_rows() -> list[Series]:
    """The number of rows, live and in the reference."""
    first = np.zeros(1, dtype=np.intp)
    return [_sum("wakeful_rows_total", first), _sum(_ROWS, first)]


def series_of_column(layout: Layout, name: str) -> list[Series]:
    """All of one column but its fingerprints."""
    place, bins = layout.cells[name], layout.bins[name]
    labels = bin_labels(bins)
    cells = np.arange(place.start, place.start + place.values + 2)
    found = [_sum(_BY_BIN, cells[at], column=name, bin=label) for at, label in enumerate(labels)]
    found += [_sum(SHARES, cells[at], column=name, bin=label) for at, label in enumerate(labels[: place.values])]
    found.append(_sum(_MISSING, cells[place.values], column=name))
    return found + (_sums_of_column(name, place, bins) if isinstance(bins, NumericBins) else [])


def _sums_of_column(name: str, place: Cells, bins: NumericBins) -> list[Series]:
    step, upper, lower, off = range(place.stop - place.sums, place.stop)
    values = range(place.start, place.start + place.values)
    sums = "wakeful_column_sum_total"
    found = [
        Series(sums, {"column": name, "statistic": "rows"}, values, [1.0] * len(values)),
        Series(sums, {"column": name, "statistic": "steps"}, [step, *values], [1.0, *[float(REACH)] * len(values)]),
        Series(sums, {"column": name, "statistic": "squared_steps"}, [upper, lower], [HALF, 1.0]),
    ]
    if bins.decimals is not None:
        found.append(Series("wakeful_off_grid_total", {"column": name}, [off], [1.0]))
    return found


def series_of_outcomes(layout: Layout) -> list[Series]:
    """What every signal of outcomes needs; none where there are no outcomes."""
    shape = layout.outcome_shape
    if not np.prod(shape):
        return []
    table = np.arange(np.prod(shape)).reshape(shape) + layout.outcome_start
    return list(
        {"binary": _binary, "regression": _regression, "multiclass": _classes}[layout.model.task](layout, table)
    )


class _Group(NamedTuple):
    """Rows of one decision, and where somebody is held out, of one cohort."""

    flagged: int
    cohort: str
    cohorts: list[int]

    @property
    def labels(self) -> dict[str, str]:
        return {"flagged": ("false", "true")[self.flagged], "cohort": self.cohort}


def _groups(layout: Layout) -> list[_Group]:
    """Only flagged rows are held out; the others are one cohort."""
    model = layout.model
    every = list(range(layout.outcome_shape[0]))
    unflagged = _Group(0, "any", every)
    if model.threshold is None and model.decision is None:
        return [unflagged]
    if model.holdout is None:
        return [unflagged, _Group(1, "any", every)]
    return [unflagged, *(_Group(1, name, [at]) for at, name in enumerate(("unsaid", "rest", "holdout")))]


def _binary(layout: Layout, table: Ints) -> Iterator[Series]:
    bins, has_label = layout.bins[layout.model.score.name], layout.model.label is not None
    labels, possible = bin_labels(bins), _possible(layout)
    truths = {"negative": 0, "positive": 1} if has_label else {}
    for group in _groups(layout):
        rows = table[group.cohorts, group.flagged]
        for at in np.flatnonzero(possible[group.flagged]):
            yield _sum(_ANSWERS, rows[:, at, :, 0], **group.labels, bin=labels[at])
            for truth, place in truths.items():
                yield _sum(_OUTCOMES, rows[:, at, place, 0], **group.labels, bin=labels[at], truth=truth)
    if has_label:
        yield _sum("wakeful_outcome_invalid_total", table[..., 3, 0])
    if has_label and isinstance(bins, NumericBins) and bins.low >= 0.0 and bins.high <= 1.0:  # a probability
        for group in _groups(layout):
            yield from _binary_sums(table[group.cohorts, group.flagged], possible[group.flagged], labels, group)


def _binary_sums(table: Ints, possible: NDArray[np.bool_], labels: list[str], group: _Group) -> Iterator[Series]:
    answered = table[:, : len(labels) - 2]
    known = answered[:, :, :2]
    for at in np.flatnonzero(possible[: known.shape[1]]):
        yield _total(_SCORES, answered[:, at, :, 1], **group.labels, bin=labels[at])
        yield _total(_OUTCOME_SUMS, known[:, at, :, 1], **group.labels, bin=labels[at], statistic="score")
    yield _total(_OUTCOME_SUMS, known[:, :, 1, 1], **group.labels, statistic="score_of_positives")
    yield _total(_OUTCOME_SUMS, known[..., 2], **group.labels, statistic="squared_score")
    yield _total(_OUTCOME_SUMS, known[..., 3], **group.labels, statistic="log_loss")


def _possible(layout: Layout) -> NDArray[np.bool_]:
    """Whether an answer in a cell may be unflagged, and flagged, shape (2, answers).

    Where the threshold alone decides, only the bin that it cuts may be both.
    """
    model, bins = layout.model, layout.bins[layout.model.score.name]
    possible = np.ones((2, bins.size + 2), dtype=bool)
    if model.decision is None and model.threshold is not None and isinstance(bins, NumericBins):
        ends = np.concatenate(([-np.inf], bins.edges, [np.inf]))
        possible[0, : bins.size] = ends[:-1] < model.threshold
        possible[1, : bins.size] = ends[1:] > model.threshold
        possible[1, bins.size :] = False
    return possible


def _regression(layout: Layout, table: Ints) -> Iterator[Series]:
    answered = table[..., : layout.bins[layout.model.score.name].size, 0, :]
    rows = answered[..., 0]
    for at, label in enumerate(bin_labels(layout.bins[layout.model.score.name])):
        yield _sum(_ANSWERS, table[..., at, :, 0], bin=label)
        if at < rows.shape[-1]:  # an error needs a prediction
            yield _sum(_OUTCOMES, table[..., at, 0, 0], bin=label, truth="known")
    yield _sum("wakeful_outcome_invalid_total", table[..., 2, 0])
    yield _sum(_OUTCOME_SUMS, rows, statistic="rows")
    for at, name in enumerate(_STATISTICS, start=1):
        one = _total(_OUTCOME_SUMS, answered[..., at], statistic=name)
        if name in _SIGNED:
            cells = rows.ravel().tolist()
            one = one._replace(cells=[*one.cells, *cells], weights=[*one.weights, *[FAR] * len(cells)])
        yield one


def _classes(layout: Layout, table: Ints) -> Iterator[Series]:
    bins = layout.bins[layout.model.score.name]
    assert isinstance(bins, CategoryBins)
    labels = bin_labels(bins)[: bins.size]
    for at, answer in enumerate(labels):
        yield _sum(_ANSWERS, table[..., at, :, 0], bin=answer)
        for place, truth in enumerate(labels):
            yield _sum(_OUTCOMES, table[..., at, place, 0], bin=answer, truth=truth)
    yield _sum("wakeful_outcome_invalid_total", table[..., -1, 0])
