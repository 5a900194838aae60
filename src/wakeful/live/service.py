"""Starts what watches inside a service, from what the team says and from the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry

from wakeful.errors import DataError
from wakeful.expression import Comparison
from wakeful.live import endings
from wakeful.live.export.cardinality import asked
from wakeful.live.export.exporter import Exporter, exporters, register, unregister
from wakeful.live.recorder import Journal, Recorder, Settings, Watched
from wakeful.live.shared.folder import default_folder, remove_unused
from wakeful.live.shared.meters import identity
from wakeful.reference import Reference

__all__ = ["Options", "start", "start_quietly"]

_log = logging.getLogger("wakeful")


class Options(NamedTuple):
    """What ``Monitor.start`` is told; it says what each means."""

    counts: str | os.PathLike[str] | None = None
    log: Any = None
    version: str | None = None
    registry: CollectorRegistry | Literal["default"] | None = "default"
    flush: float = 1.0
    buffer: int = 65_536
    series: int = 10_000


def start(watched: Watched, comparisons: Collection[Comparison], options: Options) -> Recorder:
    """A recorder, exported on a registry.

    Args:
        watched: what a monitor watches.
        comparisons: of its checks; of segments only what they ask is exported.
        options: how.

    Raises:
        DataError: an option cannot be understood, or the export would have too many series.
    """
    if not isinstance(options.flush, int | float) or not 0 < options.flush <= 3600:
        raise DataError(f"flush must be seconds between 0 and 3,600, not {options.flush!r}.")
    if not _is_positive(options.buffer):
        raise DataError(f"buffer must be a number of observations, at least 1, not {options.buffer!r}.")
    if not _is_positive(options.series):
        raise DataError(f"series must be a number of series that may be exported, at least 1, not {options.series!r}.")
    version = os.environ.get("WAKEFUL_VERSION", "") if options.version is None else str(options.version)
    _ = identity(watched.reference.layout, version).header  # DataError where the version is too long for a slot
    folder = _folder(options.counts)
    journal = _journal(watched.reference, options.log, version)
    recorder = Recorder(watched, Settings(folder, version, float(options.flush), options.buffer, journal))
    if options.registry is not None:
        exporter = Exporter(
            watched.reference, folder, version=version, series=options.series, by_segment=asked(comparisons),
            unshared=lambda: recorder.unshared,
        )  # fmt: skip
        _export(exporter, REGISTRY if options.registry == "default" else options.registry)
    endings.watch(recorder)  # SIGTERM can be caught only here, where observations come from other threads alone
    return recorder


def _is_positive(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def start_quietly(watched: Watched, comparisons: Callable[[], Collection[Comparison]]) -> Recorder:
    """The same with defaults, at the first observation; what is wrong is said, and left out. Never raises."""
    name = watched.reference.model.name
    for options in (Options(), Options(log="")):  # a log that cannot be is no reason to export nothing
        try:
            return start(watched, comparisons(), options)
        except Exception as error:
            _log.error("%s: %s. Call start() where the service is set up to see this there.", name, error)
    return start(watched, (), Options(_private(), log="", version="", registry=None))


def _private() -> str:
    """A folder of this process alone; where not even that can be made, one where every flush fails, and says so."""
    try:
        folder = mkdtemp(prefix="wakeful-")
    except OSError:
        return os.devnull
    endings.afterwards(partial(remove_unused, Path(folder)))
    return folder


def _folder(counts: str | os.PathLike[str] | None) -> Path:
    """Where counts are shared, whatever the working directory becomes."""
    try:
        folder = Path(default_folder() if counts is None else counts).absolute()
    except OSError as error:
        raise DataError(f"counts cannot be shared: {error}") from error
    if "\0" in str(folder):
        raise DataError(f"counts={str(folder)!r} is no path: it has a null character. Name a folder.")
    return folder


def _export(exporter: Exporter, registry: CollectorRegistry) -> None:
    """Register an exporter; one that was there before and tells some of the same series makes room."""
    for known in exporters(registry):
        if known.tells_with(exporter):
            unregister(known, registry)
    register(exporter, registry)


def _journal(reference: Reference, log: Any, version: str) -> Callable[[], Journal] | None:
    """Makes the log of a process; None where nobody wants one."""
    log = os.environ.get("WAKEFUL_LOG") if log is None else log
    if not log:
        return None
    from wakeful.live.log.writer import journal  # needs pyarrow, which a service without a log has not

    return journal(log, reference.layout, version)
