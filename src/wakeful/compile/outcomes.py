"""What a formula of outcomes sees in place of counts: arrays of symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wakeful.bins import CategoryBins
from wakeful.caching import cached_property
from wakeful.compile.promql import quoted
from wakeful.compile.sources import Asked, Sources
from wakeful.compile.symbols import CannotSay, Symbol
from wakeful.counting import FAR
from wakeful.live.export.series import bin_labels
from wakeful.views import ClassOutcomes, NumberOutcomes, Outcomes

__all__ = ["live_outcomes"]

_MOST_CLASSES = 12  # every pair of an answer and a truth is a series that rules name
_STATISTICS = ("error", "absolute_error", "squared_error", "error_to_the_fourth",
               "label", "squared_label", "label_to_the_fourth", "squared_error_by_squared_label")  # fmt: skip


def live_outcomes(sources: Sources, asked: Asked, like: Outcomes) -> Outcomes:
    """Live outcomes, as symbols.

    Args:
        sources: whose series they are.
        asked: which slices of which window.
        like: the same of the reference.
    """
    kinds: dict[type, Callable[..., Any]] = {NumberOutcomes: _LiveNumbers, ClassOutcomes: _LiveClasses}
    if type(like) not in kinds:
        raise CannotSay("binary outcomes are not written down")
    view: Outcomes = kinds[type(like)](**like.__dict__, sources=sources, asked=asked)
    return view


def _total(sources: Sources, asked: Asked, counter: str, **labels: str) -> Symbol:
    """Sum of all series of a counter with some labels."""
    return sources.increase(counter, asked, *(f"{label}={quoted(value)}" for label, value in labels.items()))


@dataclass(frozen=True, eq=False, kw_only=True)
class _LiveNumbers(NumberOutcomes):
    sources: Sources
    asked: Asked

    @cached_property
    def sums(self) -> Any:
        """As of numbers."""
        rows = _total(self.sources, self.asked, "outcome", truth="known")
        error, _, label = self.scales
        units = (error, error, error**2, error**4, label, label**2, label**4, error**2 * label**2)
        found = np.empty(9, dtype=object)
        found[0] = rows
        for at, (name, unit) in enumerate(zip(_STATISTICS, units, strict=True), start=1):
            total = _total(self.sources, self.asked, "outcome_sum", statistic=name)
            found[at] = unit * (total - FAR * rows if name in ("error", "label") else total)
        return found

    @property
    def n(self) -> Any:
        """Labelled rows."""
        return self.sums[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class _LiveClasses(ClassOutcomes):
    sources: Sources
    asked: Asked

    @cached_property
    def matrix(self) -> Any:
        """As of numbers."""
        assert isinstance(self.bins, CategoryBins)
        labels = bin_labels(self.bins)[: self.bins.size]
        if len(labels) > _MOST_CLASSES:
            raise CannotSay(f"the model has more than {_MOST_CLASSES} classes", "checks of its answers")
        found = np.empty((len(labels), len(labels)), dtype=object)
        for row, truth in enumerate(labels):
            for column, answer in enumerate(labels):
                found[row, column] = _total(self.sources, self.asked, "outcome", truth=truth, bin=answer)
        return found

    @property
    def n(self) -> Any:
        """Labelled rows."""
        return self.matrix.sum()
