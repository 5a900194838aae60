"""The ends of a process: what has to be flushed before it exits, and what a forked child must not share.

A normal exit and SIGTERM flush. SIGTERM is caught only where nobody else does: afterwards the process dies of it
as it would have. Children of ``multiprocessing`` (and of Celery's billiard) leave without Python's own exit, so
they are told as well.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from types import FrameType
from typing import Protocol

__all__ = ["watch"]


class Ending(Protocol):
    """What wants to know."""

    def stop(self) -> None:
        """Flush and close."""

    def forked(self) -> None:
        """Begin anew, in a child process."""


_watching: weakref.WeakSet[Ending] = weakref.WeakSet()
_hooked: set[str] = set()


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


def _catch_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)
    except (ValueError, OSError):  # an embedded interpreter, which owns its signals
        pass


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    _stop_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _stop_all() -> None:
    for one in list(_watching):
        one.stop()


def _fork_all() -> None:
    for one in list(_watching):
        one.forked()
