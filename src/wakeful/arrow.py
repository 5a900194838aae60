"""Arrow columns -> arrays that can be counted; the rules are those of ``encoding.py``."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wakeful.bins import CategoryBins, Floats, Ints
from wakeful.encoding import INVALID, MISSING, clock_cells, encode_categories

__all__ = ["categories_of", "clock_of", "is_text", "numbers_of", "plain", "sturdy"]


def numbers_of(column: Any) -> Floats:
    """A pyarrow array or chunked array as float64, shape (n,); what is no number is invalid."""
    column = plain(column)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), MISSING)
    if not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return _where_null(column, np.full(len(column), INVALID), MISSING)
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.uint8())
    if pa.types.is_decimal(kind):
        column = pc.cast(pc.cast(column, pa.string()), pa.float64())  # by way of text it is rounded as Python does
    numbers = column.to_numpy(zero_copy_only=False)  # nulls become NaN
    return np.ascontiguousarray(numbers, dtype=float)


def categories_of(column: Any, bins: CategoryBins) -> Ints:
    """A pyarrow array or chunked array as cells of ``bins``, shape (n,)."""
    if isinstance(column, pa.DictionaryArray):
        cells = np.append(categories_of(column.dictionary, bins), bins.size)
        places = pc.fill_null(column.indices.cast(pa.int64()), len(cells) - 1).to_numpy(zero_copy_only=False)
        found: Ints = cells[places]
        return found
    column = plain(column)
    missing, invalid = bins.size, bins.size + 1
    if pa.types.is_null(column.type):
        return np.full(len(column), missing, dtype=np.intp)
    if bins.is_boolean and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return encode_categories(column.to_pylist(), bins)
    if pa.types.is_floating(column.type):
        return _from_floats(column.to_numpy(zero_copy_only=False), bins)
    wanted = _python_type(column.type)
    if wanted is None or wanted not in bins.types:
        return _where_null(column, np.full(len(column), invalid, dtype=np.intp), missing)
    known = [(value, at) for (kind, value), at in bins.index.items() if kind is wanted]
    if pa.types.is_uint64(column.type):
        return encode_categories(column.to_pylist(), bins)  # beyond the largest int64
    if wanted is int:
        column = pc.cast(column, pa.int64())
        known = [(value, at) for value, at in known if -(2**63) <= int(value) < 2**63]
    names = pa.array([value for value, _ in known], type=column.type)
    cell = np.array([at for _, at in known] + [bins.unknown], dtype=np.intp)
    place = pc.fill_null(pc.index_in(column, value_set=names), len(known)).to_numpy(zero_copy_only=False)
    return _where_null(column, cell[place], missing)


def clock_of(column: Any, part: str, bins: CategoryBins) -> Ints:
    """Hour, weekday or hour of the week of a timestamp column, in its own time zone, as cells, shape (n,)."""
    column = plain(column)
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        cell = bins.size if pa.types.is_null(column.type) else bins.size + 1
        return _where_null(column, np.full(len(column), cell, dtype=np.intp), bins.size)
    if column.type.tz is not None:
        column = pc.local_timestamp(column)
    seconds = pc.cast(pc.floor_temporal(column, unit="second"), pa.timestamp("s"))
    numbers = pc.fill_null(pc.cast(seconds, pa.int64()), 0).to_numpy(zero_copy_only=False)
    return _where_null(column, clock_cells(numbers, part), bins.size)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(column: Any) -> Any:
    """One array without dictionary or view encoding."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # several chunks that do not fit into one array
            column = pa.concat_arrays(column.chunks)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = pc.cast(column, pa.large_string())
    return column


def sturdy(kind: Any) -> Any:
    """The same type as one that Arrow can filter and join: without views, with room for long dictionaries."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        index = kind.index_type if kind.index_type.bit_width >= 32 else pa.int32()
        return pa.dictionary(index, sturdy(kind.value_type), kind.ordered)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(sturdy(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, sturdy(field.type)) for field in kind])
    return kind


def _python_type(kind: Any) -> type | None:
    if pa.types.is_boolean(kind):
        return bool
    if pa.types.is_integer(kind):
        return int
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return str
    return None


def _from_floats(numbers: Floats, bins: CategoryBins) -> Ints:
    """Integer categories that arrive as floats because some are missing, as from pandas."""
    whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2**53)
    if int not in bins.types:
        whole[:] = False
    cells = np.where(np.isnan(numbers), bins.size, bins.size + 1).astype(np.intp)
    if whole.any():
        cells[whole] = categories_of(pa.array(numbers[whole].astype(np.int64)), bins)
    return cells


_Values = TypeVar("_Values", Floats, Ints)


def _where_null(column: Any, values: _Values, replacement: float) -> _Values:
    if column.null_count:
        values = values.copy()
        values[pc.is_null(column).to_numpy(zero_copy_only=False)] = replacement
    return values
