"""A history as Prometheus would have scraped and recorded it, so that dashboards and alerts show last quarter, too."""

from __future__ import annotations

import datetime as dt
import math
import shlex
import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from wakeful.compile.about import STEP
from wakeful.compile.recorded import ALERTS, Records
from wakeful.compile.rules import Compiled
from wakeful.compile.tracing import plan_of
from wakeful.counts import Counts
from wakeful.engines.history import History, Span
from wakeful.engines.tiles import Question, tiles_of_time, without_gaps
from wakeful.errors import DataError
from wakeful.every import Every
from wakeful.live.export.batch import reading
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter
from wakeful.live.export.exposition import Labels
from wakeful.live.export.openmetrics import Spool
from wakeful.monitor import Monitor
from wakeful.replay import opened
from wakeful.trailing import Window, Windows, before, judge, must_reach_back
from wakeful.verdicts import Verdict

__all__ = ["Backfill", "Scrape", "Written", "backfill", "write"]

_MICRO = 1_000_000
_IN_USE = 3 * 3600  # seconds up to now that Prometheus still writes itself
_DAY = 86_400
_BRIDGED = 3600  # seconds for which dashboards take what was filled in for the present


class Scrape(NamedTuple):
    """What Prometheus would have known at one moment.

    Attributes:
        window: the moment in ISO 8601.
        n: rows since the one before.
        at: the moment, seconds since 1970.
        metrics: every metric of the model, those that rules record of its checks among them; what is not known at
            this moment is not a number.
    """

    window: str
    n: int
    at: int
    metrics: list[Metric]


@dataclass(frozen=True)
class Backfill:
    """The scrapes of a history; iterating gives one at the start of the first tile, and one at the end of each.

    Attributes:
        monitor: whose model.
        exporter: what a service would have exported.
        records: what rules would have recorded of it.
        history: the rows.
        by: the time column.
        span: its extent.
        every: length of a tile.
        notes: what a person should know of the data, sentences.
        since: the first tile begins then or later; None where the history does.
        until: the last tile ends then or earlier.
    """

    monitor: Monitor
    exporter: Exporter
    records: Records
    history: History
    by: str
    span: Span
    every: Every
    notes: list[str]
    since: dt.datetime | None
    until: dt.datetime

    def __iter__(self) -> Iterator[Scrape]:
        layout = self.monitor.reference.layout
        question = Question(layout, self.monitor.needed, self.monitor.derived)
        windows = Windows(self.monitor)
        read_from = None if self.since is None else before(self.since, windows.reach)
        tiles = tiles_of_time(self.history, question, self.by, self.every, self.span, read_from, self.until)
        first = -(2**63) if self.since is None else int(self.since.timestamp() * _MICRO)
        counts, flushes = Counts.zero(layout), 0
        for tile, end in without_gaps(tiles, self.every, counts):
            found = windows.add(tile, end)
            if tile.start < first:
                continue
            if not flushes:
                yield self._scrape(tile.start, 0, counts, flushes, {})  # what is born above 0 is lost to increase()
            counts, flushes = counts + tile.counts, flushes + 1
            yield self._scrape(end, tile.counts.rows, counts, flushes, found)
        if not flushes:
            raise DataError("no row lies in a whole step between --since and --until, so there is nothing to tell.")

    def _scrape(
        self, moment: int, rows: int, counts: Counts, flushes: int, asked: Mapping[str, Mapping[str, Window]]
    ) -> Scrape:
        at = moment // _MICRO
        told = self.exporter.metrics([reading(self.exporter.identity.version, counts, at, flushes)])
        recorded = self.records.metrics(self._verdicts(asked))
        return Scrape(self.every.show(moment), rows, at, [*told, *recorded, self._step()])

    def _verdicts(self, asked: Mapping[str, Mapping[str, Window]]) -> Iterator[Verdict]:
        """Those that rules record; none before the first window."""
        for check in self.monitor.checks if asked else ():
            yield from judge(self.monitor, check, asked[check.name], self.records.asserted(check))

    def _step(self) -> Metric:
        """How far samples are apart: by this, dashboards tell what was filled in."""
        labels = Labels(model=self.exporter.identity.model)
        metric = Metric(STEP, "Seconds from one sample to the next of a history that was filled in.", "gauge")
        metric.samples = [Sample(STEP, labels, float(self.every.seconds))]
        return metric


def backfill(
    monitor: Monitor,
    data: object,
    *,
    every: str = "1h",
    time: str | None = None,
    since: str | None = None,
    until: str | None = None,
    timezone: str = "UTC",
    version: str = "",
    series: int = 10_000,
) -> Backfill:
    """What a service would have told Prometheus over a history, and what rules would have recorded of its checks.

    Args:
        monitor: of segments, only what its checks ask is told, as a service does.
        data: whatever ``replay`` takes. A row counts when it was predicted; its outcome with it, if it is there.
        every: how often Prometheus is to know the counters, such as ``1h``.
        time: column of timestamps or dates; the reference's own time column without it.
        since: ISO 8601; tiles that begin then or later.
        until: ISO 8601; tiles that end then or earlier. Those of the last three hours, which Prometheus still writes,
            are left out.
        timezone: on whose clock tiles begin, and times without a zone are read.
        version: of the model; a label.
        series: how many there may be.

    Raises:
        DataError, UnknownName, CheckError: when called, or while iterating.
    """
    monitor.must_derive()
    tile = Every.parse(every, timezone)
    must_reach_back(monitor, tile, every)
    first = None if since is None else tile.border(tile.moment(since))
    exporter = Exporter(
        monitor.reference, Path(), version=version, series=series, by_segment=asked(monitor.comparisons())
    )
    records = Records(Compiled(monitor, plan_of(monitor)), version)
    found = opened(monitor, data, time, tile)
    settled, notes = clock.time() - _IN_USE, list(found.notes)
    last = _last_border(tile, settled if until is None else min(settled, tile.moment(until).timestamp()))
    if until is None and tile.moment(found.span.last.isoformat()) >= last:
        notes.append(f"left out from {last:%Y-%m-%dT%H:%M}Z on: Prometheus still writes the last hours itself")
    if tile.seconds > _BRIDGED:
        notes.append(f"dashboards bridge steps of an hour; of those of {every} they show no more than the ends")
    return Backfill(monitor, exporter, records, found.history, found.by, found.span, tile, notes, first, last)


def _last_border(tile: Every, at: float) -> dt.datetime:
    """Where the tile begins that holds a moment, seconds since 1970: those before it are whole."""
    return dt.datetime.fromtimestamp(tile.start(int(at * _MICRO)) // _MICRO, dt.UTC)


class Written(NamedTuple):
    """An OpenMetrics file that was written.

    Attributes:
        path: of the file.
        series: how many it holds.
        times: how many samples each of them has.
        first, last: moment of the first and last sample, seconds since 1970.
        size: bytes.
    """

    path: Path
    series: int
    times: int
    first: int
    last: int
    size: int

    def lines(self) -> list[str]:
        """What was written and what to do with it, for a person."""
        first, last = (dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%MZ") for at in self[3:5])
        days = math.ceil((clock.time() - self.first) / _DAY) + 1
        file = shlex.quote(str(self.path))
        return [
            f"wrote {self.path}: {self.series:,} series at {self.times:,} times, {first} to {last}, "
            f"{self.size / 1e6:,.1f} MB",
            "make blocks of it in the data folder of Prometheus, and let it keep what is that old:",
            f"  promtool tsdb create-blocks-from openmetrics --max-block-duration=744h {file} DATA_FOLDER",
            f"  prometheus --storage.tsdb.path=DATA_FOLDER --storage.tsdb.retention.time={days}d …",
        ]


def write(filling: Backfill, out: Path, watch: Callable[[Backfill], Iterable[Scrape]] = iter) -> Written:
    """Write a history as OpenMetrics, whole or not at all.

    Args:
        filling: the history.
        out: the file; one that is there already is replaced.
        watch: goes through its scrapes, and may show how far it has come.

    Raises:
        DataError: it cannot be written, or what the history raises on the way.
    """
    if out.is_dir():
        raise DataError(f"{out} is a folder. Name a file: --out {out / 'history.om'}")
    partial = out.with_name(f".{out.name}.partial")
    try:
        file = partial.open("wb")
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}. Name a file in a folder that is there.") from error
    try:
        with file, Spool(held=(ALERTS, STEP)) as spool:
            for one in watch(filling):
                spool.add(one.at, one.metrics)
            spool.write(file, filling.records.growths)
            written = Written(out, spool.series, len(spool.times), spool.times[0], spool.times[-1], file.tell())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return written
