"""How much windows of training data vary by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wakeful.bins import Floats
from wakeful.counting import Derivation, count
from wakeful.counts import Counts, Layout
from wakeful.errors import DataError
from wakeful.learning.profile import Profile
from wakeful.reference import Dispersion, Reference, Stray
from wakeful.tables import ArrowBatch

__all__ = ["WindowCounter", "dispersion_of", "intraclass", "on_the_clock", "outcome_dispersion_of", "strays_of"]

_UNITS = ("hour", "day", "week", "month", "quarter")
_ROWS_TO_STRAY = 10  # fewer, and sampling noise hides how windows vary
_ROWS_TO_LIMIT = 200  # fewer, and a single window says nothing
_FEWEST_WINDOWS = 6
_MOST_WINDOWS = 500


class WindowCounter:
    """Counts per calendar window of the time column; segments are not counted apart.

    Attributes:
        units: calendar units that tell how windows stray, the shortest first; longer windows are sums of it.
        main: the shortest whose windows have enough rows to learn limits from; None where none has.
    """

    def __init__(self, layout: Layout, units: list[str], main: str | None, time: str) -> None:
        self.units = units
        self.main = main
        self._time = time
        self._layout = replace(layout, model=replace(layout.model, segments=()))
        self._counts: dict[Any, Counts] = {}

    @classmethod
    def over(cls, layout: Layout, seen: Profile) -> WindowCounter | None:
        """A counter of the calendar units that give enough windows; None where none does."""
        time = layout.model.time
        if time is None:
            return None
        kind = seen.schema.field(time).type
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise DataError(f"time column {time!r} must hold dates or timestamps, not {kind}. Convert it first.")
        times = on_the_clock(seen.sample.column(time).combine_chunks().drop_null())
        if not len(times):
            raise DataError(f"time column {time!r} is missing in every row. Leave it out, or fill it.")
        numbers = {unit: pc.count_distinct(pc.floor_temporal(times, unit=unit)).as_py() for unit in _UNITS}
        units = [
            unit
            for at, unit in enumerate(_UNITS)
            if numbers[unit] not in [numbers[coarser] for coarser in _UNITS[at + 1 :]]  # monthly dates are no hours
            and _FEWEST_WINDOWS <= numbers[unit] <= _MOST_WINDOWS
            and seen.rows / numbers[unit] >= _ROWS_TO_STRAY
        ]
        main = next((unit for unit in units if seen.rows / numbers[unit] >= _ROWS_TO_LIMIT), None)
        return cls(layout, units, main, time) if units else None

    def add(self, batch: ArrowBatch, derived: Mapping[str, Derivation] | None) -> None:
        """Count a batch into its windows; rows without a time belong to none."""
        starts = pc.floor_temporal(on_the_clock(batch.column(self._time)), unit=self.units[0])
        for start in starts.unique().drop_null():
            rows = batch.record_batch.filter(pc.fill_null(pc.equal(starts, start), False))
            known = self._counts.get(start, Counts.zero(self._layout))
            self._counts[start] = known + count(self._layout, ArrowBatch(rows), derived)

    def windows(self, unit: str) -> list[Counts]:
        """The windows of a unit in order of time, without those that hold less than a quarter of the usual rows."""
        found: dict[Any, Counts] = {}
        for start, counts in self._counts.items():
            floor = pc.floor_temporal(start, unit=unit).as_py()
            found[floor] = found[floor] + counts if floor in found else counts
        ordered = [found[start] for start in sorted(found)]
        usual = np.median([counts.rows for counts in ordered])
        return [counts for counts in ordered if counts.rows >= usual / 4]


def strays_of(reference: Reference, counter: WindowCounter) -> dict[str, Stray]:
    """How far windows of every unit stray by themselves."""
    found = {}
    for unit in counter.units:
        windows = counter.windows(unit)
        outcome = outcome_dispersion_of(reference.counts, windows)
        found[unit] = Stray(len(windows), outcome, dispersion_of(reference, windows))
    return found


def on_the_clock(times: Any) -> Any:
    """Timestamps as a clock on the wall shows them; the hour that autumn repeats is one window."""
    return times if getattr(times.type, "tz", None) is None else pc.local_timestamp(times)


def dispersion_of(reference: Reference, windows: list[Counts]) -> dict[str, Dispersion]:
    """Intraclass correlation of every column's shares between windows, by the method of moments.

    Where hours of the week differ, every window is held against the same hours.
    """
    expected = [reference.at_hours_of(counts).counts for counts in windows]
    found = {}
    for name, place in reference.layout.cells.items():
        cells = slice(place.start, place.start + place.values + 1)
        live = np.array([counts.table[0, cells] for counts in windows])
        usual = np.array([counts.table[0, cells] for counts in expected])
        found[name] = Dispersion(intraclass(live[:, :-1], usual[:, :-1]), intraclass(_presence(live), _presence(usual)))
    return found


def _presence(rows: Floats) -> Floats:
    """Rows with a value and without one, shape (windows, 2)."""
    return np.stack([rows[:, :-1].sum(axis=1), rows[:, -1]], axis=1)


def outcome_dispersion_of(whole: Counts, windows: list[Counts]) -> float:
    """The same for the share of positives, given the score's bins (binary models only)."""
    if whole.layout.model.task != "binary" or whole.layout.model.label is None:
        return 0.0
    rates = _outcomes_by_answer(whole)
    expected_rate = rates[:, 1] / np.maximum(rates.sum(axis=1), 1)
    terms = []
    for counts in windows:
        table = _outcomes_by_answer(counts)
        n = table.sum(axis=1)
        variance = (n * expected_rate * (1 - expected_rate)).sum()
        if variance > 0:
            surprise = table[:, 1].sum() - (n * expected_rate).sum()
            terms.append((surprise**2 / variance - 1) / n.sum())
    return round(max(0.0, float(np.mean(terms))), 6) if terms else 0.0


def _outcomes_by_answer(counts: Counts) -> Floats:
    """Rows by answer and truth (negative, positive), shape (answers, 2)."""
    table: Floats = counts.outcome(0)[..., :2, 0].sum(axis=(0, 1))
    return table


def intraclass(every: Floats, reference: Floats) -> float:
    """Mean excess of squared deviations over what independent draws give, in units of p(1-p).

    A window is part of what it is held against, which makes it stray less, by its share of those rows.

    Args:
        every: rows per window and cell, shape (windows, cells).
        reference: rows that each is held against, shape (windows, cells) or (cells,).
    """
    reference = np.broadcast_to(reference, every.shape)
    n, total = every.sum(axis=1), reference.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = reference / total[:, None]
        spread = (p * (1 - p)).sum(axis=1)
        strayed = ((every / n[:, None] - p) ** 2).sum(axis=1) / spread
        excess = (strayed - (1 / n - 1 / total)) / (1 - n / total)
    known = excess[np.isfinite(excess)]
    return round(min(1.0, max(0.0, float(np.mean(known)))), 6) if len(known) else 0.0
