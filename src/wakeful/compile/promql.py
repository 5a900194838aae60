"""Symbols as PromQL."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wakeful.compile.plan import Recording
from wakeful.compile.symbols import OPPOSITE, Operand, Symbol

__all__ = ["Writer", "labelled", "number", "one_of", "quoted"]


def quoted(text: str) -> str:
    """A string as PromQL writes it."""
    return json.dumps(text.encode("utf-8", "backslashreplace").decode(), ensure_ascii=False)


def one_of(values: Iterable[str]) -> str:
    """A pattern that matches these values and no others, as PromQL writes it."""
    return quoted("|".join(re.escape(one) for one in values))


def labelled(text: str, labels: Mapping[str, str]) -> str:
    """An expression whose series get some labels more."""
    for label, value in labels.items():
        text = f'label_replace({text}, {quoted(label)}, {quoted(value.replace("$", "$$"))}, "", "")'
    return text


def number(value: float) -> str:
    """A number as PromQL writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return f"({text})" if value < 0 else text


_SHORT = 100  # characters: what is no longer is written again, instead of being recorded
_SHORT_BY_BIN = 1_000  # the same of what has a series for every bin


class Writer:
    """Writes the symbols of one monitor; what occurs twice becomes a recording of its own.

    Args:
        model: whose series they are.
        roots: all that will be written.
    """

    def __init__(self, model: str, roots: Iterable[Symbol]) -> None:
        self._model = model
        self._uses: Counter[Symbol] = Counter()
        self._texts: dict[Symbol, str] = {}
        self.parts: dict[str, Recording] = {}  # by what they are read as, each after those that it reads
        roots = list(roots)
        self._uses.update(roots)
        for node in _within(roots):
            self._uses.update(_symbols_in(node.operands))

    def parts_of(self, roots: Iterable[Symbol]) -> Iterator[Recording]:
        """The recordings that some symbols read, at whatever depth; once these are written."""
        for node in _within(roots):
            if self._texts.get(node) in self.parts:
                yield self.parts[self._texts[node]]

    def write(self, node: Operand) -> str:
        """A symbol, or a number, as an operand."""
        if not isinstance(node, Symbol):
            return number(float(node))
        if node not in self._texts:
            text = self._text(node)
            by_bin = "bin" in node.labels
            is_costly = node.operation in _COSTLY and not by_bin
            if self._uses[node] > 1 and (is_costly or len(text) > (_SHORT_BY_BIN if by_bin else _SHORT)):
                own = hashlib.sha256(f"{quoted(self._model)} {text}".encode()).hexdigest()  # no other model's
                name = f"wakeful:part:{own[:10]}"
                self.parts[name] = Recording(name, text, {} if "model" in node.labels else {"model": self._model})
                text = name
            self._texts[node] = text
        return self._texts[node]

    def _text(self, node: Symbol) -> str:
        operation, operands = node.operation, node.operands
        if operation in _INFIX:
            return self._infix(_INFIX[operation], *operands)
        if operation in OPPOSITE:
            return self._infix(f"{operation} bool", *operands)
        if operation in ("abs", "sqrt", "ln", "exp"):
            return f"{operation}({self.write(operands[0])})"
        if operation in ("sum", "max", "count"):
            return f"{operation} by ({', '.join(node.labels)}) ({self.write(operands[0])})"
        written = {
            "series": lambda: str(operands[0]),
            "neg": lambda: f"(0 - {self.write(operands[0])})",
            "or": lambda: f"clamp_max({self._infix('+', *operands)}, 1)",
            "min": lambda: self._extreme("clamp_max", "<", *operands),
            "max of": lambda: self._extreme("clamp_min", ">", *operands),
            "where": lambda: self._where(node, *operands),
            "cases": lambda: self._cases(node, operands[0]),
            "table": lambda: _table(node),
            "regroup": lambda: self._regroup(node, *operands),
            "default": lambda: f"({self.write(operands[0])} or 0 * {self.write(operands[1])})",
            "within": lambda: self._within(node, *operands),
        }
        return written[operation]()

    def _infix(self, symbol: str, a: Operand, b: Operand) -> str:
        return f"({self.write(a)} {symbol}{_matching(a, b)} {self.write(b)})"

    def _extreme(self, clamp: str, symbol: str, a: Operand, b: Operand) -> str:
        if not isinstance(a, Symbol):
            a, b = b, a
        if not isinstance(b, Symbol):
            return f"{clamp}({self.write(a)}, {number(b)})"
        if len(a.labels) < len(b.labels):
            a, b = b, a
        return f"({self._infix(symbol, a, b)} or {self._spread(b, a.labels, a)})"

    def _spread(self, value: Operand, labels: tuple[str, ...], base: Symbol) -> str:
        """A value for each of some labels, of which ``base`` has every one."""
        if isinstance(value, Symbol) and value.labels == labels:
            return self.write(value)
        return f"(0 * {self.write(base)} +{_matching(base, value)} {self.write(value)})"

    def _where(self, node: Symbol, condition: Symbol, then: Operand, otherwise: Operand) -> str:
        base = next(
            one for one in (condition, then, otherwise) if isinstance(one, Symbol) and one.labels == node.labels
        )
        on = "" if condition.labels == node.labels else f" on ({', '.join(condition.labels)})"
        truth = self.write(condition)
        first, second = (self._spread(one, node.labels, base) for one in (then, otherwise))
        return f"(({first} and{on} ({truth} == 1)) or ({second} and{on} ({truth} == 0)))"

    def _cases(self, node: Symbol, some: Iterable[tuple[Any, Operand]]) -> str:
        return "(" + " or ".join(f"({self._case(node, *one)})" for one in some) + ")"

    def _case(self, node: Symbol, conditions: tuple[tuple[Symbol, bool], ...], result: Operand) -> str:
        widest = max((one for one, _ in conditions), key=lambda one: len(one.labels), default=None)
        base = result if widest is None or (isinstance(result, Symbol) and result.labels == node.labels) else widest
        text = self._spread(result, node.labels, base)
        for condition, holds in conditions:
            symbol = condition.operation if holds else OPPOSITE[condition.operation]
            on = "" if condition.labels == node.labels else f" on ({', '.join(condition.labels)})"
            text += f" and{on} {self._kept(symbol, *condition.operands)}"
        return text

    def _kept(self, symbol: str, a: Operand, b: Operand) -> str:
        """The series for which a comparison holds."""
        if not isinstance(a, Symbol):
            a, b, symbol = b, a, _TURNED.get(symbol, symbol)
        return self._infix(symbol, a, b)

    def _regroup(self, node: Symbol, rows: Symbol, groups: Symbol, label: str) -> str:
        on = ", ".join(rows.labels)
        by = ", ".join(node.labels)
        return f"sum by ({by}) ({self.write(rows)} * on ({on}) group_left ({label}) {self.write(groups)})"

    def _within(self, node: Symbol, rows: Symbol, groups: Symbol, whole: Symbol) -> str:
        inside = f"{self.write(rows)} and on ({', '.join(rows.labels)}) {self.write(groups)}"
        return f"(sum by ({', '.join(node.labels)}) ({inside}) or 0 * {self.write(whole)})"


_COSTLY = ("sum", "regroup", "within")  # which look at every bin
_INFIX = {"+": "+", "-": "-", "*": "*", "/": "/", "^": "^", "and": "*"}
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


def _symbols_in(operands: Any) -> Iterator[Symbol]:
    for one in operands:
        if isinstance(one, Symbol):
            yield one
        elif isinstance(one, tuple):
            yield from _symbols_in(one)


def _within(roots: Iterable[Symbol]) -> Iterator[Symbol]:
    """Some symbols and all of which they are made, each once."""
    waiting, seen = list(roots), set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting += _symbols_in(node.operands)


def _matching(a: Operand, b: Operand) -> str:
    """How PromQL pairs the series of two operands."""
    if not (isinstance(a, Symbol) and isinstance(b, Symbol)) or a.labels == b.labels:
        return ""
    if set(b.labels) < set(a.labels):
        return f" on ({', '.join(b.labels)}) group_left ()"
    return f" on ({', '.join(a.labels)}) group_right ()"


def _table(node: Symbol) -> str:
    """Constants, each with its labels."""
    rows = []
    for key, value in node.operands:
        rows.append(labelled(f"vector({number(value)})", dict(zip(node.labels, key, strict=True))))
    return f"({' or '.join(rows)})"
