"""Which series of a service are asked for, as symbols, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from wakeful.budget import duration
from wakeful.caching import cached_property
from wakeful.compile.plan import Recording
from wakeful.compile.promql import labelled, one_of, quoted
from wakeful.compile.symbols import Operand, Symbol, table
from wakeful.counts import Slice
from wakeful.live.export.exporter import slice_labels
from wakeful.live.export.openmetrics import LOOKBACK, Growth
from wakeful.live.shared.meters import identity
from wakeful.reference import Reference

__all__ = ["SHARES", "Asked", "Sources"]

_TILES = ("5m", "1h", "1d")  # of which long windows are made, so that no rule looks at a day of raw samples
_RETIRED = "1h"  # after which a version that is exported no more is no longer judged
_OF_ALL_VERSIONS = ("rows", "timed_rows", "usual_rows", "usual_hour")  # which may be added up over versions
_FEWEST = 24  # tiles of a window: it ends up to one of them late

_LABELS = {
    "bin": ("model", "version", "segment", "value", "column", "bin"),
    "rows": ("model", "version", "segment", "value"),
    "off_grid": ("model", "version", "segment", "value", "column"),
    "column_sum": ("model", "version", "segment", "value", "column", "statistic"),
    "timed_rows": ("model", "version", "segment", "value"),
    "usual_rows": ("model", "version", "segment", "value"),
    "usual_hour": ("model", "version", "segment", "value", "hour"),
    "usual_bin": ("model", "version", "segment", "value", "column", "bin"),
    "usual_off_grid": ("model", "version", "segment", "value", "column"),
    "usual_column_sum": ("model", "version", "segment", "value", "column", "statistic"),
    "answer": ("model", "version", "segment", "value", "bin", "flagged", "cohort"),
    "outcome": ("model", "version", "segment", "value", "bin", "truth", "flagged", "cohort"),
    "outcome_sum": ("model", "version", "segment", "value", "bin", "statistic", "flagged", "cohort"),
}  # of the counters wakeful_…_total, those of their processes aside


class Asked(NamedTuple):
    """Of what a signal is asked.

    Attributes:
        window: length of the traffic.
        ago: how long ago it ended; empty for now.
        columns: of the model; none for outcomes and rows.
        by_column: whether every column is a case of its own, so that results have the label.
        parts: slices of one segment.
        by_part: likewise.
        by_version: likewise of versions of the model, which traffic moves between.
    """

    window: str
    ago: str
    columns: tuple[str, ...]
    by_column: bool
    parts: tuple[Slice, ...]
    by_part: bool
    by_version: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """Of what it comes to."""
        version = ("version",) if self.by_version else ()
        column = ("column",) if self.columns and self.by_column else ()
        part = ("segment", "value") if self.parts[0].segment is not None and self.by_part else ()
        return ("model", *version, *column, *part)


@dataclass(frozen=True, eq=False)
class Sources:
    """The series that one monitor's rules read; what is asked of them is kept, and nothing else is recorded.

    Attributes:
        reference: of the monitor.
    """

    reference: Reference
    _needed: dict[tuple[str, str], dict[str, set[str]]] = field(default_factory=dict)
    _usual: dict[str, set[str]] = field(default_factory=dict)
    _earlier: dict[tuple[str, str], float] = field(default_factory=dict)  # how many seconds ago a window ended

    def increase(self, counter: str, asked: Asked, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        """Increase of a counter over a window, by the labels that are asked for and some more."""
        self._keep(self._needed.setdefault((counter, asked.window), {}), asked)
        ago = duration(asked.ago) if asked.ago else 0.0
        self._earlier[counter, asked.window] = max(ago, self._earlier.get((counter, asked.window), 0.0))
        name = self._name(counter, asked.window)
        offset = f" offset {asked.ago}" if asked.ago else ""
        return self._summed(f"{name}{self._selector(asked, *matchers)}{offset}", _LABELS[counter], asked, by)

    def rows(self, asked: Asked) -> Symbol:
        """All rows; where values of a segment are judged that training did not show, only of those that there are."""
        parts: dict[bool, list[Slice]] = {True: [], False: []}
        for part in asked.parts:
            parts[bool(asked.ago) or self._was_shown(part)].append(part)
        found = {
            shown: self.increase("rows", asked._replace(parts=tuple(some))) for shown, some in parts.items() if some
        }
        if False not in found:
            return found[True]
        texts = [found[True].operands[0]] if True in found else []
        return Symbol("series", (f"({' or '.join([*texts, f'{found[False].operands[0]} > 0'])})",), asked.labels)

    def _was_shown(self, part: Slice) -> bool:
        return bool(self.reference.counts.table[self.reference.layout.find_slice(*part), 0])

    def usual(self, name: str, asked: Asked, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        """What the reference says of bins."""
        self._keep(self._usual, asked)
        found = ("model", "version", "segment", "value", "column", "bin", *by)
        return self._summed(f"{name}{self._selector(asked, *matchers)}", found, asked, ("bin", *by))

    def groups(self, asked: Asked, *matchers: str, by: tuple[str, ...] = ()) -> Symbol:
        """1 for every bin, by labels of how training groups them; all traffic's, where it lacks a segment's value."""
        everything = asked._replace(parts=(Slice(None, None),))
        segment, found = asked.parts[0].segment, [f"{GROUPS}{self._selector(asked, *matchers)}"]
        self._keep(self._usual, asked)
        for part in asked.parts if segment is not None else ():
            if not self._was_shown(part):
                self._keep(self._usual, everything)
                labels = {"segment": segment or "", "value": self.value_of(part)}
                found.append(labelled(f"{GROUPS}{self._selector(everything, *matchers)}", labels))
        marked = Symbol("series", (" or ".join(found),), (*asked.labels, "bin", "of_5", "of_10", "rows"))
        return Symbol("sum", (marked,), (*asked.labels, "bin", *by))

    def _name(self, counter: str, window: str) -> str:
        """Of what is recorded of a counter; it names the reference, whose counts are never added to those of another.

        Long windows, and earlier ones, reach back to before the service got this reference, and steps of a column from
        its own origin, say, mean something else.
        """
        return f"wakeful:{counter}:increase{window}:{self.reference.layout.fingerprint}"

    def _summed(self, text: str, found: Collection[str], asked: Asked, by: tuple[str, ...]) -> Symbol:
        """The sum by the labels that are wanted; as it is, where it has no others."""
        wanted = (*asked.labels, *by)
        segment = asked.parts[0].segment
        others = set(found) - set(wanted) - (set() if segment is not None else {"segment", "value"})
        if not others:
            return Symbol("series", (text,), wanted)
        return Symbol("series", (f"sum by ({', '.join(sorted(wanted))}) ({text})",), wanted)

    def _keep(self, needed: dict[str, set[str]], asked: Asked) -> None:
        needed.setdefault("columns", set()).update(asked.columns)
        needed.setdefault("segments", set()).add(asked.parts[0].segment or "")

    def _selector(self, asked: Asked, *matchers: str) -> str:
        some = [f"model={quoted(self.reference.model.name)}", *self._part(asked)]
        if asked.columns:
            is_one = len(asked.columns) == 1
            some.append(f"column={quoted(asked.columns[0])}" if is_one else f"column=~{one_of(asked.columns)}")
        return f"{{{','.join((*some, *matchers))}}}"

    def _part(self, asked: Asked) -> list[str]:
        segment = asked.parts[0].segment
        if segment is None:
            return ['segment=""']
        values = [self.value_of(part) for part in asked.parts]
        value = f"value={quoted(values[0])}" if len(values) == 1 else f"value=~{one_of(values)}"
        return [f"segment={quoted(segment)}", value]

    def value_of(self, part: Slice) -> str:
        """How a slice is called in the label ``value``."""
        return self._values[part]

    @cached_property
    def _values(self) -> dict[Slice, str]:
        layout = self.reference.layout
        return {part: labels.get("value", "") for part, labels in zip(layout.slices, slice_labels(layout), strict=True)}

    def constant(self, asked: Asked, of: Callable[[str | None, Slice], float]) -> Operand:
        """A number for every column (None for outcomes and rows) and slice, as a constant."""
        labels = tuple(one for one in asked.labels if one not in ("model", "version"))
        by_column, by_part = "column" in labels, "value" in labels
        found = {
            ((column or "",) if by_column else ())
            + ((part.segment or "", self.value_of(part)) if by_part else ()): float(of(column, part))
            for column in asked.columns or (None,)
            for part in asked.parts
        }
        return table(labels, found)

    @cached_property
    def own(self) -> str:
        """Selects the series that are counted with this reference, and no others."""
        mine = identity(self.reference.layout)
        return f"model={quoted(mine.model)},reference={quoted(mine.layout)}"

    def recordings(self) -> list[Recording]:
        """What has to be recorded for all that was asked, each after those that it reads."""
        labels = {"model": self.reference.model.name}
        wanted = self._wanted()
        found = []
        for counter, window in sorted(wanted, key=lambda one: (one[0], duration(one[1]))):
            found.append(self._increase(counter, window, wanted[counter, window], labels))
        return found + self._usual_recordings(labels)

    def _wanted(self) -> dict[tuple[str, str], dict[str, set[str]]]:
        """Counters and windows of which increases are recorded, those of which others are made among them."""
        wanted = {
            (counter, tile): needed for (counter, window), needed in self._needed.items() for tile in tiles(window)
        }
        for (counter, window), needed in self._needed.items():
            for tile in tiles(window):
                for key, some in needed.items():
                    wanted[counter, tile] = {**wanted[counter, tile], key: wanted[counter, tile].get(key, set()) | some}
        return wanted

    def growths(self) -> list[Growth]:
        """The increases that rules read again later: those that longer ones are made of, and those of earlier windows.

        The former are read at multiples of their window, the latter as often as rules are evaluated.
        """
        found, wanted = [], self._wanted()
        for (counter, window), needed in wanted.items():
            seconds, ago = int(duration(window)), self._earlier.get((counter, window), 0.0)
            longer = [duration(other) for name, other in wanted if name == counter and window in tiles(other)[-2:-1]]
            if longer or ago:
                found.append(
                    Growth(
                        self._name(counter, window), f"wakeful_{counter}_total",
                        frozenset(needed["columns"]), frozenset(needed["segments"]), seconds,
                        LOOKBACK if ago else seconds, int(max(ago, *longer)) if longer else int(ago),
                    )
                )  # fmt: skip
        return found

    def _increase(self, counter: str, window: str, needed: dict[str, set[str]], labels: dict[str, str]) -> Recording:
        below = tiles(window)[:-1]
        if below:
            tile = f"{self._name(counter, below[-1])}{{model={quoted(labels['model'])}}}"
            milliseconds = int(1000 * duration(window)) - 1  # one more would take in a tile more at whole hours
            expr = f"sum_over_time({tile}[{milliseconds}ms:{below[-1]}])"
            if counter not in _OF_ALL_VERSIONS:
                expr += f"\nand on (model, version) {self._lately}"
        else:
            selector = self._needed_selector(needed, "column" in _LABELS[counter])
            expr = f"sum by ({', '.join(_LABELS[counter])}) (increase(wakeful_{counter}_total{selector}[{window}]))"
        return Recording(self._name(counter, window), expr, labels)

    @property
    def _lately(self) -> str:
        """Which versions are still exported: of others nobody has to hear for as long as a window remembers them."""
        return f'last_over_time(wakeful_rows_total{{{self.own},segment=""}}[{_RETIRED}])'

    def _needed_selector(self, needed: dict[str, set[str]], has_columns: bool) -> str:
        some = [self.own]
        segments, columns = needed["segments"], needed["columns"]
        some.append(f"segment=~{one_of(sorted(segments))}" if segments != {""} else 'segment=""')
        if has_columns and columns:
            some.append(f"column=~{one_of(sorted(columns))}")
        return f"{{{','.join(some)}}}"

    def _usual_recordings(self, labels: dict[str, str]) -> list[Recording]:
        if not self._usual:
            return []
        shares = f"wakeful_reference_share{self._needed_selector(self._usual, True)}"
        by = ", ".join(_LABELS["bin"])
        return [
            Recording(SHARES, f"max by ({by}) ({shares})", labels),
            Recording(GROUPS, f"max by ({by}, of_5, of_10, rows) (0 * {shares} + 1)", labels),
        ]


SHARES, GROUPS = "wakeful:reference:share", "wakeful:reference:groups"


def tiles(window: str) -> list[str]:
    """The windows of which one is made, each a multiple of the one before, and itself."""
    seconds = duration(window)
    fitting = [one for one in _TILES if seconds >= _FEWEST * duration(one) and seconds % duration(one) == 0]
    return [*(tiles(fitting[-1]) if fitting else []), window]
