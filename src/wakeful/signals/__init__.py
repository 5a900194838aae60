"""Formulas on counts: what can be asked of live traffic.

``find`` looks a signal up by what it is asked of: the same name means another formula for a binary
classifier than for a regression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wakeful.errors import SignalError, UnknownName
from wakeful.signals import (
    classification,
    distances,
    expected,
    expected_error,
    faults,
    health,
    labels,
    moments,
    multiclass,
    regression,
    shares,
    traffic,
)
from wakeful.signals.signal import Of, Signal, signal

__all__ = ["WITHOUT_OUTCOMES", "Of", "Signal", "find", "names", "needs_outcomes", "signal"]


_FAMILIES = (
    shares, faults, distances, moments, traffic, classification, health, labels, expected, multiclass,
    regression, expected_error,
)  # fmt: skip


def _all() -> Iterator[Signal]:
    for family in _FAMILIES:
        for name in family.__all__:
            found = getattr(family, name)
            if isinstance(found, Signal):
                yield found


WITHOUT_OUTCOMES = frozenset(
    getattr(family, name) for family in (expected, expected_error) for name in family.__all__
)  # what is expected of scores and predictions alone

_OF_DECISIONS = frozenset({traffic.flagged_share, health.holdout_share, health.holdout_d1})

_SIGNALS: dict[tuple[Of, str], Signal] = {(one.of, one.name): one for one in _all()}


def needs_outcomes(one: Signal) -> bool:
    """Whether a signal says nothing before outcomes are known; those of your own that are of a task do so."""
    return one.of in ("binary", "multiclass", "regression") and one not in WITHOUT_OUTCOMES | _OF_DECISIONS


def names(*of: Of) -> list[str]:
    """Names of the signals of columns, of a task's outcomes, or of rows; sorted."""
    return sorted({name for kind, name in _SIGNALS if kind in of})


def find(name: str, *of: Of, parts: Sequence[str] = ()) -> Signal:
    """The signal of that name; SignalError where it belongs elsewhere, else UnknownName with near misses.

    ``parts`` are other names that might have been meant.
    """
    for kind in of:
        if (kind, name) in _SIGNALS:
            return _SIGNALS[kind, name]
    elsewhere = sorted({kind for kind, known in _SIGNALS if known == name})
    if elsewhere and "column" in elsewhere:
        raise SignalError(
            f"{name} is a signal of a column: ask live.score.{name}(), live.features.{name}() or live['…']"
        )
    if elsewhere and set(elsewhere) & {"binary", "multiclass", "regression"} and "column" in of:
        raise SignalError(
            f"{name} is a signal of outcomes, not of a column: ask live.{name}() or live.holdout.{name}()"
        )
    if "rows" in elsewhere:
        raise SignalError(f"{name} is a signal of all rows, not of a column: ask live.{name}()")
    if elsewhere:
        text = f"{name} is a signal of {' and '.join(elsewhere)} models, this one is {of[0]}."
        if "multiclass" in of and any(
            (kind, name) in _SIGNALS and _SIGNALS[kind, name] in WITHOUT_OUTCOMES for kind in elsewhere
        ):
            text += " Its answer is a class, which does not say how sure it is, so nothing can be expected of it."
        raise SignalError(text)
    raise UnknownName("signal", name, [*names(*of), *parts])
