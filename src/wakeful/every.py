"""Tiles of time: equal lengths on the clock of a time zone, right across daylight saving."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wakeful.errors import DataError

__all__ = ["Every"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_CALENDAR = {"d": "day", "w": "week", "mo": "month"}
_DAYS = {"d": 1, "w": 7, "mo": 31}
_MICRO = 1_000_000
_LONGEST = 10 * 366 * 86_400
_SOONEST, _LATEST = -62_104_060_800 * _MICRO, 253_370_764_800 * _MICRO  # years that Python's calendar can go on from


class Every(NamedTuple):
    """How long a tile is.

    Tiles of seconds, minutes and hours are counted from each midnight of the time zone, so a day of 25 hours
    has 25 tiles of an hour, and one of 23 hours ends with a shorter tile of six. Days, weeks (from Monday)
    and months begin at midnight.

    Attributes:
        number: of units.
        unit: s, m, h, d, w or mo.
        zone: whose clock is meant.
    """

    number: int
    unit: str
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str | None = "UTC") -> Every:
        """Read ``15m``, ``6h``, ``1d``, ``1w`` or ``1mo``; DataError where it is none, or does not divide a day."""
        found = re.fullmatch(r"([1-9]\d{0,6})(mo|[smhdw])", str(text))
        if found is None:
            raise DataError(f"{text!r} is no length of time. Write a whole number and a unit: 15m, 6h, 1d, 1w, 1mo.")
        number, unit = int(found[1]), found[2]
        if unit in _SECONDS and 86_400 % (number * _SECONDS[unit]):
            raise DataError(f"{text!r} does not divide a day. Use one that does (5m, 15m, 1h, 6h), or days.")
        try:
            every = cls(number, unit, ZoneInfo("UTC" if zone is None else zone))
        except (LookupError, ValueError, OSError) as error:
            raise DataError(f"unknown time zone {zone!r}. Write one such as Europe/Berlin.") from error
        if every.seconds > _LONGEST:
            raise DataError(f"{text!r} is longer than ten years. Use a shorter one: 1d, 1w, 1mo.")
        return every

    @property
    def seconds(self) -> float:
        """Usual length."""
        return self.number * (_SECONDS[self.unit] if self.unit in _SECONDS else _DAYS[self.unit] * 86_400)

    def moment(self, text: str) -> dt.datetime:
        """A date or time in ISO 8601, on the zone's clock where it names no zone; DataError for anything else."""
        try:
            found = dt.datetime.fromisoformat(text)
        except ValueError:
            raise DataError(f"{text!r} is no time. Write 2024-03-01 or 2024-03-01T14:00.") from None
        if not 1 < found.year < 9999:
            raise DataError(f"{text!r} lies outside the years 2 to 9998.")
        return found if found.tzinfo else found.replace(tzinfo=self.zone)

    def starts(self, times: Any) -> Any:
        """Start of the tile of every timestamp, microseconds since 1970 in UTC, int64 of shape (n,).

        Args:
            times: a pyarrow array of timestamps or dates without nulls; those without a time zone are read off
                the zone's clock. A time that autumn shows twice is the first of the two.

        Raises:
            DataError: a time lies beyond the calendar.
        """
        local, instants = self._clock(times)
        days, place = np.unique(self._days(local), return_inverse=True)
        starts = np.array([self._midnight(day) for day in days.tolist()], dtype=np.int64)[place]
        if self.unit not in _SECONDS:
            return starts
        length = self.number * _SECONDS[self.unit] * _MICRO
        return starts + (instants - starts) // length * length

    def _clock(self, times: Any) -> tuple[Any, Any]:
        """The zone's clock on the wall at every timestamp, and microseconds since 1970 in UTC."""
        zone = self.zone.key
        times = _in_microseconds(times)
        if times.type.tz is None:
            times = pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent="earliest")
        times = pc.cast(times, pa.timestamp("us", tz=zone))
        return pc.local_timestamp(times), pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False)

    def _days(self, local: Any) -> Any:
        """The day on which the tile of every local timestamp begins."""
        multiple = 1 if self.unit in _SECONDS else self.number
        floors = pc.floor_temporal(local, multiple=multiple, unit=_CALENDAR.get(self.unit, "day"))
        return floors.to_numpy(zero_copy_only=False).astype("datetime64[D]")

    def _midnight(self, day: dt.date) -> int:
        return int(dt.datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * _MICRO

    def start(self, instant: int) -> int:
        """Start of the tile that holds a moment, both microseconds since 1970 in UTC."""
        return int(self.starts(pa.array([instant], pa.timestamp("us", tz="UTC")))[0])

    def following(self, start: int) -> int:
        """Start of the tile after the one that begins at ``start``."""
        if self.unit in _SECONDS:
            day = self._datetime(start).date()
            return min(start + self.number * _SECONDS[self.unit] * _MICRO, self._midnight(day + dt.timedelta(days=1)))
        later = int(start) + int((self.seconds + 43_200) * _MICRO)
        return self.start(later)

    def border(self, moment: dt.datetime) -> dt.datetime:
        """Where the next tile begins: at a moment with a time zone, or after it."""
        [start] = self.starts(pa.array([moment], pa.timestamp("us", tz="UTC"))).tolist()
        return moment if moment == self._datetime(start) else self._datetime(self.following(start))

    def show(self, start: int) -> str:
        """A tile's start for people and JSON: ISO 8601 on the zone's clock."""
        return self._datetime(start).isoformat(timespec="seconds")

    def _datetime(self, start: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(int(start) / _MICRO, dt.UTC).astimezone(self.zone)


def _in_microseconds(times: Any) -> Any:
    """Timestamps or dates as timestamps in microseconds, rounded down; DataError where one is beyond the calendar."""
    zone = times.type.tz if pa.types.is_timestamp(times.type) else None
    if pa.types.is_timestamp(times.type) and times.type.unit == "ns":  # Arrow would round towards 1970
        nanoseconds = pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False)
        return pa.array(nanoseconds // 1_000, pa.timestamp("us", tz=zone))
    try:
        times = pc.cast(times, pa.timestamp("us", tz=zone))
        ends = pc.min_max(pc.cast(times, pa.int64()))
        far = [one for one in (ends["min"].as_py(), ends["max"].as_py()) if one and not _SOONEST <= one < _LATEST]
    except pa.ArrowInvalid:
        far = [None]
    if far:
        shown = "" if far[0] is None else f" ({np.datetime64(far[0], 'us').astype('datetime64[s]')})"
        raise DataError(
            f"a time lies outside the years 2 to 9998{shown}. Leave such rows out, with --since or --until or in a "
            "query, or set their time to NULL."
        )
    return times
