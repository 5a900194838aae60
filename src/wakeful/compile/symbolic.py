"""Live traffic as symbols: the formulas that judge counts are called with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wakeful.bounds import z_of
from wakeful.budget import duration
from wakeful.compile.columns import HourlyColumn, Hours, LiveColumn, UsualColumn
from wakeful.compile.outcomes import live_outcomes
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, NOISE, REFERENCE, ROWS, VERDICT
from wakeful.compile.sources import Asked, Sources
from wakeful.compile.symbols import CannotSay, Case, Operand, Symbol, cases, explore
from wakeful.counts import IDS, Counts, Slice
from wakeful.evidence import Estimate
from wakeful.expression import (
    Element,
    Key,
    Leaf,
    Node,
    at_element,
    calculate,
    leaves_of,
    on_reference,
    sources_of,
)
from wakeful.monitor import Monitor
from wakeful.verdicts import Window
from wakeful.views import column_counts, outcomes

__all__ = ["SymbolicWindow", "going_on", "is_traffic"]

_RESULTS = (ESTIMATE, LOW, HIGH, ROWS, LIMIT, NOISE, REFERENCE, VERDICT)


def is_traffic(*sides: Node) -> bool:
    """Whether all that is asked is how much traffic there is, which versions of a model share."""
    return all(leaf.signal.of == "rows" for side in sides for leaf in leaves_of(side))


@dataclass(frozen=True, eq=False)
class SymbolicWindow(Window):
    """Live traffic of which nothing is known but its series.

    Attributes:
        sources: these series.
        name: length of the window, as it was given.
        by_column, by_part: whether all that is asked is asked of the same columns, and slices, one by one.
        by_version: whether versions of the model are judged one by one.
    """

    sources: Sources = field(kw_only=True)
    name: str = field(kw_only=True)
    by_column: bool = field(kw_only=True)
    by_part: bool = field(kw_only=True)
    by_version: bool = field(kw_only=True)

    @classmethod
    def of(cls, sources: Sources, monitor: Monitor, name: str, alpha: float, *sides: Node) -> SymbolicWindow:
        """The window of both sides of a comparison."""
        leaves = [leaf for side in sides for leaf in leaves_of(side)]
        return cls(
            monitor.reference, monitor.reference.counts, alpha, length=duration(name),
            release=monitor.holdout.release,
            sources=sources,
            name=name,
            by_column=len({leaf.columns for leaf in leaves if leaf.columns is not None}) == 1,
            by_part=len({leaf.parts for leaf in leaves}) == 1,
            by_version=not is_traffic(*sides),
        )  # fmt: skip

    def results(self, symbol: str, live: Node, other: Node, min_n: int) -> dict[str, Symbol]:
        """What both sides come to, and whether they compare as asserted; what is not known is left out."""
        is_paired = bool(sources_of(live) & sources_of(other))
        whole = Key(None, Slice(None, None))
        element = Element(whole, live, other, on_reference(live), frozenset(), is_paired)

        def judged() -> tuple[Estimate, Estimate, Estimate]:
            sides = self.combined(element.live), self.combined(element.other)
            return (*sides, self.gap(element, *sides))

        mine, limit, gap = _merged(explore(judged))
        expected = calculate(
            element.expected, {leaf: self.estimate(leaf).value for leaf in leaves_of(element.expected)}
        )
        verdict = _verdict(symbol, gap, mine, min_n)
        value = mine.value
        if not isinstance(value, Symbol):
            raise CannotSay("it asks nothing of live traffic")
        some = (value, mine.low, mine.high, mine.n, limit.value, mine.noise, expected, verdict)
        wide = [one if _is_as_wide(one, value) else 0.0 * value + one for one in some]
        return {record: one for record, one in zip(_RESULTS, wide, strict=True) if isinstance(one, Symbol)}

    def estimate(self, leaf: Leaf) -> Estimate:
        """The value of a leaf with its interval, as symbols."""
        asked = (leaf, self.alpha, self.release)
        if asked not in self._known:
            is_constant = leaf.of_reference and not self._is_hourly(leaf)
            self._known[asked] = self._constant(leaf) if is_constant else self._traced(leaf)
        return self._known[asked]

    def _asked(self, leaf: Leaf) -> Asked:
        columns = leaf.columns or ()
        return Asked(
            self.name, leaf.ago, columns, self.by_column or len(columns) > 1,
            leaf.parts, self.by_part or len(leaf.parts) > 1, self.by_version,
        )  # fmt: skip

    def _constant(self, leaf: Leaf) -> Estimate:
        """A leaf that is asked of the whole reference: known already."""
        nothing = Counts.zero(self.reference.layout)
        window = Window(self.reference, nothing, self.alpha, length=self.length, release=self.release)
        asked = self._asked(leaf)

        def known(at: int) -> Operand:
            def of(column: str | None, part: Slice) -> float:
                return window.combined(at_element(leaf, Key(column, part)))[at]

            return self.sources.constant(asked, of)

        return Estimate(*map(known, range(5)))

    def _traced(self, leaf: Leaf) -> Estimate:
        if leaf.signal.column == IDS:
            raise CannotSay("ids stay inside the service")
        asked = self._asked(leaf)
        name = self.reference.model.score.name
        times = 0 if leaf.of_reference else 2 if leaf.against else 1
        rho = self.sources.constant(asked, lambda column, _: self._rho(leaf, column or name) * times)
        arguments = dict(leaf.arguments)

        def estimated() -> tuple[Estimate]:
            live, expected = self._views(leaf, asked)  # made anew for every way, as they keep what they once found
            if leaf.of_reference and isinstance(expected, UsualColumn):
                return (_widened(self._constant(leaf), live.n if leaf.columns else live.rows),)
            live = expected if leaf.of_reference else live
            with np.errstate(invalid="ignore"):  # no counts lead some of the ways
                return (leaf.signal.estimate(live, expected, arguments, self.alpha, rho),)

        [found] = _merged(explore(estimated))
        return found

    def _views(self, leaf: Leaf, asked: Asked) -> tuple[Any, Any]:
        """What a formula is called with: live counts, and those of the reference where it wants them."""
        counts = self.reference.counts
        if leaf.signal.of == "labels":
            raise CannotSay("predictions and outcomes are joined outside of the service", "wakeful replay --outcomes")
        past = asked._replace(ago=leaf.against)
        if leaf.signal.of not in ("column", "rows"):
            usual = outcomes(counts, 0, leaf.held_out, self.release)
            live = live_outcomes(self.sources, asked, usual)
            return live, live_outcomes(self.sources, past, usual) if leaf.against else usual
        like = column_counts(counts, leaf.columns[0] if leaf.columns else self.reference.model.score.name)
        column = LiveColumn(self.sources, asked, like)
        if leaf.against:
            return column, LiveColumn(self.sources, past, like)
        if not (leaf.of_reference or leaf.signal.wants_reference):
            return column, column
        knows_hours = self._is_hourly(leaf) and Hours(self.sources, asked).are_known()
        return column, (HourlyColumn if knows_hours else UsualColumn)(self.sources, asked, like)

    def _is_hourly(self, leaf: Leaf) -> bool:
        """Whether what the reference says of it differs by the hour: of columns, and of all traffic."""
        is_counted_by_hour = leaf.signal.of in ("column", "rows") and leaf.signal.column != IDS
        is_of_all = leaf.parts[0].segment is None
        return self.reference.seasons is not None and is_counted_by_hour and is_of_all and not leaf.against


def _widened(constant: Estimate, live: Symbol) -> Estimate:
    """A constant for each of the series of a symbol."""
    return Estimate(*(one if _is_nan(one) else 0.0 * live + one for one in constant))


def _merged(paths: list[Case]) -> list[Estimate]:
    """Estimates that depend on conditions, as estimates of numbers that do; none where there is no value."""
    return [Estimate(*(_number(paths, part, at) for at in range(5))) for part in range(len(paths[0].result))]


def _number(paths: list[Case], part: int, at: int) -> Operand:
    known = [(one.conditions, one.result[part]) for one in paths]
    return cases(Case(some, math.nan if _is_nan(one.value) else one[at]) for some, one in known)


def _is_nan(value: Operand) -> bool:
    return not isinstance(value, Symbol) and math.isnan(value)


def _is_as_wide(one: Operand, value: Symbol) -> bool:
    return isinstance(one, Symbol) and one.labels == value.labels


def _verdict(symbol: str, gap: Estimate, live: Estimate, min_n: int) -> Operand:
    """0 where the assertion holds, 2 where live traffic refutes it, else 1."""
    above, below = np.greater(gap.low, 0.0), np.less(gap.high, 0.0)
    compare = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater, "==": np.equal}
    fails: Any = {"<=": above, "<": above, ">=": below, ">": below}.get(symbol, np.logical_or(above, below))
    if min_n:
        fails = np.logical_and(fails, np.greater_equal(live.n, float(min_n)))
    return (1.0 - compare[symbol](gap.value, 0.0)) * (1.0 + fails)


def going_on(symbol: str, seen: Mapping[str, Symbol]) -> Symbol:
    """1 where an estimate is beyond its limit, -1 where a share surely keeps it; what is neither has no value.

    Surely is by the score test with a correction for continuity, which asks for fewer rules than an interval does. No
    false alarm comes of what it says, as it only ends alarms.

    Args:
        symbol: how live traffic should compare.
        seen: results of a window.
    """
    value, limit, n = (seen[name] for name in (ESTIMATE, LIMIT, ROWS))
    room = value - limit if symbol in (">=", ">") else limit - value
    error = np.sqrt(limit * (1.0 - limit) / n)
    state = 1.0 * (room < 0.0) - 1.0 * (room - 0.5 / n >= _SURELY * error)
    is_told = state != 0.0
    found: Symbol = cases(Case(((is_told, way),), state if way else math.nan) for way in (True, False))
    return found


_SURELY = z_of(0.05)
