"""Symbols: they stand for numbers, or for arrays over bins, and record what a formula does to them.

A symbol has labels instead of a shape: one number for each of their values, as a series of Prometheus has. Where a
formula branches on a symbol it is run once for every way that it may go (``explore``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from wakeful.errors import WakefulError

__all__ = ["CannotSay", "Case", "Operand", "Symbol", "cases", "chosen", "explore", "table"]

T = TypeVar("T")
Operand = Any  # a Symbol or a plain number

_MOST_PATHS = 256


class CannotSay(WakefulError, ValueError):
    """What a formula does that has no counterpart in the other language.

    Attributes:
        instead: the nearest thing that has one.
    """

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason)
        self.instead = instead


class Symbol(NDArrayOperatorsMixin):
    """What an operation on others gives. The same operation on the same operands is the same object.

    Attributes:
        operation: its name.
        operands: symbols, numbers, and what else the operation needs.
        labels: for each of whose values there is one number, sorted.
    """

    __slots__ = ("__weakref__", "labels", "operands", "operation")

    operation: str
    operands: tuple[Any, ...]
    labels: tuple[str, ...]

    def __new__(cls, operation: str, operands: tuple[Any, ...], labels: Iterable[str]) -> Symbol:
        """The symbol, made only once."""
        labels = tuple(sorted(labels))
        key = (operation, tuple(id(one) if isinstance(one, Symbol) else one for one in operands), labels)
        found = _KNOWN.get(key)
        if found is None:
            found = super().__new__(cls)
            found.operation, found.operands, found.labels = operation, operands, labels
            _KNOWN[key] = found
        return found

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.operation} by {', '.join(self.labels)}>"

    def __bool__(self) -> bool:
        if not _EXPLORERS:
            raise CannotSay("it asks whether a live value is true")
        is_condition = self.operation in OPPOSITE
        return _EXPLORERS[-1].decide(self if is_condition else Symbol("!=", (self, 0.0), self.labels))

    def _no_number(self) -> NoReturn:
        raise CannotSay("it takes a live value for a plain number")

    def __float__(self) -> float:
        self._no_number()

    __int__ = __index__ = __len__ = __float__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        inputs = tuple(one.item() if isinstance(one, np.ndarray) and one.ndim == 0 else one for one in inputs)
        if any(isinstance(one, np.ndarray) for one in inputs):  # arrays of symbols: one by one
            return np.frompyfunc(lambda *some: _applied(ufunc, some), len(inputs), 1)(*map(_boxed, inputs))
        if method != "__call__" or options:
            raise CannotSay(f"it uses numpy's {ufunc.__name__}.{method}")
        return _applied(ufunc, inputs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        known: dict[Any, Callable[..., Any]] = {np.where: chosen, np.sum: Symbol.sum, np.max: Symbol.max}
        if function not in known:
            raise CannotSay(f"it uses numpy's {function.__name__}")
        return known[function](*arguments, **options)

    def sum(self) -> Symbol:
        """Over bins."""
        return self._over_bins("sum")

    def max(self) -> Symbol:
        """Over bins."""
        return self._over_bins("max")

    @property
    def size(self) -> Symbol:
        """How many bins there are."""
        return self._over_bins("count")

    def _over_bins(self, how: str) -> Symbol:
        return Symbol(how, (self,), (one for one in self.labels if one not in BINS))


BINS = ("bin", "of_5", "of_10", "hour")  # labels of bins, of groups of them, and of hours of the week
_KNOWN: WeakValueDictionary[Any, Symbol] = WeakValueDictionary()


def _boxed(one: Any) -> Any:
    if not isinstance(one, Symbol):
        return one
    box = np.empty((), dtype=object)
    box[()] = one
    return box


_BINARY: dict[np.ufunc, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.true_divide: "/", np.power: "^",
    np.minimum: "min", np.maximum: "max of",
    np.greater: ">", np.greater_equal: ">=", np.less: "<", np.less_equal: "<=", np.equal: "==", np.not_equal: "!=",
    np.logical_and: "and", np.bitwise_and: "and", np.logical_or: "or", np.bitwise_or: "or",
}  # fmt: skip
_UNARY = {np.negative: "neg", np.absolute: "abs", np.sqrt: "sqrt", np.log: "ln", np.exp: "exp"}
OPPOSITE = {">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "=="}


def _applied(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """What a function of numpy makes of symbols and numbers."""
    if not any(isinstance(one, Symbol) for one in inputs):
        return ufunc(*inputs)
    if ufunc is np.log2:
        return np.log(inputs[0]) / math.log(2)
    if ufunc is np.expm1:
        return np.exp(inputs[0]) - 1.0
    if ufunc in _UNARY:
        return _folded(_UNARY[ufunc], ufunc, inputs)
    if ufunc not in _BINARY:
        raise CannotSay(f"it uses numpy's {ufunc.__name__}")
    symbol = _BINARY[ufunc]
    known = _at_once(symbol, *inputs)
    return known[0] if known else _folded(symbol, ufunc, inputs)


_NEUTRAL = {"+": 0.0, "-": 0.0, "*": 1.0, "/": 1.0, "min": math.inf, "max of": -math.inf, "and": True, "or": False}
_DECISIVE = {"and": False, "or": True}


def _at_once(symbol: str, a: Any, b: Any) -> tuple[Any] | None:
    """What an operation gives that needs no symbol of its own; None where it needs one."""
    if symbol == "-" and a is b:
        return (0.0,)  # what is asked of the reference is compared with itself
    plain, other = (b, a) if isinstance(a, Symbol) else (a, b)
    if isinstance(plain, Symbol):
        return None
    if symbol in ("+", "-", "*", "/", "^") and math.isnan(plain):
        return (math.nan,)
    if symbol in _DECISIVE and plain == _DECISIVE[symbol]:
        return (_DECISIVE[symbol],)
    has_its_place = symbol not in ("-", "/") or other is a
    return (other,) if has_its_place and symbol in _NEUTRAL and plain == _NEUTRAL[symbol] else None


def _folded(operation: str, ufunc: np.ufunc, operands: tuple[Any, ...]) -> Any:
    """The operation, worked out at once where its operands are constants with the same labels."""
    operands = tuple(one if isinstance(one, Symbol) else float(one) for one in operands)
    tables = [one for one in operands if isinstance(one, Symbol)]
    if all(one.operation == "table" and one.labels == tables[0].labels for one in tables):
        keys = [key for key, _ in tables[0].operands]
        columns = [dict(one.operands) if isinstance(one, Symbol) else dict.fromkeys(keys, one) for one in operands]
        with np.errstate(all="ignore"):
            found = {key: float(ufunc(*(column[key] for column in columns))) for key in keys}
        is_truth = operation in OPPOSITE or operation in ("and", "or")
        constant = table(tables[0].labels, found)
        return bool(constant) if is_truth and not isinstance(constant, Symbol) else constant
    return Symbol(operation, operands, union(tables))


def union(symbols: Iterable[Symbol]) -> tuple[str, ...]:
    """The labels of some symbols together; those of one must hold those of all others."""
    found = [set(one.labels) for one in symbols]
    widest = max(found, key=len)
    if any(not one <= widest for one in found):
        raise CannotSay("it combines values of different columns or segments with each other")
    return tuple(sorted(widest))


def table(labels: tuple[str, ...], rows: Mapping[tuple[str, ...], float]) -> Operand:
    """A constant for every value of its labels; a plain number where all are equal."""
    values = set(rows.values())
    if len(values) == 1 or all(math.isnan(one) for one in values):
        return values.pop()
    return Symbol("table", tuple(sorted(rows.items())), labels)


def chosen(condition: Any, then: Any, otherwise: Any) -> Any:
    """One of two values for each label, by a condition."""
    if isinstance(condition, (bool, np.bool_)):
        return then if condition else otherwise
    if isinstance(condition, np.ndarray):
        raise CannotSay("it chooses by an array of conditions")
    operands = tuple(one if isinstance(one, Symbol) else float(one) for one in (condition, then, otherwise))
    return Symbol("where", operands, union(one for one in operands if isinstance(one, Symbol)))


class Case(NamedTuple):
    """What a formula comes to where some conditions hold.

    Attributes:
        conditions: symbols of comparisons, and whether each holds.
        result: whatever the formula returned.
    """

    conditions: tuple[tuple[Symbol, bool], ...]
    result: Any


class _Explorer:
    """One run of a formula: goes the given ways first, then every first one."""

    def __init__(self, given: tuple[bool, ...]) -> None:
        self._given = given
        self._known: dict[Any, bool] = {}
        self.taken: list[tuple[Symbol, bool]] = []

    def decide(self, condition: Symbol) -> bool:
        if condition.operation not in OPPOSITE:
            raise CannotSay("it asks for several conditions at once")
        operands = tuple(id(one) if isinstance(one, Symbol) else one for one in condition.operands)
        if (condition.operation, operands) not in self._known:
            place = len(self.taken)
            way = self._given[place] if place < len(self._given) else True
            self.taken.append((condition, way))
            self._known[condition.operation, operands] = way
            self._known[OPPOSITE[condition.operation], operands] = not way
        return self._known[condition.operation, operands]


_EXPLORERS: list[_Explorer] = []


def explore(formula: Callable[[], T]) -> list[Case]:
    """What a formula comes to, for every way that its conditions may go; CannotSay where there are too many."""
    found: list[Case] = []
    given: tuple[bool, ...] | None = ()
    while given is not None:
        explorer = _Explorer(given)
        _EXPLORERS.append(explorer)
        try:
            result = formula()
        finally:
            _EXPLORERS.pop()
        found.append(Case(tuple(explorer.taken), result))
        if len(found) > _MOST_PATHS:
            raise CannotSay("it takes one of too many ways, depending on live values")
        ways = [way for _, way in explorer.taken]
        while ways and not ways[-1]:
            ways.pop()
        given = (*ways[:-1], False) if ways else None
    return found


def cases(some: Iterable[Case]) -> Operand:
    """One symbol for a number that depends on conditions, as ``explore`` found it; there is none where it is NaN.

    Conditions on which nothing depends are left out.
    """
    flat = tuple(_flat(_tree(list(some), 0)))
    if not flat:
        raise CannotSay("it never says anything")
    if len(flat) == 1 and not flat[0][0]:
        return flat[0][1]
    symbols = [one for conditions, result in flat for one in (*(some for some, _ in conditions), result)]
    return Symbol("cases", (_Cases(flat),), union(one for one in symbols if isinstance(one, Symbol)))


class _Fork(NamedTuple):
    condition: Symbol
    holds: Any
    fails: Any


def _tree(some: list[Case], depth: int) -> Any:
    """A number, a symbol, or a fork into two of these."""
    if len(some[0].conditions) == depth:
        result = some[0].result
        return result if isinstance(result, Symbol) else float(result)
    condition = some[0].conditions[depth][0]
    holds, fails = (_tree([one for one in some if one.conditions[depth][1] is way], depth + 1) for way in (True, False))
    return holds if _is_same(holds, fails) else _Fork(condition, holds, fails)


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, _Fork) and isinstance(b, _Fork):
        return a.condition is b.condition and _is_same(a.holds, b.holds) and _is_same(a.fails, b.fails)
    if any(isinstance(one, (_Fork, Symbol)) for one in (a, b)):
        return a is b
    return bool(a == b) or (math.isnan(a) and math.isnan(b))


def _flat(tree: Any) -> Iterator[tuple[tuple[tuple[Symbol, bool], ...], Operand]]:
    """Every number of a tree with the conditions that lead to it."""
    if isinstance(tree, _Fork):
        for way, branch in ((True, tree.holds), (False, tree.fails)):
            for conditions, result in _flat(branch):
                yield ((tree.condition, way), *conditions), result
    elif isinstance(tree, Symbol) or not math.isnan(tree):
        yield (), tree


class _Cases(tuple[Any, ...]):
    """Cases as one operand, equal to others by what they hold."""

    __slots__ = ()

    def _key(self) -> Any:
        return tuple(
            (tuple((id(one), way) for one, way in conditions), id(result) if isinstance(result, Symbol) else result)
            for conditions, result in self
        )

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Cases) and self._key() == other._key()
