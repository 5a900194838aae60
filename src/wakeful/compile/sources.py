"""What a formula sees in place of counts: symbols of the series that a service exports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from wakeful.bins import REACH
from wakeful.budget import duration
from wakeful.caching import cached_property
from wakeful.compile.plan import Recording
from wakeful.compile.promql import one_of, quoted
from wakeful.compile.symbols import CannotSay, Operand, Symbol, table
from wakeful.counts import Slice
from wakeful.live.export.exporter import slice_labels
from wakeful.live.shared.meters import identity
from wakeful.reference import Reference
from wakeful.views import ColumnCounts, column_counts

__all__ = ["Asked", "LiveColumn", "Mixed", "Sources", "UsualColumn"]

_TILES = ("5m", "1h", "1d")  # of which long windows are made, so that no rule looks at a day of raw samples
_FEWEST = 24  # tiles of a window: it ends up to one of them late

_LABELS = {
    "bin": ("model", "version", "segment", "value", "column", "bin"),
    "rows": ("model", "version", "segment", "value"),
    "off_grid": ("model", "version", "segment", "value", "column"),
    "column_sum": ("model", "version", "segment", "value", "column", "statistic"),
    "answer": ("model", "version", "segment", "value", "bin", "flagged", "cohort"),
    "outcome": ("model", "version", "segment", "value", "bin", "truth", "flagged", "cohort"),
    "outcome_sum": ("model", "version", "segment", "value", "bin", "statistic", "flagged", "cohort"),
}  # of the counters wakeful_…_total, those of their processes aside


class Asked(NamedTuple):
    """Of what a signal is asked.

    Attributes:
        window: length of the traffic.
        ago: how long ago it ended; empty for now.
        columns: of the model; none for outcomes and rows.
        by_column: whether every column is a case of its own, so that results have the label.
        parts: slices of one segment.
        by_part: likewise.
    """

    window: str
    ago: str
    columns: tuple[str, ...]
    by_column: bool
    parts: tuple[Slice, ...]
    by_part: bool

    @property
    def labels(self) -> tuple[str, ...]:
        """Of what it comes to."""
        column = ("column",) if self.columns and self.by_column else ()
        part = ("segment", "value") if self.parts[0].segment is not None and self.by_part else ()
        return ("model", "version", *column, *part)


@dataclass(frozen=True, eq=False)
class Sources:
    """The series that one monitor's rules read; what is asked of them is kept, and nothing else is recorded.

    Attributes:
        reference: of the monitor.
    """

    reference: Reference
    _needed: dict[tuple[str, str], dict[str, set[str]]] = field(default_factory=dict)
    _usual: dict[str, set[str]] = field(default_factory=dict)

    def increase(self, counter: str, asked: Asked, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        """Increase of a counter over a window, by the labels that are asked for and some more."""
        self._keep(self._needed.setdefault((counter, asked.window), {}), asked)
        name = f"wakeful:{counter}:increase{asked.window}"
        offset = f" offset {asked.ago}" if asked.ago else ""
        return self._summed(f"{name}{self._selector(asked, *matchers)}{offset}", _LABELS[counter], asked, by)

    def usual(self, name: str, asked: Asked, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        """What the reference says of bins."""
        self._keep(self._usual, asked)
        found = ("model", "version", "segment", "value", "column", "bin", *by)
        return self._summed(f"{name}{self._selector(asked, *matchers)}", found, asked, ("bin", *by))

    def _summed(self, text: str, found: Collection[str], asked: Asked, by: tuple[str, ...]) -> Symbol:
        """The sum by the labels that are wanted; as it is, where it has no others."""
        wanted = (*asked.labels, *by)
        segment = asked.parts[0].segment
        others = set(found) - set(wanted) - (set() if segment is not None else {"segment", "value"})
        if not others:
            return Symbol("series", (text,), wanted)
        return Symbol("series", (f"sum by ({', '.join(sorted(wanted))}) ({text})",), wanted)

    def _keep(self, needed: dict[str, set[str]], asked: Asked) -> None:
        needed.setdefault("columns", set()).update(asked.columns)
        needed.setdefault("segments", set()).add(asked.parts[0].segment or "")

    def _selector(self, asked: Asked, *matchers: str) -> str:
        some = [f"model={quoted(self.reference.model.name)}", *self._part(asked)]
        if asked.columns:
            is_one = len(asked.columns) == 1
            some.append(f"column={quoted(asked.columns[0])}" if is_one else f"column=~{one_of(asked.columns)}")
        return f"{{{','.join((*some, *matchers))}}}"

    def _part(self, asked: Asked) -> list[str]:
        segment = asked.parts[0].segment
        if segment is None:
            return ['segment=""']
        values = [self.value_of(part) for part in asked.parts]
        value = f"value={quoted(values[0])}" if len(values) == 1 else f"value=~{one_of(values)}"
        return [f"segment={quoted(segment)}", value]

    def value_of(self, part: Slice) -> str:
        """How a slice is called in the label ``value``."""
        return self._values[part]

    @cached_property
    def _values(self) -> dict[Slice, str]:
        layout = self.reference.layout
        return {part: labels.get("value", "") for part, labels in zip(layout.slices, slice_labels(layout), strict=True)}

    def constant(self, asked: Asked, rows: Mapping[tuple[str | None, Slice], float]) -> Operand:
        """A number for every column and slice, as a constant."""
        labels = asked.labels[2:]
        by_column, by_part = "column" in labels, "value" in labels
        found = {
            ((column or "",) if by_column else ())
            + ((part.segment or "", self.value_of(part)) if by_part else ()): float(value)
            for (column, part), value in rows.items()
        }
        return table(labels, found)

    @cached_property
    def own(self) -> str:
        """Selects the series that are counted with this reference, and no others."""
        mine = identity(self.reference.layout)
        return f"model={quoted(mine.model)},reference={quoted(mine.layout)}"

    def recordings(self) -> list[Recording]:
        """What has to be recorded for all that was asked, each after those that it reads."""
        labels = {"model": self.reference.model.name}
        wanted = {
            (counter, tile): needed for (counter, window), needed in self._needed.items() for tile in tiles(window)
        }
        for (counter, window), needed in self._needed.items():
            for tile in tiles(window):
                for key, some in needed.items():
                    wanted[counter, tile] = {**wanted[counter, tile], key: wanted[counter, tile].get(key, set()) | some}
        found = []
        for counter, window in sorted(wanted, key=lambda one: (one[0], duration(one[1]))):
            found.append(self._increase(counter, window, wanted[counter, window], labels))
        return found + self._usual_recordings(labels)

    def _increase(self, counter: str, window: str, needed: dict[str, set[str]], labels: dict[str, str]) -> Recording:
        name = f"wakeful:{counter}:increase"
        below = tiles(window)[:-1]
        if below:
            seconds = int(duration(window))
            expr = f"sum_over_time({name}{below[-1]}{{model={quoted(labels['model'])}}}[{seconds - 1}s:{below[-1]}])"
        else:
            selector = self._needed_selector(needed, "column" in _LABELS[counter])
            expr = f"sum by ({', '.join(_LABELS[counter])}) (increase(wakeful_{counter}_total{selector}[{window}]))"
        return Recording(name + window, expr, labels)

    def _needed_selector(self, needed: dict[str, set[str]], has_columns: bool) -> str:
        some = [self.own]
        segments, columns = needed["segments"], needed["columns"]
        some.append(f"segment=~{one_of(sorted(segments))}" if segments != {""} else 'segment=""')
        if has_columns and columns:
            some.append(f"column=~{one_of(sorted(columns))}")
        return f"{{{','.join(some)}}}"

    def _usual_recordings(self, labels: dict[str, str]) -> list[Recording]:
        if not self._usual:
            return []
        shares = f"wakeful_reference_share{self._needed_selector(self._usual, True)}"
        by = ", ".join(_LABELS["bin"])
        return [
            Recording(SHARES, f"max by ({by}) ({shares})", labels),
            Recording(GROUPS, f"max by ({by}, of_5, of_10, rows) (0 * {shares} + 1)", labels),
        ]


SHARES, GROUPS = "wakeful:reference:share", "wakeful:reference:groups"


def tiles(window: str) -> list[str]:
    """The windows of which one is made, each a multiple of the one before, and itself."""
    seconds = duration(window)
    fitting = [one for one in _TILES if seconds >= _FEWEST * duration(one) and seconds % duration(one) == 0]
    return [*(tiles(fitting[-1]) if fitting else []), window]


class Mixed(CannotSay):
    """A formula asks for the kind of columns that have different ones."""


@dataclass(frozen=True, eq=False)
class LiveColumn:
    """``views.ColumnCounts`` of live columns of one kind, or of one column, as symbols.

    Attributes:
        sources: whose series they are.
        asked: which columns and slices of which window.
        like: the reference's counts of one of these columns, whose kind all share.
    """

    sources: Sources
    asked: Asked
    like: ColumnCounts

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

    @cached_property
    def values(self) -> Symbol:
        """Rows per bin."""
        return self.sources.increase("bin", self.asked, 'bin!~"[(]missing[)]|[(]invalid[)]"', by=("bin",))

    def _beside(self, bin: str) -> Symbol:
        found = self.sources.increase("bin", self.asked, f"bin={quoted(bin)}", by=("bin",))
        return found.sum()

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
            return self.sources.increase("rows", self.asked)
        return self.sources.increase("bin", self.asked, by=("bin",)).sum()

    @property
    def share(self) -> Symbol:
        """Share of each bin among the rows that have a value."""
        share: Symbol = self.values / self.n
        return share

    @property
    def off_grid(self) -> Symbol:
        """Rows whose value is finer than the grid of the column; absent where it has none."""
        found = self.sources.increase("off_grid", self.asked)
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
        found = self.sources.increase("column_sum", self.asked, f"statistic={quoted(statistic)}", by=("statistic",))
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
        groups = self.sources.usual(GROUPS, self.asked, f"rows={quoted(mark)}", by=("of_5", "of_10", "rows"))
        bare = Symbol("sum", (groups,), self.values.labels)
        return Symbol("within", (self.values, bare, self.n), self.n.labels)

    def grouped(self, label: str) -> Symbol:
        """Rows per group of neighbouring bins."""
        groups = self.sources.usual(GROUPS, self.asked, by=("of_5", "of_10", "rows"))
        bare = Symbol("sum", (groups,), (*self.values.labels, label))
        return Symbol("regroup", (self.values, bare, label), (*self.n.labels, label))

    def rows_of(self, at: int) -> Symbol:
        """Rows of one bin; only of a single column."""
        from wakeful.live.export.series import bin_labels

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
        live = self._live
        bins = live.sources.reference.layout.bins
        rows: dict[tuple[str | None, Slice], float] = {
            (column, part): getattr(bins[column], name) for column in live.asked.columns for part in live.asked.parts
        }
        return live.sources.constant(live.asked, rows)


@dataclass(frozen=True, eq=False)
class UsualColumn(LiveColumn):
    """The same of the reference: shares are read from what the service exports, numbers of rows are constants."""

    def __post_init__(self) -> None:
        if self.sources.reference.seasons is not None:
            self.refuse()

    @staticmethod
    def refuse() -> NoReturn:
        """What is usual depends on the hour."""
        raise CannotSay(
            "what is usual differs by the hour of the week in this reference, and rules do not know the hour",
            "the same without the reference, or learn it without a time column",
        )

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
        counts, asked = self.sources.reference.counts, self.asked
        find = self.sources.reference.layout.find_slice
        rows: dict[tuple[str | None, Slice], float] = {
            (column, part): of(column_counts(counts, column, find(*part)))
            for column in asked.columns
            for part in asked.parts
        }
        return self.sources.constant(asked, rows)

    @property
    def expected(self) -> UsualColumn:
        """Itself: what is exported are the shares to expect."""
        return self

    @property
    def not_shown(self) -> str:
        """The mark of bins that training did not show."""
        return "new"

    def groups(self, wanted: int) -> str:
        """The label that names the group of each bin."""
        return f"of_{wanted}"

    def grouped(self, label: str) -> Symbol:
        """Share per group of neighbouring bins."""
        groups = self.sources.usual(GROUPS, self.asked, by=("of_5", "of_10", "rows"))
        bare = Symbol("sum", (groups,), (*self.values.labels, label))
        return Symbol("regroup", (self.values, bare, label), (*(one for one in bare.labels if one != "bin"),))

    def _unknown(self) -> Any:
        raise CannotSay("it needs more of the reference than the shares of its bins")

    invalid = property(_unknown)
    off_grid = property(_unknown)
    steps = property(_unknown)
    squared_steps = property(_unknown)
