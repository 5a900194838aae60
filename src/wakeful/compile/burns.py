"""Burn rates: shorter windows tell that an objective of quality is missed by far, before its own window can.

An objective such as ``precision >= 0.95`` allows so many wrong answers, 5%: its error budget. At a burn rate of 6 they
come six times as fast. The check itself, over its own window, is the rate of 1 (Beyer et al. 2018, The Site Reliability
Workbook, chapter 5).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from wakeful.budget import duration
from wakeful.checks import Assertion, Check
from wakeful.counts import Counts, Slice
from wakeful.expression import Comparison, Leaf, Node, Number, Op, calculate, leaves_of, with_leaves
from wakeful.monitor import Monitor
from wakeful.signals import Signal, classification, multiclass
from wakeful.verdicts import Verdict, Window

__all__ = ["Burn", "burns_of"]

_RATES = ((14.4, 720), (6.0, 120))  # a rate, and how many windows of it make one of the check
_SHORTER = 12  # windows that tell whether it goes on make one that tells that it burns
# Few lengths, so that checks share what is recorded. The shortest holds twenty scrapes every 15 seconds.
_WINDOWS = ("5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "2d", "3d")

_RIGHT = {getattr(classification, one) for one in ("precision", "recall", "specificity", "accuracy", "f1")} | {
    getattr(multiclass, one) for one in ("precision", "recall", "accuracy", "f1")
}  # shares of right answers
_WRONG = {classification.false_positive_rate, multiclass.confusion}  # shares of wrong ones


class Burn(NamedTuple):
    """A look at an objective over a shorter window, held against a limit beyond its own.

    Attributes:
        check: to which the objective belongs.
        at: its place among the check's comparisons.
        assertion: as it is written.
        times: the burn rate; the least of several segments'.
        window: length of the traffic that must refute the limit.
        short: length of the traffic that tells whether it goes on.
        alpha: error rate of a comparison.
        comparison: with the limit of that rate, of some segments.
    """

    check: Check
    at: int
    assertion: Assertion
    times: float
    window: str
    short: str
    alpha: float
    comparison: Comparison

    @property
    def rate(self) -> str:
        """The burn rate as it is told."""
        return f"{self.times:.3g}"

    def judge(self, monitor: Monitor, counts: Counts) -> list[Verdict]:
        """The verdicts on the counts of a window."""
        check, one = self.check, self.assertion
        window = Window(
            monitor.reference, counts, self.alpha, length=duration(self.window), release=monitor.holdout.release
        )
        judged = window.judge(self.comparison, check.min_n)
        return [Verdict(check.name, one.source, check.severity, each, one.line, one.note, self.at) for each in judged]


def burns_of(monitor: Monitor, check: Check, at: int, assertion: Assertion) -> Iterator[Burn]:
    """What tells sooner that an assertion fails, shortest window first; nothing where it is no objective.

    The limit at a rate b is 1 - b (1 - L) for shares of right answers, b L for those of wrong ones. Where L allows so
    many wrong answers that few values or none lie beyond it, it is halfway from L to the worst there is, and b less.
    A rate has no look where its window would be as short as the one that tells whether it goes on.
    """
    if check.severity == "explain" or not _is_objective(assertion.comparison):
        return
    is_right = _signal_of(assertion.comparison.live[0]) in _RIGHT
    most = {part: (1 + budget) / (2 * budget) for part, budget in _budgets(monitor, assertion.comparison, is_right)}
    for rate, parts in _RATES:
        window, short = (_nearest(duration(check.window) / some) for some in (parts, parts * _SHORTER))
        if duration(window) <= duration(short):
            continue
        alpha = monitor.alpha(replace(check, window=window), assertion)
        for is_capped in (False, True):
            some = {part: min(rate, one) for part, one in most.items() if (one < rate) is is_capped}
            if some:
                live, other = (_only(node, some) for node in assertion.comparison.live)
                limit = _halfway(other, is_right) if is_capped else _at_rate(rate, other, is_right)
                asked = Comparison(live, assertion.comparison.direction, _folded(limit))
                yield Burn(check, at, assertion, min(some.values()), window, short, alpha, asked)


def _is_objective(comparison: Comparison) -> bool:
    """Whether a share of right answers must not be less, or one of wrong answers not more, than is known by now."""
    live, other = comparison.live
    good = {"<=": _WRONG, "<": _WRONG, ">=": _RIGHT, ">": _RIGHT}.get(comparison.direction, set())
    return _signal_of(live) in good and all(leaf.of_reference for leaf in leaves_of(other))


def _signal_of(live: Node) -> Signal | None:
    """What alone is asked of the window that is judged."""
    return live.signal if isinstance(live, Leaf) and live.is_live and not live.against else None


def _budgets(monitor: Monitor, comparison: Comparison, is_right: bool) -> Iterator[tuple[Slice, float]]:
    """The share of wrong answers that is allowed to each segment, where it is neither none nor all."""
    nothing = Counts.zero(monitor.reference.layout)
    window = Window(monitor.reference, nothing, alpha=0.05, release=monitor.holdout.release)  # values are of any alpha
    for one in comparison.elements:
        limit = float(window.combined(one.other).value)
        if 0 < limit < 1:
            yield one.key.part, 1 - limit if is_right else limit


def _at_rate(rate: float, limit: Node, is_right: bool) -> Node:
    if not is_right:
        return Op("*", (Number(rate), limit))
    return Op("-", (Number(1.0), Op("*", (Number(rate), Op("-", (Number(1.0), limit))))))


def _halfway(limit: Node, is_right: bool) -> Node:
    half = Op("*", (Number(0.5), limit))
    return half if is_right else Op("+", (Number(0.5), half))


def _folded(limit: Node) -> Node:
    return limit if any(leaves_of(limit)) else Number(round(calculate(limit, {}), 12))


def _only(node: Node, parts: Collection[Slice]) -> Node:
    """A tree asked of some segments only, where it is asked of several."""

    def some(leaf: Leaf) -> Leaf:
        return leaf._replace(parts=tuple(part for part in leaf.parts if part in parts)) if len(leaf.parts) > 1 else leaf

    return with_leaves(node, some)


def _nearest(seconds: float) -> str:
    """The length, of those there are, that is nearest by its ratio."""
    return min(_WINDOWS, key=lambda one: abs(math.log(duration(one) / seconds)))
