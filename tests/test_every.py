"""Tiles of time: every moment lies in one, on the clock of its zone, whatever the clocks do."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wakeful.errors import DataError
from wakeful.every import Every

LENGTHS = ("30s", "15m", "90m", "1h", "6h", "1d", "2d", "1w", "1mo", "3mo")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # moves by half an hour
    "America/Sao_Paulo",  # until 2018, midnight did not exist on one day a year
    "America/Havana",  # midnight comes twice on one day a year
    "Asia/Kathmandu",  # 5:45 ahead
    "Pacific/Apia",  # had no 30 December 2011
)
MICRO = 1_000_000


def moments(*texts: str, unit: str = "us", zone: str | None = "UTC") -> Any:
    """Times in ISO 8601 as a pyarrow array, in the zone where one is named."""
    kind = pa.timestamp(unit, tz=zone)
    return pa.array([dt.datetime.fromisoformat(text) for text in texts], kind)


def tile_of(text: str, length: str, zone: str) -> tuple[str, str]:
    """Start and end of the tile of a time; one without an offset is read off the zone's clock."""
    every = Every.parse(length, zone)
    aware = dt.datetime.fromisoformat(text).tzinfo is not None
    [start] = every.starts(moments(text, zone="UTC" if aware else None)).tolist()
    return every.show(start), every.show(every.following(start))


def walk(length: str, zone: str, first: str, last: str) -> list[str]:
    """The starts of all tiles from one time to another."""
    every = Every.parse(length, zone)
    start, stop = (every.starts(moments(one, zone=None)).tolist()[0] for one in (first, last))
    found = [start]
    while found[-1] < stop:
        found.append(every.following(found[-1]))
    return [every.show(one) for one in found]


# ---------------------------------------------------------------- clocks that change


@pytest.mark.parametrize(
    ("time", "length", "start", "end"),
    [
        ("2024-05-14T10:44:59.999999", "15m", "2024-05-14T10:30:00+02:00", "2024-05-14T10:45:00+02:00"),
        ("2024-05-14T10:45", "15m", "2024-05-14T10:45:00+02:00", "2024-05-14T11:00:00+02:00"),
        ("2024-05-14T23:59", "1h", "2024-05-14T23:00:00+02:00", "2024-05-15T00:00:00+02:00"),
        ("2024-05-14T11:59", "6h", "2024-05-14T06:00:00+02:00", "2024-05-14T12:00:00+02:00"),
        ("2024-05-14T23:59", "1d", "2024-05-14T00:00:00+02:00", "2024-05-15T00:00:00+02:00"),
        ("2024-05-19T23:59", "1w", "2024-05-13T00:00:00+02:00", "2024-05-20T00:00:00+02:00"),
        ("2024-02-29T23:59", "1mo", "2024-02-01T00:00:00+01:00", "2024-03-01T00:00:00+01:00"),
        ("2024-12-31T23:59", "1mo", "2024-12-01T00:00:00+01:00", "2025-01-01T00:00:00+01:00"),
        # spring: at 2:00 clocks show 3:00
        ("2024-03-31T01:59", "1h", "2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"),
        ("2024-03-31T03:00", "1h", "2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"),
        ("2024-03-31T06:59", "6h", "2024-03-31T00:00:00+01:00", "2024-03-31T07:00:00+02:00"),
        ("2024-03-31T23:59", "6h", "2024-03-31T19:00:00+02:00", "2024-04-01T00:00:00+02:00"),
        ("2024-03-31T12:00", "1d", "2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00"),
        ("2024-03-31T12:00", "1w", "2024-03-25T00:00:00+01:00", "2024-04-01T00:00:00+02:00"),
        ("2024-03-31T12:00", "1mo", "2024-03-01T00:00:00+01:00", "2024-04-01T00:00:00+02:00"),
        # autumn: at 3:00 clocks show 2:00 again
        ("2024-10-27T00:30+00:00", "1h", "2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"),
        ("2024-10-27T01:30+00:00", "1h", "2024-10-27T02:00:00+01:00", "2024-10-27T03:00:00+01:00"),
        ("2024-10-27T02:30", "15m", "2024-10-27T02:30:00+02:00", "2024-10-27T02:45:00+02:00"),
        ("2024-10-27T23:30", "6h", "2024-10-27T23:00:00+01:00", "2024-10-28T00:00:00+01:00"),
        ("2024-10-27T23:30", "1d", "2024-10-27T00:00:00+02:00", "2024-10-28T00:00:00+01:00"),
        ("2024-10-27T23:30", "1w", "2024-10-21T00:00:00+02:00", "2024-10-28T00:00:00+01:00"),
        ("2024-10-27T23:30", "1mo", "2024-10-01T00:00:00+02:00", "2024-11-01T00:00:00+01:00"),
    ],
)
def test_tiles_in_berlin(time: str, length: str, start: str, end: str):
    assert tile_of(time, length, "Europe/Berlin") == (start, end)


@pytest.mark.parametrize(
    ("day", "hours"), [("2024-03-31", 23), ("2024-04-01", 24), ("2024-10-27", 25), ("2024-10-28", 24)]
)
def test_a_day_has_as_many_hours_as_its_clocks_show(day: str, hours: int):
    following = (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()

    assert len(walk("1h", "Europe/Berlin", day, following)) == hours + 1
    assert len(walk("15m", "Europe/Berlin", day, following)) == 4 * hours + 1
    assert len(walk("6h", "Europe/Berlin", day, following)) == (6 if hours == 25 else 5)
    assert len(walk("1d", "Europe/Berlin", day, following)) == 2


def test_clocks_that_move_by_half_an_hour():
    # Lord Howe: on 7 April 2024, 2:00+11:00 becomes 1:30+10:30; on 6 October, 2:00+10:30 becomes 2:30+11:00
    assert (
        walk("1h", "Australia/Lord_Howe", "2024-04-07", "2024-04-07T03:00")[:5]
        == [
            "2024-04-07T00:00:00+11:00",
            "2024-04-07T01:00:00+11:00",
            "2024-04-07T01:30:00+10:30",
            "2024-04-07T02:30:00+10:30",
            "2024-04-07T03:30:00+10:30",
        ][:4]
    )
    assert tile_of("2024-04-07T23:59", "1h", "Australia/Lord_Howe") == (
        "2024-04-07T23:30:00+10:30",  # half an hour is left of that day
        "2024-04-08T00:00:00+10:30",
    )
    assert tile_of("2024-10-06T23:59", "1h", "Australia/Lord_Howe") == (
        "2024-10-06T23:30:00+11:00",
        "2024-10-07T00:00:00+11:00",
    )
    assert tile_of("2024-10-06T12:00", "1d", "Australia/Lord_Howe") == (
        "2024-10-06T00:00:00+10:30",
        "2024-10-07T00:00:00+11:00",
    )


def test_a_day_without_midnight_begins_when_its_clocks_do():
    # São Paulo: 4 November 2018 began at 1:00; 17 February 2018 had 23:00 twice
    assert tile_of("2018-11-04T12:00", "1d", "America/Sao_Paulo") == (
        "2018-11-04T01:00:00-02:00",
        "2018-11-05T00:00:00-02:00",
    )
    assert tile_of("2018-11-03T23:59", "1h", "America/Sao_Paulo") == (
        "2018-11-03T23:00:00-03:00",
        "2018-11-04T01:00:00-02:00",
    )
    assert tile_of("2018-02-18T02:30+00:00", "1h", "America/Sao_Paulo") == (
        "2018-02-17T23:00:00-03:00",
        "2018-02-18T00:00:00-03:00",
    )
    # Havana: 3 November 2024 had midnight twice, and the day began with the first
    assert tile_of("2024-11-03T05:30+00:00", "1d", "America/Havana")[0] == "2024-11-03T00:00:00-04:00"
    assert len(walk("1h", "America/Havana", "2024-11-03", "2024-11-04")) == 26


def test_a_day_that_a_zone_left_out_has_no_tile():
    assert walk("1d", "Pacific/Apia", "2011-12-28", "2012-01-01") == [
        "2011-12-28T00:00:00-10:00",
        "2011-12-29T00:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2012-01-01T00:00:00+14:00",
    ]
    assert walk("6h", "Pacific/Apia", "2011-12-29T18:00", "2011-12-31T06:00") == [
        "2011-12-29T18:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T06:00:00+14:00",
    ]


# ---------------------------------------------------------------- kinds of times


def test_a_time_in_any_zone_lies_in_the_tile_of_its_moment():
    every = Every.parse("1d", "Europe/Berlin")
    texts = ("2024-05-14T21:59:59", "2024-05-14T22:00:00")  # UTC: one second before midnight in Berlin, and midnight
    starts = [every.show(one) for one in every.starts(moments(*texts, zone="UTC"))]

    assert starts == ["2024-05-14T00:00:00+02:00", "2024-05-15T00:00:00+02:00"]
    for zone in ("America/New_York", "+05:30"):
        same = moments(*(f"{text}+00:00" for text in texts), zone=zone)
        assert [every.show(one) for one in every.starts(same)] == starts


def test_a_time_without_zone_is_read_off_the_zones_clock_and_a_date_is_its_midnight():
    assert tile_of("2024-05-14T23:30", "1d", "Europe/Berlin")[0] == "2024-05-14T00:00:00+02:00"
    assert tile_of("2024-05-14T23:30", "1d", "America/New_York")[0] == "2024-05-14T00:00:00-04:00"
    days = [dt.date(2024, 3, 31), dt.date(2024, 4, 1)]
    for kind in (pa.date32(), pa.date64()):
        every = Every.parse("1h", "Europe/Berlin")
        assert [every.show(one) for one in every.starts(pa.array(days, kind))] == [
            "2024-03-31T00:00:00+01:00",
            "2024-04-01T00:00:00+02:00",
        ]


def test_a_clock_time_that_spring_leaves_out_belongs_to_the_tile_before_the_change():
    assert tile_of("2024-03-31T02:30", "1h", "Europe/Berlin")[0] == "2024-03-31T01:00:00+01:00"
    assert tile_of("2018-11-04T00:30", "1h", "America/Sao_Paulo")[0] == "2018-11-03T23:00:00-03:00"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_every_resolution_gives_the_same_tiles(unit: str, zone: str | None):
    texts = ("1969-12-31T23:59:59", "1970-01-01T00:00:00", "2024-05-14T10:14:59", "2024-05-14T10:15:00")
    every = Every.parse("15m")

    assert [every.show(one)[:16] for one in every.starts(moments(*texts, unit=unit, zone=zone))] == [
        "1969-12-31T23:45",
        "1970-01-01T00:00",
        "2024-05-14T10:00",
        "2024-05-14T10:15",
    ]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("ns", tz="UTC")])
def test_a_nanosecond_before_a_border_lies_before_it_also_before_1970(kind: Any):
    border = int(dt.datetime(1965, 7, 1, tzinfo=dt.UTC).timestamp()) * 10**9
    every = Every.parse("1h")

    for at in (border, -border, 0):
        before, on = every.starts(pa.array([at - 1, at], pa.int64()).cast(kind)).tolist()
        assert (before, on) == (at // 1000 - 3600 * MICRO, at // 1000)


def test_no_times_have_no_tiles():
    assert Every.parse("1h").starts(pa.array([], pa.timestamp("us"))).tolist() == []


# ---------------------------------------------------------------- what holds for every time


INSTANTS = st.one_of(
    st.integers(-(2**51), 2**51),  # 1898 to 2041
    st.integers(0, 2**21).map(lambda half_minutes: 1_262_304_000 * MICRO + half_minutes * 30 * MICRO),  # 2010 and 2011
    st.integers(-(2**33), 2**33).map(lambda near: 1_711_846_800 * MICRO + near),  # Berlin's spring of 2024
    st.integers(-(2**33), 2**33).map(lambda near: 1_729_990_800 * MICRO + near),  # and its autumn
)


@given(
    instants=st.lists(INSTANTS, min_size=1, max_size=20), length=st.sampled_from(LENGTHS), zone=st.sampled_from(ZONES)
)
@example(instants=[1_729_990_800 * MICRO - 1, 1_729_990_800 * MICRO], length="6h", zone="Europe/Berlin")
def test_every_time_lies_in_its_tile_and_later_times_in_no_earlier_one(instants: list[int], length: str, zone: str):
    every = Every.parse(length, zone)
    instants = sorted(instants)
    starts = every.starts(pa.array(instants, pa.timestamp("us", tz="UTC"))).tolist()

    assert all(start <= at < every.following(start) for start, at in zip(starts, instants, strict=True))
    assert all(one <= other for one, other in pairwise(starts))
    again = every.starts(pa.array(starts, pa.timestamp("us", tz="UTC"))).tolist()
    assert again == starts  # a tile's start lies in the tile


@given(at=INSTANTS, length=st.sampled_from(LENGTHS), zone=st.sampled_from(ZONES))
def test_tiles_follow_one_another_without_gap_or_overlap(at: int, length: str, zone: str):
    every = Every.parse(length, zone)
    [start] = every.starts(pa.array([at], pa.timestamp("us", tz="UTC"))).tolist()
    end = every.following(start)

    edges = pa.array([end - 1, end], pa.timestamp("us", tz="UTC"))
    assert every.starts(edges).tolist() == [start, end]
    assert every.following(end) > end


@given(at=INSTANTS, length=st.sampled_from(LENGTHS), zone=st.sampled_from(ZONES))
def test_a_tile_agrees_with_the_calendar(at: int, length: str, zone: str):
    """The start, found with Python's own calendar."""
    every = Every.parse(length, zone)
    [start] = every.starts(pa.array([at], pa.timestamp("us", tz="UTC"))).tolist()
    local = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=at)).astimezone(ZoneInfo(zone))
    day, count, unit = local.date(), every.number, every.unit
    if unit == "mo":
        months = (day.year * 12 + day.month - 1 - 1970 * 12) // count * count + 1970 * 12
        day = dt.date(months // 12, months % 12 + 1, 1)
    elif unit == "w":
        day -= dt.timedelta(days=day.weekday())
    elif unit == "d":
        day -= dt.timedelta(days=(day - dt.date(1970, 1, 1)).days % count)
    midnight = int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp()) * MICRO
    if unit in ("s", "m", "h"):
        midnight += (at - midnight) // int(every.seconds * MICRO) * int(every.seconds * MICRO)

    assert start == midnight


@given(
    walls=st.lists(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)), min_size=1),
    length=st.sampled_from(LENGTHS),
    zone=st.sampled_from(ZONES),
)
def test_rows_in_the_order_of_a_clock_without_zone_stay_in_order(walls: list[dt.datetime], length: str, zone: str):
    every = Every.parse(length, zone)
    starts = every.starts(pa.array(sorted(walls), pa.timestamp("us")))

    assert (np.diff(starts) >= 0).all()


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize("text", ["", "h", "1", "0h", "-1h", "1.5h", "1 h", "1H", "1y", "1M", "one hour", "١h", "1h\n"])
def test_a_length_that_cannot_be_read_is_told(text: str):
    with pytest.raises(DataError) as caught:
        Every.parse(text)
    assert str(caught.value) == (
        f"{text!r} is no length of time. Write a whole number and a unit: 15m, 6h, 1d, 1w, 1mo."
    )


@pytest.mark.parametrize("text", ["7m", "5h", "36h", "48h", "7000s"])
def test_a_length_that_does_not_divide_a_day_is_told(text: str):
    with pytest.raises(DataError) as caught:
        Every.parse(text)
    assert str(caught.value) == f"{text!r} does not divide a day. Use one that does (5m, 15m, 1h, 6h), or days."


@pytest.mark.parametrize("text", ["9999999mo", "9999999d", "5200w", "121mo"])
def test_a_length_beyond_ten_years_is_told(text: str):
    with pytest.raises(DataError) as caught:
        Every.parse(text)
    assert str(caught.value) == f"{text!r} is longer than ten years. Use a shorter one: 1d, 1w, 1mo."


@pytest.mark.parametrize("zone", ["", "Mars/Base", "Europe", "europe/berlin", "../UTC", "/etc/passwd"])
def test_an_unknown_zone_is_told(zone: str):
    with pytest.raises(DataError) as caught:
        Every.parse("1h", zone)
    assert str(caught.value) == f"unknown time zone {zone!r}. Write one such as Europe/Berlin."


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2024-02-30", "14:00", "1710000000.5", "01.03.2024"])
def test_a_moment_that_cannot_be_read_is_told(text: str):
    with pytest.raises(DataError) as caught:
        Every.parse("1h").moment(text)
    assert str(caught.value) == f"{text!r} is no time. Write 2024-03-01 or 2024-03-01T14:00."


def test_a_moment_is_meant_on_the_zones_clock_unless_it_names_its_own():
    every = Every.parse("1h", "Europe/Berlin")

    assert every.moment("2024-07-01").isoformat() == "2024-07-01T00:00:00+02:00"
    assert every.moment("2024-01-01T14:30").isoformat() == "2024-01-01T14:30:00+01:00"
    assert every.moment("2024-07-01T00:00Z").isoformat() == "2024-07-01T00:00:00+00:00"


@pytest.mark.parametrize("length", ["1h", "1d", "1mo"])
@pytest.mark.parametrize("micro", [253_402_300_799 * MICRO, -62_135_596_800 * MICRO, 300_000_000_000 * MICRO, -(2**62)])
def test_a_time_beyond_the_calendar_is_told(length: str, micro: int):
    """The last second of 9999, the first of the year 1, and what milliseconds taken for seconds give."""
    every = Every.parse(length, "Europe/Berlin")

    with pytest.raises(DataError, match=r"^a time lies outside the years 2 to 9998 .*Leave such rows out") as caught:
        every.starts(pa.array([micro], pa.timestamp("us", tz="UTC")))
    assert len(str(caught.value)) < 200
