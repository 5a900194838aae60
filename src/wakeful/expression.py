"""What an assert becomes: a tree of signals, numbers and arithmetic, compared with another."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias

from wakeful.caching import cached_property
from wakeful.counts import Slice
from wakeful.errors import ControlFlowError, SignalError
from wakeful.signals import Signal

__all__ = [
    "Bound",
    "Comparison",
    "Element",
    "Expression",
    "Key",
    "Leaf",
    "Node",
    "Number",
    "Op",
    "at_element",
    "atoms_of",
    "calculate",
    "compare",
    "divisors_of",
    "keys_of",
    "leaves_of",
    "on_reference",
    "pasts_of",
    "with_leaves",
]


class Key(NamedTuple):
    """One element of a vector: a column and a slice."""

    column: str | None
    part: Slice


class Element(NamedTuple):
    """One element of a comparison, made once and judged in every window.

    Attributes:
        key: its column and slice.
        live, other: the trees of both sides, asked of that alone.
        expected: the live side, asked of the reference.
        pasts: how long ago the windows ended that it is compared with.
        is_paired: both sides are asked of the same rows, which may err together.
    """

    key: Key
    live: Node
    other: Node
    expected: Node
    pasts: frozenset[str]
    is_paired: bool

    @classmethod
    def at(cls, key: Key, left: Node, right: Node) -> Element:
        """The element of both sides that belongs to a key."""
        live, other = at_element(left, key), at_element(right, key)
        is_paired = bool(sources_of(live) & sources_of(other))
        return cls(key, live, other, on_reference(live), pasts_of(live, other), is_paired)


class Leaf(NamedTuple):
    """A signal asked of live traffic or of the reference.

    Attributes:
        signal: the formula.
        arguments: its keyword arguments, as sorted pairs.
        columns: the columns it is asked of; None for outcomes and rows.
        parts: the slices it is asked of.
        held_out: of flagged rows, only the holdout counts.
        of_reference: asked of the reference instead of live traffic.
        ago: asked of the window of equal length that ended so long ago, such as ``7d``; empty for this one.
        against: in place of the reference, what is asked is compared with the window that ended so long ago.
    """

    signal: Signal
    arguments: tuple[tuple[str, Any], ...]
    columns: tuple[str, ...] | None
    parts: tuple[Slice, ...]
    held_out: bool
    of_reference: bool
    ago: str = ""
    against: str = ""

    @property
    def is_live(self) -> bool:
        """Asked of the window that is judged."""
        return not self.of_reference and not self.ago

    def at(self, key: Key) -> Key:
        """The element of this leaf that belongs to an element of the whole; single ones serve all."""
        column = None if self.columns is None else self.columns[0] if len(self.columns) == 1 else key.column
        return Key(column, self.parts[0] if len(self.parts) == 1 else key.part)


class Number(NamedTuple):
    """A plain number."""

    value: float


class Op(NamedTuple):
    """Arithmetic on nodes: ``+ - * / neg abs``."""

    symbol: str
    operands: tuple[Node, ...]


Node: TypeAlias = "Leaf | Number | Op"

_ARITHMETIC: dict[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b != 0 else math.nan,
    "neg": lambda a: -a,
    "abs": abs,
}


def calculate(node: Node, values: Mapping[Leaf | Op, float]) -> float:
    """The number that a tree comes to, given a value for every leaf (or for a whole part)."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Leaf) or node in values:
        return values[node]
    return _ARITHMETIC[node.symbol](*(calculate(one, values) for one in node.operands))


def leaves_of(node: Node) -> Iterator[Leaf]:
    """Every leaf of a tree, from left to right."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Op):
        for one in node.operands:
            yield from leaves_of(one)


def with_leaves(node: Node, change: Callable[[Leaf], Leaf]) -> Node:
    """The same tree with other leaves."""
    if isinstance(node, Leaf):
        return change(node)
    if isinstance(node, Op):
        return node._replace(operands=tuple(with_leaves(one, change) for one in node.operands))
    return node


def atoms_of(node: Node) -> Iterator[Leaf | Op]:
    """The parts of a tree that it is monotone in: leaves, and every abs(…) as a whole."""
    if isinstance(node, Leaf) or (isinstance(node, Op) and node.symbol == "abs"):
        yield node
    elif isinstance(node, Op):
        for one in node.operands:
            yield from atoms_of(one)


def divisors_of(node: Node) -> Iterator[Leaf | Op]:
    """What a tree divides by, plain numbers aside."""
    if isinstance(node, Op):
        if node.symbol == "/" and not isinstance(node.operands[1], Number):
            yield node.operands[1]
        for one in node.operands:
            yield from divisors_of(one)


def at_element(node: Node, key: Key) -> Node:
    """The tree of one element: every leaf asked of its own column and slice alone."""

    def at(leaf: Leaf) -> Leaf:
        column, part = leaf.at(key)
        return leaf._replace(columns=None if column is None else (column,), parts=(part,))

    return with_leaves(node, at)


def sources_of(node: Node) -> set[tuple[bool, str]]:
    """The rows that a tree is asked of: whether of the reference, and how long ago."""
    return {(leaf.of_reference, leaf.ago) for leaf in leaves_of(node)}


def pasts_of(*nodes: Node) -> frozenset[str]:
    """How long ago the windows ended that trees ask of, or compare with."""
    leaves = (leaf for node in nodes for leaf in leaves_of(node))
    return frozenset(past for leaf in leaves for past in (leaf.ago, leaf.against) if past)


def on_reference(node: Node) -> Node:
    """The same tree, asked of the reference throughout."""
    return with_leaves(node, lambda leaf: leaf._replace(of_reference=True, ago="", against=""))


def keys_of(*nodes: Node) -> list[Key]:
    """Elements of the vector that trees form together; single columns and slices go with all others."""
    columns: tuple[str | None, ...] = (None,)
    parts: tuple[Slice, ...] = (Slice(None, None),)
    for node in nodes:
        for leaf in leaves_of(node):
            columns = _aligned("columns", columns, leaf.columns or (None,))
            parts = _aligned("segments", parts, leaf.parts)
    return [Key(column, part) for part in parts for column in columns]


def _aligned(what: str, known: tuple[Any, ...], more: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(known) > 1 and len(more) > 1 and known != more:
        raise SignalError(
            f"two vectors of different {what} cannot be compared: {', '.join(map(str, known))} and "
            f"{', '.join(map(str, more))}. Compare the same {what} on both sides, or one at a time."
        )
    if len(more) > 1 or known in ((None,), (Slice(None, None),)):
        return more
    return known


def _no_plain_value(what: str, hint: str) -> NoReturn:
    """Refuse to be a truth or a number while a check is read, naming the user's line."""
    frame = sys._getframe(2)
    here = str(Path(__file__).parent)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    raise ControlFlowError(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}: {what}. {hint}")


_HINT = (
    "A check is read once and then holds for every window, so nothing in it may depend on a live value: no if, "
    "while, float(…), max(…) or all(…). Write every comparison as an assert of the check itself; a function that "
    "it calls may return a comparison, but not assert it."
)

Judge: TypeAlias = "Callable[[Comparison], bool]"
Teller: TypeAlias = "Callable[[Node], str]"


@dataclass(frozen=True, eq=False)
class Bound:
    """Counts to judge by at once, for ordinary tests: without them an expression is only read."""

    judge: Judge
    tell: Teller


@dataclass(frozen=True, eq=False)
class Expression:
    """A live value inside a check; comparing it gives a Comparison."""

    node: Node
    bound: Bound | None = None

    def _with(self, symbol: str, *others: object, swapped: bool = False) -> Expression:
        nodes: list[Node] = [self.node]
        for other in others:
            if isinstance(other, Expression):
                nodes.append(other.node)
            elif isinstance(other, int | float) or hasattr(other, "__float__"):
                nodes.append(Number(float(other)))
            else:
                return NotImplemented  # type: ignore[no-any-return]
        return Expression(Op(symbol, tuple(reversed(nodes) if swapped else nodes)), self.bound)

    def __add__(self, other: object) -> Expression:
        return self._with("+", other)

    def __radd__(self, other: object) -> Expression:
        return self._with("+", other, swapped=True)

    def __sub__(self, other: object) -> Expression:
        return self._with("-", other)

    def __rsub__(self, other: object) -> Expression:
        return self._with("-", other, swapped=True)

    def __mul__(self, other: object) -> Expression:
        return self._with("*", other)

    def __rmul__(self, other: object) -> Expression:
        return self._with("*", other, swapped=True)

    def __truediv__(self, other: object) -> Expression:
        return self._with("/", other)

    def __rtruediv__(self, other: object) -> Expression:
        return self._with("/", other, swapped=True)

    def __neg__(self) -> Expression:
        return self._with("neg")

    def __abs__(self) -> Expression:
        return self._with("abs")

    def __le__(self, other: object) -> Comparison:
        return compare(self, "<=", other)

    def __lt__(self, other: object) -> Comparison:
        return compare(self, "<", other)

    def __ge__(self, other: object) -> Comparison:
        return compare(self, ">=", other)

    def __gt__(self, other: object) -> Comparison:
        return compare(self, ">", other)

    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]  # as numpy: an expression
        return compare(self, "==", other)

    def __ne__(self, other: object) -> NoReturn:
        _no_plain_value("`!=` on a live value", "An estimate is never exactly a number: use < or >.")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        _no_plain_value("a live value was used as a truth", _HINT)

    def __float__(self) -> NoReturn:
        _no_plain_value("a live value was used as a plain number", _HINT)

    __int__ = __index__ = __float__

    def __repr__(self) -> str:
        return self.bound.tell(self.node) if self.bound else f"<live value {describe(self.node)}>"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two trees and how they should compare."""

    left: Node
    symbol: str
    right: Node
    bound: Bound | None = None

    def __bool__(self) -> bool:
        if self.bound is None:
            _no_plain_value("a comparison of a live value was used as a truth", _HINT)
        return self.bound.judge(self)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """Every element that is compared: a column and a slice."""
        live, other = self.live
        keys = keys_of(self.left, self.right)
        return tuple(Element.at(key, live, other) for key in keys)

    @property
    def leaves(self) -> Iterator[Leaf]:
        """Every leaf of both trees, from left to right."""
        yield from leaves_of(self.left)
        yield from leaves_of(self.right)

    @property
    def direction(self) -> str:
        """The symbol, as it stands between the live side and the other."""
        if self.live[0] is self.left:
            return self.symbol
        return {"<=": ">=", "<": ">", ">=": "<=", ">": "<"}.get(self.symbol, self.symbol)

    @property
    def live(self) -> tuple[Node, Node]:
        """The side that is estimated from live traffic, then the side it is held against."""
        if any(leaf.is_live for leaf in leaves_of(self.left)) or not any(
            leaf.is_live for leaf in leaves_of(self.right)
        ):
            return self.left, self.right
        return self.right, self.left


def compare(left: object, symbol: str, right: object) -> Comparison:
    """Compare two values, at least one of which is live; TypeError for what has no number."""
    nodes: list[Node] = []
    bound = None
    for side in (left, right):
        if isinstance(side, Expression):
            nodes.append(side.node)
            bound = bound or side.bound
        elif hasattr(side, "__float__") and not math.isnan(limit := float(side)):
            nodes.append(Number(limit))
        else:
            raise SignalError(f"a live value cannot be compared with {side!r}. Compare it with a number.")
    if symbol not in ("<=", "<", ">=", ">", "=="):
        raise SignalError(f"live values do not compare by {symbol!r}. Use <=, <, >=, > or ==.")
    keys_of(*nodes)
    return Comparison(nodes[0], symbol, nodes[1], bound)


def describe(node: Node) -> str:
    """A tree in words: ``precision on holdout``, ``missing + 0.02``, ``income mean / rent mean``."""
    several = len({leaf.columns for leaf in leaves_of(node)}) > 1
    return _in_words(node, several)


def _in_words(node: Node, several: bool) -> str:
    if isinstance(node, Number):
        return f"{node.value:g}"
    if isinstance(node, Op):
        words = [_in_words(one, several) for one in node.operands]
        if node.symbol == "abs":
            return f"abs({words[0]})"
        words = [
            f"({word})" if isinstance(one, Op) and one.symbol in ("+", "-", "/") else word
            for word, one in zip(words, node.operands, strict=True)
        ]
        return "-" + words[0] if node.symbol == "neg" else f" {node.symbol} ".join(words)
    arguments = ", ".join(f"{name}={value!r}" for name, value in node.arguments)
    words = [node.signal.name + (f"({arguments})" if arguments else "")]
    if several and node.columns is not None and len(node.columns) == 1:
        words.insert(0, node.columns[0])
    if node.held_out:
        words.append("on holdout")
    if node.of_reference:
        words.append("in the reference")
    if node.ago:
        words.append(f"{node.ago} ago")
    if node.against:
        words.append(f"against {node.against} ago")
    return " ".join(words)
