"""Whether it is the outcomes that broke, not the model: what became of the join, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wakeful.bounds import share_bounds
from wakeful.explain import EVERYTHING, Cause, percent
from wakeful.told import Known, Told

__all__ = ["explain_join"]

_ERROR_RATE = 0.001
_LOST = 0.9  # outcomes over those to be expected, below which they are said to stay away
_CONTRADICTED, _LATE = 0.01, 0.05  # shares of the outcomes
_GONE = 0.5  # outcomes of a class over those to be expected, below which the class is said to stay away
_NAMES = ("negative", "positive")
_FIRST = 4  # nothing that is said of a column comes before: quality is not known where outcomes are not


def explain_join(known: Known, label: str, tiles: Sequence[tuple[str, Told]]) -> list[Cause]:
    """What is wrong with the outcomes of a window, most telling first; nothing where they come as they did.

    Args:
        known: what is known of the window.
        label: name of the outcome.
        tiles: name and sums of every tile up to its end.
    """
    lost = _lost(known, label, tiles) or _lost_class(known, label, tiles)
    causes = [*lost, *_odd(known, label)]
    return sorted(causes, key=lambda one: one.rank, reverse=True)


def _lost(known: Known, label: str, tiles: Sequence[tuple[str, Told]]) -> list[Cause]:
    found = known.arrival().estimate(_ERROR_RATE)
    if not found.high < _LOST:
        return []
    at, before, after = _fall(known, tiles, (0, 1))
    text = (
        f"{label}: the join is broken, or outcomes are lost: the join rate fell from {percent(before)} to "
        f"{percent(after)} of the predictions since {_day(tiles[at][0])}"
    )
    since = np.sum([one.arrived for _, one in tiles[at:]], axis=0)
    classes = [known.usual.expect(since, (one,)).estimate(_ERROR_RATE) for one in (0, 1)]
    for one in (0, 1) if known.by_class else ():
        if classes[one].high < _GONE * classes[1 - one].low:
            text += f"; above all {_NAMES[one]} ones stay away"
    unknown = sum(one.of("unknown") for _, one in tiles[at:])
    if unknown:
        text += f"; {unknown:,.0f} outcomes told since then have an id without a prediction"
    return [_cause(label, text, 1 - found.high)]


def _lost_class(known: Known, label: str, tiles: Sequence[tuple[str, Told]]) -> list[Cause]:
    """A class that stays away without any more of the other in its place: where cases change, there is more of it."""
    for one in (0, 1) if known.by_class else ():
        mine, both = known.arrival((one,)), known.arrival()
        found = mine.estimate(_ERROR_RATE)
        if not found.high < _GONE:
            continue
        left = 1 - (1 - found.value) * mine.bottom / both.bottom  # of all outcomes, if the class is lost
        whole = both.estimate(_ERROR_RATE)
        if whole.high < 1 and whole.value < (1 + left) / 2:
            at, before, after = _fall(known, tiles, (one,))
            text = (
                f"{label}: outcomes are lost: {_NAMES[one]} ones, without any more {_NAMES[1 - one]} ones in their "
                f"place, fell from {percent(before)} to {percent(after)} of the predictions since {_day(tiles[at][0])}"
            )
            return [_cause(label, text, (1 - found.high) * mine.bottom / both.bottom)]
    return []


def _cause(label: str, text: str, excess: float) -> Cause:
    return Cause(label, EVERYTHING, "fault", excess, text, (_FIRST, excess))


def _day(name: str) -> str:
    return name.split("T00:00:00")[0]


def _fall(known: Known, tiles: Sequence[tuple[str, Told]], classes: Sequence[int]) -> tuple[int, float, float]:
    """Since which tile outcomes stay away, and their share of the predictions before and since.

    It is where the likelihood ratio of two Poisson rates, over the outcomes to be expected, is largest.
    """
    each = [known.usual.expect(one.arrived, classes) for _, one in tiles]
    top, bottom, rows = (np.cumsum([getattr(one, name) for one in each]) for name in ("top", "bottom", "n"))
    parts = [(top[:-1], bottom[:-1]), (top[-1] - top[:-1], bottom[-1] - bottom[:-1])]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [seen / expected for seen, expected in parts]
        gain = sum(np.where(seen > 0, seen * np.log(rate), 0.0) for (seen, _), rate in zip(parts, rates, strict=True))
    last = int(np.argmax(np.where(rates[0] > rates[1], gain, -np.inf)))
    before, after = top[last] / rows[last], (top[-1] - top[last]) / (rows[-1] - rows[last])
    return last + 1, float(before), float(after)


def _odd(known: Known, label: str) -> Iterator[Cause]:
    """Outcomes that contradict each other, or come after the horizon."""
    joined, late = known.told.of("joined"), known.told.of("late")
    clashes = min(known.told.of("contradictions"), joined)
    for part, whole, most, told in (
        (clashes, joined, _CONTRADICTED, "of the outcomes were told with two values at the same time"),
        (late, late + joined, _LATE, "of the outcomes came after the horizon, and do not count: is it long enough?"),
    ):
        excess = share_bounds(part, whole, _ERROR_RATE)[0] - most if whole else 0.0
        if excess > 0:
            yield _cause(label, f"{label}: {percent(part / whole)} {told}", excess)
