"""What cannot happen in healthy traffic, whatever the season.

A shift moves mass between values that training knew, and moves it smoothly. A fault does not: it fills
a bin far beyond what any mix of customers does, or empties one. Odds tell them apart. If every odds
of a value p/(1-p) may grow by a factor k, a share p may grow to kp/(1-p+kp).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wakeful.bins import CategoryBins, Floats, NumericBins
from wakeful.evidence import Lost, Worst
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["Surges", "allowed_share", "fault", "lost", "spike", "surges", "vanished"]

_SURGE = 10.0  # no season or campaign multiplies the odds of a value tenfold
_MAY_FALL = 0.7  # of its share: where a season halves it, some rows are still seen, all but for sure
_CONTINUOUS = 1.25  # fingerprints of continuous values are evenly spread, whatever the distribution
_GRAINY = 3.0  # those of few values that repeat (prices, round sums) follow the mix of customers
_MIXED = 1.5  # where many values share a fingerprint, their mix averages out


def allowed_share(share: Floats, factor: float) -> Floats:
    """The share that a growth of the odds by ``factor`` leads to."""
    return factor * share / (1 - share + factor * share)


class Surges(NamedTuple):
    """What may grow: every bin, then every fingerprint, then both tails with what lies beyond them.

    Attributes:
        parts: live rows.
        usual: share in the reference.
        allowed: share that each may have.
    """

    parts: Floats
    usual: Floats
    allowed: Floats


def surges(live: ColumnCounts, reference: ColumnCounts) -> Surges:
    """What could hold a spike, relative to the rows that have a value."""
    rows = reference.values.copy()
    if isinstance(reference.bins, CategoryBins):
        rows[-1] = reference.bins.new_share * reference.n  # new categories are to be expected
    known = (rows + 1) / (reference.n + len(rows))
    found = [Surges(live.values, rows / max(reference.n, 1), allowed_share(known, _SURGE))]
    spread, expected = live.prints.sum(), reference.prints.sum()
    if spread and live.n:
        even = (reference.prints + 1) / (expected + len(reference.prints))
        part = spread / live.n
        usual = reference.prints / max(expected, 1) * part
        found.append(Surges(live.prints, usual, allowed_share(even, _print_factor(reference)) * part))
    if isinstance(reference.bins, NumericBins) and len(rows) > 3:
        tails = [np.array([one[:2].sum(), one[-2:].sum()]) for one in (live.values, rows)]
        share = (tails[1] + 1) / (reference.n + len(rows))
        found.append(Surges(tails[0], tails[1] / max(reference.n, 1), allowed_share(share, _SURGE)))
    return Surges(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _print_factor(reference: ColumnCounts) -> float:
    """By how much the odds of a fingerprint may grow: the less, the more values share one.

    With value multiplicities f, the cells' variance is sum f² / K, so n / (sum f² / n - 1) is the number of
    equally frequent values that would repeat as often.
    """
    prints, cells = reference.prints, len(reference.prints)
    n = max(float(prints.sum()), 1.0)
    if (prints + 1).max() / (n + cells) < 1 / cells + 4 * np.sqrt(1 / (cells * n)):
        return _CONTINUOUS
    repeats = ((prints - n / cells) ** 2).sum() / (n / cells) / (cells - 1) - 1.0
    values = n / max(repeats, 1e-9) / cells
    return float(np.clip(1 + _MIXED / np.sqrt(values), _CONTINUOUS, _GRAINY))


@signal
def spike(live: ColumnCounts, reference: ColumnCounts) -> Worst:
    """Largest share that suddenly sits on one value: an error code, a default, a fallback.

    The largest excess of any bin, or of a tail with all that lies beyond it, over ten times its reference
    odds, and, for continuous columns, of any fingerprint over its even share. Values that training never
    showed count in full.
    """
    return Worst(*surges(live, reference), live.n, reference.n)


@signal(kinds=("numeric", "categorical", "boolean"))
def vanished(live: ColumnCounts, reference: ColumnCounts) -> Lost:
    """Reference share of the values (single ones, whole bins of numbers, and "missing") that no longer occur at all."""
    return lost(live, reference, bins=isinstance(reference.bins, NumericBins))


def lost(live: ColumnCounts, reference: ColumnCounts, *, bins: bool) -> Lost:
    """What no longer occurs of single values and of what is missing; of whole ``bins`` of numbers, too."""
    known = reference.bins.is_single | bins
    shares = np.append(reference.values[known], reference.missing) / max(reference.rows, 1)
    return Lost(shares, np.append(live.values[known], live.missing), live.rows, _MAY_FALL)


@signal
def fault(live: ColumnCounts, reference: ColumnCounts) -> Worst:
    """Share of all rows hit by the worst fault: missing, unseen, invalid, out of range, or a spike."""
    rows = max(reference.rows, 1)
    spikes = surges(live, reference)
    present = live.n / live.rows if live.rows else 0.0
    new = reference.bins.new_share if isinstance(reference.bins, CategoryBins) else 0.0
    outside = 0.0 if isinstance(live.bins, CategoryBins) else float(live.values[0] + live.values[-1])
    parts = np.array([live.missing, live.invalid, live.within(reference.not_shown), outside])
    usual = np.array([reference.missing / rows, reference.invalid / rows, new, 0.0])
    allowed = allowed_share(usual + 1 / (rows + 2), 3.0)
    return Worst(
        np.concatenate([parts, spikes.parts]),
        np.concatenate([usual, spikes.usual * present]),
        np.concatenate([allowed, spikes.allowed * present]),
        live.rows,
        reference.rows,
    )
