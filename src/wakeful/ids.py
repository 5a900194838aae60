"""Identifiers -> cells of a hash table: rows that share an id share a cell, all others do so by chance alone.

An id becomes a 64-bit word, the same in every process, on every machine and in every type that can hold it:
whole numbers are themselves (modulo 2^64, so 7 as an integer, a float or a decimal is one id), texts and bytes
their CRC-32, other numbers the bits of their float64. Words are mixed by the finalizer of SplitMix64 (Steele,
Lea & Flood 2014, OOPSLA), so consecutive numbers fall as unevenly as random ones: even cells would hide repeats.
"""

from __future__ import annotations

import math
import numbers
import struct
import uuid
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import CategoryBins, Floats, Ints

__all__ = ["BINS", "cells_of_numbers", "cells_of_words", "encode_ids", "text_of", "words_of_texts"]

_BITS = 10
_WORD = 2**64
_TOP = np.uint64(64 - _BITS)
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)
_BLOCK = 32_768  # words at a time: what is computed in between stays in the second-level cache

# Behind the cells of ids stand two that stay empty, then rows without an id, and rows with what is none.
BINS = CategoryBins(tuple(range(2**_BITS)))

Words: TypeAlias = NDArray[np.uint64]


def cells_of_words(words: Words) -> Ints:
    """The cell of each word, shape (n,)."""
    cells = np.empty(len(words), dtype=np.intp)
    for start in range(0, len(words), _BLOCK):
        mixed = words[start : start + _BLOCK].copy()
        for shift, factor in _MIXING:
            mixed ^= mixed >> shift
            mixed *= factor
        mixed ^= mixed >> _LAST
        mixed >>= _TOP
        cells[start : start + _BLOCK] = mixed
    return cells


def cells_of_numbers(values: Any) -> Ints:
    """The cell of each integer, truth value or float, shape (n,); NaN is no id, infinity none either."""
    if values.dtype.kind != "f":
        return cells_of_words(values.astype(np.uint64))  # negative ones wrap around, as Python's % does
    floats: Floats = values.astype(np.float64)
    finite = np.isfinite(floats)
    with np.errstate(invalid="ignore"):
        near = np.abs(floats) < 2.0**63
        words = np.where(near, floats, 0.0).astype(np.int64).view(np.uint64)
        broken = floats != np.floor(floats)
    words[broken] = floats[broken].view(np.uint64)
    far = np.flatnonzero(finite & ~near)
    words[far] = [int(value) % _WORD for value in floats[far].tolist()]
    cells = cells_of_words(words)
    cells[~finite] = np.where(np.isnan(floats[~finite]), BINS.size, BINS.size + 1)
    return cells


def words_of_texts(data: bytes, borders: Sequence[int]) -> Words:
    """The word of each text, shape (n,).

    Args:
        data: all texts in UTF-8, one behind the other.
        borders: where each begins and the last one ends, n + 1 of them.
    """
    words = [crc32(data[start:stop]) for start, stop in pairwise(borders)]
    return np.array(words, dtype=np.uint64)


def text_of(id: Any) -> str | None:
    """One text for equal identifiers of any type: 7, 7.0 and "7" are one; None where there is none. Never raises."""
    try:
        if hasattr(type(id), "item"):  # of numpy
            id = id.item()
        if isinstance(id, str):
            return str.__getitem__(id, slice(None))
        if isinstance(id, bytes):
            return id.decode("utf-8", "surrogateescape")
        if isinstance(id, uuid.UUID):
            return str(id)
        if isinstance(id, int):
            return str(int.__add__(id, 0))
        if not isinstance(id, numbers.Number) or isinstance(id, complex):
            return None
        if not math.isfinite(float(id)):  # type: ignore[arg-type]  # Decimal("1e999999") is an int after seconds
            return None
        whole = int(id)  # type: ignore[call-overload]  # Decimal and Fraction convert as well
        return str(whole if whole == id else float(id))  # type: ignore[arg-type]
    except Exception:  # NaN, infinity, an int of too many digits, or hostile: never the caller's problem
        return None
    except BaseException:  # such as SystemExit
        if type(id) in (str, int, bytes, uuid.UUID):
            raise
        return None


def encode_ids(values: Sequence[Any]) -> Ints:
    """Python values as cells, shape (n,)."""
    with suppress(struct.error, UnicodeError):  # beyond 64 bits, or a lone surrogate: one by one
        kinds = set(map(type, values))
        if kinds == {int}:
            return cells_of_numbers(np.frombuffer(struct.pack(f"{len(values)}q", *values), dtype=np.int64))
        if kinds == {str}:
            return cells_of_words(np.array([crc32(value.encode()) for value in values], dtype=np.uint64))
    words = [_word(value) for value in values]
    cells = cells_of_words(np.array([0 if isinstance(word, float) else word for word in words], dtype=np.uint64))
    for at, word in enumerate(words):
        if isinstance(word, float):
            cells[at] = BINS.size if word != word else BINS.size + 1
    return cells


def _word(value: Any) -> int | float:
    """The word of one value; NaN where it is missing, infinity where it is no id."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return np.nan if np.isnat(value) else np.inf
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return value % _WORD
    if isinstance(value, str):
        return crc32(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return crc32(value)
    if isinstance(value, uuid.UUID):
        return crc32(str(value).encode())
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return np.nan
    if not isinstance(value, numbers.Number) or isinstance(value, complex):
        return np.inf
    try:
        near = float(value)  # type: ignore[arg-type]  # Decimal and Fraction convert as well
        if not math.isfinite(near):  # Decimal("1e999999") is an int after seconds
            return near if near != near else np.inf
        if value == int(value):  # type: ignore[call-overload]
            return int(value) % _WORD  # type: ignore[call-overload,no-any-return]
        return int.from_bytes(struct.pack("<d", near), "little")
    except Exception:  # infinite, or a hostile __float__: never the caller's problem
        return np.inf
