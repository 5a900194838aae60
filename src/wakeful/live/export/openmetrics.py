"""The same series at many moments, as the OpenMetrics text that ``promtool`` makes blocks of.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md: all samples of a series stand
together, in order of time, and all series of a metric; while a history gives all series of one moment at a time.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, NamedTuple

import numpy as np
from prometheus_client.core import Metric

from wakeful.bins import Floats
from wakeful.live.export.exposition import Labels

__all__ = ["LOOKBACK", "Growth", "Spool"]

_BLOCK = 1 << 21  # values that are held in memory at once: 16 MB
LOOKBACK = 300  # seconds for which Prometheus takes a sample for the present


class Growth(NamedTuple):
    """By how much counters grew over a window: recorded series that rules read again later.

    Attributes:
        name: of these series.
        counter: name of the counters.
        columns, segments: the values of these labels that are recorded; no column stands for all of them.
        window: its length in seconds.
        step: seconds from one sample to the next, at multiples of it.
        reach: for how many seconds before the last moment they are read.
    """

    name: str
    counter: str
    columns: frozenset[str]
    segments: frozenset[str]
    window: int
    step: int
    reach: int

    def labels(self, counted: Mapping[str, str]) -> Labels | None:
        """Those of the series that is recorded of a counter; None where none is."""
        is_other = "column" in counted and self.columns and counted["column"] not in self.columns
        if is_other or counted.get("segment", "") not in self.segments:
            return None
        return Labels({name: value for name, value in counted.items() if name != "reference"})


class Spool:
    """Keeps the values of every moment until all are known: on disk, 8 bytes each, so memory does not grow.

    Args:
        held: metrics whose values are written again and again until the next moment, so that Prometheus always knows
            them; of others it knows none five minutes later.

    Attributes:
        series: how many were written.
    """

    def __init__(self, held: Container[str] = ()) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._held = held
        self._metrics: Sequence[Metric] = []
        self._times: list[int] = []
        self._pending: list[Floats] = []  # values of the last moments
        self._turned: list[tuple[int, int]] = []  # where moments before these lie in the file, series by series; number
        self.series = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def _size(self) -> int:
        """Number of series, those without any value among them."""
        return sum(len(metric.samples) for metric in self._metrics)

    @property
    def times(self) -> Sequence[int]:
        """Moments that are known, in order."""
        return self._times

    def add(self, at: int, metrics: Sequence[Metric]) -> None:
        """Keep the values of all series at a moment.

        Args:
            at: seconds since 1970, later than any before.
            metrics: those of every moment, in the same order; their labels are ``Labels``. What is not a number is
                left out.

        Raises:
            OSError: the disk is full.
        """
        self._metrics = self._metrics or metrics
        self._pending.append(np.array([sample.value for metric in metrics for sample in metric.samples]))
        self._times.append(at)
        if len(self._pending) * self._size >= _BLOCK:
            self._turn()

    def _turn(self) -> None:
        self._turned.append((self._file.tell(), len(self._pending)))
        self._file.write(np.stack(self._pending, axis=1).data)
        self._pending = []

    def write(self, file: IO[bytes], growths: Sequence[Growth] = ()) -> None:
        """Write all of it as OpenMetrics, and what is recorded of how counters grew."""
        if self._pending:
            self._turn()
        once = [f" {at}\n" for at in self._times]
        values = self._by_series()
        for metric in self._metrics:
            file.write(_head(metric.name, metric.type, metric.documentation))
            again = [_until(*both) for both in pairwise(self._times)] if metric.name in self._held else []
            ends = [*(f" {at}\n" for some in again for at in some), once[-1]] if again else once
            times = [*map(len, again), 1] if again else 1
            for sample in metric.samples:
                start = f"{sample.name}{sample.labels.text} "  # type: ignore[attr-defined]
                pairs = zip(np.repeat(next(values), times).tolist(), ends, strict=True)
                lines = [f"{start}{value!r}{end}" for value, end in pairs if value == value]
                self.series += bool(lines)
                file.write("".join(lines).encode())
                del lines  # before there are those of the next
        for growth in growths:
            self._write_growth(file, growth)
        file.write(b"# EOF\n")

    def _write_growth(self, file: IO[bytes], one: Growth) -> None:
        """Where a window or a moment falls between two moments, counters rise evenly from one to the other."""
        file.write(_head(one.name, "gauge", "What rules record of counters."))
        last = self._times[-1]
        moments = np.arange((last - one.reach) // one.step, last // one.step + 1) * one.step
        moments = moments[moments > self._times[0]]
        start = 0
        for metric in self._metrics:
            counters = [sample for sample in metric.samples if sample.name == one.counter]
            for sample, values in zip(counters, self._by_series(start, start + len(counters)), strict=True):
                labels = one.labels(sample.labels)
                if labels is not None and len(moments):
                    known = np.interp(moments, self._times, values)
                    grown = known - np.interp(moments - one.window, self._times, values)
                    pairs = zip(grown.tolist(), moments.tolist(), strict=True)
                    file.write("".join([f"{one.name}{labels.text} {value!r} {at}\n" for value, at in pairs]).encode())
                    self.series += 1
            start += len(metric.samples)

    def _by_series(self, first: int = 0, stop: int | None = None) -> Iterator[Floats]:
        """The values of some series, in order of time; of all by default."""
        step = max(_BLOCK // len(self._times), 1)
        stop = self._size if stop is None else stop
        for start in range(first, stop, step):
            number, parts = min(step, stop - start), []
            for offset, moments in self._turned:
                self._file.seek(offset + start * moments * 8)
                parts.append(np.frombuffer(self._file.read(number * moments * 8)).reshape(number, moments))
            yield from np.concatenate(parts, axis=1)


def _head(name: str, kind: str, documentation: str) -> bytes:
    return f"# TYPE {name} {kind}\n# HELP {name} {documentation}\n".encode()


def _until(at: int, following: int) -> list[int]:
    """Moments at which a value is written that holds until another; none is looked back to from there."""
    last = max(following - LOOKBACK - 1, at)
    return sorted({*range(at, last, LOOKBACK), last})
