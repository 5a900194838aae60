"""How long a log is kept."""

from __future__ import annotations

import datetime as dt

from wakeful.budget import duration
from wakeful.live.log.place import TABLES, Place, date_of, folder_of

__all__ = ["expire", "is_clock_right"]


def expire(place: Place, keep: str | None, today: dt.date | None = None) -> list[str]:
    """Delete the days of every table that ended longer than ``keep`` ago, such as ``400d``.

    Args:
        place: of the log.
        keep: None keeps everything.
        today: in UTC; by the clock without it.

    Returns:
        Names of the folders that were deleted.
    """
    if keep is None:
        return []
    today = today or dt.datetime.now(dt.UTC).date()
    try:
        oldest = (today - dt.timedelta(seconds=duration(keep))).isoformat()
    except OverflowError:  # longer than the calendar
        return []
    old = [(kind, day) for kind in TABLES for day in place.days(kind) if date_of(day) < oldest]
    for kind, day in old:
        place.delete_day(kind, day)
    return [folder_of(kind, day) for kind, day in old]


def is_clock_right(place: Place, keep: str | None) -> bool:
    """Whether some day before today would be kept; if none would, the clock may be years ahead.

    A service must not empty its log for that. A person, or their schedule, who asks for it, is obeyed.
    """
    if keep is None:
        return True
    today = dt.datetime.now(dt.UTC)
    past = [date_of(day) for kind in TABLES for day in place.days(kind)]
    newest = max((day for day in past if day < today.date().isoformat()), default=None)
    return newest is None or (today - dt.datetime.fromisoformat(newest + "T00:00Z")).total_seconds() < duration(keep)
