"""The columns of several files: what fits together, what can be made to, and what cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from wakeful.arrow import is_text
from wakeful.engines.history import quoted, text
from wakeful.errors import DataError

__all__ = ["guessed", "lasting", "misfits", "reconciled", "refuse_spellings", "zones_of"]

_NUMBER, _TEXT = "number", "text"
_IN_SQL = {"bool": "BOOLEAN", "time": "TIMESTAMP", "moment": "TIMESTAMP WITH TIME ZONE"}


def zones_of(schema: Any) -> dict[str, str]:
    """Time zones of the timestamps that have one, by name."""
    return {one.name: one.type.tz for one in schema if pa.types.is_timestamp(one.type) and one.type.tz}


def refuse_spellings(schemas: Mapping[str, Any]) -> None:
    """Raise DataError for names that SQL would take for the same column in all files, and are not."""
    spelt: dict[str, dict[str, list[str]]] = {}
    for file, schema in schemas.items():
        for one in schema:
            spelt.setdefault(one.name.casefold(), {}).setdefault(one.name, []).append(file)
    for names in spelt.values():
        if len(names) > 1 and max(len(files) for files in names.values()) < len(schemas):
            (usual, _), *others = sorted(names.items(), key=lambda one: -len(one[1]))
            odd = "; ".join(f"{name} in {_named(files)}" for name, files in others)
            raise DataError(f"column {usual} has another name in some files: {odd}. Rename it there.")


def misfits(schemas: Mapping[str, Any], by: str, columns: Sequence[str] | None) -> dict[str, str]:
    """What is wrong with the files in which a column is not what it was in the files before, by path.

    Args:
        schemas: of the files, in their order.
        by: the ordering column, which has to be the same in all, and in all of them.
        columns: that are to be read; None for all.
    """
    found: dict[str, str] = {}
    wanted = None if columns is None else {by, *columns}
    for name, file, kind, first, usual in _changes(schemas):
        if (wanted is None or name in wanted) and not (name != by and {_kind(kind), _kind(usual)} == {_NUMBER, _TEXT}):
            found.setdefault(
                file,
                f"cannot read on at {file}: {name} holds {kind} there, and {usual} in {first}. Write it the same way "
                "in all files.",
            )
    having = [file for file, schema in schemas.items() if by in schema.names]
    for file in schemas.keys() - having if having else ():
        found[file] = f"cannot read on at {file}: it has no column {by}, which {having[0]} has. Restore it there."
    return found


def guessed(schemas: Mapping[str, Any], is_empty: Callable[[str, str], bool]) -> tuple[dict[str, Any], dict[str, str]]:
    """Schemas of CSV files, whose types are guesses, put right by those of the others; numbers are left alone.

    A column that is empty in a file looks like text there, and words such as true and false like truths.

    Args:
        schemas: of the files.
        is_empty: whether a column of a file holds nothing.

    Returns:
        The schemas, and what to read for columns that are empty in some files, by name.
    """
    right, instead = dict(schemas), {}
    for name in dict.fromkeys(name for name, *_ in _changes(schemas)):
        kinds = {file: _kind(schema.field(name).type) for file, schema in schemas.items() if name in schema.names}
        texts = [file for file, kind in kinds.items() if kind == _TEXT]
        if not texts or _NUMBER in kinds.values():
            continue
        empty = [file for file in texts if is_empty(file, name)]
        others = {kind for kind in kinds.values() if kind != _TEXT}
        if len(empty) == len(texts) and len(others) == 1 and others <= _IN_SQL.keys():
            instead[name] = f"TRY_CAST({quoted(name)} AS {_IN_SQL[others.pop()]})"
        elif 2 * (len(texts) - len(empty)) > len(kinds) - len(empty):
            empty = list(kinds)  # it is text, whatever it looks like
        for file in empty:
            at = right[file].get_field_index(name)
            right[file] = right[file].set(at, pa.field(name, pa.null()))
    return right, instead


def lasting(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Types of columns that cannot be read in all files alike: those of the first file, by name."""
    return {
        name: usual for name, _, kind, _, usual in _changes(schemas) if {_kind(kind), _kind(usual)} != {_NUMBER, _TEXT}
    }


def _changes(schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, str, Any]]:
    """Columns that changed: name, file and type there, the first file and type there."""
    first: dict[str, tuple[str, Any]] = {}
    for file, schema in schemas.items():
        for one in schema:
            if _kind(one.type):
                before, usual = first.setdefault(one.name, (file, one.type))
                if _kind(one.type) != _kind(usual):
                    yield one.name, file, one.type, before, usual


def _kind(of: Any) -> str:
    """What a type holds: those of one kind can be read as one; empty for that of nothing but nulls."""
    if pa.types.is_dictionary(of):
        return _kind(of.value_type)
    if pa.types.is_null(of):
        return ""
    if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of):
        return _NUMBER
    if is_text(of):
        return _TEXT
    if pa.types.is_timestamp(of):
        return "time" if of.tz is None else "moment"
    if pa.types.is_date(of):
        return "time"
    if pa.types.is_list(of) or pa.types.is_large_list(of) or pa.types.is_fixed_size_list(of):
        return "list"
    return "struct" if pa.types.is_struct(of) else str(of)


def reconciled(schemas: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What to read where a column is text in some files and numbers in others: text is no number.

    Text becomes infinity, which counts as invalid, as it would if its file were read alone. SQL's own way,
    to read all as text, would make the numbers of every file invalid.
    """
    texts: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    for file, schema in schemas.items():
        for one in schema:
            kind = _kind(one.type)
            if kind in (_NUMBER, _TEXT):
                (numbers if kind == _NUMBER else texts).setdefault(one.name, []).append(file)
    instead, notes = {}, []
    for name in texts.keys() & numbers.keys():
        few, word, other = texts[name], "text", "numbers"
        if len(texts[name]) > len(numbers[name]):
            few, word, other = numbers[name], "numbers", "text"
        else:
            listed = ", ".join(text(one) for one in few)
            key = quoted(name)
            instead[name] = (
                f"CASE WHEN {key} IS NULL THEN NULL WHEN _file IN ({listed}) THEN 'inf'::DOUBLE "
                f"ELSE TRY_CAST({key} AS DOUBLE) END"
            )
        notes.append(f"{name} holds {word} in {_named(few)}, {other} in the other files: it changed its type there")
    return instead, sorted(notes)


def _named(files: Sequence[str]) -> str:
    shown = ", ".join(Path(one).name for one in files[:3])
    return shown + (f" and {len(files) - 3} more" if len(files) > 3 else "")
