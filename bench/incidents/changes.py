"""What can become of columns: small functions from rows to rows, which scenarios are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from traffic import Rng
from worlds import Floats

Change = Callable[[pd.DataFrame, Rng], pd.DataFrame]
Values = Callable[[pd.Series], pd.Series]


def everywhere(column: str, change: Values) -> Change:
    """A change of one column's values in all rows."""
    return lambda rows, rng: rows.assign(**{column: change(rows[column])})


def somewhere(column: str, change: Values, share: float) -> Change:
    """A change of one column's values in a share of the rows, at random."""

    def apply(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        hit = rng.random(len(rows)) < share
        return rows.assign(**{column: rows[column].where(~hit, change(rows[column]))})

    return apply


def in_segment(column: str, change: Values, segment: str, value: str) -> Change:
    """A change of one column's values in one part of the traffic."""

    def apply(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        return rows.assign(**{column: rows[column].where(rows[segment] != value, change(rows[column]))})

    return apply


def times(factor: float) -> Values:
    return lambda values: values * factor


def plus(offset: float) -> Values:
    return lambda values: values + offset


def constant(value: float) -> Values:
    return lambda values: pd.Series(value, index=values.index)


def lost(values: pd.Series) -> pd.Series:
    """Nulls in place of values."""
    if pd.api.types.is_numeric_dtype(values):
        return values * np.nan
    return pd.Series([None] * len(values), index=values.index, dtype="object")


def filled(value: float) -> Values:
    return lambda values: values.fillna(value)


def rounded(unit: float) -> Values:
    return lambda values: (values / unit).round() * unit


def truncated(unit: float) -> Values:
    return lambda values: np.floor(values / unit) * unit


def shortened(letters: int) -> Values:
    return lambda values: values.str[:letters]


def renamed(old: str, new: str) -> Values:
    return lambda values: values.where(values != old, new)


def in_zone(hours: int) -> Values:
    return lambda values: (values + hours) % 24


def towards(mean: float, factor: float) -> Values:
    """Recalibrated: the distance to the mean is multiplied."""
    return lambda values: mean + factor * (values - mean)


def swapped(first: str, second: str) -> Change:
    return lambda rows, rng: rows.assign(**{first: rows[second], second: rows[first]})


def of_another_row(columns: Sequence[str]) -> Change:
    """The columns come, together, from another row of the window."""

    def apply(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        other = rng.permutation(len(rows))
        return rows.assign(**{name: rows[name].to_numpy()[other] for name in columns})

    return apply


def from_cache(column: str, values: Floats) -> Change:
    """Every row gets one of a few values of the past."""
    return lambda rows, rng: rows.assign(**{column: rng.choice(values, len(rows))})


def counted_wrongly(column: str, most: int) -> Change:
    """Another thing is counted: per row 1 to ``most`` times the value."""
    return lambda rows, rng: rows.assign(**{column: rows[column] * rng.integers(1, most + 1, len(rows))})


def scores_at(value: float, share: float) -> Callable[[Floats, Rng], Floats]:
    """The same answer for a share of the rows."""
    return lambda scores, rng: np.where(rng.random(len(scores)) < share, value, scores)


def without(column: str) -> Change:
    return lambda rows, rng: rows.drop(columns=column)


def sent_again(share: float) -> Change:
    """A share of the rows comes a second time, as it was, in place of others."""

    def apply(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        again = int(share * len(rows))
        return pd.concat([rows.iloc[: len(rows) - again], rows.iloc[:again]], ignore_index=True)

    return apply
