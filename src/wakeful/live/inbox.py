"""What the caller's thread does: it puts observations where the recorder finds them, and never waits.

An observation costs its caller one copy of a dict and one append. So many may wait as the buffer says, fewer where
they are large; beyond that they are dropped, and counted as dropped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from wakeful.counting import Batch
from wakeful.live.observations import Observation, Reported, Time, size

__all__ = ["Inbox"]

_BYTES = 128 * 2**20  # of observations that wait
_LARGE = 2048  # bytes of an outcome, of which only few may wait
_FIRST = 16  # observations that may wait until their size is known
_SAMPLE = 8  # of them whose size is looked at
_TRUSTED = 1024  # that may wait after so many
_GROWTH = 4  # times as many may wait until it is looked at again


class Inbox:
    """What waits to be counted.

    Args:
        capacity: observations that may wait.
        serve: called by whoever puts something in while nobody serves; it sets ``is_served``.
        kept: features that tell where an outcome counts.

    Attributes:
        is_served: whether somebody takes out what is put in.
    """

    def __init__(self, capacity: int, serve: Callable[[], None], kept: Collection[str]) -> None:
        self.capacity = capacity
        self.is_served = False
        self._serve = serve
        self._pending: deque[Observation] = deque()
        self._tables: deque[Batch] = deque()
        self._rows = 0  # of these tables
        self._outcomes: deque[Reported] = deque()
        self._kept = kept
        self._limit = min(capacity, _FIRST)
        self._is_final = False  # whether no more than that may wait, however small they are
        self._refused = self._none()
        self._lock = threading.RLock()  # SIGTERM may flush in the middle of a call that holds it

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_waiting(self) -> bool:
        """Whether anything is to be taken out."""
        return bool(self._pending or self._tables or self._outcomes or any(self._refused.values()))

    @staticmethod
    def _none() -> dict[str, int]:
        return dict.fromkeys(("dropped_full", "invalid", "outcomes_dropped", "outcomes_invalid"), 0)

    def observe(
        self, features: Mapping[str, Any], score: Any, id: Any, decision: Any, at: Time | None, label: Any
    ) -> None:
        """Put in one observation; never raises, never waits."""
        pending = self._pending
        try:
            if len(pending) >= self._limit and (self._is_final or len(pending) >= self.fit()):
                self.refuse("dropped_full")
                return
            pending.append((dict(features), score, id, decision, time.time() if at is None else at, label))
        except Exception:  # no mapping, or a hostile one
            self.refuse("invalid")
        except BaseException:  # such as SystemExit: of a hostile mapping, or of a signal that comes just now
            if type(features) is dict:  # copying it calls nothing that could raise
                raise
            self.refuse("invalid")
        if not self.is_served:
            self._serve()

    def observe_table(self, batches: Sequence[Batch]) -> None:
        """Put in a whole table that nobody will change; never raises, never waits. A large one needs an empty inbox."""
        batches = [batch for batch in batches if len(batch)]
        rows = sum(map(len, batches))
        with self._lock:
            is_full = self._rows > 0 and self._rows + rows > self.capacity
            if not is_full:
                self._rows += rows
                self._tables.extend(batches)
        if is_full:
            self.refuse("dropped_full", rows)
            return
        if not self.is_served:
            self._serve()

    def outcome(
        self, id: Any, label: Any, at: Time | None, score: Any, decision: Any, features: Mapping[str, Any] | None
    ) -> None:
        """Put in one outcome; never raises, never waits."""
        try:
            kept = None if features is None else self._of_outcome(features)
        except BaseException as error:  # no mapping, or a hostile one, as in ``observe``
            if type(features) is dict and not isinstance(error, Exception):
                raise
            self.refuse("outcomes_invalid")
            return
        told = (id, label, time.time() if at is None else at, score, decision, kept)
        waiting = len(self._outcomes)
        held = told[:-1] if kept is None else (*told[:-1], *kept.values())
        if waiting >= self.capacity or (waiting >= _FIRST and size(held) > _LARGE):
            self.refuse("outcomes_dropped")
            return
        self._outcomes.append(told)
        if not self.is_served:
            self._serve()

    def _of_outcome(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Of the features of an outcome, those that matter; raises where they are no mapping."""
        if type(features) is not dict and not isinstance(features, Mapping):
            features = dict(features)
        return {name: features[name] for name in self._kept if name in features}

    def refuse(self, why: str, number: int = 1) -> None:
        """Count what is not put in, by the name of its meter."""
        with self._lock:
            self._refused[why] += number
        if not self.is_served:
            self._serve()

    def fit(self) -> int:
        """Let so many observations wait as fit into memory, judged by the latest ones; returns how many.

        The limit grows with what waits, as the next ones may be larger; once it is final, only whoever serves looks
        again, so that a flood costs its callers nothing.
        """
        waiting = len(self._pending)
        try:
            some = [self._pending[-at - 1] for at in range(min(_SAMPLE, waiting))]
            sizes = [size([*features.values(), *beside]) for features, *beside in some]
        except IndexError:  # another thread took them
            sizes = []
        if not sizes:
            self._limit, self._is_final = min(self._limit, _TRUSTED), False
            return self._limit
        most = min(max(_BYTES * len(sizes) // (sum(sizes) + 1), 1), self.capacity)
        self._limit = min(most, max(_TRUSTED if len(sizes) == _SAMPLE else _FIRST, _GROWTH * waiting))
        self._is_final = self._limit == most
        return self._limit

    def take(self, most: int, least: int = 1) -> Iterator[list[Observation]]:
        """Take out the observations that wait now, at most and at least so many at once."""
        waiting = len(self._pending)
        while waiting >= least:
            some = [self._pending.popleft() for _ in range(min(waiting, most))]
            waiting -= len(some)
            yield some

    def take_tables(self) -> Iterator[Batch]:
        """Take out tables, one after the other."""
        while self._tables:
            batch = self._tables.popleft()
            with self._lock:
                self._rows -= len(batch)
            yield batch

    def take_outcomes(self) -> list[Reported]:
        """Take out the outcomes that wait now."""
        return [self._outcomes.popleft() for _ in range(len(self._outcomes))]

    def take_refused(self) -> dict[str, int]:
        """How many were not put in since the last time, by the name of their meter."""
        with self._lock:
            refused, self._refused = self._refused, self._none()
        return refused
