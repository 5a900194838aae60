"""What a formula of outcomes sees in place of counts: arrays of symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import CategoryBins
from wakeful.caching import cached_property
from wakeful.compile.promql import quoted
from wakeful.compile.sources import Asked, Sources
from wakeful.compile.symbols import CannotSay, Symbol, chosen
from wakeful.counting import FAR
from wakeful.live.export.series import bin_labels
from wakeful.views import BinaryOutcomes, ClassOutcomes, NumberOutcomes, Outcomes

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
    kinds: dict[type, Callable[..., Any]] = {
        BinaryOutcomes: _LiveBinary,
        NumberOutcomes: _LiveNumbers,
        ClassOutcomes: _LiveClasses,
    }
    known = {one.name: getattr(like, one.name) for one in fields(like)}
    view: Outcomes = kinds[type(like)](**known | {"table": _Hidden()}, sources=sources, asked=asked)
    return view


class _Hidden:
    """Stands for the table of outcomes, of which only sums have symbols."""

    def __getitem__(self, place: Any) -> NoReturn:
        raise CannotSay("it looks at outcomes score by score", "precision, recall, or accuracy")

    __getattr__ = __getitem__


def _total(sources: Sources, asked: Asked, counter: str, **labels: str) -> Symbol:
    """Sum of all series of a counter with some labels."""
    return sources.increase(counter, asked, *(f"{label}={quoted(value)}" for label, value in labels.items()))


@dataclass(frozen=True, eq=False, kw_only=True)
class _LiveBinary(BinaryOutcomes):
    sources: Sources
    asked: Asked

    def __post_init__(self) -> None:
        if self.held_out and (self.release.from_all or self.release.strata.any()):
            raise CannotSay("its holdout is drawn by the score, or from all cases", "the same without the holdout")

    @cached_property
    def decided(self) -> Any:
        """As of numbers."""
        return _boxes([self._total("answer", flagged=flagged) for flagged in _FLAGGED])

    @cached_property
    def matrix(self) -> Any:
        """As of numbers."""
        self.must_decide()
        truths = ("negative", "positive")
        unflagged, flagged = (
            [self._total("outcome", flagged=flagged, truth=truth) for truth in truths] for flagged in _FLAGGED
        )
        if self.held_out and self.sources.reference.model.holdout is not None:
            said = self._total("answer", flagged="true") - self._total("answer", flagged="true", cohort="unsaid")
            held_out = [self._total("outcome", flagged="true", truth=truth, cohort="holdout") for truth in truths]
            flagged = [chosen(said > 0.0, *pair) for pair in zip(held_out, flagged, strict=True)]
        return _boxes([unflagged, flagged])

    @cached_property
    def weights(self) -> Any:
        """As of numbers."""
        raise CannotSay("it weighs outcomes score by score", "precision, recall, or accuracy")

    def weighs_alike(self, decisions: NDArray[np.bool_]) -> bool:
        """As of numbers."""
        if decisions.sum() < 2:
            return True
        (unflagged, flagged), known = self.decided, self.matrix.sum(axis=1)
        if not (unflagged > 0 and flagged > 0):
            return True
        return bool(unflagged * known[1] == flagged * known[0]) and bool(known[0] > 0)

    @property
    def n(self) -> Any:
        """Labelled rows."""
        return self.matrix.sum()

    @property
    def drawn_from(self) -> tuple[Any, Any]:
        """As of numbers."""
        self.must_decide()
        if self.sources.reference.model.holdout is None or self.release.from_all:
            raise CannotSay("no flagged cases alone are held out")
        rest, held_out = (
            self.sources.increase("answer", self.asked, 'flagged="true"', f"cohort={quoted(cohort)}", by=("bin",))
            for cohort in ("rest", "holdout")
        )
        return rest, held_out

    @property
    def odds(self) -> Any:
        """As of numbers."""
        if self.release.strata.any():
            raise CannotSay("its holdout is drawn by the score", "holdout_share")
        return 1.0

    def _total(self, counter: str, **labels: str) -> Symbol:
        return _total(self.sources, self.asked, counter, **labels)


_FLAGGED = ("false", "true")


def _boxes(rows: list[Any]) -> Any:
    """An array of symbols; numpy would look for numbers in them."""
    found = np.empty((len(rows), len(rows[0])) if isinstance(rows[0], list) else len(rows), dtype=object)
    for at, one in enumerate(rows):
        found[at] = one
    return found


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
        raised = FAR * _total(self.sources, self.asked, "outcome_sum", statistic="rows")  # prolonged as what it raised
        for at, (name, unit) in enumerate(zip(_STATISTICS, units, strict=True), start=1):
            total = _total(self.sources, self.asked, "outcome_sum", statistic=name)
            found[at] = unit * (total - raised if name in ("error", "label") else total)
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
