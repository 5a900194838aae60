"""Fuzzing of what a service hands over: fuzz.py [SECONDS] [-OPTION=VALUE OF LIBFUZZER ...].

Needs atheris, in an environment of its own where it has no wheel for this Python:

    python3.11 -m venv build/fuzz && build/fuzz/bin/pip install atheris --editable '.[history]'
    build/fuzz/bin/python bench/fuzz.py 300

It ends with an error at the first input that raises something into the service, or that is not accounted for.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import atheris

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "live" / "programs"))

with atheris.instrument_imports(include=["wakeful"]):
    import wakeful
    from wakeful.live.recorder import Recorder
    from wakeful.live.shared.meters import COUNTERS

import hostile
import numpy as np

CHECKED = 200  # inputs between two looks at the accounts


class Fuzzed:
    """Choices of the fuzzer."""

    def __init__(self, data: bytes) -> None:
        self._data = atheris.FuzzedDataProvider(data)

    def choice(self, several: Any) -> Any:
        return several[self.number(len(several) - 1)]

    def number(self, most: int) -> int:
        return int(self._data.ConsumeIntInRange(0, most))

    def any(self) -> Any:
        """A hostile value, or one made of what the fuzzer likes."""
        make = (
            lambda: hostile.value(self), lambda: self._data.ConsumeFloat(), lambda: self._data.ConsumeUnicode(12),
            lambda: self._data.ConsumeInt(12), lambda: self._data.ConsumeBytes(8),
        )  # fmt: skip
        return self.choice(make)()


class Target:
    """A monitor that is fed; nothing is shared, as the accounts are looked at in memory."""

    def __init__(self, folder: str) -> None:
        self.monitor = wakeful.Monitor(_reference(), holdout_share=0.5)
        self.monitor.start(counts=folder, registry=None, flush=3600)
        recorder = self.monitor._recorder
        assert recorder is not None
        self.recorder: Recorder = recorder
        self.observed = self.inputs = 0

    def __call__(self, data: bytes) -> None:
        source = Fuzzed(data)
        for _ in range(source.number(4)):
            self._call(source)
        self.inputs += 1
        if not self.inputs % CHECKED:
            self._check()

    def _call(self, source: Fuzzed) -> None:
        kind = source.number(4)
        if kind == 0:
            self.monitor.decide(source.any(), source.any())
        elif kind == 1:
            said = {"features": hostile.row(source, most=6)} if source.number(1) else {}
            self.monitor.outcome(source.any(), source.any(), score=source.any(), time=source.any(), **said)
        elif kind == 2:
            row = {source.choice(hostile.NAMES): source.any() for _ in range(source.number(6))}
            self.monitor.observe(row, score=source.any(), id=source.any(), decision=source.any(), time=source.any())
            self.observed += 1
        else:
            self.monitor.observe(hostile.row(source, most=6))
            self.observed += 1

    def _check(self) -> None:
        assert self.recorder.flush()
        total = self.recorder._slot._current.vector  # type: ignore[union-attr]
        size = self.recorder.layout.size
        meters = dict(zip(COUNTERS, total[size : size + len(COUNTERS)].tolist(), strict=True))
        dropped = sum(meters[name] for name in ("dropped_full", "dropped_error", "invalid"))
        assert meters["seen"] == self.observed == meters["counted"] + dropped, (self.observed, meters)
        assert total[0] == meters["counted"]


def _reference() -> Any:
    rng = np.random.default_rng(0)
    data = {
        "income": rng.lognormal(10, 0.5, 2_000), "rent": rng.gamma(4, 200, 2_000), "debt": rng.integers(0, 9, 2_000),
        "city": rng.choice(["Berlin", "Hamburg"], 2_000), "owner": rng.random(2_000) < 0.4,
        "platform": rng.choice(["web", "app"], 2_000), "score": rng.random(2_000),
        "rejected": (rng.random(2_000) < 0.5).astype(int), "held": rng.random(2_000) < 0.2,
    }  # fmt: skip
    return wakeful.learn(
        data, score="score", label="rejected", threshold=0.5, holdout="held", segments=["platform"], name="loans"
    )


def main() -> None:
    seconds = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].isdigit() else "60"
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="wakeful-fuzz-") as folder:
        atheris.Setup([*sys.argv, f"-max_total_time={seconds}", "-rss_limit_mb=4096"], Target(folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
