"""One streaming pass over the training data: a bounded summary from which kinds and bins are chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wakeful.arrow import is_text, numbers_of, plain
from wakeful.bins import Category, Floats
from wakeful.tables import ArrowBatch, Table

__all__ = ["Profile", "is_number", "is_text", "profile"]

_SAMPLE_ROWS = 200_000
_SAMPLE_CELLS = 40_000_000
_MOST_CATEGORIES = 20_000


@dataclass
class ColumnProfile:
    """What is remembered of one column besides the sample."""

    low: float = np.inf
    high: float = -np.inf
    categories: Counter[Category] = field(default_factory=Counter)
    truncated: bool = False

    def see_numbers(self, values: Floats) -> None:
        """Widen the range by the finite values."""
        finite = values[np.isfinite(values)]
        if len(finite):
            self.low = min(self.low, float(finite.min()) + 0.0)  # -0.0 becomes 0.0
            self.high = max(self.high, float(finite.max()) + 0.0)

    def see_categories(self, column: Any) -> None:
        """Count values; of too many, the rare ones are forgotten."""
        for entry in pc.value_counts(column).to_pylist():
            if entry["values"] is not None:
                self.categories[entry["values"]] += entry["counts"]
        if len(self.categories) > _MOST_CATEGORIES:
            self.truncated = True
            self.categories = Counter(dict(self.categories.most_common(_MOST_CATEGORIES // 2)))


@dataclass
class Profile:
    """A summary of a table.

    Attributes:
        schema: the pyarrow schema.
        rows: number of rows.
        sample: at most 200,000 rows drawn at random, in their order; the same for the same table.
        columns: range and categories, by name.
    """

    schema: Any
    rows: int
    sample: Any
    columns: dict[str, ColumnProfile]

    def kind(self, name: str) -> Any:
        """The column's Arrow type, dictionary encoding looked through."""
        found = self.schema.field(name).type
        return found.value_type if pa.types.is_dictionary(found) else found

    def numbers(self, name: str) -> Floats:
        """The sample's column as float64."""
        return numbers_of(self.sample.column(name))

    def distinct(self, name: str) -> int:
        """Number of different values in the sample."""
        return int(pc.count_distinct(plain(self.sample.column(name))).as_py())


def profile(table: Table, names_as_categories: Sequence[str] = ()) -> Profile:
    """Read the table once and summarise it in bounded memory."""
    schema = table.schema
    columns = {name: ColumnProfile() for name in schema.names}
    sampler = _Sampler(schema, max(1_000, min(_SAMPLE_ROWS, _SAMPLE_CELLS // max(1, len(schema.names)))))
    for batch in table.batches():
        sampler.add(batch)
        for name in schema.names:
            _see(columns[name], batch.column(name), name in names_as_categories)
    sample = sampler.sample()
    for name, known in columns.items():
        if known.truncated:  # which rare values were forgotten depends on the batches; the sample does not
            again = ColumnProfile()
            _see(again, sample.column(name), name in names_as_categories)
            known.categories = again.categories
    return Profile(schema, sampler.rows, sample, columns)


def _see(known: ColumnProfile, column: Any, as_categories: bool) -> None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_text(kind) or pa.types.is_boolean(kind) or (as_categories and pa.types.is_integer(kind)):
        known.see_categories(plain(column))
    elif as_categories and pa.types.is_floating(kind):  # integers with gaps, as from pandas
        numbers = numbers_of(column)
        whole = numbers[np.isfinite(numbers) & (numbers == np.floor(numbers))]
        known.see_categories(pa.array(whole.astype(np.int64)))
    if is_number(kind) or pa.types.is_boolean(kind):
        known.see_numbers(numbers_of(column))


def is_number(kind: Any) -> bool:
    """Whether an Arrow type is a number."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


class _Sampler:
    """A uniform sample of rows: those whose hashed row number is smallest."""

    def __init__(self, schema: Any, size: int) -> None:
        self.rows = 0
        self._size = size
        self._parts: list[tuple[Any, Any]] = []
        self._held = 0
        self._schema = schema

    def add(self, batch: ArrowBatch) -> None:
        numbers = np.arange(self.rows, self.rows + len(batch), dtype=np.uint64)
        self.rows += len(batch)
        self._parts.append((_splitmix(numbers), pa.Table.from_batches([batch.record_batch]).cast(self._schema)))
        self._held += len(batch)
        if self._held > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        ranks = np.concatenate([rank for rank, _ in self._parts])
        if len(ranks) > self._size:
            limit = np.partition(ranks, self._size)[self._size]
            self._parts = [(rank[rank < limit], part.filter(pa.array(rank < limit))) for rank, part in self._parts]
        self._parts = [(np.concatenate([rank for rank, _ in self._parts]), self._join())]
        self._held = len(self._parts[0][0])

    def _join(self) -> Any:
        tables = [part for _, part in self._parts]
        return pa.concat_tables(tables) if tables else self._schema.empty_table()

    def sample(self) -> Any:
        if self._parts:
            self._shrink()
        return self._join()


def _splitmix(numbers: Any) -> Any:
    """SplitMix64 (Steele, Lea & Flood 2014): whole numbers to well-mixed 64-bit hashes."""
    with np.errstate(over="ignore"):
        mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
