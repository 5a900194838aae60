"""Whether outcomes come as they should: how many, how soon, and how many that cannot be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wakeful.errors import MissingExtra
from wakeful.every import Every
from wakeful.outcomes.resolved import Resolved

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "joining outcomes") from error

__all__ = ["AGES", "Ahead", "Health", "Known", "health", "known_by_age", "total"]

_HOUR, _DAY = 3_600.0, 86_400.0
AGES = (
    60.0, 600.0, _HOUR, 6 * _HOUR,
    *(_DAY * days for days in (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270)),
    *(365 * _DAY * years for years in (1, 2, 3, 5)),
)  # fmt: skip  # seconds


class Health(NamedTuple):
    """What is known of the predictions of one window.

    ``predictions = joined + pending + missing``.

    Attributes:
        start: of the window of prediction time, microseconds since 1970.
        predictions: one per id.
        joined: whose outcome is known.
        pending: without an outcome, and its horizon is not over.
        missing: without an outcome in the horizon, which is over.
        late: of the missing, those whose outcome was told after the horizon.
        early: of the joined, those whose outcome was told before the prediction: clocks differ, or ids come again.
        repeats: further predictions of an id that has one.
        duplicates: how often an outcome was told again, with the same value, at another time.
        corrections: how often an outcome was followed by another value.
        contradictions: how often two values were told of one id at the same time.
        unknown: outcomes whose id has no prediction, one per id, in the window of the time when they were told.
        ages: by label (numbers as text; of a regression, all in one, the empty text), how many first outcomes came
            at an age up to each of ``AGES``, and at a greater one: shape (len(AGES) + 1,).
        waiting: ages of the pending, in the same way.
    """

    start: int
    predictions: int
    joined: int
    pending: int
    missing: int
    late: int
    early: int
    repeats: int
    duplicates: int
    corrections: int
    contradictions: int
    unknown: int
    ages: dict[str, tuple[int, ...]]
    waiting: tuple[int, ...]

    @property
    def join_rate(self) -> float:
        """Share of the predictions whose outcome is known; NaN without predictions."""
        return self.joined / self.predictions if self.predictions else float("nan")


class Ahead(NamedTuple):
    """Rows of a time later than the moment that is asked for: predictions, outcomes. Many come from a wrong clock."""

    predictions: int
    outcomes: int


class Known(NamedTuple):
    """How many outcomes are known at an age.

    Attributes:
        age: seconds.
        old_enough: predictions that are so old.
        known: of these, those whose first outcome came within that age.
    """

    age: float
    old_enough: int
    known: int


@dataclass
class _Window:
    """Sums of the whole numbers of ``Health``, in its order up to ``contradictions``, and the rest of it."""

    sums: Any = field(default_factory=lambda: np.zeros(10, dtype=np.int64))
    unknown: int = 0
    ages: dict[str, Any] = field(default_factory=dict)
    waiting: Any = field(default_factory=lambda: np.zeros(len(AGES) + 1, dtype=np.int64))


def health(joined: Resolved, every: str, timezone: str = "UTC") -> list[Health]:
    """Label health per window, in order of time.

    Args:
        joined: what is known.
        every: length of a window.
        timezone: on whose clock windows begin.
    """
    tiles = Every.parse(every, timezone)
    windows: dict[int, _Window] = {}
    with joined.arrivals() as reader:
        for batch in reader:
            _add(windows, batch, joined, tiles)
    orphans = (
        f"SELECT min(told) AS t FROM outcomes WHERE told <= {joined.now} "
        "AND NOT EXISTS (FROM scratch.known WHERE known.key = outcomes.key) GROUP BY key"
    )
    with joined.run(orphans) as reader:
        for batch in reader:
            starts, sizes = np.unique(tiles.starts(_times(batch.column(0))), return_counts=True)
            for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
                windows.setdefault(start, _Window()).unknown += size
    return [_told(start, windows[start]) for start in sorted(windows)]


def total(windows: Sequence[Health]) -> Health:
    """All windows as one."""
    sums = {name: sum(getattr(one, name) for one in windows) for name in Health._fields[1:12]}
    names = sorted({name for one in windows for name in one.ages})
    ages = {name: _added([one.ages[name] for one in windows if name in one.ages]) for name in names}
    start, waiting = windows[0].start if windows else 0, _added([one.waiting for one in windows])
    return Health(start=start, **sums, ages=ages, waiting=waiting)


def _added(histograms: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sum(one) for one in zip(*histograms, strict=True)) or (0,) * (len(AGES) + 1)


def known_by_age(joined: Resolved, ages: Sequence[float] = AGES) -> list[Known]:
    """Of the predictions that are old enough, how many had their first outcome at each age."""
    ages = [one for one in ages if one * 1_000_000 <= joined.horizon]
    columns = ", ".join(
        f"count(*) FILTER (WHERE {joined.now} - t >= {int(one * 1e6)}), "
        f"count(*) FILTER (WHERE {joined.now} - t >= {int(one * 1e6)} AND known_at - t <= {int(one * 1e6)})"
        for one in ages
    )
    if not ages:
        return []
    [row] = joined.rows(f"SELECT {columns} FROM scratch.known")
    return [Known(age, row[2 * at], row[2 * at + 1]) for at, age in enumerate(ages)]


def _add(windows: dict[int, _Window], batch: Any, joined: Resolved, tiles: Every) -> None:
    """Add predictions to their windows."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    t = _ints(columns["t"])
    is_known = _ints(pc.is_valid(columns["known_at"])) == 1
    age = np.where(is_known, _ints(columns["known_at"]) - t, joined.now - t)
    is_late = _ints(columns["is_late"])
    is_pending = ~is_known & (age <= joined.horizon)
    more = [_ints(columns[name]) for name in ("repeats", "duplicates", "corrections", "contradictions")]
    sums = [
        np.ones(len(t), dtype=np.int64), is_known, is_pending, ~is_known & ~is_pending, is_late, is_known & (age < 0),
        *more,
    ]  # fmt: skip
    bucket = np.searchsorted(np.array(AGES) * 1e6, age)
    labels = pc.cast(columns["label"], pa.string()).dictionary_encode() if joined.has_classes else None
    starts, place = np.unique(tiles.starts(_times(columns["t"])), return_inverse=True)
    summed = np.stack([np.bincount(place, one, len(starts)).astype(np.int64) for one in sums], axis=1)
    waiting = _by_window(place, bucket, is_pending, len(starts))
    for at, start in enumerate(starts.tolist()):
        window = windows.setdefault(start, _Window())
        window.sums += summed[at]
        window.waiting += waiting[at]
    names = [""] if labels is None else labels.dictionary.to_pylist()
    codes = np.zeros(len(t), dtype=np.int64) if labels is None else _ints(labels.indices)
    for code, name in enumerate(names):
        counted = _by_window(place, bucket, is_known & (codes == code), len(starts))
        for at in np.flatnonzero(counted.any(axis=1)).tolist():
            ages = windows[int(starts[at])].ages
            ages[name] = ages.get(name, 0) + counted[at]


def _by_window(place: Any, bucket: Any, chosen: Any, size: int) -> Any:
    """Chosen rows by window and bucket of age, shape (size, len(AGES) + 1)."""
    wide = len(AGES) + 1
    return np.bincount(place[chosen] * wide + bucket[chosen], minlength=size * wide).reshape(size, wide)


def _told(start: int, window: _Window) -> Health:
    ages = {name: tuple(window.ages[name].tolist()) for name in sorted(window.ages)}
    sums = dict(zip(Health._fields[1:11], window.sums.tolist(), strict=True))
    return Health(start=start, **sums, unknown=window.unknown, ages=ages, waiting=tuple(window.waiting.tolist()))


def _times(column: Any) -> Any:
    return pc.cast(column, pa.timestamp("us", "UTC"))


def _ints(column: Any) -> Any:
    """Whole numbers or truths as int64, shape (n,); 0 where null."""
    zero = pa.scalar(False if pa.types.is_boolean(column.type) else 0, column.type)
    return pc.cast(pc.fill_null(column, zero), pa.int64()).to_numpy(zero_copy_only=False)
