"""Starts what watches inside a service, from what the team says and from the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from prometheus_client import REGISTRY, CollectorRegistry

from wakeful.counting import Derivation
from wakeful.errors import DataError
from wakeful.live.exporter import Exporter, exporters, register, unregister
from wakeful.live.folder import default_folder
from wakeful.live.holdout import Holdout
from wakeful.live.recorder import Journal, Recorder, Settings
from wakeful.reference import Reference

__all__ = ["start", "start_quietly"]

_log = logging.getLogger("wakeful")


def start(
    reference: Reference,
    derived: Mapping[str, Derivation],
    holdout: Holdout,
    known: Collection[str] | None,
    *,
    counts: str | os.PathLike[str] | None = None,
    log: Any = None,
    version: str | None = None,
    registry: CollectorRegistry | Literal["default"] | None = "default",
    flush: float = 1.0,
    buffer: int = 65_536,
    series: int = 10_000,
) -> Recorder:
    """A recorder, exported on a registry; the options are those of ``Monitor.start``.

    Raises:
        DataError: an option cannot be understood, or the export would have too many series.
    """
    if not isinstance(flush, int | float) or not 0 < flush <= 3600:
        raise DataError(f"flush must be seconds between 0 and 3,600, not {flush!r}.")
    if not isinstance(buffer, int) or buffer < 1:
        raise DataError(f"buffer must be a number of observations, at least 1, not {buffer!r}.")
    label = os.environ.get("WAKEFUL_VERSION", "") if version is None else str(version)
    folder = _folder(counts)
    settings = Settings(folder, label, float(flush), buffer, _journal(reference, log, label))
    if registry is not None:
        _export(Exporter(reference, folder, version=label, series=series), registry)
    return Recorder(reference.layout, derived, holdout, known, settings)


def _folder(counts: str | os.PathLike[str] | None) -> Path:
    """Where counts are shared, whatever the working directory becomes."""
    try:
        return default_folder() if counts is None else Path(counts).absolute()
    except OSError as error:
        raise DataError(f"counts cannot be shared: {error}") from error


def _export(exporter: Exporter, registry: CollectorRegistry | Literal["default"]) -> None:
    """Register an exporter; one of the same model that was there before makes room."""
    where = REGISTRY if registry == "default" else registry
    for known in exporters(where):
        if known.identity.model == exporter.identity.model:
            unregister(known, where)
    register(exporter, where)


def start_quietly(
    reference: Reference, derived: Mapping[str, Derivation], holdout: Holdout, known: Collection[str] | None
) -> Recorder:
    """The same with defaults, at the first observation; what is wrong is said, and left out."""
    try:
        return start(reference, derived, holdout, known)
    except Exception as error:
        _log.error("%s: %s. Call start() where the service is set up to see this there.", reference.model.name, error)
        return start(reference, derived, holdout, known, counts=mkdtemp(prefix="wakeful-"), log="", registry=None)


def _journal(reference: Reference, log: Any, version: str) -> Callable[[], Journal] | None:
    """Makes the log of a process; None where nobody wants one."""
    log = os.environ.get("WAKEFUL_LOG") if log is None else log
    return None
