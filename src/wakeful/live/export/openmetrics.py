"""The same series at many moments, as the OpenMetrics text that ``promtool`` makes blocks of.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md: all samples of a series stand
together, in order of time, and all series of a metric; while a history gives all series of one moment at a time.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

import numpy as np
from prometheus_client.core import Metric

from wakeful.bins import Floats

__all__ = ["Spool"]

_BLOCK = 1 << 21  # values that are held in memory at once: 16 MB
_LOOKBACK = 300  # seconds for which Prometheus takes a sample for the present


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

    def write(self, file: IO[bytes]) -> None:
        """Write all of it as OpenMetrics."""
        if self._pending:
            self._turn()
        once = [f" {at}\n" for at in self._times]
        values = self._by_series()
        for metric in self._metrics:
            file.write(f"# TYPE {metric.name} {metric.type}\n# HELP {metric.name} {metric.documentation}\n".encode())
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
        file.write(b"# EOF\n")

    def _by_series(self) -> Iterator[Floats]:
        """The values of each series, in order of time."""
        step = max(_BLOCK // len(self._times), 1)
        for start in range(0, self._size, step):
            number, parts = min(step, self._size - start), []
            for offset, moments in self._turned:
                self._file.seek(offset + start * moments * 8)
                parts.append(np.frombuffer(self._file.read(number * moments * 8)).reshape(number, moments))
            yield from np.concatenate(parts, axis=1)


def _until(at: int, following: int) -> list[int]:
    """Moments at which a value is written that holds until another; none is looked back to from there."""
    last = max(following - _LOOKBACK - 1, at)
    return sorted({*range(at, last, _LOOKBACK), last})
