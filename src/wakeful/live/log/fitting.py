"""Python values -> Arrow arrays of one type, and which of them do not fit it.

Arrays are built from buffers: pyarrow's own ``array`` imports pandas wherever it is installed, half a second in the
middle of a service. Columns whose values all have an expected type are converted at once, others value by value.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wakeful.encoding import encode_numbers, packed
from wakeful.errors import MissingExtra
from wakeful.live.log.plain import canonical

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "logging predictions") from error

__all__ = ["LONGEST_TEXT", "FitKind", "Fitted", "fit", "instants", "one_text", "texts", "type_of"]

LONGEST_TEXT = 2_000  # characters; longer ones are cut

FitKind: TypeAlias = Literal["number", "whole", "truth", "text", "clock", "id"]
_MISFIT = object()
_EPOCH = dt.datetime(1970, 1, 1)
_MICRO = dt.timedelta(microseconds=1)
_YEAR_ONE, _YEAR_9999 = -62_135_596_800.0, 253_402_300_800.0  # seconds since 1970


class Fitted(NamedTuple):
    """A column: its Arrow array and the rows whose value does not fit.

    What does not fit is null, but infinite in a column of numbers: so it counts as invalid when the log is replayed,
    as it did when it was observed.
    """

    array: Any
    misfits: Sequence[int] = ()


def type_of(kind: FitKind) -> Any:
    """The Arrow type of a kind of column."""
    return {
        "number": pa.float64(),
        "whole": pa.int64(),
        "truth": pa.bool_(),
        "text": pa.string(),
        "clock": pa.timestamp("us"),
        "id": pa.string(),
    }[kind]


def fit(kind: FitKind, values: Sequence[Any]) -> Fitted:
    """Values as a column; never raises, whatever they are."""
    try:
        if kind == "number":
            return Fitted(_numbers(packed(values)))
        types = set(map(type, values))
        if kind in ("text", "id") and types <= {str, type(None)}:
            return Fitted(texts(values))
        if kind == "whole" and types == {int}:
            return Fitted(_fixed(pa.int64(), np.array(values, dtype=np.int64)))
        if kind == "truth" and types == {bool}:
            return Fitted(_truths(np.array(values, dtype=bool)))
    except BaseException:  # an int beyond the type, a lone surrogate, a hostile __float__: one by one it is found
        pass
    return _one_by_one(kind, values)


def _one_by_one(kind: FitKind, values: Sequence[Any]) -> Fitted:
    fitting, fitted, misfits = _FITTING[kind], [], []
    for at, value in enumerate(values):
        try:
            one = None if _is_missing(value) else fitting(value)
        except BaseException:  # a hostile value: never the caller's problem
            one = _MISFIT
        if one is _MISFIT:
            misfits.append(at)
            one = np.inf if kind == "number" else None
        fitted.append(one)
    return Fitted(_BUILDING[kind](fitted), misfits)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _as_number(value: Any) -> Any:
    number = float(encode_numbers([value])[0])  # as it is counted
    is_infinite = isinstance(value, float | np.floating) and bool(np.isinf(value))
    return number if number != np.inf or is_infinite else _MISFIT


def _as_whole(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # integers with gaps arrive as floats from pandas
    return value if type(value) is int and -(2**63) <= value < 2**63 else _MISFIT


def _as_truth(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return bool(value) if type(value) in (bool, int, float) and value in (0, 1) else _MISFIT


def _as_text(value: Any) -> Any:
    if not isinstance(value, str):
        return _MISFIT
    text = str.__getitem__(value, slice(0, LONGEST_TEXT))
    text.encode()  # a lone surrogate is no text
    return text


def _as_clock(value: Any) -> Any:
    """Microseconds since 1970 on the value's own clock: hours and weekdays are read on it."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
        if value is None:
            return None
    if type(value) is dt.date:
        value = dt.datetime(value.year, value.month, value.day)
    if not isinstance(value, dt.datetime):
        return _MISFIT
    return (value.replace(tzinfo=None) - _EPOCH) // _MICRO


def _as_id(value: Any) -> Any:
    text = canonical(value)
    return None if text is None else _as_text(text)


def texts(values: Sequence[Any], longest: int = LONGEST_TEXT) -> Any:
    """A column of texts, each cut at so many characters; UnicodeEncodeError where one is none."""
    has_gaps = None in values
    known = [value or "" for value in values] if has_gaps else values
    lengths = list(map(len, known))
    if max(lengths, default=0) > longest:
        known = [value[:longest] for value in known]
        lengths = list(map(len, known))
    joined = "".join(known)
    if joined.isascii():
        data = joined.encode()
    else:
        encoded = [value.encode() for value in known]
        lengths, data = list(map(len, encoded)), b"".join(encoded)
    offsets = np.zeros(len(known) + 1, dtype=np.int32)
    offsets[1:] = lengths
    np.cumsum(offsets, out=offsets)
    valid = np.array([value is not None for value in values], dtype=bool) if has_gaps else None
    buffers = [_bits(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(known), buffers)


def one_text(value: str | None, rows: int) -> Any:
    """A column that holds the same text, or nothing, in every row."""
    data = (value or "")[:LONGEST_TEXT].encode("utf-8", "replace")
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(len(data))
    valid = np.zeros(rows, dtype=bool) if value is None else None
    return pa.Array.from_buffers(pa.string(), rows, [_bits(valid), pa.py_buffer(offsets), pa.py_buffer(data * rows)])


def instants(seconds: Sequence[Any], now: float) -> Any:
    """Seconds since 1970 as timestamps in UTC; ``now`` where one is no moment of the calendar."""
    times = encode_numbers(seconds)
    times = np.where((times >= _YEAR_ONE) & (times < _YEAR_9999), times, now)
    return _fixed(pa.timestamp("us", "UTC"), np.rint(times * 1e6).astype(np.int64))


def _numbers(values: NDArray[np.float64]) -> Any:
    """NaN is missing, as it is where it is counted."""
    missing = np.isnan(values)
    return _fixed(pa.float64(), values, ~missing if missing.any() else None)


def _wholes(kind: Any, values: Sequence[int | None]) -> Any:
    known = np.array([value or 0 for value in values], dtype=np.int64)
    return _fixed(kind, known, np.array([value is not None for value in values], dtype=bool))


def _truths(values: NDArray[np.bool_], valid: NDArray[np.bool_] | None = None) -> Any:
    return pa.Array.from_buffers(pa.bool_(), len(values), [_bits(valid), _bits(values)])


def _fixed(kind: Any, values: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Any:
    return pa.Array.from_buffers(kind, len(values), [_bits(valid), pa.py_buffer(values)])


def _bits(truths: NDArray[np.bool_] | None) -> Any:
    return None if truths is None else pa.py_buffer(np.packbits(truths, bitorder="little"))


_FITTING: dict[str, Callable[[Any], Any]] = {
    "number": _as_number,
    "whole": _as_whole,
    "truth": _as_truth,
    "text": _as_text,
    "clock": _as_clock,
    "id": _as_id,
}
_BUILDING: dict[str, Callable[[list[Any]], Any]] = {
    "number": lambda values: _numbers(np.array(values, dtype=np.float64)),
    "whole": lambda values: _wholes(pa.int64(), values),
    "truth": lambda values: _truths(
        np.array([value is True for value in values], dtype=bool),
        np.array([value is not None for value in values], dtype=bool),
    ),
    "text": texts,
    "clock": lambda values: _wholes(pa.timestamp("us"), values),
    "id": texts,
}
