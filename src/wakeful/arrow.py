"""Arrow columns -> arrays that can be counted; the rules are those of ``encoding.py``.

Values are taken from Arrow's buffers: pyarrow's own ``to_numpy``, ``array`` and ``scalar`` import pandas wherever
it is installed, which takes longer than to count a million values.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wakeful.bins import CategoryBins, Floats, Ints
from wakeful.encoding import INVALID, MISSING, clock_cells, encode_categories
from wakeful.ids import BINS, cells_of_numbers, cells_of_words, encode_ids, words_of_texts

_PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}

__all__ = ["categories_of", "clock_of", "ids_of", "is_text", "numbers_of", "plain", "sturdy"]


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
    if pa.types.is_decimal(kind):
        column = pc.cast(pc.cast(column, pa.string()), pa.float64())  # by way of text it is rounded as Python does
    numbers = _data(column)
    return _where_null(column, numbers.astype(float, copy=False), MISSING)


def categories_of(column: Any, bins: CategoryBins) -> Ints:
    """A pyarrow array or chunked array as cells of ``bins``, shape (n,)."""
    if isinstance(column, pa.DictionaryArray):
        cells = np.append(categories_of(column.dictionary, bins), bins.size)
        return cells.take(_data_or(column.indices, len(cells) - 1))
    column = plain(column)
    missing, invalid = bins.size, bins.size + 1
    if pa.types.is_null(column.type):
        return np.full(len(column), missing, dtype=np.intp)
    if bins.is_boolean and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return encode_categories(column.to_pylist(), bins)
    if pa.types.is_floating(column.type):
        return _from_floats(numbers_of(column), bins)
    if bins.is_boolean and pa.types.is_boolean(column.type):
        cell_of = [bins.index.get((bool, truth), bins.unknown) for truth in (False, True)]
        return np.array([*cell_of, missing], dtype=np.intp).take(_data_or(column, 2))
    wanted = _python_type(column.type)
    if wanted is None or wanted not in bins.types:
        return _where_null(column, np.full(len(column), invalid, dtype=np.intp), missing)
    known = [(value, at) for (kind, value), at in bins.index.items() if kind is wanted]
    if pa.types.is_uint64(column.type):
        return encode_categories(column.to_pylist(), bins)  # beyond the largest int64
    if wanted is int:
        column = pc.cast(column, pa.int64())
        known = [(value, at) for value, at in known if -(2**63) <= int(value) < 2**63]
    cells = np.array([at for _, at in known] + [bins.unknown], dtype=np.intp)
    names = _array([value for value, _ in known], column.type)
    return _where_null(column, cells.take(_data_or(pc.index_in(column, value_set=names), len(known))), missing)


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
    return _where_null(column, clock_cells(_data(column), part, _PER_SECOND[column.type.unit]), bins.size)


def ids_of(column: Any) -> Ints:
    """A pyarrow array of identifiers as cells of hashed ids, shape (n,)."""
    if isinstance(column, pa.DictionaryArray) and len(column.dictionary) <= len(column):
        cells = np.append(ids_of(column.dictionary), BINS.size)
        return cells.take(_data_or(column.indices, len(cells) - 1))
    column = plain(column)
    kind = column.type
    if not len(column):
        return np.zeros(0, dtype=np.intp)
    if is_text(kind):
        width = np.int64 if pa.types.is_large_string(kind) else np.int32
        _, offsets, data = column.buffers()
        borders = np.frombuffer(offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize)
        first, last = int(borders[0]), int(borders[-1])
        texts = data.slice(first, last - first).to_pybytes() if last > first else b""
        return _where_null(column, cells_of_words(words_of_texts(texts, (borders - first).tolist())), BINS.size)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return _where_null(column, cells_of_numbers(_data(column)), BINS.size)
    if pa.types.is_decimal(kind):
        try:
            return ids_of(pc.cast(column, pa.int64()))
        except pa.ArrowInvalid:  # not all are whole, or some are beyond int64
            return encode_ids(column.to_pylist())
    if is_bytes(kind) or isinstance(kind, pa.BaseExtensionType):  # such as UUIDs
        return encode_ids(column.to_pylist())
    return _where_null(column, np.full(len(column), BINS.size + 1), BINS.size)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: Any) -> bool:
    """Whether an Arrow type is raw bytes."""
    return any(
        check(kind)
        for check in (
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary
        )
    )  # fmt: skip


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
        cells[whole] = categories_of(_array(numbers[whole], pa.int64()), bins)
    return cells


_Values = TypeVar("_Values", Floats, Ints)


def _where_null(column: Any, values: _Values, replacement: float) -> _Values:
    if column.null_count == len(values):  # an array of type null has no bits
        return np.full_like(values, replacement)
    if column.null_count:
        values = values.copy()
        values[np.flatnonzero(~_bits(column, 0))] = replacement  # several times as fast as a mask
    return values


def _data(column: Any) -> Any:
    """The values of a fixed-width array, shape (n,), whatever stands where it is null; not to be written to."""
    if not len(column):
        return np.zeros(0)
    if pa.types.is_boolean(column.type):
        return _bits(column, 1)
    kind = np.int64 if pa.types.is_timestamp(column.type) else column.type.to_pandas_dtype()
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * np.dtype(kind).itemsize)


def _data_or(column: Any, replacement: int) -> Ints:
    """The values of an array of whole numbers or truths, and another where it is null, shape (n,)."""
    values = _data(column).astype(np.intp)
    return _where_null(column, values, replacement)


def _bits(column: Any, buffer: int) -> NDArray[np.bool_]:
    """A buffer of one bit a row, such as that of what is not null, shape (n,)."""
    stop = column.offset + len(column)
    packed = np.frombuffer(column.buffers()[buffer], np.uint8, -(-stop // 8))
    return np.unpackbits(packed, count=stop, bitorder="little")[column.offset :].view(bool)


def _array(values: Any, kind: Any) -> Any:
    """An array of texts or int64 without nulls."""
    if not is_text(kind):
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.array(values, dtype=np.int64))])
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64 if pa.types.is_large_string(kind) else np.int32)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))])
