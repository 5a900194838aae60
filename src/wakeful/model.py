"""What is monitored: columns and the roles they play."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wakeful.caching import cached_property
from wakeful.errors import DataError, UnknownName

__all__ = ["Column", "Kind", "Model", "Task"]

Kind = Literal["numeric", "categorical", "boolean", "hour", "weekday", "hour_of_week", "id"]
Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Column:
    """One counted column.

    Attributes:
        name: how checks call it: ``live["income"]``, ``live["applied_at.hour"]``.
        kind: what its values are; ``hour``, ``weekday`` and ``hour_of_week`` are read from a datetime,
            ``id`` is hashed.
        source: the input column it is read from; differs from ``name`` for parts of a datetime.
        derived: computed by a function of the monitor instead of being read.
    """

    name: str
    kind: Kind
    source: str
    derived: bool = False


@dataclass(frozen=True)
class Model:
    """A monitored model: which columns there are and which roles they play.

    Attributes:
        name: short name of the model, used in file names and labels.
        task: ``binary`` (a score and a decision), ``multiclass`` (a predicted class), ``regression``.
        features: the counted input columns, derived ones included.
        score: the model's answer: a score, a predicted class or a predicted number.
        threshold: binary only: a score at or above it is flagged.
        decision: binary only: column that says whether the row was flagged; the threshold says it where
            the decision is missing.
        label: the outcome, once known.
        holdout: boolean column: let through at random, although flagged; or whatever the model says of it.
        id, time: names of the identifier and the event-time column.
        segments: low-cardinality columns for which everything is counted apart.
    """

    name: str
    task: Task
    features: tuple[Column, ...]
    score: Column
    threshold: float | None = None
    decision: str | None = None
    label: str | None = None
    holdout: str | None = None
    id: str | None = None
    time: str | None = None
    segments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, times in Counter(column.name for column in self.columns).items():
            if times > 1:
                raise DataError(f"column names must be unique, but {name!r} stands {times} times. Rename one.")
        if self.label is not None and self.label == self.score.source:
            raise DataError(
                f"score and label are both {self.label!r}: a model that is compared with itself is always "
                "right. Name the column with the true outcome as label."
            )

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Every counted column: the features, then the score."""
        return (*self.features, self.score)

    def column(self, name: str) -> Column:
        """The column of that name; raises UnknownName with near misses."""
        if name not in self._by_name:
            raise UnknownName("column", name, self._by_name)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def expand(self, names: Sequence[str]) -> tuple[Column, ...]:
        """Columns of these names; a datetime's own name stands for all its parts."""
        found: list[Column] = []
        for name in names:
            parts = [column for column in self.columns if column.source == name and column.name != name]
            found.extend(parts or [self.column(name)])
        return tuple(found)
