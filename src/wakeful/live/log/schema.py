"""Rows of a service -> record batches of the log: which column a value goes to, and what must not be written."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np

from wakeful.bins import CategoryBins
from wakeful.caching import cached_property
from wakeful.counts import Layout
from wakeful.errors import DataError, MissingExtra
from wakeful.live.log.fitting import FitKind, fit, instants, one_text, texts, type_of
from wakeful.live.log.plain import as_json, canonical

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "logging predictions") from error

__all__ = ["OTHER", "Hidden", "Table", "outcomes", "predictions"]

OTHER = "other"  # JSON: what fits no column
_MOST_UNKNOWN = 64  # names of one row that are looked at


@dataclass(frozen=True)
class Hidden:
    """Columns that are not written as they are.

    Attributes:
        excluded: never written.
        hashed: written as a keyed hash.
        salt: the key.
    """

    excluded: Collection[str] = ()
    hashed: Collection[str] = ()
    salt: str = ""

    @cached_property
    def _key(self) -> bytes:
        return blake2b(self.salt.encode("utf-8", "surrogatepass"), digest_size=32).digest()

    def hash(self, value: Any) -> str | None:
        """The same 32 hexadecimal digits for the same value, of no use without the salt; None where it is missing."""
        text = canonical(value)
        if text is None:
            return None
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).hexdigest()

    def veil(self, name: Any, value: Any) -> Any:
        """What may be written of a value; KeyError where nothing may."""
        if not isinstance(name, str) or (name not in self.excluded and name not in self.hashed):
            return value
        if name in self.excluded:
            raise KeyError(name)
        return self.hash(value)


@dataclass(frozen=True, eq=False)
class Table:
    """One table of the log.

    Attributes:
        kind: its name.
        time: the column whose day, in UTC, a row's file is filed under.
        features: kinds of the columns that are read from the features, by name.
        roles: kinds of the columns that are read from a row's other parts, by name; in the order of ``parts``.
        parts: the part of a row each role is read from; ``features`` and the time are not among them.
        version: of the service; None where the table does not tell it.
        moment: the column of the model's time; where a row has none, it is when it was observed.
        hidden: what must not be written.
        about: metadata of its files.
    """

    kind: str
    time: str
    features: Mapping[str, FitKind]
    roles: Mapping[str, FitKind]
    parts: Sequence[str]
    version: str | None
    moment: str | None
    hidden: Hidden
    about: Mapping[str, str]

    @cached_property
    def schema(self) -> Any:
        """The pyarrow schema: time, roles, version, features, other."""
        fields = [(self.time, pa.timestamp("us", "UTC"))]
        fields += [(name, self._type(name, kind)) for name, kind in self._written(self.roles)]
        fields += [("version", pa.string())] if self.version is not None else []
        fields += [(name, self._type(name, kind)) for name, kind in self._written(self.features)]
        return pa.schema([*fields, (OTHER, pa.string())], metadata=dict(self.about))

    def _written(self, columns: Mapping[str, FitKind]) -> list[tuple[str, FitKind]]:
        return [(name, kind) for name, kind in columns.items() if name not in self.hidden.excluded]

    def _type(self, name: str, kind: FitKind) -> Any:
        return pa.string() if name in self.hidden.hashed else type_of(kind)

    def batch(self, rows: Sequence[Any]) -> Any:
        """Rows, at least one, as a pyarrow record batch; never raises because of their values."""
        others: dict[int, dict[str, Any]] = {}
        given = dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))
        columns = {self.time: instants(given[self.time], time.time())}
        for (name, kind), part in zip(self.roles.items(), self.parts, strict=True):
            if name not in self.hidden.excluded:
                columns[name] = self._column(name, kind, given[part], others)
        if self.version is not None:
            columns["version"] = one_text(self.version, len(rows))
        if mappings := given.get("features"):
            found, unknown = self._extract(mappings)
            for (name, kind), values in zip(self.features.items(), found, strict=True):
                if name == self.moment:  # as it is counted
                    values = [
                        _clock(at) if value is None else value
                        for value, at in zip(values, given[self.time], strict=True)
                    ]
                if name not in self.hidden.excluded:
                    columns[name] = self._column(name, kind, values, others)
            for at in unknown:
                said = {name: given[part][at] for name, part in zip(self.roles, self.parts, strict=True)}
                self._gather(at, mappings[at], said, others)
        columns[OTHER] = texts(self._as_texts(others, len(rows)), sys.maxsize) if others else one_text(None, len(rows))
        return pa.RecordBatch.from_arrays([columns[name] for name in self.schema.names], schema=self.schema)

    def _column(self, name: str, kind: FitKind, values: Sequence[Any], others: dict[int, dict[str, Any]]) -> Any:
        if name in self.hidden.hashed:
            return texts([self.hidden.hash(value) for value in values])
        fitted = fit(kind, values)
        for at in fitted.misfits:
            others.setdefault(at, {})[name] = values[at]
        return fitted.array

    def _extract(self, mappings: Sequence[Mapping[str, Any]]) -> tuple[list[Sequence[Any]], list[int]]:
        """The values of every column, and rows that may have others."""
        names = tuple(name for name in self.features if name != self.moment)
        try:
            pick: Callable[[Any], Any] = (
                itemgetter(*names) if len(names) > 1 else lambda row: [row[one] for one in names]
            )
            columns: list[Sequence[Any]] = list(zip(*map(pick, mappings), strict=True))
            if self.moment is not None and self.moment in self.features:  # many services never send the time
                sent = [row.get(self.moment) for row in mappings]
                columns.insert(list(self.features).index(self.moment), sent)
            # a row that has every column, and no more names than there are columns, has no others
            return columns, [at for at, size in enumerate(map(len, mappings)) if size != len(names)]
        except Exception:  # a column is missing somewhere, or a mapping is hostile
            return [[_value(row, name) for row in mappings] for name in self.features], list(range(len(mappings)))

    def _gather(
        self, at: int, row: Mapping[str, Any], said: Mapping[str, Any], others: dict[int, dict[str, Any]]
    ) -> None:
        """Put what has no column of its own into ``others``; what a role's column says already has one."""
        try:
            for name in islice((one for one in row if one not in self.features), _MOST_UNKNOWN):
                value = row[name]
                if name not in said or not (value is said[name] or _are_equal(value, said[name])):
                    others.setdefault(at, {}).setdefault(name, value)
        except Exception:  # a hostile mapping
            others.setdefault(at, {}).setdefault("(features)", row)

    def _as_texts(self, others: Mapping[int, Mapping[Any, Any]], rows: int) -> list[str | None]:
        shown: list[str | None] = [None] * rows
        for at, values in others.items():
            visible = {}
            for name, value in values.items():
                try:
                    visible[name] = self.hidden.veil(name, value)
                except KeyError:
                    continue
            shown[at] = as_json(visible, self.hidden.veil) if visible else None
        return shown


def _value(row: Mapping[str, Any], name: str) -> Any:
    try:
        return row.get(name)
    except Exception:  # a hostile mapping
        return None


def _clock(seconds: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except Exception:  # no moment of the calendar
        return None


def _are_equal(one: Any, other: Any) -> bool:
    """Whether a flag and a truth value, or two numbers or texts, say the same."""
    known = (str, int, float, bool, np.float64, np.int64, np.bool_)
    return type(one) in known and type(other) in known and bool(one == other)


def predictions(layout: Layout, version: str, hidden: Hidden) -> Table:
    """The table of predictions: features and roles by the names that the model gives them.

    Where a feature has the name of a role, the role keeps the column and the feature goes to ``other``.
    """
    model = layout.model
    roles: dict[str, FitKind] = {
        model.id or "id": "id",
        model.score.source: _kind(layout, model.score.name),
        model.decision or "flagged": "truth",
        model.holdout or "holdout": "truth",
    }
    taken = {name.casefold() for name in (*roles, "observed_at", "version", OTHER)}  # as SQL compares names
    if len(roles) < 4 or len(taken) < 7:
        raise DataError(
            f"two columns of the log would have the same name: {', '.join(sorted(roles))}; observed_at, version and "
            f"{OTHER} are taken, too. Rename the model's id, score, decision or holdout column."
        )
    features: dict[str, FitKind] = {}
    for column in model.features:
        if not column.derived and column.source.casefold() not in taken:
            features[column.source] = "clock" if column.name != column.source else _kind(layout, column.name)
    for name in (model.time, *model.segments):
        if name is not None and name.casefold() not in taken and name not in features and name not in layout.kinds:
            features[name] = "clock" if name == model.time else "text"
    parts = ("id", "score", "flagged", "holdout")
    about = {"wakeful.model": model.name, "wakeful.reference": layout.fingerprint}
    return Table("predictions", "observed_at", features, roles, parts, version, model.time, hidden, about)


def outcomes(layout: Layout, hidden: Hidden) -> Table:
    """The table of outcomes: id, label, and when it was told."""
    model = layout.model
    kind = _kind(layout, model.score.name) if model.task == "multiclass" else "number"
    roles: dict[str, FitKind] = {model.id or "id": "id", model.label or "label": kind}
    about = {"wakeful.model": model.name, "wakeful.reference": layout.fingerprint}
    return Table("outcomes", "at", {}, roles, ("id", "label"), None, None, hidden, about)


def _kind(layout: Layout, name: str) -> FitKind:
    """What a counted column's values are, by its bins; categories of several types are texts, the others misfit."""
    bins = layout.bins[name]
    if layout.kinds[name] in ("hour", "weekday", "hour_of_week"):
        return "clock"
    if not isinstance(bins, CategoryBins):
        return "number"
    kinds: dict[frozenset[type], FitKind] = {frozenset({bool}): "truth", frozenset({int}): "whole"}
    return kinds.get(bins.types, "text")


def drawn(value: Any, share: float, key: bytes) -> bool:
    """Whether an identifier belongs to a sample: the same in every process, on every machine."""
    text = canonical(value)
    if text is None:
        return bool(np.random.random() < share)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little") < share * 2.0**64
