"""Everything that wakeful raises on purpose.

WakefulError
├── DataError (ValueError)            the data handed in cannot be used
├── ReferenceFileError (ValueError)   reference.json is damaged, or of an unknown version
├── UnknownName (LookupError)         no column, segment or signal of that name
├── CheckError (ValueError)           a check that cannot be understood, with file and line
│   └── ControlFlowError (TypeError)  `if`, `or`, `float(…)` on a live value
├── SignalError (TypeError)           a signal that does not fit what it was asked of
└── MissingExtra (ImportError)        an optional dependency is not installed
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CheckError",
    "ControlFlowError",
    "DataError",
    "MissingExtra",
    "ReferenceFileError",
    "SignalError",
    "UnknownName",
    "WakefulError",
]


class WakefulError(Exception):
    """Base of every error that wakeful raises on purpose."""


class DataError(WakefulError, ValueError):
    """The data handed in cannot be used; the message says why and what to do."""


class ReferenceFileError(WakefulError, ValueError):
    """A reference file is damaged or was written by another version."""


class UnknownName(WakefulError, LookupError):
    """No column, segment or signal has that name; near misses are listed."""

    def __init__(self, what: str, name: object, known: Iterable[object]) -> None:
        names = [str(one) for one in known]
        by_fold = {one.casefold(): one for one in names}
        near = [by_fold[one] for one in get_close_matches(str(name).casefold(), by_fold, n=3, cutoff=0.6)]
        if near:
            hint = "Did you mean " + " or ".join(repr(one) for one in near) + "?"
        elif names:
            shown = ", ".join(names[:12]) + (f" … ({len(names)} in all)" if len(names) > 12 else "")
            hint = f"Known: {shown}."
        else:
            hint = "There is none."
        super().__init__(f"unknown {what} {str(name)!r}. {hint}")


class CheckError(WakefulError, ValueError):
    """A check that cannot be understood; the message starts with file and line."""


class ControlFlowError(CheckError, TypeError):
    """A live value was asked for a plain truth or number while its check is being read."""


class SignalError(WakefulError, TypeError):
    """A signal was asked of something that it is not defined on."""


class MissingExtra(WakefulError, ImportError):
    """An optional dependency is needed; the message names the pip command."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed. Run: pip install 'wakeful[{extra}]'")
