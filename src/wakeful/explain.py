"""Which columns and segments explain what happened: ranked, in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wakeful.bins import NumericBins, format_number
from wakeful.bounds import share_bounds, z_of
from wakeful.counts import Counts, Slice
from wakeful.reference import Dispersion, Reference
from wakeful.signals.distances import total_variation
from wakeful.signals.faults import allowed_share, lost, surges
from wakeful.views import ColumnCounts, column_counts

__all__ = ["EVERYTHING", "Cause", "explain", "percent"]

EVERYTHING = Slice(None, None)

_ERROR_RATE = 0.001  # in one of a thousand healthy windows noise is listed: an explanation wakes nobody
_MAY_GROW = 1.25  # odds of what is missing or new: less is no news
_WEIGHT_OF_FAULTS = 0.5  # a broken column is the culprit even where it matters little for the score
_WEIGHT_OF_SHIFTS = 0.05
_SCORE_IMPORTANCE = 0.3  # the score shifts because features do: it comes first only where none does
_CONCENTRATED = 0.8  # share of the affected rows that one segment must hold to be named


class Cause(NamedTuple):
    """One column (in one segment) that departs from the reference by more than noise.

    Attributes:
        column: its name.
        part: the slice in which it happens.
        kind: ``fault``, which healthy traffic does not show, or ``shift``: known values in other proportions.
        excess: share of rows affected beyond what noise explains, 0 … 1.
        text: what happened, in words.
        rank: what causes are sorted by.
    """

    column: str
    part: Slice
    kind: Literal["fault", "shift"]
    excess: float
    text: str
    rank: tuple[int, float]

    def as_dict(self) -> dict[str, Any]:
        """The cause as JSON wants it."""
        segment = None if self.part.segment is None else str(self.part)
        return {
            "column": self.column,
            "segment": segment,
            "kind": self.kind,
            "excess": round(self.excess, 6),
            "text": self.text,
        }


def explain(reference: Reference, counts: Counts, length: float | None = None) -> list[Cause]:
    """Columns that depart from the reference, most telling first.

    Faults come before shifts, faults of features before those of the score, and each is ranked by
    excess over noise x importance for the score.

    Args:
        reference: what healthy traffic looks like.
        counts: of the live rows.
        length: of their window in seconds; None for rows of no particular time.
    """
    usual = reference.at_hours_of(counts).counts
    alpha = _ERROR_RATE / max(1, len(reference.model.columns))
    strays = reference.stray(length).columns
    columns = (
        _of_column(reference, usual, counts, column.name, alpha, strays.get(column.name, Dispersion()))
        for column in reference.model.columns
    )
    causes = chain(_of_label(counts, alpha), *columns)
    return sorted(causes, key=lambda cause: cause.rank, reverse=True)


class _Finding(NamedTuple):
    """What is wrong with a column in a slice.

    Attributes:
        excess: share of rows affected beyond what noise explains.
        text: in words.
        plain: how much the words say; of findings that are alike, the plainest is told.
    """

    excess: float
    text: str
    plain: int = 0


def _of_label(counts: Counts, alpha: float) -> Iterator[Cause]:
    """Outcomes of the wrong kind count as unknown, so somebody has to say it."""
    layout = counts.layout
    label = layout.model.label
    rows = counts.rows
    if label is None or not np.prod(layout.outcome_shape):
        return
    invalid = min(counts.outcome(0)[..., -1, 0].sum(), rows)  # more where outcomes of earlier rows came
    excess = share_bounds(float(invalid), rows, alpha)[0]
    if excess > 0:
        wanted = "neither 0 nor 1" if layout.model.task == "binary" else "of the wrong kind"
        text = f"{label}: {percent(invalid / rows)} of the outcomes are {wanted}, and count as unknown"
        yield Cause(label, EVERYTHING, "fault", excess, text, (1, excess))


def _of_column(
    reference: Reference, usual: Counts, counts: Counts, name: str, alpha: float, dispersion: Dispersion
) -> Iterator[Cause]:
    is_score = name == reference.model.score.name
    importance = _SCORE_IMPORTANCE if is_score else reference.importance.get(name, 0.0)
    if name in counts.absent:
        yield Cause(name, EVERYTHING, "fault", 1.0, f"{name}: the column is not in the data", (3, 1.0 + importance))
        return
    found = _where(reference, usual, counts, name, alpha, dispersion)
    if found is None:
        return
    part, kind, finding = found
    weight = importance + (_WEIGHT_OF_FAULTS if kind == "fault" else _WEIGHT_OF_SHIFTS)
    group = 0 if kind == "shift" else 1 if is_score else 2
    where = f"{name} in {part}" if part.segment is not None else name
    yield Cause(name, part, kind, finding.excess, f"{where}: {finding.text}", (group, finding.excess * weight))


def _where(
    reference: Reference, usual: Counts, counts: Counts, name: str, alpha: float, dispersion: Dispersion
) -> tuple[Slice, Literal["fault", "shift"], _Finding] | None:
    """The slice that shows best what is wrong with a column, and what that is."""
    layout = reference.layout
    every: dict[Slice, _Finding] = {}
    for at, part in enumerate(layout.slices):
        if part.segment == name or not counts.table[at, 0]:
            continue
        live, expected = column_counts(counts, name, at), column_counts(usual, name, at, reference.counts)
        if not expected.rows:
            continue
        fault = _worst(live, expected, alpha / len(layout.slices), dispersion)
        if fault is not None:
            every[part] = fault
    if every:
        return _most_telling(every, counts)
    live, expected = column_counts(counts, name), column_counts(usual, name, 0, reference.counts)
    moved = total_variation.estimate(live, expected, {}, alpha, dispersion.shape)
    if moved.low > 0:
        return EVERYTHING, "shift", _Finding(moved.low, _shift_in_words(live, expected, moved.value))
    return None


def _most_telling(every: dict[Slice, _Finding], counts: Counts) -> tuple[Slice, Literal["fault"], _Finding]:
    """A segment, where it holds nearly all affected rows and is hit clearly harder; else all traffic."""
    rows = {part: counts.table[counts.layout.find_slice(*part), 0] for part in every}
    segments = [part for part in every if part.segment is not None]
    whole = every.get(EVERYTHING)
    if whole is None:
        worst = max(segments, key=lambda part: every[part].excess * rows[part])
        return worst, "fault", every[worst]
    affected = whole.excess * rows[EVERYTHING]
    for part in sorted(segments, key=lambda part: -every[part].excess):
        inside = every[part].excess * rows[part]
        if inside >= _CONCENTRATED * affected and every[part].excess > 1.5 * whole.excess:
            return part, "fault", every[part]
    return EVERYTHING, "fault", whole


def percent(share: float) -> str:
    """A share as people say it: 100%, 12%, 0.4%."""
    if 0 < share < 0.0995:
        return f"{100 * share:.2g}%"
    return f"{100 * share:.0f}%"


def _worst(live: ColumnCounts, expected: ColumnCounts, alpha: float, dispersion: Dispersion) -> _Finding | None:
    """The fault that hits most rows, in the plainest words; what is gone is told beside it if it may have become it."""
    found = list(_faults(live, expected, alpha, dispersion))
    if not found:
        return next(_losses(live, expected, alpha, dispersion, bins=isinstance(live.bins, NumericBins)), None)
    most = max(one.excess for one in found)
    fault = max((one for one in found if 2 * one.excess >= most), key=lambda one: (one.plain, one.excess))
    fault = fault._replace(excess=most)
    # Beside a fault, what is gone has most likely become it; alone, it may be how windows vary.
    gone = next(_losses(live, expected, alpha, Dispersion(), bins=False), None)
    if gone is not None and live.n and 2 * gone.excess >= fault.excess:
        return _Finding(max(fault.excess, gone.excess), f"{fault.text}; {gone.text}")
    return fault


def _faults(live: ColumnCounts, expected: ColumnCounts, alpha: float, dispersion: Dispersion) -> Iterator[_Finding]:
    """Every fault that the counts prove, in words."""
    rows, known = live.rows, expected.rows

    def beyond(part: float, reference_part: float, rho: float = 0.0) -> float:
        allowed = float(allowed_share(np.array((reference_part + 1) / (known + 2)), _MAY_GROW))
        return share_bounds(part, rows, alpha, 1 / known + rho)[0] - allowed

    usual = percent(expected.missing / known)
    simple = [
        (live.missing, expected.missing, f"{percent(live.missing / rows)} missing ({usual} in training)"),
        (
            live.invalid,
            expected.invalid,
            f"{percent(live.invalid / rows)} invalid: of the wrong type, or infinite",
        ),
    ]
    if not expected.seen.any():
        simple.append((live.n, 0.0, f"{percent(live.n / rows)} hold a value (none in training)"))
    elif isinstance(live.bins, NumericBins):
        span = f"the range seen in training ({format_number(live.bins.low)}–{format_number(live.bins.high)})"
        if live.bins.low == live.bins.high:
            span = f"{format_number(live.bins.low)}, the only value seen in training"
        for at, word in ((0, "below"), (-1, "above")):
            simple.append((float(live.values[at]), 0.0, f"{percent(live.values[at] / rows)} {word} {span}"))
        new = live.within(expected.not_shown)
        simple.append((new, 0.0, f"{percent(new / rows)} between the values that training had"))
        finer = f"have more decimals than in training ({live.bins.decimals})"
        if live.bins.decimals == 0:
            finer = f"are no whole numbers, as {'nearly ' if expected.off_grid else ''}all were in training"
        excess = beyond(live.off_grid, expected.off_grid)
        if excess > 0:
            yield _Finding(excess, f"{percent(live.off_grid / rows)} {finer}")
    else:
        new = live.within(expected.not_shown)
        simple.append((new, live.bins.new_share * known, f"{percent(new / rows)} unseen in training"))
    for part, reference_part, text in simple:
        excess = beyond(part, reference_part, dispersion.missing if part == live.missing else 0.0)
        if part > 0 and excess > 0:
            yield _Finding(excess, text, plain=3)
    yield from _spikes(live, expected, alpha, dispersion.shape)


def _spikes(live: ColumnCounts, expected: ColumnCounts, alpha: float, rho: float) -> Iterator[_Finding]:
    if not live.n:
        return
    parts, usual_shares, allowed = surges(live, expected)
    allowed = allowed + z_of(alpha / len(parts)) * np.sqrt(rho * usual_shares * (1 - usual_shares))
    parts = np.where(_known_values(live, len(parts)), parts, 0)
    at = int(np.argmax(parts / live.n - allowed))
    low = share_bounds(float(parts[at]), live.n, alpha / len(parts), 1 / max(expected.n, 1))[0]
    if low <= allowed[at]:
        return
    share = parts[at] / live.n
    tail = at - len(live.values) - len(live.prints)
    if tail >= 0 and isinstance(live.bins, NumericBins):
        word, edge = (("below", live.bins.edges[1]), ("above", live.bins.edges[-2]))[tail]
        text = f"{percent(share)} {word} {format_number(edge)} ({percent(usual_shares[at])} in training)"
    elif at < len(live.values):
        usual = expected.values[at] / max(expected.n, 1)
        text = f"{percent(share)} at {live.bins.describe(at)} ({percent(usual)} in training)"
    else:
        grown = live.share - expected.share
        share -= expected.prints[at - len(live.values)] / max(expected.n, 1)
        text = f"about {percent(share)} on one single value near {live.bins.describe(int(np.argmax(grown)))}"
    yield _Finding((float(low) - float(allowed[at])) * live.n / live.rows, text, plain=1 if tail >= 0 else 2)


def _known_values(live: ColumnCounts, size: int) -> NDArray[np.bool_]:
    """What a spike can be at, shape (size,): no bin of values that training did not show, told apart already."""
    known = np.ones(size, dtype=bool)
    known[len(live.values) - 1] = False
    if isinstance(live.bins, NumericBins):
        known[0] = False
    return known


def _losses(
    live: ColumnCounts, expected: ColumnCounts, alpha: float, dispersion: Dispersion, *, bins: bool
) -> Iterator[_Finding]:
    if live.kind in ("hour", "weekday"):
        return
    found = lost(live, expected, bins=bins).estimate(alpha, max(dispersion))
    if found.low <= 0:
        return
    known = np.flatnonzero(expected.bins.is_single | bins)
    gone = [at for at in known[np.argsort(-expected.values[known])] if not live.values[at] and expected.values[at]]
    names = [f"{expected.bins.describe(int(at))} ({percent(expected.values[at] / expected.rows)})" for at in gone[:3]]
    if expected.missing and not live.missing:
        names.insert(0, f"missing ({percent(expected.missing / expected.rows)})")
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    yield _Finding(found.low, f"no longer seen: {', '.join(names)}{more} of training")


def _shift_in_words(live: ColumnCounts, expected: ColumnCounts, moved: float) -> str:
    """Which bin grew most, and how much moved in all."""
    change = live.share - expected.share
    grown, shrunk = int(np.argmax(change)), int(np.argmin(change))
    return (
        f"{percent(moved)} of the rows moved: {live.bins.describe(grown)} from {percent(expected.share[grown])} to "
        f"{percent(live.share[grown])}, {live.bins.describe(shrunk)} from {percent(expected.share[shrunk])} to "
        f"{percent(live.share[shrunk])}"
    )
