"""Whether outcomes arrive as they should: signals of what became of the join, where outcomes are joined."""

from __future__ import annotations

from wakeful.evidence import Ratio, Share
from wakeful.signals.signal import signal
from wakeful.told import Known

__all__ = [
    "join_rate",
    "outcomes_arrived",
    "outcomes_contradicted",
    "outcomes_corrected",
    "outcomes_early",
    "outcomes_late",
    "outcomes_repeated",
    "outcomes_unknown",
]


@signal(of="labels", dispersion="none")
def join_rate(live: Known) -> Share:
    """Share of the predictions whose outcome is known so far, whatever their age and decision."""
    return Share(live.told.of("joined"), live.n)


@signal(of="labels", dispersion="none")
def outcomes_arrived(live: Known) -> Ratio:
    """Outcomes over those that earlier predictions lead to expect at this age and decision: 1 while all is well.

    Each known outcome stands for 1 / the part of its class that is known at the age of its prediction (``maturity``),
    so it falls where outcomes of one class stay away, and does not where there are fewer of the one and more of the
    other. How much earlier windows differed by themselves widens the interval (Pearson's chi² over its degrees of
    freedom); nothing is known where none came before, or where too little of it could have arrived.
    """
    return live.arrival()


def _of_joined(live: Known, name: str) -> Share:
    return Share(min(live.told.of(name), live.told.of("joined")), live.told.of("joined"))


@signal(of="labels", dispersion="none")
def outcomes_contradicted(live: Known) -> Share:
    """Share of the known outcomes of which two values were told at the same time."""
    return _of_joined(live, "contradictions")


@signal(of="labels", dispersion="none")
def outcomes_corrected(live: Known) -> Share:
    """Corrections over known outcomes: how often another value followed; at most 1."""
    return _of_joined(live, "corrections")


@signal(of="labels", dispersion="none")
def outcomes_repeated(live: Known) -> Share:
    """Repetitions over known outcomes: how often the same value was told again, at another time; at most 1."""
    return _of_joined(live, "duplicates")


@signal(of="labels", dispersion="none")
def outcomes_early(live: Known) -> Share:
    """Share of the known outcomes that were told before their prediction: clocks differ, or ids come again."""
    return _of_joined(live, "early")


@signal(of="labels", dispersion="none")
def outcomes_late(live: Known) -> Share:
    """Share of the predictions with an outcome whose outcome came after the horizon, and so does not count."""
    late = live.told.of("late")
    return Share(late, late + live.told.of("joined"))


@signal(of="labels", dispersion="none")
def outcomes_unknown(live: Known) -> Share:
    """Share of the ids with an outcome of which no prediction is known, by when they were told."""
    unknown = live.told.of("unknown")
    return Share(unknown, unknown + live.told.of("joined"))
