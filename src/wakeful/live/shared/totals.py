"""What all workers of a service have counted: the slots of a folder as counts that can be judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wakeful.counts import Counts, Layout
from wakeful.live.shared.meters import identity
from wakeful.live.shared.slots import read

__all__ = ["totals"]


def totals(layout: Layout, folder: Path, version: str | None) -> Counts:
    """Counts of all workers, the dead included, as of their last flushes.

    Args:
        layout: of the counts; those of others are left out.
        folder: that the workers share; nothing is counted where it is missing.
        version: of the model, to count it alone; None for all.

    Raises:
        OSError: what the workers wrote cannot be read for now.
    """
    vector = np.zeros(layout.size)
    for reading in read(folder, identity(layout)).readings:
        if version is None or reading.version == version:
            vector += reading.counters[: layout.size]
    return Counts(layout, vector)
