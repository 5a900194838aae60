"""Checks, called with symbols: the formulas that judge counts say what Prometheus has to record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from wakeful.budget import duration
from wakeful.checks import Assertion, Check
from wakeful.compile.burns import Burn, burns_of
from wakeful.compile.columns import Mixed
from wakeful.compile.plan import BURN, ESTIMATE, GOING_ON, Burning, Plan, Recording, Refusal, labels_of
from wakeful.compile.promql import Writer
from wakeful.compile.sources import Sources
from wakeful.compile.symbolic import SymbolicWindow, going_on, is_traffic
from wakeful.compile.symbols import CannotSay, Symbol
from wakeful.errors import SignalError, UnknownName
from wakeful.expression import Comparison, Node, leaves_of, with_leaves
from wakeful.monitor import Monitor
from wakeful.reference import Dispersion

__all__ = ["is_of_all_versions", "plan_of"]

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
    burns: dict[tuple[Check, str], list[Burn]] = defaultdict(list)
    refusals = []
    for check in monitor.checks:
        for at, assertion in enumerate(monitor.assertions(check)):
            try:
                said[check.name] += _say(sources, monitor, check, at, assertion)
            except (CannotSay, SignalError, UnknownName) as error:
                refusals.append(_refusal(check, assertion, error))
                continue
            for burn in burns_of(monitor, check, at, assertion):
                burns[check, burn.window].append(burn)
    burning = {key: [_burning(sources, monitor, burn) for burn in some] for key, some in burns.items()}
    name = monitor.reference.model.name
    shared, written = _written(name, said | burning)
    return Plan(
        name,
        (*sources.recordings(), *shared),
        {check: written[check] for check in said},
        tuple(refusals),
        tuple(sources.growths()),
        tuple(Burning(*key, tuple(burns[key]), written[key]) for key in burning),
    )


def is_of_all_versions(assertion: Assertion) -> bool:
    """Whether it is about traffic alone: a version that gets no more of it, since another does, is no incident."""
    return is_traffic(*assertion.comparison.live)


class _Said(NamedTuple):
    """What an assertion comes to, for columns of one kind: a symbol by record; what is not known has none."""

    labels: dict[str, str]
    results: dict[str, Symbol]


Key = TypeVar("Key", bound=Hashable)


def _written(model: str, said: Mapping[Key, list[_Said]]) -> tuple[list[Recording], dict[Key, tuple[Recording, ...]]]:
    """The recordings that several read, and those of each."""
    roots = {key: [result for one in some for result in one.results.values()] for key, some in said.items()}
    writer = Writer(model, [one for some in roots.values() for one in some])
    results: dict[Key, list[Recording]] = {}
    users: dict[str, set[Key]] = defaultdict(set)
    for key, some in said.items():
        results[key] = _joined(
            Recording(record, writer.write(result), one.labels)
            for one in some
            for record, result in one.results.items()
        )
        for part in writer.parts_of(roots[key]):
            users[part.record].add(key)
    parts = list(writer.parts.values())
    own = {key: (*(part for part in parts if users[part.record] == {key}), *found) for key, found in results.items()}
    return [part for part in parts if len(users[part.record]) > 1], own


def _joined(some: Iterable[Recording]) -> list[Recording]:
    """Those of one name and the same labels as one: promtool takes several such rules for a mistake."""
    found: dict[Any, list[Recording]] = defaultdict(list)
    for one in some:
        found[one.record, *one.labels.items()].append(one)
    return [alike[0]._replace(expr="\nor ".join(one.expr for one in alike)) for alike in found.values()]


def _refusal(check: Check, assertion: Assertion, error: Exception) -> Refusal:
    for leaf in assertion.comparison.leaves:
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
    window = SymbolicWindow.of(sources, monitor, check.window, monitor.alpha(check, assertion), live, other)
    results = window.results(assertion.comparison.direction, live, other, check.min_n)
    first = next(leaf.columns for node in (live, other) for leaf in leaves_of(node))
    is_named = first is None or "column" in results[ESTIMATE].labels
    return _Said(labels if is_named or first is None else labels | {"column": first[0]}, results)


def _burning(sources: Sources, monitor: Monitor, burn: Burn) -> _Said:
    """What an objective comes to over a shorter window, and whether one that is shorter still denies it."""
    symbol, sides = burn.comparison.direction, burn.comparison.live

    def seen(window: str) -> dict[str, Symbol]:
        of_window = SymbolicWindow.of(sources, monitor, window, burn.alpha, *sides)
        return of_window.results(symbol, *sides, burn.check.min_n)

    found = seen(burn.window)
    results = {name: found[record] for record, name in BURN.items()}
    labels = labels_of(monitor.reference.model.name, burn.check.name, burn.assertion.source, burn.at)
    labels |= {"burn": burn.rate, "window": burn.window}
    return _Said(labels, results | {GOING_ON: going_on(symbol, seen(burn.short))})


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
    return with_leaves(node, lambda leaf: leaf._replace(columns=columns) if len(leaf.columns or ()) > 1 else leaf)
