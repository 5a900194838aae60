"""What cannot happen in healthy traffic, whatever the season.

A shift moves mass between values that training knew, and moves it smoothly. A fault does not: it fills
a bin far beyond what any mix of customers does, or empties one. Odds tell them apart. If every odds
of a value p/(1-p) may grow by a factor k, a share p may grow to kp/(1-p+kp).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wakeful.bins import CategoryBins, Floats
from wakeful.evidence import Lost, Worst
from wakeful.signals.shares import unseen_rows
from wakeful.signals.signal import signal
from wakeful.views import ColumnCounts

__all__ = ["Surges", "allowed_share", "fault", "spike", "surges", "vanished"]

_SURGE = 10.0  # no season or campaign multiplies the odds of a value tenfold
_MAY_FALL = 0.2  # a season may take four fifths of a value's share
_MISSING_MAY_FALL = 0.5  # but not of what is missing
_CONTINUOUS = 1.25  # fingerprints of continuous values are evenly spread, whatever the distribution
_GRAINY = 3.0  # those of values that repeat (prices, round sums) follow the mix of customers


def allowed_share(share: Floats, factor: float) -> Floats:
    """The share that a growth of the odds by ``factor`` leads to."""
    return factor * share / (1 - share + factor * share)


class Surges(NamedTuple):
    """Every bin and fingerprint of a column: live rows, usual share, and the share that it may have."""

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
        noise = 4 * np.sqrt(1 / (len(even) * max(expected, 1)))
        continuous = even.max() < 1 / len(even) + noise
        part = spread / live.n
        usual = reference.prints / max(expected, 1) * part
        found.append(Surges(live.prints, usual, allowed_share(even, _CONTINUOUS if continuous else _GRAINY) * part))
    return Surges(*(np.concatenate(column) for column in zip(*found, strict=True)))


@signal
def spike(live: ColumnCounts, reference: ColumnCounts) -> Worst:
    """Largest share that suddenly sits on one value: an error code, a default, a fallback.

    The largest excess of any bin over ten times its reference odds, and, for continuous columns, of any
    fingerprint over its even share. Values that training never showed count in full.
    """
    return Worst(*surges(live, reference), live.n, reference.n)


@signal(kinds=("numeric", "categorical", "boolean"))
def vanished(live: ColumnCounts, reference: ColumnCounts) -> Lost:
    """Reference share of the single values (and of "missing") that no longer occur at all."""
    single = reference.bins.is_single
    shares = np.append(reference.values[single], reference.missing) / max(reference.rows, 1)
    counts = np.append(live.values[single], live.missing)
    fraction = np.append(np.full(len(shares) - 1, _MAY_FALL), _MISSING_MAY_FALL)
    return Lost(shares, counts, live.rows, fraction)


@signal
def fault(live: ColumnCounts, reference: ColumnCounts) -> Worst:
    """Share of all rows hit by the worst fault: missing, unseen, invalid, out of range, or a spike."""
    rows = max(reference.rows, 1)
    spikes = surges(live, reference)
    present = live.n / live.rows if live.rows else 0.0
    new = reference.bins.new_share if isinstance(reference.bins, CategoryBins) else 0.0
    outside = 0.0 if isinstance(live.bins, CategoryBins) else float(live.values[0] + live.values[-1])
    parts = np.array([live.missing, live.invalid, unseen_rows(live, reference), outside])
    usual = np.array([reference.missing / rows, reference.invalid / rows, new, 0.0])
    allowed = allowed_share(usual + 1 / (rows + 2), 3.0)
    return Worst(
        np.concatenate([parts, spikes.parts]),
        np.concatenate([usual, spikes.usual * present]),
        np.concatenate([allowed, spikes.allowed * present]),
        live.rows,
        reference.rows,
    )
