"""Columns that a monitor computes: a user's function, which may raise whatever it likes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wakeful.caching import cached_property
from wakeful.counting import Batch

__all__ = ["Derived"]


@dataclass(frozen=True)
class Derived:
    """A derived column's function, callable on a batch; it never raises.

    Rows for which the function raises, or gives nothing usable, count as invalid: those rows alone, however
    they are batched.
    """

    function: Callable[..., Any]

    @cached_property
    def arguments(self) -> list[str] | None:
        """Names of the columns that it takes; None if it takes rows."""
        parameters = inspect.signature(self.function).parameters.values()
        names = [one.name for one in parameters if one.default is one.empty]
        return None if names == ["row"] else names

    def __call__(self, batch: Batch) -> Sequence[Any]:
        """A value per row of the batch."""
        arguments = self.arguments
        if arguments is None:
            return [self._of_row(row) for row in batch.rows()]
        columns = [batch.values(name) if batch.has(name) else np.full(len(batch), np.nan) for name in arguments]
        return self._of_columns(columns, len(batch))

    def _of_columns(self, columns: list[Any], rows: int) -> Sequence[Any]:
        try:
            with np.errstate(all="ignore"):
                values: Sequence[Any] = self.function(*columns)
            return values if len(values) == rows else [np.inf] * rows
        except Exception:  # the user's code
            if rows <= 1 or not columns:
                return [np.inf] * rows
        half = rows // 2  # the rows it fails on are found by halving
        parts = [column[:half] for column in columns], [column[half:] for column in columns]
        return [*self._of_columns(parts[0], half), *self._of_columns(parts[1], rows - half)]

    def _of_row(self, row: Mapping[str, Any]) -> Any:
        try:
            return self.function(row)
        except Exception:  # the user's code
            return np.inf
