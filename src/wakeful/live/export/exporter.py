"""Counts as Prometheus reads them: a collector for the registry that a service exposes already."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from wakeful.bins import Floats, Ints
from wakeful.counts import Layout
from wakeful.live.export.cardinality import BySegment, Part, must_fit, parts
from wakeful.live.export.exposition import Labels
from wakeful.live.export.series import HELP, REFERENCE, SHARES, unique
from wakeful.live.export.usual import marks, usual
from wakeful.live.shared.meters import COUNTERS, GAUGES, Meter, identity
from wakeful.live.shared.slots import Reading, read
from wakeful.reference import Reference
from wakeful.version import VERSION

__all__ = ["Collector", "Exporter", "exporters", "register", "slice_labels", "unregister"]

_FORGOTTEN = 3600.0  # seconds after which a version without a living worker is no longer shown


class _Family(NamedTuple):
    """All series of one metric: the weighted sums of cells that begin at ``starts``."""

    name: str
    labels: list[Labels]
    cells: Ints
    weights: Floats
    starts: Ints

    def values(self, vector: Floats) -> list[float]:
        found: list[float] = np.add.reduceat(vector[self.cells] * self.weights, self.starts).tolist()
        return found


class Exporter:
    """What one monitored model tells Prometheus.

    Args:
        reference: what it was learnt from.
        folder: where its workers share their counts.
        version: of the model, as this service calls it. Other versions in the folder are shown beside it.
        series: how many series there may be of a version.
        by_segment: per segment, the columns (and OUTCOMES) that are exported apart for its values; all without it.
        unshared: tells how many observations this process could not share so far; None while it shares all.

    Raises:
        DataError: there would be more series than that; the message says what costs most.
    """

    def __init__(
        self,
        reference: Reference,
        folder: Path,
        *,
        version: str = "",
        series: int = 10_000,
        by_segment: BySegment | None = None,
        unshared: Callable[[], float | None] = lambda: None,
    ) -> None:
        must_fit(reference, by_segment, series)
        self.folder = folder
        self.reference = reference
        self.identity = identity(reference.layout, version)
        self._unshared = unshared
        self._plan = _plan(reference, parts(reference, by_segment))
        self._shares = usual(reference)
        self._versions: dict[str, list[_Family]] = {}

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect, and two models may share a registry."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric of every version. Without counts where they cannot be read for now: none is better than less."""
        try:
            found = read(self.folder, self.identity)
        except OSError:
            return self.metrics([], readable=False)
        return self.metrics(found.readings, found.skipped)

    def metrics(self, readings: list[Reading], skipped: int = 0, *, readable: bool = True) -> Iterator[Metric]:
        """The metrics of some counts.

        What this process could not share is told as a gauge of its own: added to the counters, they would fall
        whenever another worker, which lacks it, is scraped next, and each fall looks like a restart. Where nothing
        was ever shared, counters of 0 would say that there is no traffic: they are left out until there are some.
        """
        mine, unshared = self.identity.version, self._unshared()
        oldest = time.time() - _FORGOTTEN
        shown = [one for one in readings if one.version == mine or len(one.gauges) or one.changed > oldest]
        if readable and unshared is None and all(one.version != mine for one in shown):  # every series begins at 0
            shown.append(Reading(mine, np.zeros(self.identity.counters), np.zeros((0, self.identity.gauges)), 0.0))
        metrics: dict[str, Metric] = {}
        for one in shown:
            self._add_counts(metrics, one)
            _add_meters(metrics, self._labels(one.version), one)
        labels = self._labels(mine)
        _add(metrics, "wakeful_counts_readable", "Whether the shared counts could be read.", labels, float(readable))
        told = "Whether the worker that answers can share what it counts."
        _add(metrics, "wakeful_counts_shared", told, labels, float(unshared is None))
        told = "Observations of the worker that answers, which it could not share so far."
        _add(metrics, "wakeful_unshared_observations", told, labels, unshared or 0.0)
        _add(metrics, "wakeful_skipped_slots", "Files of shared counts that are damaged or foreign.", labels, skipped)
        about = {"task": self.reference.model.task, "score": self.reference.model.score.name}
        about["layout"] = self.reference.layout.fingerprint
        _add(metrics, "wakeful_reference_info", "What the model is judged by.", Labels(labels | about), 1.0)
        built = {"release": VERSION, "python": platform.python_version(), "numpy": np.__version__}
        _add(metrics, "wakeful_build_info", "What judges it.", Labels(labels | built), 1.0)
        return iter(metrics.values())

    def tells_with(self, other: Exporter) -> bool:
        """Whether both tell of the same version, or of the versions in the same folder."""
        mine, its = self.identity, other.identity
        same_folder = (self.folder, mine.layout) == (other.folder, its.layout)
        return mine.model == its.model and (same_folder or mine.version == its.version)

    def _labels(self, version: str) -> Labels:
        return Labels(model=self.identity.model, version=version)

    def _add_counts(self, metrics: dict[str, Metric], reading: Reading) -> None:
        vector = reading.counters[: self.reference.layout.size]
        for family in self._families(reading.version):
            values = family.values(self._shares if family.name in REFERENCE else vector)
            samples = map(Sample, repeat(family.name), family.labels, values)
            _metric(metrics, family.name, HELP[family.name]).samples.extend(samples)

    def _families(self, version: str) -> list[_Family]:
        if version not in self._versions:
            common = self._labels(version) | {"reference": self.identity.layout}
            families = [one._replace(labels=[Labels(common | labels) for labels in one.labels]) for one in self._plan]
            self._versions[version] = families
        return self._versions[version]


def _plan(reference: Reference, found: Iterable[Part]) -> list[_Family]:
    """Every series of every slice, by metric, with the labels that do not depend on the version."""
    layout = reference.layout
    labels = slice_labels(layout)
    rows: dict[str, list[tuple[Labels, Ints, list[float]]]] = {name: [] for name in HELP}
    for part in found:
        for at in part.slices:
            marked = iter(marks(reference, part.name, at) if part.name else ())
            for series in part.series:
                cells = np.array(series.cells, dtype=np.intp) + at * layout.width
                mark = next(marked) if series.name == SHARES else {}
                rows[series.name].append((Labels(labels[at] | series.labels | mark), cells, list(series.weights)))
    return [_family(name, some) for name, some in rows.items() if some]


def _family(name: str, rows: list[tuple[Labels, Ints, list[float]]]) -> _Family:
    labels, cells, weights = zip(*rows, strict=True)
    lengths = [len(one) for one in cells]
    starts = np.cumsum([0, *lengths[:-1]])
    return _Family(name, list(labels), np.concatenate(cells), np.array(list(chain(*weights))), starts)


def slice_labels(layout: Layout) -> list[Labels]:
    """Labels of every slice: none of all traffic."""
    labels = [Labels()]
    for segment in layout.model.segments:
        names = layout.segment_values(segment)
        labels.extend(Labels(segment=segment, value=value) for value in unique(names[:-4], names[-4:]))
    return labels


def _add_meters(metrics: dict[str, Metric], labels: Labels, reading: Reading) -> None:
    """What the recorders of one version tell of themselves."""
    cells = reading.counters[len(reading.counters) - len(COUNTERS) :]
    for meter, value in zip(COUNTERS.values(), cells.tolist(), strict=True):
        _add_meter(metrics, meter, labels, value)
    workers = reading.gauges
    _add(metrics, "wakeful_workers", "Living workers that have counted something.", labels, len(workers))
    if len(workers):
        merged = [*workers[:, :-1].sum(axis=0).tolist(), float(workers[:, -1].min())]
        for meter, value in zip(GAUGES.values(), merged, strict=True):
            _add_meter(metrics, meter, labels, value)


def _add_meter(metrics: dict[str, Metric], meter: Meter, labels: Labels, value: float) -> None:
    _add(metrics, meter.metric, meter.help, Labels(labels | {"reason": meter.reason}), value)


def _add(metrics: dict[str, Metric], name: str, help_text: str, labels: Labels, value: float) -> None:
    _metric(metrics, name, help_text).samples.append(Sample(name, labels, value))


def _metric(metrics: dict[str, Metric], name: str, help_text: str) -> Metric:
    if name not in metrics:
        kinds = {"_total": "counter", "_info": "info"}
        kind, suffix = next(((kind, end) for end, kind in kinds.items() if name.endswith(end)), ("gauge", ""))
        metrics[name] = Metric(name.removesuffix(suffix), help_text, kind)
    return metrics[name]


class Collector:
    """The exporters of all models of one registry: each metric is told once, with the series of every model."""

    def __init__(self) -> None:
        self.exporters: list[Exporter] = []

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Every metric of every model."""
        merged: dict[str, Metric] = {}
        for metric in chain.from_iterable(one.collect() for one in list(self.exporters)):
            if metric.name in merged:
                merged[metric.name].samples.extend(metric.samples)
            else:
                merged[metric.name] = metric
        return merged.values()


_COLLECTORS: WeakKeyDictionary[CollectorRegistry, Collector] = WeakKeyDictionary()  # one for each registry


def register(exporter: Exporter, registry: CollectorRegistry) -> None:
    """Let a registry tell what an exporter knows, beside those of other models."""
    if registry not in _COLLECTORS:
        collector = Collector()
        registry.register(collector)
        _COLLECTORS[registry] = collector
    _COLLECTORS[registry].exporters.append(exporter)


def exporters(registry: CollectorRegistry) -> list[Exporter]:
    """Those that are registered."""
    collector = _COLLECTORS.get(registry)
    return [] if collector is None else list(collector.exporters)


def unregister(exporter: Exporter, registry: CollectorRegistry) -> None:
    """Take it out again; nothing happens where it is not registered."""
    collector = _COLLECTORS.get(registry)
    if collector is not None and exporter in collector.exporters:
        collector.exporters.remove(exporter)
        if not collector.exporters:
            del _COLLECTORS[registry]
            registry.unregister(collector)
