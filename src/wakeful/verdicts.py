"""An assertion and counts -> pass, fail or unsure, or maturing: its outcomes are still to come."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal, NamedTuple

from wakeful.arithmetic import hypot, maximum, minimum
from wakeful.bins import format_number
from wakeful.counts import Counts, Slice
from wakeful.evidence import NOTHING, Estimate
from wakeful.expression import (
    Comparison,
    Element,
    Leaf,
    Node,
    Number,
    Op,
    at_element,
    atoms_of,
    calculate,
    describe,
    divisors_of,
    keys_of,
    leaves_of,
)
from wakeful.reference import Dispersion, Reference
from wakeful.release import EVEN, Release
from wakeful.signals import needs_outcomes
from wakeful.signals.signal import View
from wakeful.told import Known
from wakeful.views import Outcomes, column_counts, outcomes

__all__ = ["Judgement", "Outcome", "Verdict", "Window", "worst"]

Outcome = Literal["pass", "fail", "unsure", "maturing"]

_BY_WEIGHT: tuple[Outcome, ...] = ("pass", "maturing", "unsure", "fail")


def worst(outcomes: Iterable[Outcome], default: Outcome = "unsure") -> Outcome:
    """What several verdicts come to; ``default`` where there is none."""
    return max(outcomes, key=_BY_WEIGHT.index, default=default)


class Judgement(NamedTuple):
    """What one comparison of one element came to.

    Attributes:
        column, part: which element.
        verdict: ``pass``; ``fail``: the data refute it; ``unsure``: they do not, but do not fit either;
            ``maturing``: it cannot be judged before more outcomes are known.
        estimate: the live side.
        low, high: its interval; the verdict also takes in how uncertain the limit is.
        n: rows behind the live side.
        limit: the other side.
        reference: the live side, asked of the reference.
        noise: how far the live side strays from the reference without any change.
        excess: by how much the limit is crossed for sure; above 0 it fails. What a limit must give way by.
        message: all of it in one line.
        maturity: share of the outcomes that is known, of an assertion on outcomes that were joined; else None.
    """

    column: str | None
    part: Slice
    verdict: Outcome
    estimate: float
    low: float
    high: float
    n: float
    limit: float
    reference: float
    noise: float
    excess: float
    message: str
    maturity: float | None = None


class Verdict(NamedTuple):
    """A judgement with the check that it belongs to; what reports are made of.

    Attributes:
        check: its name.
        assertion: as it is written.
        severity: what a failure is.
        judgement: of one element.
        line: of the assert.
        note: the message behind its comma.
        at: which of the check's comparisons this is.
    """

    check: str
    assertion: str
    severity: Literal["page", "ticket", "explain"]
    judgement: Judgement
    line: int
    note: str = ""
    at: int = 0

    @property
    def verdict(self) -> Outcome:
        """pass, fail, unsure or maturing."""
        return self.judgement.verdict

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON wants it: NaN and infinity become null."""
        one = self.judgement
        numbers = {name: getattr(one, name) for name in ("estimate", "low", "high", "n", "limit", "reference")}
        numbers["n"] = round(one.n, 3) if math.isfinite(one.n) else one.n  # weights leave crumbs
        return {
            "check": self.check,
            "assertion": self.assertion,
            "severity": self.severity,
            "verdict": one.verdict,
            "column": one.column,
            "segment": str(one.part) or None,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            **({} if one.maturity is None else {"maturity": round(one.maturity, 6)}),
        }


@dataclass(frozen=True, eq=False)
class Window:
    """Counts to be judged against a reference.

    Attributes:
        reference: what healthy traffic looks like.
        counts: of the live rows.
        alpha: error rate of one comparison.
        strict: the data must support an assertion, instead of not refuting it.
        past: counts of earlier windows, by how long ago each ended.
        length: of the window in seconds; None for rows of no particular time.
        release: how the holdout is drawn.
        known: what is known of the outcomes of this window (the empty text) and of earlier ones, where they are
            joined.
    """

    reference: Reference
    counts: Counts
    alpha: float
    strict: bool = False
    past: Mapping[str, Counts] = field(default_factory=dict)
    length: float | None = None
    release: Release = EVEN
    known: Mapping[str, Known] = field(default_factory=dict)
    _known: dict[Any, Estimate] = field(default_factory=dict)
    _references: dict[str, Reference] = field(default_factory=dict)

    def estimate(self, leaf: Leaf) -> Estimate:
        """The value of a leaf, asked of one column and slice, with its interval."""
        known = self.reference.known if leaf.of_reference and self.reference.seasons is None else self._known
        asked = (leaf, self.alpha, self.release)
        if asked not in known:
            known[asked] = self._estimate(leaf)
        return known[asked]

    def _estimate(self, leaf: Leaf) -> Estimate:
        counts = self.past.get(leaf.ago) if leaf.ago else self.counts
        known = None if leaf.of_reference else self.known.get(leaf.ago)
        if counts is None:
            return NOTHING
        if leaf.signal.of == "labels":
            return NOTHING if known is None else leaf.signal.estimate(known, known, dict(leaf.arguments), self.alpha)
        reference = self._alike(leaf.ago, counts)
        if leaf.of_reference:
            counts = reference.counts
        if leaf.against:
            if leaf.against not in self.past:
                return NOTHING
            reference = replace(reference, counts=self.past[leaf.against])
        at = reference.layout.find_slice(*leaf.parts[0])
        name = leaf.columns[0] if leaf.columns else leaf.signal.column or reference.model.score.name
        live: View
        expected: View
        if leaf.signal.of in ("column", "rows"):
            expected = column_counts(reference.counts, name, at, self.reference.counts)
            live = expected if leaf.of_reference else column_counts(counts, name, at)
        else:
            expected = outcomes(reference.counts, at)
            live = outcomes(counts, at, leaf.held_out, self.release)
        rho = 0.0 if leaf.of_reference else self._rho(leaf, name) * (2 if leaf.against else 1)

        def ask(view: View) -> Estimate:
            return leaf.signal.estimate(view, expected, dict(leaf.arguments), self.alpha, rho)

        if known is not None and isinstance(live, Outcomes) and needs_outcomes(leaf.signal):
            return known.estimate(live, ask)
        return ask(live)

    def _alike(self, ago: str, counts: Counts) -> Reference:
        """The reference at the hours of a window."""
        if ago not in self._references:
            self._references[ago] = self.reference.at_hours_of(counts)
        return self._references[ago]

    def _rho(self, leaf: Leaf, name: str) -> float:
        stray = self.reference.stray(self.length)
        known = stray.columns.get(name, Dispersion())
        rates = {"shape": known.shape, "missing": known.missing, "outcome": stray.outcome}
        return rates.get(leaf.signal.dispersion, 0.0)

    def combined(self, node: Node) -> Estimate:
        """The value of one element's tree with its interval.

        Every part is moved to its bounds alone, and the moves add, each side by itself (method of variance
        estimates recovery, Zou & Donner 2008), so the interval of a single leaf stays what it is. Parts of
        the same rows may err together, so their moves add in full; live rows, those of an earlier window and
        the reference do not, so theirs add as independent errors do.
        """
        if isinstance(node, Number):
            return Estimate(node.value, node.value, node.value, math.inf)
        if isinstance(node, Leaf):
            return self.estimate(node)
        found = {atom: self._of_atom(atom) for atom in atoms_of(node)}
        values = {atom: estimate.value for atom, estimate in found.items()}
        value = calculate(node, values)
        divisors = [self.combined(one) for one in divisors_of(node)]
        anything = math.inf if any(one.low <= 0 and one.high >= 0 for one in divisors) else 0.0
        below: dict[Any, float] = defaultdict(float, {None: anything})  # by the rows that err
        above = below.copy()
        for moved, estimate in found.items():
            ends = [calculate(node, values | {moved: end}) for end in _ends(node, moved, estimate)]
            rows = next(((leaf.of_reference, leaf.ago) for leaf in leaves_of(moved)), None)
            below[rows] = below[rows] + maximum(0.0, value - reduce(minimum, ends))
            above[rows] = above[rows] + maximum(0.0, reduce(maximum, ends) - value)
        live = [one for atom, one in found.items() if any(leaf.is_live for leaf in leaves_of(atom))]
        n = reduce(minimum, [one.n for one in live or found.values()], math.inf)
        noise = hypot(*(one.noise for one in found.values()))
        return Estimate(value, value - hypot(*below.values()), value + hypot(*above.values()), n, noise)

    def _of_atom(self, atom: Leaf | Op) -> Estimate:
        if isinstance(atom, Leaf):
            return self.estimate(atom)
        inner = self.combined(atom.operands[0])  # of abs: an interval around 0 is folded at 0
        ends = (abs(inner.low), abs(inner.high))
        low = 0.0 if inner.low <= 0 and inner.high >= 0 else minimum(*ends)
        return inner._replace(value=abs(inner.value), low=low, high=maximum(*ends))

    def gap(self, one: Element, live: Estimate, other: Estimate) -> Estimate:
        """The live side minus the other, given both."""
        if one.is_paired:
            return self.combined(Op("-", (one.live, one.other)))
        value = live.value - other.value  # of different rows: their errors are independent
        below = hypot(live.value - live.low, other.high - other.value)
        above = hypot(live.high - live.value, other.value - other.low)
        return Estimate(value, value - below, value + above, live.n)

    def tell(self, node: Node) -> str:
        """A tree's value in words, one line per element."""
        lines = []
        for key in keys_of(node):
            one = self.combined(at_element(node, key))
            name = " ".join(
                word for word in (str(key.part), f"{key.column}:" if key.column else "", describe(node)) if word
            )
            value, low, high = (tidy(number, math.nan) for number in (one.value, one.low, one.high))
            lines.append(f"{name} {value} ({low}–{high}, n={format_number(round(one.n))})")
        return "\n".join(lines)

    def judge(self, comparison: Comparison, min_n: int = 0) -> Iterator[Judgement]:
        """Judge every element of a comparison."""
        for one in comparison.elements:
            if one.key.part.segment is None or self._has_rows(one.key.part):
                yield self._judge(one, comparison.direction, min_n)

    def _has_rows(self, part: Slice) -> bool:
        """A segment value that neither training nor live traffic has says nothing."""
        at = self.reference.layout.find_slice(*part)
        return bool(self.counts.table[at, 0] or self.reference.counts.table[at, 0])

    def _judge(self, one: Element, symbol: str, min_n: int) -> Judgement:
        least = self._least_known(one) if self.known else None
        if least is not None and least.status == "maturing":
            return self._maturing(one, f"maturing, {least.maturity:.0%} of its outcomes are known", least.maturity)
        if not self.known and next(leaves_of(one.live)).signal.of == "labels":
            return self._maturing(one, "known where outcomes are joined: wakeful replay … --outcomes OUTCOMES")
        live, other = self.combined(one.live), self.combined(one.other)
        gap = self.gap(one, live, other)
        verdict = _verdict(gap, symbol, self.strict)
        excess = gap.low if symbol in ("<=", "<") else -gap.high if symbol in (">=", ">") else max(gap.low, -gap.high)
        if live.n < min_n:
            verdict, excess = "unsure" if verdict == "fail" else verdict, -math.inf
        reference = calculate(one.expected, {leaf: self.estimate(leaf).value for leaf in leaves_of(one.expected)})
        column = next(leaves_of(one.live)).columns
        judgement = Judgement(
            column[0] if column else None, one.key.part, verdict, live.value, live.low, live.high,
            live.n, other.value, reference, live.noise, excess, "", None if least is None else least.maturity,
        )  # fmt: skip
        unknown = one.pasts - self.past.keys()
        if unknown:
            text = f"nothing is known of {', '.join(sorted(unknown))} ago; wakeful replay looks back, as far as it goes"
            return judgement._replace(message=f"{_subject(judgement, one.live)}: {text}")
        return judgement._replace(message=_message(judgement, one.live, symbol, min_n))

    def _least_known(self, one: Element) -> Known | None:
        """The window whose outcomes are furthest behind, of those that are asked of; None where none is."""
        leaves = (*leaves_of(one.live), *leaves_of(one.other))
        asked = {leaf.ago for leaf in leaves if not leaf.of_reference and needs_outcomes(leaf.signal)}
        found = [self.known[ago] for ago in asked if ago in self.known and self.known[ago].n]
        return min(found, key=lambda known: (known.status != "maturing", known.maturity), default=None)

    def _maturing(self, one: Element, why: str, maturity: float | None = None) -> Judgement:
        """What cannot be judged yet."""
        column, nothing = next(leaves_of(one.live)).columns, math.nan
        judgement = Judgement(
            column[0] if column else None, one.key.part, "maturing", nothing, -math.inf, math.inf,
            0.0, nothing, nothing, 0.0, -math.inf, "", maturity,
        )  # fmt: skip
        return judgement._replace(message=f"{_subject(judgement, one.live)}: {why}")


def _ends(node: Node, moved: Leaf | Op, estimate: Estimate) -> list[float]:
    """Where a part is moved to: its bounds, and between them too where it stands in a tree more than once."""
    ends = [estimate.low, estimate.high]
    if sum(leaf in tuple(leaves_of(moved)) for leaf in leaves_of(node)) > len(tuple(leaves_of(moved))):
        width = (estimate.high - estimate.low) / 32
        ends += [estimate.low + step * width for step in range(1, 32)] if math.isfinite(width) else []
    return ends


def _verdict(gap: Estimate, symbol: str, strict: bool) -> Outcome:
    """Judge live minus limit."""
    if math.isnan(gap.value):
        return "unsure"
    holds = {
        "<=": gap.value <= 0,
        "<": gap.value < 0,
        ">=": gap.value >= 0,
        ">": gap.value > 0,
        "==": gap.value == 0,
    }
    above, below = gap.low > 0, gap.high < 0
    refuted = {"==": above or below}.get(symbol, above if symbol in ("<=", "<") else below)
    if refuted:
        return "fail"
    if strict:
        at_most, at_least = gap.high <= 0, gap.low >= 0
        supported = {"==": at_most and at_least}.get(symbol, at_most if symbol in ("<=", "<") else at_least)
        return "pass" if supported and holds[symbol] else "unsure"
    return "pass" if holds[symbol] else "unsure"


def _subject(one: Judgement, side: Node) -> str:
    """``[platform=web] income: missing``."""
    words = (
        f"[{one.part}]" if one.part.segment is not None else "",
        f"{one.column}:" if one.column else "",
        describe(side),
    )
    return " ".join(word for word in words if word)


_OPPOSITE = {"<=": ">", "<": "≥", ">=": "<", ">": "≤", "==": "≠"}
_SAME = {"<=": "≤", ">=": "≥"}


def _message(one: Judgement, side: Node, symbol: str, min_n: int) -> str:
    """``precision on holdout 0.71 (0.64–0.77, n=182) < 0.95, reference 0.97``."""
    subject = _subject(one, side)
    if math.isnan(one.estimate):
        return f"{subject}: no live values to estimate it from"
    sign = _SAME.get(symbol, symbol) if one.verdict == "pass" else _OPPOSITE[symbol]
    if one.verdict == "unsure" and one.low <= one.limit <= one.high:
        sign = f"is not clearly {_SAME.get(symbol, symbol)}"
    value, low, high, limit, reference = (
        tidy(number, one.limit) for number in (one.estimate, one.low, one.high, one.limit, one.reference)
    )
    text = f"{subject} {value} ({low}–{high}, n={format_number(round(one.n))}) {sign} {limit}"
    if any(leaf.signal.wants_reference for leaf in leaves_of(side)):
        text += f", noise {tidy(one.noise, one.limit)}" if one.noise else ""
    elif not math.isnan(one.reference):
        text += f", reference {reference}"
    if one.verdict == "unsure" and not one.low <= one.limit <= one.high:
        text += "; the limit is itself an estimate, and not clearly exceeded"
    if one.n < min_n:
        text += f"; fewer than min_n={min_n}"
    return text


def tidy(value: float, limit: float) -> str:
    """A number with two decimals, or as many as tell it from the limit; a limit as it was written."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "?"
    if abs(value) >= 1000 or value == int(value):
        return format_number(value)
    for digits in range(2, 7):
        text = f"{value:.{digits}f}"
        if float(text) == value or (value != limit and float(text) not in (limit, 0.0)):
            return text.rstrip("0").rstrip(".") if float(text) == value else text
    return f"{value:.2g}"
