"""What is joined -> counts by window, class and age: what delay curves and maturity are estimated from."""

from __future__ import annotations

import numpy as np

from wakeful.delays import Delays, delays
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.outcomes.resolved import Resolved

__all__ = ["ageing"]

_DAY = 86_400 * 1_000_000
_MOST_CELLS = 1_000_000  # windows x bins of age, of several arrays of 8 bytes
_FEWEST_BINS = 50


def ageing(joined: Resolved, every: str, timezone: str, bins: int) -> tuple[list[int], Delays]:
    """Starts of the windows, those without predictions included, and the counts; see ``Joined.delays``."""
    [(first, last)] = joined.rows("SELECT min(t), max(t) FROM scratch.known")
    if first is None:
        raise DataError("no prediction has been read, so no outcome has an age.")
    tiles = Every.parse(every, timezone)
    edges = [tiles.start(first)]
    while edges[-1] <= last:
        edges.append(tiles.following(edges[-1]))
    cuts, found = np.array(edges) / _DAY, None
    bins = min(bins, max(_FEWEST_BINS, _MOST_CELLS // len(edges)))
    with joined.arrivals() as reader:
        for batch in reader:
            columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in ("t", "known_at", "label")}
            t, known = (columns[name].astype(np.float64) for name in ("t", "known_at"))
            label = columns["label"].astype(np.float64) if joined.is_binary else np.where(np.isnan(known), known, 1.0)
            usable = np.isnan(label) | np.isin(label, (0, 1))
            part = delays(
                t[usable] / _DAY, np.maximum(known, t)[usable] / _DAY, label[usable], joined.now / _DAY,
                edges=cuts, horizon=joined.horizon / _DAY, bins=bins,
            )  # fmt: skip
            found = part if found is None else found.plus(part)
    assert found is not None
    return edges[:-1], found
