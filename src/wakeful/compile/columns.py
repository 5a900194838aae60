"""What a formula of columns sees in place of counts: arrays of symbols, live and of the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wakeful.bins import REACH, CategoryBins
from wakeful.caching import cached_property
from wakeful.compile.promql import quoted
from wakeful.compile.sources import SHARES, Asked, Sources
from wakeful.compile.symbols import CannotSay, Operand, Symbol
from wakeful.counts import Slice
from wakeful.live.export.series import bin_labels
from wakeful.views import ColumnCounts, column_counts

__all__ = ["HourlyColumn", "Hours", "LiveColumn", "Mixed", "UsualColumn"]


class Mixed(CannotSay):
    """A formula asks for the kind of columns that have different ones."""


@dataclass(frozen=True, eq=False)
class LiveColumn:
    """``views.ColumnCounts`` of live columns of one kind, or of one column, as symbols.

    Attributes:
        sources: whose series they are.
        asked: which columns and slices of which window.
        like: the reference's counts of one of these columns, whose kind all share.
        is_expected: with the unseen rows to expect (``views.ColumnCounts.expected``).
    """

    sources: Sources
    asked: Asked
    like: ColumnCounts
    is_expected: bool = False

    @property
    def kind(self) -> str:
        """Of these columns."""
        self._alike()
        return self.like.kind

    @property
    def bins(self) -> Any:
        """Of one of them; only what all of a kind share may be asked of it."""
        self._alike()
        return self.like.bins

    def _alike(self) -> None:
        """Columns of different kinds are one vector only for formulas that do not ask for their kind."""
        bins = self.sources.reference.layout.bins
        if len({type(bins[name]) for name in self.asked.columns}) > 1:
            raise Mixed("it asks for the kind of columns that have different ones")

    def _increase(self, counter: str, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        return self.sources.increase(counter, self.asked, *matchers, by=by)

    @cached_property
    def values(self) -> Symbol:
        """Rows per bin."""
        counted = self._increase("bin", 'bin!~"[(]missing[)]|[(]invalid[)]"', by=("bin",))
        return self._with_new(counted) if self.is_expected else counted

    def _with_new(self, rows: Symbol) -> Symbol:
        """As ``views.ColumnCounts.expected``."""
        new, found = self._new_share * rows.sum(), self._beside("(other)")
        rare: Any = Symbol("default", (found, rows.sum()), found.labels)  # numbers have none
        of_rare = new * (self._is_in("(unseen)", rows) - self._is_in("(other)", rows))
        of_all = new * self._is_in("(unseen)", rows) - self._new_share * rows
        expected: Symbol = rows + np.where(rare >= new, of_rare, of_all)
        return expected

    def _is_in(self, bin: str, rows: Symbol) -> Symbol:
        """1 for a bin, 0 for all others."""
        found = 0.0 * self._increase("bin", f"bin={quoted(bin)}", by=("bin",)) + 1.0
        return Symbol("default", (found, rows), rows.labels)

    @property
    def _new_share(self) -> Operand:
        """The share of new categories to expect; of numbers, 0."""
        bins = self.sources.reference.layout.bins

        def share(column: str | None, _: Slice) -> float:
            one = bins[str(column)]
            return one.new_share if isinstance(one, CategoryBins) else 0.0

        return self.sources.constant(self.asked, share)

    @property
    def expected(self) -> LiveColumn:
        """As a reference: with the unseen rows to expect."""
        share = self._new_share
        return self if not isinstance(share, Symbol) and not share else replace(self, is_expected=True)

    @property
    def unseen(self) -> Operand:
        """As a reference: rows to expect with a value that training did not show."""
        return self._new_share * self.n

    @property
    def not_shown(self) -> str:
        """As a reference: the mark of bins that training did not show."""
        return "new"

    def groups(self, wanted: int) -> str:
        """As a reference: the label that names the group of each bin."""
        return f"of_{wanted}"

    def _beside(self, bin: str) -> Symbol:
        return self._increase("bin", f"bin={quoted(bin)}", by=("bin",)).sum()

    @property
    def missing(self) -> Symbol:
        """Rows without a value."""
        return self._beside("(missing)")

    @property
    def invalid(self) -> Symbol:
        """Rows with one of the wrong type."""
        return self._beside("(invalid)")

    @property
    def n(self) -> Symbol:
        """Rows that have a value."""
        return self.values.sum()

    @property
    def rows(self) -> Symbol:
        """All rows; of columns, the sum of their bins.

        Where a counter was near 0 before its window, Prometheus prolongs its increase by less: a bin may grow by less
        than its part of all rows, and shares of rows that were counted otherwise would not add up to 1.
        """
        if not self.asked.columns:
            return self.sources.rows(self.asked)
        return self._increase("bin", by=("bin",)).sum()

    @property
    def share(self) -> Symbol:
        """Share of each bin among the rows that have a value."""
        share: Symbol = self.values / self.n
        return share

    @property
    def off_grid(self) -> Symbol:
        """Rows whose value is finer than the grid of the column; absent where it has none."""
        found = self._increase("off_grid")
        return Symbol("default", (found, self.n), found.labels)

    @property
    def steps(self) -> Symbol:
        """Sum of steps from the origin.

        What was added to each value is taken off by a counter that grows with the sum, as Prometheus prolongs both
        alike: a hundredth more or less of it would be as much as a twenty-fifth of the range.
        """
        steps: Symbol = self._column_sum("steps") - float(REACH) * self._column_sum("rows")
        return steps

    @property
    def squared_steps(self) -> Symbol:
        """Sum of their squares."""
        return self._column_sum("squared_steps")

    def _column_sum(self, statistic: str) -> Symbol:
        found = self._increase("column_sum", f"statistic={quoted(statistic)}", by=("statistic",))
        return Symbol("sum", (found,), (one for one in found.labels if one != "statistic"))

    @property
    def numeric(self) -> Any:
        """What all numeric bins have, as constants for every column; raises where there are no numbers."""
        self._alike()
        self.like.numeric  # noqa: B018
        return _Grids(self)

    @property
    def outside(self) -> str:
        """The mark of bins below or above all that training showed."""
        self._alike()
        self.like.numeric  # noqa: B018
        return "outside"

    def within(self, mark: str) -> Symbol:
        """Rows in the bins with a mark."""
        groups = self.sources.groups(self.asked, f"rows={quoted(mark)}")
        return Symbol("within", (self.values, groups, self.n), self.n.labels)

    def grouped(self, label: str) -> Symbol:
        """Rows per group of neighbouring bins."""
        groups = self.sources.groups(self.asked, by=(label,))
        return Symbol("regroup", (self.values, groups, label), (one for one in groups.labels if one != "bin"))

    def rows_of(self, at: int) -> Symbol:
        """Rows of one bin; only of a single column."""
        if len(self.asked.columns) > 1:
            raise CannotSay("it asks for the same value of several columns", "the same of one column at a time")
        return self._beside(bin_labels(self.like.bins)[at])


class _Grids:
    """``origin`` and ``step`` of numeric columns."""

    def __init__(self, live: LiveColumn) -> None:
        self._live = live

    def __getattr__(self, name: str) -> Operand:
        if name not in ("origin", "step"):
            raise CannotSay(f"it needs the {name} of every bin", "mean")
        sources = self._live.sources
        bins = sources.reference.layout.bins
        return sources.constant(self._live.asked, lambda column, _: getattr(bins[str(column)], name))


@dataclass(frozen=True, eq=False)
class Hours:
    """Of which hours of the week the rows of a window are, as ``Reference.at_hours_of`` asks.

    Attributes:
        sources: whose series they are.
        asked: which window.
    """

    sources: Sources
    asked: Asked

    @property
    def known(self) -> Symbol:
        """Rows of hours that training knows."""
        return self.sources.increase("usual_rows", self.asked._replace(columns=()))

    def are_known(self) -> bool:
        """Whether training knows the hours of most rows that have a time; a way that a formula may go."""
        timed = self.sources.increase("timed_rows", self.asked._replace(columns=()))
        return bool(self.known > 0) and bool(2 * self.known >= timed)

    @property
    def factor(self) -> Symbol:
        """By which all that is to be expected is multiplied, to say as much as rows of training do (Kish 1965)."""
        by_hour = self.sources.increase("usual_hour", self.asked._replace(columns=()), by=("hour",))
        found: Symbol = self.known / (by_hour * by_hour).sum()
        return found


@dataclass(frozen=True, eq=False)
class HourlyColumn(LiveColumn):
    """The same of the reference at the hours of the week of live rows."""

    def _increase(self, counter: str, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        found: Symbol = super()._increase(f"usual_{counter}", *matchers, by=by) * self._factor
        return found

    @cached_property
    def _factor(self) -> Symbol:
        return Hours(self.sources, self.asked).factor

    @property
    def rows(self) -> Symbol:
        """All rows."""
        found: Symbol = Hours(self.sources, self.asked).known * self._factor
        return found


@dataclass(frozen=True, eq=False)
class UsualColumn(LiveColumn):
    """The same of the whole reference: shares are read from what the service exports, numbers of rows are constants."""

    @cached_property
    def values(self) -> Symbol:
        """Share per bin, which stands for rows."""
        return self.sources.usual(SHARES, self.asked)

    @property
    def n(self) -> Operand:
        """Rows that have a value."""
        return self._constant(lambda one: one.n)

    @property
    def rows(self) -> Operand:
        """All rows."""
        return self._constant(lambda one: one.rows)

    @property
    def missing(self) -> Operand:
        """Rows without a value."""
        return self._constant(lambda one: one.missing)

    def _constant(self, of: Any) -> Operand:
        counts, find = self.sources.reference.counts, self.sources.reference.layout.find_slice
        return self.sources.constant(
            self.asked, lambda column, part: of(column_counts(counts, str(column), find(*part)))
        )

    @property
    def expected(self) -> UsualColumn:
        """Itself: what is exported are the shares to expect."""
        return self

    def _unknown(self) -> Any:
        raise CannotSay("it needs more of the reference than the shares of its bins")

    invalid = property(_unknown)
    off_grid = property(_unknown)
    steps = property(_unknown)
    squared_steps = property(_unknown)
