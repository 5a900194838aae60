"""From training data to a reference, in two streaming passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from wakeful.bins import Bins, CategoryBins, Floats, Ints, NumericBins
from wakeful.counting import Derivation, count, encode
from wakeful.counts import CLOCK, IDS, Counts, Layout
from wakeful.errors import DataError, UnknownName
from wakeful.ids import BINS
from wakeful.learning.binning import bins_of_categories, bins_of_clock, bins_of_numbers, bins_of_scores
from wakeful.learning.infer import Roles, infer_model
from wakeful.learning.profile import Profile, is_number, profile
from wakeful.learning.seasons import SeasonCounter, with_clock
from wakeful.learning.windows import WindowCounter, strays_of
from wakeful.model import Column, Model
from wakeful.reference import Reference, Windows
from wakeful.tables import ArrowBatch, Table

__all__ = ["Learnt", "learn_all"]

_FEWEST_ROWS = 20
_MOST_SEGMENT_VALUES = 50


class Learnt(NamedTuple):
    """A reference, and what is not kept in it.

    Attributes:
        reference: to be saved.
        windows: counts of the time windows, from which limits are learnt; empty without time.
        notes: what was left out and why, sentences for people.
    """

    reference: Reference
    windows: list[Counts]
    notes: list[str]


@np.errstate(over="ignore", invalid="ignore")  # numbers beyond all reason are no reason to stop
def learn_all(data: object, roles: Roles, derived: Mapping[str, Derivation] | None = None) -> Learnt:
    """Learn a reference.

    Args:
        data: training or validation rows: a path, a data frame, an Arrow stream, a dict of columns.
        roles: which column is the score, the label, …
        derived: functions of derived columns, by name.

    Raises:
        DataError: the data are empty, or cannot play these roles; the message says why.
        UnknownName: a named column is not there; near misses are listed.
    """
    table = Table(data)
    roles.check(table.schema)
    table.refuse_text(decision=roles.decision, holdout=roles.holdout)
    named = [name for name in (roles.score, roles.label, *roles.segments) if name]
    named += [name for name, kind in roles.kinds.items() if kind in ("categorical", "boolean")]
    seen = profile(table, named)
    if seen.rows < _FEWEST_ROWS:
        raise DataError(
            f"a reference needs at least {_FEWEST_ROWS} rows, but the data have {seen.rows}. Give more training data."
        )
    model, notes = infer_model(roles, seen)
    model, extra = _add_derived(model, seen, derived or {})
    bins = {column.name: _bins(column, model, seen) for column in model.columns if not column.derived} | extra
    if model.id is not None:
        bins[IDS] = BINS
    layout = with_clock(Layout(model, bins, *_scales(model, seen)), seen, derived)
    counter = WindowCounter.over(layout, seen)
    seasons = SeasonCounter(layout) if CLOCK in layout.bins else None
    counts = Counts.zero(layout)
    for batch in table.batches():
        counts += count(layout, batch, derived)
        for one in (counter, seasons):
            if one is not None:
                one.add(batch, derived)
    reference = Reference(layout, counts, _importance(layout, seen, derived))
    if seasons is not None:
        reference = replace(reference, seasons=seasons.table)
        notes.append(f"{model.time}: hours of the week differ, so live rows are compared with the same hours")
    windows: list[Counts] = []
    if counter is not None:
        reference = replace(reference, strays=strays_of(reference, counter))
        if counter.main is not None:
            windows = counter.windows(counter.main)
            reference = replace(reference, windows=Windows(counter.main, len(windows)))
    if model.time is not None and not windows:
        notes.append(f"{model.time}: too few rows per time window to learn how much windows vary by themselves")
    notes += [f"{name}: missing in every row" for name in _empty(reference)]
    return Learnt(reference, windows, notes)


def _bins(column: Column, model: Model, seen: Profile) -> Bins:
    known = seen.columns[column.source]
    if column.kind in ("hour", "weekday"):
        return bins_of_clock(column.kind)
    if column is model.score and model.task == "multiclass":
        classes = known.categories + (seen.columns[model.label].categories if model.label else type(known.categories)())
        return bins_of_categories(classes, truncated=False, most=len(classes))
    if column.name in model.segments and len(known.categories) > _MOST_SEGMENT_VALUES:
        raise DataError(
            f"segment {column.name!r} has {len(known.categories):,} different values, at most {_MOST_SEGMENT_VALUES} "
            "can be counted apart. Choose a coarser column."
        )
    if column.kind in ("categorical", "boolean"):
        most = _MOST_SEGMENT_VALUES if column.name in model.segments else 30
        return bins_of_categories(known.categories, known.truncated, most)
    numbers = seen.numbers(column.source)
    if column is model.score and model.task == "binary":
        return bins_of_scores(numbers, known.low, known.high, model.threshold)
    return bins_of_numbers(numbers, known.low, known.high)


def _scales(model: Model, seen: Profile) -> tuple[float, float, float]:
    """Units of regression sums: largest error, middle and half range of the label."""
    if model.task != "regression" or model.label is None:
        return (1.0, 0.0, 1.0)
    labels, errors = seen.numbers(model.label), seen.numbers(model.score.source) - seen.numbers(model.label)
    labels, errors = labels[np.isfinite(labels)], errors[np.isfinite(errors)]
    if not len(errors):
        raise DataError(f"no row has both a prediction and a label {model.label!r}. Leave the label out, or give some.")
    center = float(labels.mean())
    return (float(np.abs(errors).max()) or 1.0, center, float(np.abs(labels - center).max()) or 1.0)


def _add_derived(model: Model, seen: Profile, derived: Mapping[str, Derivation]) -> tuple[Model, dict[str, Bins]]:
    """Derived columns get their kind and bins from the sample."""
    sample = ArrowBatch(seen.sample.combine_chunks().to_batches()[0])
    columns: list[Column] = []
    bins: dict[str, Bins] = {}
    for name, function in derived.items():
        for argument in getattr(function, "arguments", None) or ():
            if not sample.has(argument):
                raise UnknownName(f"column of the derived column {name!r}", argument, seen.schema.names)
        part = profile(Table({name: list(function(sample))}))
        known = part.columns[name]
        if not (known.categories or known.low <= known.high):
            raise DataError(
                f"derived column {name!r} has no number, text or truth value in any row: does its function fail? "
                "Call it on one row."
            )
        if is_number(part.kind(name)):
            columns.append(Column(name, "numeric", name, derived=True))
            bins[name] = bins_of_numbers(part.numbers(name), known.low, known.high)
        else:
            columns.append(Column(name, "categorical", name, derived=True))
            bins[name] = bins_of_categories(known.categories, known.truncated)
    return replace(model, features=(*model.features, *columns)), bins


def _importance(layout: Layout, seen: Profile, derived: Mapping[str, Derivation] | None) -> dict[str, float]:
    """Correlation ratio of the score given each feature's cells, adjusted like R² (Kelley 1935).

    It sees each feature alone: of what only an interaction explains, nothing.
    """
    model = layout.model
    sample = ArrowBatch(seen.sample.combine_chunks().to_batches()[0])
    if model.task == "multiclass":
        bins = layout.bins[model.score.name]
        assert isinstance(bins, CategoryBins)
        scores = np.eye(bins.size + 2)[sample.categories(model.score.source, bins)]
    else:
        scores = sample.numbers(model.score.source)[:, None]
    usable = np.isfinite(scores).all(axis=1)
    found = {}
    for column in model.features:
        cells = _cells_of(layout, sample, column, derived)
        found[column.name] = round(_correlation_ratio(cells[usable], scores[usable]), 4)
    return found


def _cells_of(layout: Layout, batch: ArrowBatch, column: Column, derived: Mapping[str, Derivation] | None) -> Ints:
    """The cell of every row in one column, shape (n,)."""
    values = encode(layout, batch, column, derived)
    bins = layout.bins[column.name]
    return (bins.cells(values) if isinstance(bins, NumericBins) else values).astype(np.intp)


def _correlation_ratio(cells: Ints, scores: Floats) -> float:
    n = len(scores)
    total = ((scores - scores.mean(axis=0)) ** 2).sum()
    times = np.bincount(cells)
    used = times > 0
    if total <= 0 or n <= used.sum() + 1:
        return 0.0
    between = 0.0
    for column in (scores - scores.mean(axis=0)).T:
        sums = np.bincount(cells, column)
        between += float((sums[used] ** 2 / times[used]).sum())
    adjusted = 1.0 - (1.0 - between / total) * (n - 1) / (n - used.sum())
    return float(np.sqrt(max(0.0, adjusted)))


def _empty(reference: Reference) -> Iterator[str]:
    for column in reference.layout.hourly:  # ids may exist in live data only
        place = reference.layout.cells[column.name]
        row: Any = reference.counts.table[0]
        if not row[place.start : place.start + place.values].any():
            yield column.name
