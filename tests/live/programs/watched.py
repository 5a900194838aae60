"""A service that is watched, as tests see it: its monitor, and what its workers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import wakeful
from wakeful.live.shared.meters import COUNTERS
from wakeful.live.shared.slots import read


class Watched:
    """A monitor that watches in this process, and the counts in its folder."""

    def __init__(self, monitor: wakeful.Monitor, folder: Path, flush: float = 1.0, log: str = "") -> None:
        self.monitor = monitor
        self.folder = folder
        monitor.start(counts=folder, registry=None, flush=flush, log=log)
        recorder = monitor._recorder
        assert recorder is not None
        self.recorder = recorder

    @property
    def counters(self) -> Any:
        readings = read(self.folder, self.recorder.identity).readings
        return sum((one.counters for one in readings), np.zeros(self.recorder.identity.counters))

    @property
    def meters(self) -> dict[str, float]:
        return dict(zip(COUNTERS, self.counters[-len(COUNTERS) :].tolist(), strict=True))
