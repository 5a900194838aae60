"""The ends of a process: what has to be flushed before it exits, and what a forked child must not share.

A normal exit and SIGTERM flush. Where nobody else catches SIGTERM, the process dies of it afterwards as it would
have. Where a server does, it is flushed before the server's handler runs, which may end the process at once (a
worker of Celery does). If it goes on serving for a while, it may then die without Python's own exit (uvicorn
does), so for a minute flushes follow each other closely. Children of ``multiprocessing`` (and of Celery's
billiard) leave without Python's own exit, too.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

__all__ = ["PATIENCE", "afterwards", "watch"]

PATIENCE = 5.0  # s that the end of a process waits, for all that it watches together


class Ending(Protocol):
    """What wants to know."""

    def stop(self, patience: float) -> None:
        """Flush and close; what takes longer than so many seconds is begun, and another call waits for it."""

    def hurry(self, patience: float) -> None:
        """Flush, waiting for no more than so many seconds, and for a while as often as can be; never raises."""

    def forked(self) -> None:
        """Begin anew, in a child process."""


_log = logging.getLogger("wakeful")
_watching: weakref.WeakSet[Ending] = weakref.WeakSet()
_hooked: set[str] = set()
_afterwards: list[Callable[[], None]] = []


def watch(one: Ending) -> None:
    """Tell ``one`` when the process ends or forks; call it again in a child."""
    _watching.add(one)
    if "process" not in _hooked:
        _hooked.add("process")
        atexit.register(_stop_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_fork_all)
    for name in ("multiprocessing", "billiard"):
        util = sys.modules.get(f"{name}.util")
        key = f"{name} {os.getpid()}"
        if util is not None and key not in _hooked:
            _hooked.add(key)
            util.Finalize(None, _stop_all, exitpriority=0)
    _catch_sigterm()


def afterwards(function: Callable[[], None]) -> None:
    """Call what never raises at the end of this process, not of its children, when all that is watched has stopped."""
    _afterwards.append(function)


def _catch_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        before = signal.getsignal(signal.SIGTERM)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)
        elif callable(before) and before is not _on_sigterm and not isinstance(before, _Hurry):
            signal.signal(signal.SIGTERM, _Hurry(before))
    except (ValueError, OSError):  # an embedded interpreter, which owns its signals
        pass


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one, such as to the whole process group, must not cut this short
    _stop_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class _Hurry:
    """A server's own handler, with ours before it."""

    def __init__(self, before: Callable[[int, FrameType | None], Any]) -> None:
        self.before = before

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        _tell_all(lambda one, patience: one.hurry(patience))
        return self.before(number, frame)


def _stop_all() -> None:
    _tell_all(lambda one, patience: one.stop(patience))
    while _afterwards:
        _afterwards.pop()()


def _tell_all(what: Callable[[Ending, float], None]) -> None:
    """Tell all within one patience: first what none has to wait for, so that one that hangs costs others nothing."""
    some, ends = list(_watching), time.monotonic() + PATIENCE
    for one in some:
        _tell(one, what, 0.0)
    for one in some:
        _tell(one, what, max(0.0, ends - time.monotonic()))


def _tell(one: Ending, what: Callable[[Ending, float], None], patience: float) -> None:
    try:
        what(one, patience)
    except Exception as error:  # the others have to be flushed, and the process has to end
        _log.warning("cannot be flushed at the end: %s: %s", type(error).__name__, error)


def _fork_all() -> None:
    _afterwards.clear()
    for one in list(_watching):
        one.forked()
