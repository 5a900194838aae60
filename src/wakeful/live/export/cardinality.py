"""How many series a monitor exports, and what costs most: said before it is too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from typing import NamedTuple

from wakeful.counts import CLOCK, IDS
from wakeful.errors import DataError
from wakeful.expression import Comparison
from wakeful.live.export.hours import at_hours, series_of_hours
from wakeful.live.export.series import REFERENCE, Series, series_of_column, series_of_outcomes, series_of_rows
from wakeful.live.shared.meters import COUNTERS, GAUGES
from wakeful.reference import Reference

__all__ = ["OUTCOMES", "BySegment", "Part", "asked", "must_fit", "parts"]

OUTCOMES = ""  # stands for the outcomes where columns are named
BySegment = Mapping[
    str, Set[str]
]  # per segment, the columns exported apart for its values; a column's name or OUTCOMES

_OF_ITSELF = len(COUNTERS) + len(GAUGES) + 7  # what a monitor tells of itself


def asked(comparisons: Collection[Comparison]) -> dict[str, frozenset[str]] | None:
    """What some comparisons ask by segment; None, which is everything, where there are none."""
    if not comparisons:
        return None
    found: dict[str, frozenset[str]] = {}
    for comparison in comparisons:
        for leaf in comparison.leaves:
            of_rows = leaf.columns is None and leaf.signal.of == "rows"  # rows are exported anyway
            names = frozenset(() if of_rows else leaf.columns or (OUTCOMES,))
            for segment in {part.segment for part in leaf.parts if part.segment is not None}:
                found[segment] = found.get(segment, frozenset()) | names
    return found


class Part(NamedTuple):
    """What is exported of one column, or of the outcomes, for some values of one segment.

    Attributes:
        segment: None for all traffic.
        name: of the column, or OUTCOMES.
        slices: for which it is exported, by their place in the layout.
        series: of each of them.
    """

    segment: str | None
    name: str
    slices: list[int]
    series: list[Series]

    @property
    def cost(self) -> int:
        """Number of series in all."""
        return len(self.slices) * len(self.series)


def parts(reference: Reference, by_segment: BySegment | None = None) -> Iterator[Part]:
    """All that is exported of a model; no reference is told for values of a segment that training did not show.

    Where hours of the week differ, what is usual at those of the rows is told of all traffic, as its reference differs.

    Args:
        reference: what it was learnt from.
        by_segment: what is exported for the values of each segment; everything without it.
    """
    layout, rows = reference.layout, series_of_rows()
    columns = [column.name for column in layout.counted if column.name not in (CLOCK, IDS)]
    series = {OUTCOMES: rows + series_of_outcomes(layout)} | {name: series_of_column(layout, name) for name in columns}
    is_known = reference.counts.table[:, 0] > 0
    for segment in (None, *layout.model.segments):
        slices = [at for at, one in enumerate(layout.slices) if one.segment == segment]
        wanted = None if segment is None or by_segment is None else by_segment.get(segment, frozenset())
        for name, some in series.items():
            if wanted is not None and name not in wanted:
                some = rows if name == OUTCOMES else []
            live = [one for one in some if one.name not in REFERENCE]
            yield Part(segment, name, [at for at in slices if is_known[at]], some)
            yield Part(segment, name, [at for at in slices if not is_known[at]], live)
    if reference.seasons is not None:
        yield Part(None, CLOCK, [0], series_of_hours(reference))
        for name in columns:
            yield Part(None, name, [0], list(at_hours(reference, series[name])))


def must_fit(reference: Reference, by_segment: BySegment | None, budget: int) -> None:
    """DataError where there are more series than ``budget``; it says what costs most, and what to do."""
    layout, found = reference.layout, list(parts(reference, by_segment))
    total = sum(one.cost for one in found) + _OF_ITSELF
    if total <= budget:
        return
    segments = sorted(layout.model.segments, key=lambda name: -_cost(found, segment=name))
    told = [
        f"segment {name!r}: {len(layout.segment_values(name))} values × up to "
        f"{_each(found, name):,} series = "
        f"{_cost(found, segment=name):,}"
        for name in segments[:3]
    ]
    names = sorted({one.name for one in found}, key=lambda name: -_cost(found, name=name))
    told += [f"{_called(name)}: {_cost(found, name=name):,} over all segments" for name in names[:3]]
    advice = [f"raise the budget: series={total:_} in Python, --series {total} of a command"]
    if segments:
        advice.insert(0, f"learn the reference again without --segment {segments[0]}, or with fewer values in it")
    if segments and by_segment is None:
        advice.insert(0, "name what is asked by segment in the checks, and only that is exported apart")
    raise DataError(
        f"the export of {layout.model.name!r} would have {total:,} series, and its budget is {budget:,}. "
        f"What costs most: {'; '.join(told)}. What to do: {', or '.join(advice)}."
    )


def _each(found: list[Part], segment: str) -> int:
    """Series of that value of a segment which has most."""
    each: Counter[int] = Counter()
    for one in found:
        if one.segment == segment:
            each.update({at: len(one.series) for at in one.slices})
    return max(each.values(), default=0)


def _cost(found: list[Part], **wanted: str) -> int:
    return sum(one.cost for one in found if all(getattr(one, key) == value for key, value in wanted.items()))


def _called(name: str) -> str:
    return "outcomes" if name == OUTCOMES else f"column {name!r}"
