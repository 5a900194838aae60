"""The real data behind the worlds: one function per data set, and what its columns are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = (PROJECT.parent / "shared" / "data", PROJECT / "build" / "incidents" / "data")


class DataSet(NamedTuple):
    """Rows with an outcome, before any model.

    Attributes:
        name: of the data set.
        files: what it is read from, by name.
        read: from the paths of these files to a data frame.
        label: column with the outcome, 0 or 1.
        time: column by which rows are in true order, if it is known.
        every: length of a window in time order, as pandas names it (W, MS, QS).
        segment: column whose values are parts of the traffic, if there is one.
        calendar: columns that a model trained on a part of the year cannot use; left out in time order.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[..., pd.DataFrame]
    label: str
    time: str | None
    every: str
    segment: str | None = None
    calendar: tuple[str, ...] = ()

    def load(self, folders: Sequence[Path] = FOLDERS) -> pd.DataFrame:
        """The rows, in order of time; FileNotFoundError names a file that is in none of the folders."""
        rows = self.read(*(find(file, folders) for file in self.files))
        return rows if self.time is None else rows.sort_values(self.time, kind="stable").reset_index(drop=True)


def own(path: Path, label: str, time: str | None, every: str, segment: str | None, ignored: Sequence[str]) -> DataSet:
    """A data set that is not among ours: a Parquet or CSV file with a column of outcomes, 0 or 1."""

    def read(path: Path) -> pd.DataFrame:
        rows = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        if time is not None:
            rows[time] = pd.to_datetime(rows[time])
        return rows.drop(columns=list(ignored)).dropna(subset=label)

    return DataSet(path.stem, (str(path.resolve()),), read, label, time, every, segment)


def find(file: str, folders: Sequence[Path]) -> Path:
    """The first of the folders' files of that name."""
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    raise FileNotFoundError(f"{file} is in none of: {', '.join(map(str, folders))}")


def loans(path: Path) -> pd.DataFrame:
    """Loan applications; the lender's own score (rate, grade) is left out."""
    rows = pd.read_parquet(path)
    rows["credit_years"] = rows["issue_d"].dt.year - rows["earliest_cr_line"].dt.year
    return rows.drop(columns=["id", "outcome_known_date", "int_rate", "grade", "earliest_cr_line"])


def bikes(path: Path) -> pd.DataFrame:
    """Hours of a bicycle hire: is demand high?"""
    rows = pd.read_parquet(path)
    rows["high_demand"] = (rows["cnt"] > rows["cnt"].median()).astype(int)
    return rows.drop(columns=["casual", "registered", "cnt", "yr"])


def weather(path: Path) -> pd.DataFrame:
    """Days at an airfield: does it rain? The order is real; the dates are made up, one a day."""
    rows = pd.read_parquet(path).sort_values("day_index")
    rows["day"] = pd.date_range("1950-01-01", periods=len(rows), freq="D")
    return rows.drop(columns="day_index")


def flights(flown: Path, observed: Path) -> pd.DataFrame:
    """Departures from New York: will the flight arrive more than 15 minutes late?"""
    rows = pd.read_csv(flown).dropna(subset="arr_delay")
    known = ["origin", "time_hour", "temp", "humid", "wind_speed", "precip", "pressure", "visib"]
    rows = rows.merge(pd.read_csv(observed, usecols=known), on=["origin", "time_hour"], how="left")
    rows["time_hour"] = pd.to_datetime(rows["time_hour"], utc=True).dt.tz_localize(None)
    rows["weekday"] = pd.to_datetime(rows[["year", "month", "day"]]).dt.day_of_week
    rows["late"] = (rows["arr_delay"] > 15).astype(int)
    features = ["dep_delay", "hour", "weekday", "carrier", "origin", "dest", "distance", *known[2:]]
    return rows[[*features, "late", "time_hour"]]


DATA_SETS = {
    one.name: one
    for one in (
        DataSet("loans", ("lending_club.parquet",), loans, "defaulted", "issue_d", "MS", "home_ownership"),
        DataSet(
            "bikes", ("bike_sharing_hourly.parquet",), bikes, "high_demand", "timestamp", "W", None, ("season", "mnth")
        ),
        DataSet("weather", ("noaa_weather.parquet",), weather, "rain", "day", "QS"),
        DataSet("flights", ("flights.csv.zip", "weather.csv"), flights, "late", "time_hour", "W", "origin"),
    )
}
