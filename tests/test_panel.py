"""All numeric columns counted at once: the same counts as column by column, and as a plain search gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wakeful.bins import Floats, NumericBins
from wakeful.panel import Panel, Place
from wakeful.tally import count_numbers

PLAIN = NumericBins(0.0, 1000.0, (100.0, 100.001, 500.0), (0.0, 42.0), 400.0, 2)
COLUMNS = (
    PLAIN,
    NumericBins(-1.0, 1.0, tuple(np.linspace(-0.9, 0.9, 40)), (), 0.0),
    NumericBins(1e9, 1e9 + 4, (1e9 + 2,), (1e9, 1e9 + 1), 1e9 + 2, 0),
    NumericBins(5.0, 5.0, (), (5.0,), 5.0, 1),
    NumericBins(-1e308, 1e308, (0.0, 1e-300), (3.0,), 0.0),
    NumericBins(0.0, 1e9, tuple(float(one) for one in range(1, 60)), tuple(one + 0.5 for one in range(60)), 30.0),
)


def at_once(columns: list[Floats], codes: list[Any]) -> list[Floats]:
    """Counts of every column, shape (slices, cells of the column), by a panel."""
    places, start = [], 1
    for bins in COLUMNS:
        prints = start + bins.size + 2
        places.append(Place(start, prints, prints + bins.fingerprints))
        start = prints + bins.fingerprints + 4
    table = np.zeros((1 + sum(size for _, size in codes), start))
    with np.errstate(all="ignore"):  # as counting does
        Panel(list(zip(COLUMNS, places, strict=True))).count(table, columns, codes)
    return [table[:, place.values : place.sums + 4] for place in places]


def one_by_one(columns: list[Floats], codes: list[Any]) -> list[Floats]:
    with np.errstate(all="ignore"):
        return [count_numbers(bins, values, codes) for bins, values in zip(COLUMNS, columns, strict=True)]


def assert_same(columns: list[Floats]) -> None:
    rows = len(columns[0])
    for codes in ([], [(np.arange(rows) % 3, 4)], [(np.arange(rows) % 3, 4), (np.arange(rows) // 2 % 2, 2)]):
        found = at_once([one.copy() for one in columns], codes)
        for mine, theirs in zip(found, one_by_one(columns, codes), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("rows", [1, 3, 255, 1024, 1025, 3000])
def test_columns_are_counted_as_each_by_itself(rows: int):
    rng = np.random.default_rng(rows)
    columns = []
    for bins in COLUMNS:
        near = rng.uniform(bins.low / 2, bins.high / 2, rows) * 2
        at_edges = rng.choice(np.concatenate([bins.edges, np.nextafter(bins.edges, -np.inf)]), rows)
        odd = rng.choice([math.nan, math.inf, -math.inf, -0.0, 0.0, 1e300, -1e300, 5e-324, 1.005], rows)
        columns.append(np.choose(rng.choice(3, rows, p=[0.5, 0.4, 0.1]), [near, at_edges, odd]))
    assert_same(columns)


def test_columns_without_any_number_are_counted_as_missing_and_invalid():
    assert_same([np.full(7, math.nan)] * len(COLUMNS))
    assert_same([np.array([math.inf, math.nan, -math.inf])] * len(COLUMNS))


@given(arrays.arrays(np.float64, st.tuples(st.just(len(COLUMNS)), st.integers(1, 40))))
@settings(max_examples=150)
def test_whatever_numbers_come_they_are_counted_as_each_by_itself(values: Floats):
    assert_same(list(values))


@given(st.lists(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(list(PLAIN.edges)))))
def test_bins_are_those_of_a_search(values: list[float]):
    if values:
        column = np.array(values)
        found = at_once([column] * len(COLUMNS), [])
        for bins, counts in zip(COLUMNS, found, strict=True):
            cells = np.searchsorted(bins.edges, column, side="right")
            assert counts[0, : bins.size].tolist() == np.bincount(cells, minlength=bins.size).tolist()
