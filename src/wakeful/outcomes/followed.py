"""Predictions followed to their outcomes: one history, and per tile of time what is known of its outcomes.

This is the one place that decides which outcomes count, as of when, and how mature a tile is.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.counts import Counts
from wakeful.engines.duckdb import stored_files
from wakeful.engines.opening import open_history
from wakeful.errors import DataError
from wakeful.maturity import FORESEEN, LEAST, beyond, dispersion, known_parts
from wakeful.model import Model
from wakeful.outcomes.join import Join, Reading
from wakeful.outcomes.joined import Joined
from wakeful.told import HEALTH, Known, Told, Usual, arrived

__all__ = ["Followed", "Outcomes", "beside", "follow"]

_LONGEST = "36500d"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_ALPHA = 0.025
_MANY = 0.01  # share of odd rows from which on they are worth a note


class Outcomes(NamedTuple):
    """Where outcomes come from, and which of them count.

    Attributes:
        data: whatever ``open_history`` takes, with id, label and ``at``.
        horizon: how long after its prediction an outcome counts, such as ``90d``; None where delays are to tell.
        as_of: what was known then; None for the newest row.
    """

    data: object
    horizon: str | None = None
    as_of: dt.datetime | None = None


def beside(data: object) -> str | None:
    """The outcomes that wakeful's log keeps in a folder beside its predictions; None where there are none."""
    if not isinstance(data, str | Path):
        return None
    folder = f"{str(data).rstrip('/')}/_outcomes"
    if "://" not in folder and not Path(folder).is_dir():
        return None
    with suppress(DataError):
        if stored_files(folder):
            return folder
    return None


@dataclass(frozen=True, eq=False)
class Followed:
    """Predictions with their outcomes.

    Attributes:
        joined: what is known.
        notes: what a person should know of the join, sentences.
        alpha: error rate of the bounds of what is known.
        parts: of the outcomes of each class that are known, by tile: estimate and bounds; (tiles, 3, 2).
        spread: dispersion of arrivals by class; (2,).
        tails: the least part of each class's outcomes that comes at ages which enough cases were followed to; (2,).
        health: sums of every tile in the order of ``HEALTH``, by its start.
        places: where tiles stand in ``parts``, by start.
    """

    joined: Joined
    notes: list[str]
    alpha: float
    parts: Floats
    spread: Floats
    tails: Floats
    health: dict[int, Floats]
    places: dict[int, int]

    def known(self, told: Told, usual: Usual) -> Known:
        """What is known of a window.

        Args:
            told: the sum of its tiles.
            usual: what came of earlier ones.
        """
        return Known(told, usual, self.tails, self.joined.is_binary)

    def told(self, start: int, counts: Counts) -> Told:
        """What is known of one tile."""
        health = self.health.get(start, np.zeros(len(HEALTH)))
        nothing = arrived(Counts.zero(counts.layout), np.ones((3, 2)), self.spread, self.alpha)
        if start not in self.places or not counts.rows:
            return Told(np.zeros((3, 2)), health, nothing)
        parts = self.parts[self.places[start]]
        told = Told(parts * health[0], health, nothing)
        one = self.known(told, Usual())
        if one.tails.min() < FORESEEN or one.maturity < LEAST:
            return told
        return told._replace(arrived=arrived(counts, parts, self.spread, self.alpha))


def follow(
    model: Model, data: object, outcomes: Outcomes, every: str, *, time: str | None = None, timezone: str = "UTC",
    alpha: float = _ALPHA,
) -> Followed:  # fmt: skip
    """Join predictions with outcomes, in a folder of its own that goes with what is returned.

    Args:
        model: names id, label and time.
        data: predictions, whatever ``open_history`` takes.
        outcomes: theirs.
        every: length of a tile.
        time: column with the time of a prediction; see ``Join``.
        timezone: on whose clock tiles begin.
        alpha: error rate on each side of the bounds of what is known.

    Raises:
        DataError, UnknownName: predictions or outcomes cannot be read.
    """
    folder = tempfile.mkdtemp(prefix="wakeful-")
    join: Join | None = None
    try:
        join = Join(folder, model, horizon=outcomes.horizon or _LONGEST, time=time)
        read = {
            "predictions": _read(join.add_predictions, data),
            "outcomes": _read(join.add_outcomes, outcomes.data),
        }
        moment = outcomes.as_of or join.newest
        joined = join.as_of(moment)
        notes = list(_notes(joined, read))
        if outcomes.horizon is None:
            horizon, note = _horizon(joined)
            notes.append(note)
            joined = join.as_of(moment, horizon)
        found = _followed(joined, every, timezone, alpha, notes)
    except BaseException:
        _forget(join, folder)
        raise
    weakref.finalize(found, _forget, join, folder)
    return found


def _read(add: Callable[[object], Reading], data: object) -> Reading:
    """Read all files at once; one by one where some cannot be read, so that the others are."""
    with suppress(DataError):
        history = open_history(data)
        if history.lost(history.schema.names[0], None, False) is None:
            return add(history)
    return add(data)


def _forget(join: Join | None, folder: str) -> None:
    if join is not None:
        join.close()
    shutil.rmtree(folder, ignore_errors=True)


def _followed(joined: Joined, every: str, timezone: str, alpha: float, notes: list[str]) -> Followed:
    starts, delays = joined.delays(every, timezone)
    _, tails = beyond(delays)
    classes = (0, 1) if joined.is_binary else (1, 1)
    spread = np.array([dispersion(delays, bool(one)) for one in classes])
    parts = [known_parts(delays, bool(one), tails[one], alpha, spread[at]) for at, one in enumerate(classes)]
    tail = np.array([tails[one] for one in classes])
    health = {
        one.start: np.array([getattr(one, name) for name in HEALTH], dtype=np.float64)
        for one in joined.health(every, timezone)
    }
    if not sum(one[HEALTH.index("joined")] for one in health.values()):
        notes.append(_nothing(joined))
    places = {start: at for at, start in enumerate(starts)}
    return Followed(joined, notes, alpha, np.stack(parts, axis=2), spread, tail, health, places)


def _horizon(joined: Joined) -> tuple[str, str]:
    """The longest that an outcome took; twice as long where predictions have not been followed to there yet.

    Then nobody knows how many are still to come, and windows wait until nearly all cases have an outcome.
    """
    [(longest, first)] = joined.rows(f"SELECT max(known_at - t), max({joined.now} - t) FROM scratch.known")
    longest = max(first or 0 if longest is None else longest, 1_000_000)
    if (first or 0) >= 2 * longest:
        horizon = _shown(longest)
        return horizon, f"outcomes count up to {horizon} after their prediction, as the longest took (--horizon)"
    horizon = _shown(2 * longest)
    return horizon, (
        f"outcomes took up to {_shown(longest)} so far, and predictions are {_shown(first or 0)} old at most, so later "
        f"ones may be to come: they count up to {horizon} after their prediction. Say how long with --horizon"
    )


def _shown(micro: int) -> str:
    """A length in the largest unit of which it has two or more, rounded up."""
    seconds = max(micro, 0) / 1_000_000
    size, unit = next((one for one in _UNITS if seconds > one[0]), _UNITS[-1])
    return f"{max(1, int(np.ceil(seconds / size)))}{unit}"


def _nothing(joined: Joined) -> str:
    """That no outcome has found its prediction, with an example of each id."""
    ids = [row[0] for table in ("predictions", "outcomes") for row in joined.rows(f"SELECT min(key) FROM {table}")]
    mine, theirs = ("none" if one is None else repr(one) for one in ids)
    return (
        "no outcome belongs to a prediction by then: are the ids alike? "
        f"The first in order is {mine} of the predictions, and {theirs} of the outcomes."
    )


def _notes(joined: Joined, read: dict[str, Reading]) -> Iterator[str]:
    """What is odd about the rows."""
    for what, one in read.items():
        yield from (f"{rows:,} {what} {lacking} are left out" for lacking, rows in one.left_out.items())
        yield from (f"{what} that are left out: {why}" for why in one.broken)
    moment = (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=joined.now)).isoformat(timespec="minutes")
    for what, rows in zip(("predictions", "outcomes"), joined.ahead(), strict=True):
        if rows:
            yield f"{rows:,} {what} are of a time later than {moment} UTC, and not known yet"
    known = joined.total()
    if known.early > _MANY * known.joined:
        yield (
            f"{known.early:,} of {known.joined:,} outcomes were told before their prediction: do clocks and time "
            "zones agree? Times without a zone are taken for UTC"
        )
    if known.late > _MANY * (known.late + known.joined):
        yield f"{known.late:,} outcomes were told after the horizon, and do not count"
