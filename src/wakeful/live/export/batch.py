"""What a batch job has to tell, its counts above all, brought to Prometheus by way of a file or a Pushgateway."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, push_to_gateway, write_to_textfile
from prometheus_client.core import Metric

from wakeful.counts import Counts
from wakeful.errors import DataError
from wakeful.expression import Comparison
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter
from wakeful.live.shared.meters import COUNTERS, GAUGES
from wakeful.live.shared.slots import Reading, Slot
from wakeful.reference import Reference

__all__ = ["count", "push", "reading", "tell", "write"]


def count(
    reference: Reference,
    counts: Counts,
    comparisons: Collection[Comparison] = (),
    folder: Path | None = None,
    *,
    version: str = "",
    series: int = 10_000,
) -> list[Metric]:
    """The metrics of one run.

    Args:
        reference: what the rows were counted with.
        counts: of this run.
        comparisons: of the checks; where there are some, of segments only what they ask is told.
        folder: keeps the counts of earlier runs, to which these are added; without it they stand alone.
        version: of the model.
        series: how many there may be.

    Raises:
        DataError: there would be more series.
        OSError: the folder cannot be written to.
    """
    exporter = Exporter(reference, folder or Path(), version=version, series=series, by_segment=asked(comparisons))
    told = reading(version, counts, time.time())
    if folder is None:
        return list(exporter.metrics([told]))
    slot = Slot.claim(folder, exporter.identity)
    try:
        slot.add(told.counters, told.gauges[0])
        return list(exporter.collect())
    finally:
        slot.close()


def reading(version: str, counts: Counts, at: float, flushes: int = 1) -> Reading:
    """What one worker that lost nothing would have shared.

    Args:
        version: of the model.
        counts: of all its rows.
        at: when it last flushed, seconds since 1970.
        flushes: how often it did.
    """
    done = dict.fromkeys(COUNTERS, 0.0) | {"seen": counts.rows, "counted": counts.rows, "flushes": flushes}
    counters = np.concatenate([counts.vector, list(done.values())])
    return Reading(version, counters, np.array([[at if name == "last_flush" else 0.0 for name in GAUGES]]), at)


def tell(
    metrics: list[Metric], model: str, textfile: Path | None, pushgateway: str | None, job: str = "wakeful"
) -> str:
    """Bring metrics to Prometheus by way of a file, or else of a Pushgateway; what was done, a sentence."""
    if textfile is not None:
        write(metrics, textfile)
    else:
        push(metrics, str(pushgateway), model, job)
    number = sum(len(metric.samples) for metric in metrics)
    return f"{'wrote' if textfile else 'pushed'} {number:,} series to {textfile or pushgateway}"


def write(metrics: list[Metric], path: Path) -> None:
    """Write a file for node-exporter's textfile collector, at once.

    Raises:
        DataError: its name does not end in ``.prom``, or it cannot be written.
    """
    if path.suffix != ".prom":
        raise DataError(f"{path}: node-exporter reads files ending in .prom only. Name it {path.with_suffix('.prom')}")
    try:
        write_to_textfile(str(path), _registry(metrics))
    except OSError as error:  # it names a file beside it that is written first
        raise DataError(f"cannot write {path}: {error.strerror}. Name a file in a folder that is there.") from error


def push(metrics: list[Metric], url: str, model: str, job: str) -> None:
    """Push to a Pushgateway, in the place of what this job pushed for this model before.

    Raises:
        DataError: nobody there takes them; the message says why.
    """
    try:
        push_to_gateway(url, job=job, registry=_registry(metrics), grouping_key={"model": model})
    except (OSError, ValueError) as error:
        raise DataError(
            f"nothing at {url} takes the metrics: {error}. Name a Pushgateway, such as --pushgateway http://localhost:9091"
        ) from error


class _Told:
    """A collector of metrics that are known already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _registry(metrics: list[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Told(metrics))
    return registry
