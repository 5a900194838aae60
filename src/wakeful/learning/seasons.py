"""Whether hours of the week differ, and what each looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wakeful.bins import Floats, Ints, NumericBins, halves
from wakeful.counting import Derivation, encode
from wakeful.counts import CLOCK, Layout
from wakeful.learning.binning import bins_of_clock
from wakeful.learning.profile import Profile
from wakeful.learning.windows import intraclass, on_the_clock
from wakeful.model import Column
from wakeful.tables import ArrowBatch

__all__ = ["SeasonCounter", "with_clock"]

_FEWEST_WEEKS = 3  # fewer, and a season cannot be told from one odd week
_FEWEST_HOURS = 12  # of a day: data by shift or by day have no hours
_ROWS_PER_HOUR = 20
_DIFFERS = 0.01  # variance of shares between hours, in units of p(1-p)


class SeasonCounter:
    """Rows of each hour of the week, cell by cell; a table of shape (168, layout.outcome_start)."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.table = np.zeros((168, layout.outcome_start))

    def add(self, batch: ArrowBatch, derived: Mapping[str, Derivation] | None) -> None:
        """Count a batch; rows without a time belong to no hour."""
        layout = self._layout
        clock = layout.hourly[-1]
        hours = batch.clock(clock.source, clock.kind, bins_of_clock(clock.kind))
        timed = hours < 168
        self.table[:, 0] += np.bincount(hours[timed], minlength=168)
        for column in layout.hourly:
            place = layout.cells[column.name]
            values = encode(layout, batch, column, derived)[timed]
            self.table[:, place.start : place.stop] += _by_hour(layout, column, values, hours[timed])


def _by_hour(layout: Layout, column: Column, values: Any, hours: Ints) -> Floats:
    """Cells and sums of a column, fingerprints left out, shape (168, cells of the column)."""
    bins, place = layout.bins[column.name], layout.cells[column.name]
    size = place.values + 2
    found = np.zeros((168, place.stop - place.start))
    cells = bins.cells(values) if isinstance(bins, NumericBins) else values
    found[:, :size] = np.bincount(hours * size + cells.astype(np.intp), minlength=168 * size).reshape(168, size)
    if isinstance(bins, NumericBins):
        steps = bins.fixed_point(values)
        for at, weights in enumerate((steps, *halves(np.square(steps)), bins.off_grid(values))):
            found[:, size + place.fingerprints + at] = np.bincount(hours, weights, minlength=168)
    return found


def with_clock(layout: Layout, seen: Profile, derived: Mapping[str, Derivation] | None) -> Layout:
    """A layout that counts hours of the week too, where the sample shows that they differ."""
    time = layout.model.time
    if time is None or not pa.types.is_timestamp(seen.schema.field(time).type):
        return layout
    times = on_the_clock(seen.sample.column(time).combine_chunks().drop_null())
    weeks = pc.count_distinct(pc.floor_temporal(times, unit="week")).as_py()
    hours = pc.count_distinct(pc.hour(times)).as_py()
    if weeks < _FEWEST_WEEKS or hours < _FEWEST_HOURS or seen.rows < 168 * _ROWS_PER_HOUR:
        return layout
    clocked = replace(layout, bins={**layout.bins, CLOCK: bins_of_clock("hour_of_week")})
    counter = SeasonCounter(clocked)
    for batch in seen.sample.to_batches():
        counter.add(ArrowBatch(batch), derived)
    whole = counter.table.sum(axis=0)
    filled = counter.table[counter.table[:, 0] > 0]
    for column in layout.model.columns:
        place = clocked.cells[column.name]
        cells = slice(place.start, place.start + place.values + 1)
        if intraclass(filled[:, cells], whole[cells]) > _DIFFERS:
            return clocked
    return layout
