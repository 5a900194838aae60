"""Observations as a service hands them over -> a batch that can be counted, and rows that can be logged."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from wakeful.bins import CategoryBins, Floats, Ints, NumericBins
from wakeful.counting import Batch, RowBatch
from wakeful.counts import Layout
from wakeful.live.holdout import Holdout

_HOLDING = frozenset({list, tuple, set, frozenset, dict, np.ndarray})
_PART = 256  # observations that are let go of at once
_DEPTH, _ELEMENTS = 3, 8  # so deep, and so many elements of each, are looked at for the size of a value

__all__ = [
    "Observation",
    "Outcome",
    "Reported",
    "Row",
    "Time",
    "batch_of",
    "held_out",
    "logged",
    "rows_of_table",
    "seconds",
    "size",
]

Time: TypeAlias = "float | dt.datetime"  # seconds since 1970, or a datetime
Observation: TypeAlias = "tuple[dict[str, Any], Any, Any, Any, Time | None, Any]"
# features, score, id, decision, when, label
Reported: TypeAlias = "tuple[Any, Any, Time, Any, Any, dict[str, Any] | None]"
# an outcome: id, label, when, and of its answer: score, decision, the features that matter


class Row(NamedTuple):
    """One prediction, as it is logged.

    Attributes:
        features: as the service sent them, by name.
        score: the model's answer.
        observed_at: seconds since 1970.
        id: the identifier; None where the service gave none.
        flagged: whether the model flags it; None where no threshold and no decision tells.
        holdout: whether it was let through at random; None where nobody was drawn.
    """

    features: Mapping[str, Any]
    score: Any
    observed_at: float
    id: Any = None
    flagged: bool | None = None
    holdout: bool | None = None


class Outcome(NamedTuple):
    """What became of one prediction: its id, the true result, when it was told (seconds since 1970)."""

    id: Any
    label: Any
    at: float


class Courteous(RowBatch):
    """A batch that lets the other threads of the service go first before each column is worked on.

    Args:
        rows: the features of some observations.
        numeric: columns that are counted as numbers.
        pause: gives them the time.
    """

    def __init__(self, rows: list[dict[str, Any]], numeric: Collection[str], pause: Callable[[], None]) -> None:
        super().__init__(rows, numeric)
        self._features = rows
        self._pause = pause

    def numbers(self, name: str) -> Floats:
        """The column as float64."""
        self._pause()
        return super().numbers(name)

    def categories(self, name: str, bins: CategoryBins) -> Ints:
        """The column as cells."""
        self._pause()
        return super().categories(name, bins)

    def free(self, some: list[Observation]) -> None:
        """Let go of all observations in small parts: thousands of dicts at once would take milliseconds."""
        while some:
            del some[-_PART:], self._features[-_PART:]
            self._pause()


def batch_of(layout: Layout, some: Sequence[Observation], holdout: Holdout, pause: Callable[[], None]) -> Courteous:
    """Observations as a batch: what is said beside the features has the names of the reference's columns."""
    model = layout.model
    numeric = {column.source for column in layout.numeric if not column.derived}
    batch = Courteous([one[0] for one in some], numeric, pause)
    for name, place in (model.score.source, 1), (model.id, 2), (model.decision, 3), (model.label, 5):
        if name is None:
            continue
        said = [one[place] for one in some]
        unsaid = [at for at, value in enumerate(said) if value is None]
        if len(unsaid) == len(said):
            continue
        for at in unsaid:
            said[at] = some[at][0].get(name)
        batch.put(name, said)
    if model.time is not None and not batch.has(model.time):
        batch.put(model.time, [_moment(one[4]) for one in some])
    if model.holdout is not None and holdout.share and not batch.has(model.holdout):
        ids = [one[2] for one in some]
        batch.put(model.holdout, holdout.drawn(_flags(layout, batch), ids, _scores(layout, batch).tolist()))
    return batch


def held_out(layout: Layout, batch: Batch, holdout: Holdout) -> Batch:
    """A table with the column of the holdout, drawn from its rows by their ids, where it can be and is not."""
    model = layout.model
    if model.holdout is None or model.id is None or not holdout.share:
        return batch
    if batch.has(model.holdout) or not batch.has(model.id):
        return batch
    ids = batch.values(model.id)
    held = holdout.drawn(_flags(layout, batch), ids, _scores(layout, batch).tolist())
    if isinstance(batch, RowBatch):
        batch.put(model.holdout, held)
        return batch
    from wakeful.live.log.fitting import fit  # a table of Arrow: pyarrow is there
    from wakeful.tables import ArrowBatch

    assert isinstance(batch, ArrowBatch)
    return ArrowBatch(batch.record_batch.append_column(model.holdout, fit("truth", held).array))


def logged(layout: Layout, some: Sequence[Observation], batch: RowBatch) -> list[Row]:
    """The same observations as rows of the log."""
    flagged, held = _decided(layout, batch)
    return [
        Row(features, score, seconds(at), id, flag, hold)
        for (features, score, id, _, at, _), flag, hold in zip(some, flagged, held, strict=True)
    ]


def rows_of_table(layout: Layout, batch: Batch) -> list[Row]:
    """A table as rows of the log, all observed now."""
    model, now = layout.model, time.time()
    flagged, held = _decided(layout, batch)
    rows = []
    for features, flag, hold in zip(batch.rows(), flagged, held, strict=True):
        id = None if model.id is None else features.get(model.id)
        rows.append(Row(features, features.get(model.score.source), now, id, flag, hold))
    return rows


def _decided(layout: Layout, batch: Batch) -> tuple[list[bool | None], list[bool | None]]:
    """Whether each row was flagged, and whether it was held out."""
    model = layout.model
    nothing: list[bool | None] = [None] * len(batch)
    flagged = nothing if model.threshold is None and model.decision is None else _flags(layout, batch).tolist()
    if model.holdout is None or not batch.has(model.holdout):
        return flagged, nothing
    said = batch.numbers(model.holdout)
    return flagged, [None if one != one else one == 1.0 for one in said.tolist()]


def _flags(layout: Layout, batch: Batch) -> Any:
    """Whether the model flags each row, shape (n,): by its decision where it is known, else by the threshold."""
    model = layout.model
    flagged = np.zeros(len(batch), dtype=bool)
    if model.threshold is not None and isinstance(layout.bins[model.score.name], NumericBins):
        scores = _scores(layout, batch)
        flagged = np.isfinite(scores) & (scores >= model.threshold)
    if model.decision is not None and batch.has(model.decision):
        said = batch.numbers(model.decision)
        flagged = np.where(np.isin(said, (0.0, 1.0)), said == 1.0, flagged)
    return flagged


def _scores(layout: Layout, batch: Batch) -> Floats:
    """The answers as numbers, shape (n,): NaN where there is none, or where they are classes."""
    score = layout.model.score
    if not isinstance(layout.bins[score.name], NumericBins) or not batch.has(score.source):
        return np.full(len(batch), np.nan)
    return batch.numbers(score.source)


def seconds(at: Any) -> float:
    """Seconds since 1970 of a time as it was given; now where it is none. A datetime without zone is UTC."""
    try:
        if isinstance(at, dt.datetime):
            return (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp()
        return float(_moment(at).timestamp())  # type: ignore[union-attr]  # only a number that is a date
    except Exception:
        return time.time()


def _moment(at: Any) -> dt.datetime | None:
    """A time as it was given as a datetime; None where it is none."""
    try:
        return at if isinstance(at, dt.datetime) else dt.datetime.fromtimestamp(at, dt.UTC)
    except Exception:
        return None


def size(values: Sequence[Any]) -> int:
    """Bytes of some values, about; hostile ones count as large."""
    try:
        if _HOLDING.isdisjoint(map(type, values)):
            return sum(map(sys.getsizeof, values))
        return sum(_size(value, _DEPTH) for value in values)
    except BaseException:
        return 2**20


def _size(value: Any, depth: int) -> int:
    """Bytes of a value with what it holds, judged by its first elements."""
    if isinstance(value, np.ndarray):
        return max(sys.getsizeof(value), value.nbytes)  # a view keeps what it looks at
    own = sys.getsizeof(value)
    if type(value) not in _HOLDING or not depth or not value:
        return own
    some = list(islice(value.values() if type(value) is dict else value, _ELEMENTS))
    return own + len(value) * sum(_size(one, depth - 1) for one in some) // len(some)
