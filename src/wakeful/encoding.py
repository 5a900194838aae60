"""Values as they come -> arrays that can be counted: Python values here, Arrow columns in ``arrow.py``.

Numbers become float64, where NaN is missing and infinity is invalid (a wrong type, or infinite).
Categories become cells: a bin, then ``missing``, then ``invalid``.
"""

from __future__ import annotations

import datetime as dt
import numbers
import struct
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np

from wakeful.bins import CategoryBins, Floats, Ints

__all__ = ["are_numbers", "clock_cells", "encode_categories", "encode_clock", "encode_numbers", "packed"]

MISSING, INVALID = np.nan, np.inf
_CLOCKS = {"hour": (3600, 0, 24), "weekday": (86_400, 3, 7), "hour_of_week": (3600, 72, 168)}  # s, first, cycle
_name = type.__dict__["__name__"].__get__  # of a type, whatever its metaclass says


def encode_numbers(values: Sequence[Any]) -> Floats:
    """Python values as float64, shape (n,); None and NaN are missing, what is no number is invalid."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(float)
    try:
        return packed(values)
    except KeyboardInterrupt:
        raise
    except BaseException:  # something is no number, or a hostile __float__ raises: one by one it is found
        return np.fromiter((_number(value) for value in values), dtype=float, count=len(values))


def packed(values: Sequence[Any]) -> Floats:
    """Numbers as float64, in a third of the time that numpy takes; None is missing.

    Raises:
        Exception: one of them is no number, or raises itself; texts are none.
    """
    numbers = np.empty(len(values))
    try:
        struct.pack_into(f"{len(values)}d", numbers.data, 0, *values)
    except struct.error:
        filled = [MISSING if value is None else value for value in values]
        struct.pack_into(f"{len(values)}d", numbers.data, 0, *filled)
    return numbers


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether every value that is not missing is a real number, and no truth value."""
    return all(_is_null(value) or (isinstance(value, numbers.Real) and not isinstance(value, bool)) for value in values)


def _number(value: Any) -> float:
    try:
        return float(packed([value])[0])
    except KeyboardInterrupt:
        raise
    except BaseException:  # no number, a hostile __float__, or an int beyond float's range: never the caller's problem
        return MISSING if _is_null(value) else INVALID


def _is_null(value: Any) -> bool:
    return value is None or _name(type(value)) in ("NAType", "NaTType")  # pandas' own nulls


def encode_categories(values: Sequence[Any], bins: CategoryBins) -> Ints:
    """Python values as cells of ``bins``, shape (n,)."""
    kind, *others = set(map(type, values)) - {type(None)} or {str}
    if not others and kind in bins.cells_of and len(values):
        cells = bins.cells_of[kind]
        try:
            found: Iterable[int] = itemgetter(*values, None)(cells)  # half the time of looking each up
        except KeyError:  # one of them was not seen in training
            found = map(cells.get, values, repeat(bins.unknown))
        if bins.size + 2 <= 256:
            return np.frombuffer(bytes(found), np.uint8, len(values)).astype(np.intp)
        return np.fromiter(found, np.intp, len(values))
    return np.fromiter((_any_category(value, bins) for value in values), dtype=np.intp, count=len(values))


def _any_category(value: Any, bins: CategoryBins) -> int:
    try:
        return _category(value, bins)
    except BaseException:  # a hostile __class__, __hash__ or __eq__: never the caller's problem
        return bins.size + 1


def _category(value: Any, bins: CategoryBins) -> int:
    missing, invalid = bins.size, bins.size + 1
    if _is_null(value):
        return missing
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if value != value:
            return missing
        if not value.is_integer() or abs(value) >= 2**53:
            return invalid
        value = int(value)  # integers with gaps arrive as floats from pandas
    if bins.is_boolean and type(value) is int and value in (0, 1):
        value = bool(value)  # CSV and pandas write truth as 0 and 1
    if type(value) not in bins.types:
        return invalid
    return bins.index.get((type(value), value), bins.unknown)


def encode_clock(values: Sequence[Any], part: str, bins: CategoryBins) -> Ints:
    """Hours (0 … 23), weekdays (Monday is 0) or hours of the week (0 … 167) of datetimes as cells, shape (n,)."""
    return np.fromiter((_clock(value, part, bins) for value in values), dtype=np.intp, count=len(values))


def _clock(value: Any, part: str, bins: CategoryBins) -> int:
    if _is_null(value):
        return bins.size
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
        if value is None:
            return bins.size
    if not isinstance(value, dt.date):
        return bins.size + 1
    hour = value.hour if isinstance(value, dt.datetime) else 0  # a date is its midnight
    return {"hour": hour, "weekday": value.weekday(), "hour_of_week": 24 * value.weekday() + hour}[part]


def clock_cells(ticks: Ints, part: str, per_second: int = 1) -> Ints:
    """Hours, weekdays or hours of the week of whole ticks since 1970-01-01, a Thursday; shape (n,)."""
    seconds, first, cycle = _CLOCKS[part]
    cells = ticks // (seconds * per_second) + first
    cells -= cells // cycle * cycle  # several times as fast as %
    return cells
