"""What the tasks of peers share: the file as a pandas frame, and which of its columns are what."""

from typing import Any, NamedTuple

import pandas as pd


class Columns(NamedTuple):
    """Features and score; text and flags are categories, times are left out as the peers test none."""

    numeric: list[str]
    categorical: list[str]


def columns(rows: Any) -> Columns:
    flags = rows.select_dtypes(["object", "bool"]).columns
    numbers = rows.select_dtypes("number").columns.drop("label")
    return Columns(list(numbers), list(flags))


def read(path: str) -> Any:
    return pd.read_parquet(path)
