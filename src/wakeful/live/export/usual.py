"""What training showed of every bin, as rules of Prometheus need it."""

from __future__ import annotations

import numpy as np

from wakeful.bins import Floats, NumericBins
from wakeful.reference import Reference
from wakeful.signals.distances import LEVELS
from wakeful.views import ColumnCounts, column_counts

__all__ = ["marks", "usual"]


def usual(reference: Reference) -> Floats:
    """The reference's vector with shares in place of rows, but for the number of rows itself.

    Shares of bins are among the rows with a value, and those to expect: new categories have one.
    """
    table = reference.counts.table.copy()
    for name, place in reference.layout.cells.items():
        for at, row in enumerate(table):
            row[place.start : place.start + place.values] = _shares(column_counts(reference.counts, name, at))
        table[:, place.start + place.values] /= np.maximum(table[:, 0], 1.0)
    return table.ravel()


def _shares(column: ColumnCounts) -> Floats:
    shares: Floats = column.expected.values / max(column.n, 1.0)
    return shares


def marks(reference: Reference, name: str, at: int) -> list[dict[str, str]]:
    """Labels of every bin of a column in slice ``at``, beside its own, of shape (bins,).

    ``of_10`` and ``of_5`` number the groups of neighbours by which few rows are judged; ``rows`` says of bins which
    training did not show whether they hold values ``outside`` of its range, or new ones inside (``new``).
    """
    column = column_counts(reference.counts, name, at, reference.counts)
    groups = {f"of_{wanted}": column.groups(wanted) for _, wanted in LEVELS}
    found = [{label: f"{group[bin]:02d}" for label, group in groups.items()} for bin in range(len(column.values))]
    special = {"new": column.not_shown}
    if isinstance(column.bins, NumericBins):
        special["outside"] = column.outside
    for mark, bins in special.items():
        for bin in np.flatnonzero(bins):
            found[bin]["rows"] = mark
    return found
