"""Whatever a service sends, as text of bounded length: what fits no column of the log still has to be readable.

Nothing here raises, and no method of an unknown object is called: its type's name has to do.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from wakeful.ids import text_of

__all__ = ["LONGEST_VALUE", "Veil", "as_json", "canonical"]

LONGEST_VALUE = 1_000  # characters of one value in the column ``other``
_LONGEST_NAME = 100
_MOST_NAMES = 32  # of one row
_LONGEST_ROW = 8_000  # characters; the value that crosses it is the last
_MOST_ITEMS = 50  # of one list or mapping
_DEEPEST = 4
_WIDEST = 256  # bits of a whole number

_NAME: Callable[[type], str] = type.__dict__["__name__"].__get__  # whatever a metaclass says

Veil = Callable[[str, Any], Any]  # name and value -> what may be written of it; raises KeyError where nothing may


def as_json(values: Mapping[str, Any], veil: Veil) -> str:
    """A JSON object of values by name, each cut at LONGEST_VALUE characters; some ten thousand in all.

    Args:
        values: whatever came, by name.
        veil: what hides columns that must not be written, at any depth.
    """
    parts: list[str] = []
    for name, value in islice(values.items(), _MOST_NAMES):
        text = _text(value, veil)
        if len(text) > LONGEST_VALUE + 2:  # and its quotes
            text = json.dumps(text[: LONGEST_VALUE - 2])
        parts.append(f"{json.dumps(_name(name))}: {text}")
        if sum(map(len, parts)) > _LONGEST_ROW:
            break
    return "{" + ", ".join(parts) + "}"


def canonical(value: Any) -> str | None:
    """One text for equal values of any type, as ``ids.text_of`` gives it; JSON of what is no identifier."""
    try:
        if type(value).__name__ in ("NoneType", "NAType", "NaTType") or value != value:
            return None
        text = text_of(value)
        if text is not None:
            return text[: 2 * LONGEST_VALUE]
    except Exception:  # hostile methods, or an infinite number: as any other object
        pass
    return _text(value, lambda name, inner: inner)[: 2 * LONGEST_VALUE]


def _text(value: Any, veil: Veil) -> str:
    try:
        return json.dumps(_plain(value, veil, _DEEPEST))
    except Exception:  # hostile methods: never the caller's problem
        return json.dumps(f"<{_type_name(value)}>")


def _plain(value: Any, veil: Veil, depth: int) -> Any:
    """What JSON can hold of a value."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__getitem__(value, slice(0, LONGEST_VALUE))
    if isinstance(value, int):
        bits = int.bit_length(value)
        return int.__add__(value, 0) if bits <= _WIDEST else f"<int of {bits} bits>"
    if isinstance(value, float):
        plain = float.__add__(value, 0.0)
        return plain if abs(plain) < float("inf") else str(plain)
    if isinstance(value, bytes | bytearray):
        return bytes(value[: LONGEST_VALUE // 2]).hex()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if type(value) in (decimal.Decimal, uuid.UUID):
        return str(value)[:LONGEST_VALUE]
    if depth == 0:
        return f"<{_type_name(value)}>"
    if isinstance(value, np.ndarray):
        value = value.ravel()[:_MOST_ITEMS].tolist()
    if isinstance(value, dict):
        return _plain_mapping(value, veil, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, veil, depth - 1) for one in islice(value, _MOST_ITEMS)]
    return f"<{_type_name(value)}>"


def _plain_mapping(value: Mapping[Any, Any], veil: Veil, depth: int) -> dict[str, Any]:
    found = {}
    for key, inner in islice(value.items(), _MOST_ITEMS):
        try:
            shown = veil(key, inner)
        except KeyError:
            continue
        found[_name(key)] = _plain(shown, veil, depth - 1)
    return found


def _name(name: Any) -> str:
    return str.__getitem__(name, slice(0, _LONGEST_NAME)) if isinstance(name, str) else f"<{_type_name(name)}>"


def _type_name(value: Any) -> str:
    return _NAME(type(value))[:_LONGEST_NAME]
