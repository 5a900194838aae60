"""Write an assert. Get a test, an alert and a dashboard.

Everything here is imported when it is first used, so that `import wakeful` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wakeful.version import VERSION

if TYPE_CHECKING:
    from wakeful.counts import Counts
    from wakeful.errors import (
        CheckError,
        ControlFlowError,
        DataError,
        MissingExtra,
        ReferenceFileError,
        SignalError,
        UnknownName,
        WakefulError,
    )
    from wakeful.evidence import Average, Distance, Share
    from wakeful.learning import learn
    from wakeful.live.log.writer import Log
    from wakeful.monitor import Monitor, Report
    from wakeful.reference import Reference
    from wakeful.signals import signal
    from wakeful.sizing import HoldoutSize, holdout_size

__version__ = VERSION

__all__ = [
    "Average",
    "CheckError",
    "ControlFlowError",
    "Counts",
    "DataError",
    "Distance",
    "HoldoutSize",
    "Log",
    "MissingExtra",
    "Monitor",
    "Reference",
    "ReferenceFileError",
    "Report",
    "Share",
    "SignalError",
    "UnknownName",
    "WakefulError",
    "holdout_size",
    "learn",
    "signal",
]

_HOMES = {
    "Average": "evidence",
    "Counts": "counts",
    "Distance": "evidence",
    "HoldoutSize": "sizing",
    "Log": "live.log.writer",
    "Monitor": "monitor",
    "Reference": "reference",
    "Report": "monitor",
    "Share": "evidence",
    "holdout_size": "sizing",
    "learn": "learning",
    "signal": "signals",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wakeful' has no attribute {name!r}")
    found = getattr(import_module(f"wakeful.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
