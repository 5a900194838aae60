"""How many series a monitor exports, and what costs most: said before it is too late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from wakeful.counts import CLOCK, IDS, Layout
from wakeful.errors import DataError
from wakeful.expression import Comparison, leaves_of
from wakeful.live.meters import COUNTERS, GAUGES
from wakeful.live.series import Series, series_of_column, series_of_outcomes, series_of_rows

__all__ = ["OUTCOMES", "BySegment", "Part", "asked", "must_fit", "parts"]

OUTCOMES = ""  # stands for the outcomes where columns are named
BySegment = Mapping[
    str, Set[str]
]  # per segment, the columns exported apart for its values; a column's name or OUTCOMES

_OF_ITSELF = len(COUNTERS) + len(GAUGES) + 5  # what a monitor tells of itself


def asked(comparisons: Iterable[Comparison]) -> dict[str, frozenset[str]]:
    """What some comparisons ask by segment."""
    found: dict[str, frozenset[str]] = {}
    for comparison in comparisons:
        for leaf in (*leaves_of(comparison.left), *leaves_of(comparison.right)):
            of_rows = leaf.columns is None and leaf.signal.of == "rows"  # rows are exported anyway
            names = frozenset(() if of_rows else leaf.columns or (OUTCOMES,))
            for segment in {part.segment for part in leaf.parts if part.segment is not None}:
                found[segment] = found.get(segment, frozenset()) | names
    return found


class Part(NamedTuple):
    """What is exported of one column, or of the outcomes, for one segment.

    Attributes:
        segment: None for all traffic.
        name: of the column, or OUTCOMES.
        slices: how many values the segment has.
        series: of each of them.
    """

    segment: str | None
    name: str
    slices: int
    series: list[Series]

    @property
    def cost(self) -> int:
        """Number of series in all."""
        return self.slices * len(self.series)


def parts(layout: Layout, by_segment: BySegment | None = None) -> Iterator[Part]:
    """All that is exported of a layout.

    Args:
        layout: of the counts.
        by_segment: what is exported for the values of each segment; everything without it.
    """
    columns = [column.name for column in layout.counted if column.name not in (CLOCK, IDS)]
    series = {OUTCOMES: series_of_rows() + series_of_outcomes(layout)}
    series |= {name: series_of_column(layout, name) for name in columns}
    for segment in (None, *layout.model.segments):
        slices = 1 if segment is None else len(layout.segment_values(segment))
        wanted = None if segment is None or by_segment is None else by_segment.get(segment, frozenset())
        for name, some in series.items():
            if wanted is None or name in wanted:
                yield Part(segment, name, slices, some)
            elif name == OUTCOMES:
                yield Part(segment, name, slices, series_of_rows())


def must_fit(layout: Layout, by_segment: BySegment | None, budget: int) -> None:
    """DataError where there are more series than ``budget``; it says what costs most, and what to do."""
    found = list(parts(layout, by_segment))
    total = sum(one.cost for one in found) + _OF_ITSELF
    if total <= budget:
        return
    segments = sorted(layout.model.segments, key=lambda name: -_cost(found, segment=name))
    told = [
        f"segment {name!r}: {len(layout.segment_values(name))} values × "
        f"{sum(len(one.series) for one in found if one.segment == name):,} series = {_cost(found, segment=name):,}"
        for name in segments[:3]
    ]
    names = sorted({one.name for one in found}, key=lambda name: -_cost(found, name=name))
    told += [f"{_called(name)}: {_cost(found, name=name):,} over all segments" for name in names[:3]]
    advice = [f"raise the budget: series={total:_}"]
    if segments:
        advice.insert(0, f"learn the reference again without --segment {segments[0]}, or with fewer values in it")
    if segments and by_segment is None:
        advice.insert(0, "name what is asked by segment in the checks, and only that is exported apart")
    raise DataError(
        f"the export of {layout.model.name!r} would have {total:,} series, and its budget is {budget:,}. "
        f"What costs most: {'; '.join(told)}. What to do: {', or '.join(advice)}."
    )


def _cost(found: list[Part], **wanted: str) -> int:
    return sum(one.cost for one in found if all(getattr(one, key) == value for key, value in wanted.items()))


def _called(name: str) -> str:
    return "outcomes" if name == OUTCOMES else f"column {name!r}"
