"""How much traffic there is, and how much of it is flagged, and how much of it is repeated."""

from __future__ import annotations

import numpy as np

from wakeful.bins import CategoryBins
from wakeful.counts import IDS
from wakeful.evidence import Exact, Repeats, Share
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes, ColumnCounts

__all__ = ["duplicates", "flagged_share", "traffic"]


@signal(of="rows", dispersion="none")
def traffic(live: ColumnCounts) -> Exact:
    """Rows in the window."""
    return Exact(live.rows, live.rows)


@signal(of="binary", dispersion="shape")
def flagged_share(live: BinaryOutcomes) -> Share:
    """Share of rows that the model flagged, by the decision column or the threshold."""
    rows = live.decisions
    return Share(rows[1], rows.sum())


@signal(of="rows", dispersion="none", column=IDS)
def duplicates(live: ColumnCounts) -> Repeats:
    """Share of the rows with an id whose id came before in the window: retries that repeat rows.

    Ids are counted in 1,024 cells of a hash. Rows that share an id share a cell, so cells are less even than
    chance makes them: with c rows in a cell, D = sum (c - n/1024)² / (n/1024) has the mean
    1023 sum f² / n over rows per id f (to the order 1/n). Where no id comes more than twice, sum f² / n is
    1 + 2 x the share, which is (D/1023 - 1)/2 therefore.

    Assumes that ids are random with respect to the hash, as those of any program are that does not know it, and
    that an id comes at most twice. For ids that come more often it overstates, up to 1: f rows of every id read
    (f - 1)/2 instead of (f - 1)/f. Chance moves it by 0.02, however many rows there are, and by more where many
    repeat, so repeats are certain from about a tenth of the rows on.
    """
    assert isinstance(live.bins, CategoryBins)
    rows = live.values[: len(live.bins.categories)]
    return Repeats(float(np.sum(rows * (rows - 1))) / 2, float(rows.sum()), len(rows))
