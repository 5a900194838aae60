"""Values, rows and tables that no model ever wanted, for tests and for fuzzing; needs numpy alone.

Every function takes a source of choices and returns one thing; whoever shrinks or steers has choices of its own.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import types
import uuid
from typing import Any, Protocol

import numpy as np

ERRORS = (ValueError, TypeError, RecursionError, MemoryError, OSError, StopIteration, SystemExit, GeneratorExit)
METHODS = (
    "__str__", "__repr__", "__hash__", "__eq__", "__ne__", "__lt__", "__ge__", "__float__", "__int__", "__index__",
    "__len__", "__bool__", "__iter__", "__getitem__", "__getattr__", "__getattribute__", "__sizeof__", "__format__",
    "__array__", "__class__", "__contains__", "__trunc__", "__round__", "__instancecheck__", "__reduce_ex__",
)  # fmt: skip
NAMES = ("income", "rent", "debt", "city", "owner", "platform", "score", "rejected", "held")
OTHER_NAMES = ("new", "", "\ud800", "x" * 10_000, 1, None, 2.5, (1, "a"), b"income", float("nan"), True)
LONG = "x" * 10_000_000  # one object: whoever copies it is found by the memory


class Source(Protocol):
    """Where choices come from."""

    def choice(self, several: Any, /) -> Any:
        """One of several."""

    def number(self, most: int, /) -> int:
        """A whole number from 0 to ``most``."""


class HostileError(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("even this")

    __repr__ = __str__


def hostile_class(method: str, error: type[BaseException], bases: tuple[type, ...] = ()) -> type:
    """A class whose method raises."""

    def fail(*arguments: Any, **named: Any) -> Any:
        raise error("hostile")

    members: dict[str, Any] = {method: property(fail) if method == "__class__" else fail}
    if method == "__eq__":
        members["__hash__"] = lambda self: hash("income")  # compared with the name of a column
    return type("Hostile", bases, members)


_CLASSES = [hostile_class(method, error) for method in METHODS for error in (*ERRORS, HostileError)]
_KEYS = [hostile_class("__eq__", error) for error in (*ERRORS, HostileError)]
_NUMBERS = [
    hostile_class(method, error, (base,))
    for method in ("__float__", "__hash__", "__eq__", "__str__", "__repr__")
    for error in (ValueError, SystemExit)
    for base in (float, int, str)
]
_MAPPINGS = [
    hostile_class(method, error, (base,))
    for method in ("keys", "__getitem__", "__iter__", "__len__", "items", "values", "get", "__contains__", "__class__")
    for error in (ValueError, SystemExit, HostileError)
    for base in (dict, collections.UserDict, collections.OrderedDict)
]


def _pairs(mapping: dict[Any, Any]) -> list[Any]:
    return list(mapping.items())


def _nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    return inner


_NESTED, _DEEP = _nested(3), _nested(3_000)
_CYCLE: list[Any] = []
_CYCLE.append(_CYCLE)
_VALUES: tuple[Any, ...] = (
    None, float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 5e-324, 10**400, -(10**400), 10**5000, 2**63,
    2**64, True, 1, 30_000.0, "Berlin", "web", "", "\ud800\udfff", "\0", LONG, b"bytes", bytearray(8),
    memoryview(b"view"), 1 + 2j, decimal.Decimal("sNaN"), decimal.Decimal("1e999999"), decimal.Decimal("1.5"),
    fractions.Fraction(1, 3), fractions.Fraction(10**400, 3), np.float16(1), np.float32("nan"), np.float64("inf"),
    np.longdouble(1), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.str_("Berlin"), np.bytes_(b"x"),
    np.complex128(1j), np.datetime64("NaT", "s"), np.datetime64("2024-01-01"), np.timedelta64(1, "s"), np.void(b"ab"),
    np.array([]), np.array(1.0), np.array([1.0]), np.arange(3), np.zeros((2, 2)), np.array([None], dtype=object),
    np.ma.masked, [], [1], _NESTED, _DEEP, _CYCLE, (), {}, {"a": {"b": [1]}}, set(), frozenset({1}), object(), int,
    len, NotImplemented, ..., (one for one in ()), dt.datetime.min, dt.datetime.max,
    dt.datetime.max.replace(tzinfo=dt.UTC), dt.date(2024, 1, 1), dt.time(1), dt.timedelta.max, uuid.UUID(int=0),
    range(1_000), types.SimpleNamespace(),
)  # fmt: skip


def value(source: Source) -> Any:
    """Anything at all."""
    kind = source.number(3)
    if kind < 2:
        return source.choice(_VALUES)
    return source.choice(_CLASSES)() if kind == 2 else source.choice(_NUMBERS)()


def row(source: Source, most: int = 20) -> Any:
    """Features, more or less."""
    kind = source.number(9)
    if kind == 0:
        return value(source)
    made = {source.choice(NAMES): value(source) for _ in range(source.number(most))}
    if kind == 1:
        made[source.choice(OTHER_NAMES)] = value(source)
    elif kind == 2 and not source.number(19):  # rarely, as it costs much to find
        made.pop("income", None)  # a dict that has it would compare the two at once
        made = {source.choice(_KEYS)(): value(source), **made}
    elif kind == 3:
        hostile = source.choice(_MAPPINGS)
        try:
            return hostile(made)
        except BaseException:  # it does not even come to be
            return hostile.__new__(hostile)
    elif kind == 4:
        return source.choice((types.MappingProxyType, collections.OrderedDict, _pairs))(made)
    return made


def table(source: Source) -> Any:
    """A batch, more or less."""
    kind = source.number(5)
    if kind == 0:
        return row(source)
    rows = source.number(3)
    if kind == 1:
        return np.array([[source.number(5) for _ in range(source.number(6))]] * rows)
    return {source.choice(NAMES): _column(source, rows) for _ in range(source.number(6))}


def _column(source: Source, rows: int) -> Any:
    kind = source.number(6)
    values = [value(source) for _ in range(rows)]
    if kind == 0:
        return value(source)
    if kind == 1:
        array = np.empty(rows, dtype=object)
        for at, one in enumerate(values):
            array[at] = one
        return array
    if kind == 2:
        return np.zeros(rows, dtype=source.choice(("f4", "f8", "i8", "u1", "M8[ns]", "m8[s]", "?", "S3", "U3", "c16")))
    return tuple(values) if kind == 3 else values
