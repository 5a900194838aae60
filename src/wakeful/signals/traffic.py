"""How much traffic there is, and how much of it is flagged."""

from __future__ import annotations

from wakeful.evidence import Exact, Share
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes, ColumnCounts

__all__ = ["flagged_share", "traffic"]


@signal(of="rows", dispersion="none")
def traffic(live: ColumnCounts) -> Exact:
    """Rows in the window."""
    return Exact(live.rows, live.rows)


@signal(of="binary", dispersion="shape")
def flagged_share(live: BinaryOutcomes) -> Share:
    """Share of rows that the model flagged, by the decision column or the threshold."""
    rows = live.decisions
    return Share(rows[1], rows.sum())
