"""Checks, called with symbols: the formulas that judge counts say what Prometheus has to record."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wakeful.budget import duration
from wakeful.checks import Assertion, Check
from wakeful.compile.columns import HourlyColumn, Hours, LiveColumn, Mixed, UsualColumn
from wakeful.compile.outcomes import live_outcomes
from wakeful.compile.plan import (
    ESTIMATE,
    HIGH,
    LIMIT,
    LOW,
    NOISE,
    REFERENCE,
    ROWS,
    VERDICT,
    Plan,
    Recording,
    Refusal,
    labels_of,
)
from wakeful.compile.promql import Writer
from wakeful.compile.sources import Asked, Sources
from wakeful.compile.symbols import CannotSay, Case, Operand, Symbol, cases, explore
from wakeful.counts import IDS, Counts, Slice
from wakeful.errors import SignalError, UnknownName
from wakeful.evidence import Estimate
from wakeful.expression import (
    Comparison,
    Element,
    Key,
    Leaf,
    Node,
    Op,
    at_element,
    calculate,
    leaves_of,
    on_reference,
    sources_of,
)
from wakeful.monitor import Monitor
from wakeful.reference import Dispersion
from wakeful.verdicts import Window
from wakeful.views import column_counts, outcomes

__all__ = ["is_of_all_versions", "plan_of"]

_RESULTS = (ESTIMATE, LOW, HIGH, ROWS, LIMIT, NOISE, REFERENCE, VERDICT)
_INSTEAD = {
    "spike": ("it needs fingerprints of values, which stay inside the service", "linf, or share of the value you fear"),
    "fault": ("it needs fingerprints of values, which stay inside the service", "missing, invalid, unseen, linf"),
    "vanished": ("it tries every choice of values that are gone", "linf, or share of the value you count on"),
    "duplicates": ("ids stay inside the service", ""),
    "ks": ("it adds bins up from one end to the other", "d1"),
    "wasserstein": ("it adds bins up from one end to the other", "d1, or mean"),
    "quantile": ("it adds bins up from one end to the other", "mean, or share of a value"),
    "std": ("it needs the middle of every bin", "mean"),
}  # why some signals cannot be said, and what comes nearest


def plan_of(monitor: Monitor) -> Plan:
    """What Prometheus is to record of a monitor's checks.

    Raises:
        CheckError: a check cannot be read.
    """
    sources = Sources(monitor.reference)
    said: dict[str, list[_Said]] = {check.name: [] for check in monitor.checks}
    refusals = []
    for check in monitor.checks:
        for at, assertion in enumerate(monitor.assertions(check)):
            try:
                said[check.name] += _say(sources, monitor, check, at, assertion)
            except (CannotSay, SignalError, UnknownName) as error:
                refusals.append(_refusal(check, assertion, error))
    shared, checks = _written(monitor.reference.model.name, said)
    recorded = (*sources.recordings(), *shared)
    return Plan(monitor.reference.model.name, recorded, checks, tuple(refusals), tuple(sources.growths()))


def is_of_all_versions(assertion: Assertion) -> bool:
    """Whether it is about traffic alone: a version that gets no more of it, since another does, is no incident."""
    return all(leaf.signal.of == "rows" for node in assertion.comparison.live for leaf in leaves_of(node))


class _Said(NamedTuple):
    """What an assertion comes to, for columns of one kind: a symbol by record; what is not known has none."""

    labels: dict[str, str]
    results: dict[str, Symbol]


def _written(model: str, said: Mapping[str, list[_Said]]) -> tuple[list[Recording], dict[str, tuple[Recording, ...]]]:
    """The recordings that several checks read, and those of each."""
    roots = {name: [result for one in some for result in one.results.values()] for name, some in said.items()}
    writer = Writer(model, [one for some in roots.values() for one in some])
    results: dict[str, list[Recording]] = {}
    users: dict[str, set[str]] = defaultdict(set)
    for name, some in said.items():
        results[name] = _joined(
            Recording(record, writer.write(result), one.labels)
            for one in some
            for record, result in one.results.items()
        )
        for part in writer.parts_of(roots[name]):
            users[part.record].add(name)
    parts = list(writer.parts.values())
    checks = {
        name: (*(part for part in parts if users[part.record] == {name}), *found) for name, found in results.items()
    }
    return [part for part in parts if len(users[part.record]) > 1], checks


def _joined(some: Iterable[Recording]) -> list[Recording]:
    """Those of one name and the same labels as one: promtool takes several such rules for a mistake."""
    found: dict[Any, list[Recording]] = defaultdict(list)
    for one in some:
        found[one.record, *one.labels.items()].append(one)
    return [alike[0]._replace(expr="\nor ".join(one.expr for one in alike)) for alike in found.values()]


def _refusal(check: Check, assertion: Assertion, error: Exception) -> Refusal:
    comparison = assertion.comparison
    for leaf in (*leaves_of(comparison.left), *leaves_of(comparison.right)):
        name = leaf.signal.name
        if name in _INSTEAD:
            reason, instead = _INSTEAD[name]
            return Refusal(check, assertion, f"{name}: {reason}", instead)
    return Refusal(check, assertion, str(error), getattr(error, "instead", ""))


def _say(sources: Sources, monitor: Monitor, check: Check, at: int, assertion: Assertion) -> list[_Said]:
    """An assertion of all its columns at once, where its formulas allow it; else of each kind of columns apart."""
    labels = labels_of(monitor.reference.model.name, check.name, assertion.source, at)
    for by_kind in (False, True):
        try:
            return [
                _said(sources, monitor, check, assertion, columns, labels)
                for columns in _classes(sources, assertion.comparison, duration(check.window), by_kind=by_kind)
            ]
        except Mixed:
            continue
    raise CannotSay("it asks for the kind of each column")


def _said(
    sources: Sources,
    monitor: Monitor,
    check: Check,
    assertion: Assertion,
    columns: tuple[str, ...],
    labels: dict[str, str],
) -> _Said:
    live, other = (_only(node, columns) for node in assertion.comparison.live)
    leaves = [leaf for node in (live, other) for leaf in leaves_of(node)]
    window = _SymbolicWindow(
        monitor.reference, monitor.reference.counts, monitor.alpha(check, assertion), length=duration(check.window),
        release=monitor.holdout.release,
        sources=sources,
        name=check.window,
        by_column=len({leaf.columns for leaf in leaves if leaf.columns is not None}) == 1,
        by_part=len({leaf.parts for leaf in leaves}) == 1,
        by_version=not is_of_all_versions(assertion),
    )  # fmt: skip
    results = window.results(assertion.comparison.direction, live, other, check.min_n)
    first = leaves[0].columns
    is_named = first is None or "column" in results[ESTIMATE].labels
    return _Said(labels if is_named or first is None else labels | {"column": first[0]}, results)


def _classes(sources: Sources, comparison: Comparison, length: float, *, by_kind: bool) -> list[tuple[str, ...]]:
    """The columns of which an assertion is asked, those apart whose formulas take other ways."""
    bins, strays = sources.reference.layout.bins, sources.reference.stray(length).columns
    found: dict[Any, list[str]] = defaultdict(list)
    for element in comparison.elements:
        names = [leaf.columns[0] for leaf in leaves_of(element.live) if leaf.columns]
        rates = [strays.get(name, Dispersion()) for name in names]
        way = [
            (rate.shape > 0, rate.missing > 0, by_kind and type(bins[name]))
            for name, rate in zip(names, rates, strict=True)
        ]
        column = element.key.column
        found[tuple(way)] += [column] if column is not None and column not in found[tuple(way)] else []
    return [tuple(columns) for columns in found.values()]


def _only(node: Node, columns: tuple[str, ...]) -> Node:
    """A tree asked of some columns only, where it is asked of several."""
    if isinstance(node, Leaf) and node.columns is not None and len(node.columns) > 1:
        return node._replace(columns=columns)
    if isinstance(node, Op):
        return node._replace(operands=tuple(_only(one, columns) for one in node.operands))
    return node


@dataclass(frozen=True, eq=False)
class _SymbolicWindow(Window):
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
