"""What watches inside a service: a daemon thread that counts and logs what has come, once per flush interval.

Every loss is counted, so that seen = counted + dropped. What cannot be shared or logged for now is tried again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from wakeful.counting import Batch, Derivation, RowBatch, count
from wakeful.counts import Counts
from wakeful.errors import SignalError
from wakeful.live import endings
from wakeful.live.endings import PATIENCE
from wakeful.live.holdout import Holdout
from wakeful.live.inbox import Inbox
from wakeful.live.known import beside_answers, change_of, known_at_once
from wakeful.live.observations import (
    Observation,
    Outcome,
    Reported,
    Row,
    batch_of,
    held_out,
    logged,
    rows_of_table,
    seconds,
)
from wakeful.live.shared.meters import COUNTERS, GAUGES, identity
from wakeful.live.shared.slots import Slot
from wakeful.live.tables import merged
from wakeful.reference import Reference

__all__ = ["Journal", "Recorder", "Settings", "Watched"]

_CHUNK = 1024  # observations counted at once: so many that calls of numpy cost little, so few that none takes long
_STRETCH = 0.001  # s of counting, after which the other threads of the service go first
_PAUSE = 0.0002  # s for them: a sleep of none would not let them in
_TICK = 0.1  # s between looks at how many and how large they are, while there is traffic
_SHORTEST = 0.01  # s between them where many come: what waits briefly is still in the cache
_IDLE = 0.25  # s between looks whether there is any
_HURRY = 0.01  # s between looks once the process is about to end
_HURRIED = 60.0  # s of that, unless it goes on living; servers that are told to end wait for requests for half of them
_CALM = 10.0  # s without a trouble, after which it is over, and said when it comes again
_NEW_NAMES = 20  # unknown columns that are told by name, once each

_log = logging.getLogger("wakeful")


class Journal(Protocol):
    """Where rows and outcomes are written, if anywhere."""

    rows: int
    lost: int

    def write(self, rows: Sequence[Row]) -> None:
        """Take predictions; never waits for a network, never raises."""

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes, likewise."""

    def close(self, timeout: float) -> None:
        """Publish what is open."""


class Settings(NamedTuple):
    """How a service is watched.

    Attributes:
        folder: where workers share their counts.
        version: label of the model's version.
        flush: seconds between two flushes.
        buffer: observations that may wait to be counted.
        journal: makes the log of this process; None without a log.
    """

    folder: Path
    version: str = ""
    flush: float = 1.0
    buffer: int = 65_536
    journal: Callable[[], Journal] | None = None


class Watched(NamedTuple):
    """What is watched.

    Attributes:
        reference: of the model.
        derived: functions of the derived columns, by name.
        holdout: which flagged cases are held out.
        known: columns that the reference knows; None where any may be asked for.
        beside_outcomes: those that tell where an outcome counts.
    """

    reference: Reference
    derived: Mapping[str, Derivation]
    holdout: Holdout
    known: Collection[str] | None
    beside_outcomes: Collection[str]


class Recorder:
    """Watches one model inside a service.

    Attributes:
        unshared: observations of this process that could not be shared so far; None while all are.
    """

    def __init__(self, watched: Watched, settings: Settings) -> None:
        self.layout = layout = watched.reference.layout
        self.settings = settings
        self.identity = identity(layout, settings.version)
        self._derived = watched.derived
        self._holdout = watched.holdout
        self._known = None if watched.known is None else {*watched.known, layout.model.id, layout.model.time}
        self._kept = watched.beside_outcomes
        self._told: set[str] = set()
        self._is_replaced = False
        count(layout, RowBatch([{}]))  # what is worked out once is there before the first observation
        self._begin()

    def _begin(self) -> None:
        """A fresh start, in this process."""
        self.inbox = Inbox(self.settings.buffer, self._start, self._kept)
        self._new = np.zeros(self.identity.counters)  # what no slot has yet
        self._starting = threading.RLock()  # SIGTERM may flush in the middle of it
        self._flushing = threading.Lock()
        self._stopping = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._slot: Slot | None = None
        self._journal: Journal | None = None
        self._closing: Journal | None = None  # what was the log, until it is published
        self._logged = (0, 0)
        self._rested = 0.0
        self._hurried = -math.inf  # until when it hurries
        self._stopped = False
        self._troubles: dict[str, float] = {}  # when each came last
        self.unshared: float | None = None

    def complain(self, about: str, what: str, error: BaseException) -> None:
        """Say in the log of the service what is wrong, once, until it has been well for a while."""
        now, calm = time.monotonic(), max(_CALM, 2 * self.settings.flush)
        before, self._troubles[about] = self._troubles.get(about, -math.inf), now
        if now - before > calm:
            _log.warning("%s: %s: %s", self.identity.model, what, _told(error))

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stopped:
                return
            self._thread = threading.Thread(target=self._run, name="wakeful", daemon=True)
            self.inbox.is_served = True  # before it runs: it may have ended again by the next line
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is ending, or there are too many threads: flushed at the end
                self.inbox.is_served = False
                self._thread = None
                return
        endings.watch(self)

    # In the recorder's own thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        me, following = threading.current_thread(), time.monotonic() + self.settings.flush
        tick = _TICK
        while self._thread is me and not self._stopped:
            try:
                pause = _HURRY if self._is_hurried else tick if self.inbox else _IDLE
                self._wake.wait(min(pause, self.settings.flush))
                self._wake.clear()
                self.inbox.fit()
                tick = min(max(tick / 2 if len(self.inbox) > 2 * _CHUNK else tick * 1.1, _SHORTEST), _TICK)
                if self._is_replaced:
                    self.stop(0.0)  # it began again only for what came after its end
                elif self._is_hurried or time.monotonic() >= following:
                    with self._flushing:
                        if self._thread is me:  # else it was stopped meanwhile, and nothing may be opened again
                            self._flush()
                    following = time.monotonic() + self.settings.flush
                elif len(self.inbox) >= _CHUNK:
                    with self._flushing:
                        if self._thread is me:
                            self._take_pending(least=_CHUNK)
            except BaseException as error:  # a derived column may raise anything; the thread has to live on
                self.complain("error", "cannot flush", error)

    def flush(self, patience: float = -1) -> bool:
        """Count what has come and share it; False where another flush did not end within ``patience`` seconds."""
        if not self._flushing.acquire(timeout=patience):
            return False
        try:
            self._flush()
        finally:
            self._flushing.release()
        return True

    def _flush(self) -> None:
        began = time.perf_counter()
        self._take_refused()
        self._take_pending()
        self._take_outcomes()
        self._meter("flushes", 1)
        self._meter("flush_seconds", time.perf_counter() - began)
        self._share()

    def _take_refused(self) -> None:
        for why, number in self.inbox.take_refused().items():
            self._meter(why, number)
            self._meter("seen", 0 if why.startswith("outcomes_") else number)

    def _take_pending(self, least: int = 1) -> None:
        for some in self.inbox.take(_CHUNK, least):
            self._meter("seen", len(some))
            self._count(some)
        for batch in merged(self.inbox.take_tables()):
            self._meter("seen", len(batch))
            self._count_table(batch)

    def _pause(self) -> None:
        """Let other threads in every millisecond, unless too much waits, or the process ends."""
        if time.perf_counter() < self._rested + _STRETCH:
            return
        if not self._stopped and not self._is_hurried and len(self.inbox) < self.settings.buffer // 2:
            time.sleep(_PAUSE)
        self._rested = time.perf_counter()

    def _count(self, some: list[Observation]) -> None:
        """Count observations; those that cannot be counted are found by halving, and dropped."""
        try:
            batch = batch_of(self.layout, some, self._holdout, self._pause)
            counts = count(self.layout, batch, self._derived)
        except BaseException as error:
            if len(some) > 1:
                self._count(some[: len(some) // 2])
                self._count(some[len(some) // 2 :])
                return
            self._meter("dropped_error", 1)
            self.complain("error", "an observation could not be counted", error)
            return
        self._add(counts)
        try:
            new = self._new_names(batch)
            self._meter("unexpected", sum(not new.isdisjoint(one[0]) for one in some) if new else 0)
        except BaseException as error:  # hostile names
            self.complain("unexpected", "columns could not be looked at", error)
        self._log(len(some), lambda: logged(self.layout, some, batch))
        self._has_label(one[5] for one in some)
        if self.settings.journal is not None:
            self._log_outcomes(known_at_once(some))
        batch.free(some)

    def _count_table(self, batch: Batch) -> None:
        try:
            batch = held_out(self.layout, batch, self._holdout)
            counts = count(self.layout, batch, self._derived)
        except BaseException as error:
            self._meter("dropped_error", len(batch))
            self.complain("error", f"a table of {len(batch):,} rows could not be counted", error)
            return
        self._add(counts)
        self._meter("unexpected", len(batch) if self._new_names(batch) else 0)
        self._log(len(batch), lambda: rows_of_table(self.layout, batch))

    def _log(self, number: int, rows: Callable[[], Sequence[Row]]) -> None:
        """Log so many rows; where that cannot be, they are counted all the same."""
        if self.settings.journal is None:
            return
        try:
            self._open_journal().write(rows())
        except BaseException as error:
            self._meter("log_lost", number)
            self.complain("log", "observations could not be logged", error)

    def _new_names(self, batch: Batch) -> set[str]:
        """Names of columns that the reference does not know; each is said once."""
        new = set() if self._known is None else batch.names - self._known
        for name in sorted({_shown(one) for one in new} - self._told):
            if len(self._told) < _NEW_NAMES:
                self._told.add(name)
                _log.warning("%s: column %s is not in the reference; it is not counted.", self.identity.model, name)
        return new

    def _add(self, counts: Counts) -> None:
        self._new[: self.layout.size] += counts.vector
        self._meter("counted", counts.rows)

    def _meter(self, name: str, number: float) -> None:
        self._new[self.layout.size + _PLACES[name]] += number

    def _take_outcomes(self) -> None:
        some = self.inbox.take_outcomes()
        if not some:
            return
        self._meter("outcomes", len(some))
        self._log_outcomes([one[:3] for one in some])
        beside = beside_answers(some)
        if self._has_label(one[1] for one in beside):
            for at in range(0, len(beside), _CHUNK):
                self._count_known(beside[at : at + _CHUNK])

    def _has_label(self, said: Iterable[Any]) -> bool:
        """Whether outcomes can be counted; where some are said and cannot, it is told."""
        if self.layout.model.label is not None:
            return True
        if any(label is not None for label in said):
            why = "the reference was learnt without a label. Learn it with: wakeful init --label"
            self.complain("label", "outcomes are not counted", SignalError(why))
        return False

    def _count_known(self, some: list[Reported]) -> None:
        """Count outcomes beside their answers; those that cannot be counted are found by halving."""
        try:
            change = change_of(self.layout, some, self._holdout, self._derived, self._pause)
        except BaseException as error:
            if len(some) > 1:
                self._count_known(some[: len(some) // 2])
                self._count_known(some[len(some) // 2 :])
                return
            self.complain("outcome", "an outcome could not be counted", error)
            return
        self._new[: self.layout.size] += change.vector
        self._meter("outcomes_counted", -change.outcome(0)[..., -2, 0].sum())  # no longer unknown

    def _log_outcomes(self, some: Sequence[tuple[Any, Any, Any]]) -> None:
        """Log outcomes: id, label, when."""
        if self.settings.journal is None or not some:
            return
        try:
            self._open_journal().write_outcomes([Outcome(id, label, seconds(at)) for id, label, at in some])
        except BaseException as error:
            self._meter("log_lost", len(some))
            self.complain("log", "outcomes could not be logged", error)

    def _open_journal(self) -> Journal:
        if self._journal is None:
            assert self.settings.journal is not None
            self._journal = self.settings.journal()
        return self._journal

    def _share(self) -> None:
        """Add to this worker's slot what it does not have yet; where that fails, the next flush tries again."""
        if self._journal is not None:
            now = self._journal.rows, self._journal.lost
            self._meter("log_rows", now[0] - self._logged[0])
            self._meter("log_lost", now[1] - self._logged[1])
            self._logged = now
        gauges = {"buffer_rows": len(self.inbox), "buffer_capacity": self.settings.buffer, "last_flush": time.time()}
        try:
            if self._slot is not None and self._slot.is_lost():
                self._slot.close()
                self._slot = None
            if self._slot is None:
                self._slot = Slot.claim(self.settings.folder, self.identity)
            self._slot.add(self._new, np.array([gauges[name] for name in GAUGES]))
        except Exception as error:  # mostly OSError; whatever it is, what waits is kept and tried again
            self._meter("flush_failures", 1)
            self.unshared = float(self._new[self.layout.size + _PLACES["seen"]])
            self.complain("share", "counts cannot be shared for now", error)
            return
        self._new = np.zeros(self.identity.counters)
        self.unshared = None

    # The end ---------------------------------------------------------------------------------------------------

    @property
    def _is_hurried(self) -> bool:
        return time.monotonic() < self._hurried

    def hurry(self, patience: float) -> None:
        """Flush now, and for a while as often as can be: the process is about to end, maybe at once."""
        self._hurried = time.monotonic() + _HURRIED
        self._wake.set()
        try:
            self.flush(patience)
        except Exception as error:
            self.complain("error", "cannot flush", error)

    def stop(self, patience: float = PATIENCE) -> None:
        """Flush, close the log, and give the slot back, within some seconds; a new observation begins anew."""
        ends = time.monotonic() + patience
        if not self._stopping.acquire(timeout=patience):
            return  # somebody else stops it
        try:
            self._stopped = True
            self._wake.set()
            if not self._is_idle and self._flushing.acquire(timeout=max(0.0, ends - time.monotonic())):
                try:
                    self._flush()
                    self._let_go()
                finally:
                    self._flushing.release()
            if self._closing is not None:
                self._closing.close(max(0.0, ends - time.monotonic()))
        finally:
            self._stopped = False
            self._stopping.release()
        if self.inbox.is_waiting and (self._thread is None or not self._thread.is_alive()):
            self._thread = None  # what came meanwhile found nobody to serve it
            self._start()

    def replace(self) -> None:
        """Stop for good: whatever still comes is counted, and its thread and slot are given back at once."""
        self._is_replaced = True
        self.stop()

    @property
    def _is_idle(self) -> bool:
        """Whether there is nothing to flush, and nothing to give back."""
        is_closed = self._thread is None and self._slot is None and self._journal is None
        return is_closed and not self.inbox.is_waiting and not self._new.any()

    def _let_go(self) -> None:
        """Give back all but what is still to be published of the log."""
        self.inbox.is_served = False
        if self._journal is not None:
            self._closing = self._journal
        if self._slot is not None:
            self._slot.close()
        self._journal = self._slot = self._thread = None
        self._logged = (0, 0)

    def forked(self) -> None:
        """Begin anew in a forked child: what waits, the slot and the log are the parent's."""
        if self._slot is not None:
            self._slot.abandon()
        self._begin()


_PLACES = {name: place for place, name in enumerate(COUNTERS)}


def _told(error: BaseException) -> str:
    """An error in words; its own may raise."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:
        return type(error).__name__


def _shown(name: object) -> str:
    return repr(name)[:80] if isinstance(name, str) else f"of type {type(name).__name__}"
