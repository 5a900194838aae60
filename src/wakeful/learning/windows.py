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
from wakeful.reference import Dispersion
from wakeful.tables import ArrowBatch

__all__ = ["WindowCounter", "dispersion_of", "outcome_dispersion_of"]

_UNITS = ("hour", "day", "week", "month", "quarter")
_ROWS_PER_WINDOW = 200  # fewer, and sampling noise hides how windows vary
_FEWEST_WINDOWS = 6
_MOST_WINDOWS = 500


class WindowCounter:
    """Counts per calendar window of the time column; segments are not counted apart."""

    def __init__(self, layout: Layout, unit: str, time: str) -> None:
        self.unit = unit
        self._time = time
        self._layout = Layout(
            replace(layout.model, segments=()),
            layout.bins,
            layout.error_scale,
            layout.label_center,
            layout.label_scale,
        )
        self._counts: dict[Any, Counts] = {}

    @classmethod
    def over(cls, layout: Layout, seen: Profile) -> WindowCounter | None:
        """A counter of the smallest calendar unit that gives enough rows; None where none does."""
        time = layout.model.time
        if time is None:
            return None
        kind = seen.schema.field(time).type
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise DataError(f"time column {time!r} must hold dates or timestamps, not {kind}. Convert it first.")
        times = _on_the_clock(seen.sample.column(time).combine_chunks().drop_null())
        if not len(times):
            raise DataError(f"time column {time!r} is missing in every row. Leave it out, or fill it.")
        numbers = {unit: pc.count_distinct(pc.floor_temporal(times, unit=unit)).as_py() for unit in _UNITS}
        for at, unit in enumerate(_UNITS):
            windows = numbers[unit]
            if windows in [numbers[coarser] for coarser in _UNITS[at + 1 :]]:
                continue  # the data are no finer than that: monthly dates are no hours
            if _FEWEST_WINDOWS <= windows <= _MOST_WINDOWS and seen.rows / windows >= _ROWS_PER_WINDOW:
                return cls(layout, unit, time)
        return None

    def add(self, batch: ArrowBatch, derived: Mapping[str, Derivation] | None) -> None:
        """Count a batch into its windows; rows without a time belong to none."""
        starts = pc.floor_temporal(_on_the_clock(batch.column(self._time)), unit=self.unit)
        for start in starts.unique().drop_null():
            rows = batch.record_batch.filter(pc.fill_null(pc.equal(starts, start), False))
            known = self._counts.get(start.as_py(), Counts.zero(self._layout))
            self._counts[start.as_py()] = known + count(self._layout, ArrowBatch(rows), derived)

    def counts(self) -> list[Counts]:
        """The windows in order of time, without those that hold less than a quarter of the usual rows."""
        ordered = [self._counts[start] for start in sorted(self._counts)]
        usual = np.median([counts.rows for counts in ordered])
        return [counts for counts in ordered if counts.rows >= usual / 4]


def _on_the_clock(times: Any) -> Any:
    """Timestamps as a clock on the wall shows them; the hour that autumn repeats is one window."""
    return times if getattr(times.type, "tz", None) is None else pc.local_timestamp(times)


def dispersion_of(whole: Counts, windows: list[Counts]) -> dict[str, Dispersion]:
    """Intraclass correlation of every column's shares between windows, by the method of moments."""
    found = {}
    for name, place in whole.layout.cells.items():
        cells = slice(place.start, place.start + place.values + 1)
        every = np.array([counts.table[0, cells] for counts in windows])
        reference = whole.table[0, cells]
        presence = np.stack([every[:, :-1].sum(axis=1), every[:, -1]], axis=1)
        found[name] = Dispersion(
            _intraclass(every[:, :-1], reference[:-1]),
            _intraclass(presence, np.array([reference[:-1].sum(), reference[-1]])),
        )
    return found


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


def _intraclass(every: Floats, reference: Floats) -> float:
    """Mean excess of squared deviations over what independent draws give, in units of p(1-p)."""
    total = reference.sum()
    n = every.sum(axis=1)
    every, n = every[n > 0], n[n > 0]
    p = reference / max(total, 1)
    spread = (p * (1 - p)).sum()
    if not len(n) or spread <= 0:
        return 0.0
    deviation = ((every / n[:, None] - p) ** 2).sum(axis=1) / spread
    return round(min(1.0, max(0.0, float(np.mean(deviation - (1 / n - 1 / total))))), 6)
