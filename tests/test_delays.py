"""Cases to counts by window, class and age: what is known, and for how long each case has been followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.delays import Delays, delays

MARCH = np.array(["2024-03-01", "2024-04-01"], dtype="datetime64[D]")


def counted(**changes: Any) -> Delays:
    """Four cases of March as of 11 April: two known, one known later, one never."""
    cases: dict[str, Any] = {
        "predicted": np.array(["2024-03-01", "2024-03-12", "2024-03-12", "2024-03-31"], dtype="datetime64[D]"),
        "known": np.array(["2024-03-03", "2024-04-01", "2024-04-20", "NaT"], dtype="datetime64[D]"),
        "outcome": np.array([1, 0, 1, 0]),
        "as_of": np.datetime64("2024-04-11"),
        "edges": MARCH,
        "horizon": 50,
        "bins": 5,
    } | changes
    return delays(cases.pop("predicted"), cases.pop("known"), cases.pop("outcome"), cases.pop("as_of"), **cases)


def test_an_outcome_counts_where_it_arrived_and_a_case_where_it_has_been_followed_to():
    counts = counted()

    assert counts.arrived.tolist() == [[[0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]]  # after 20 and after 2 days
    assert counts.followed.tolist() == [[[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]]  # for 30 and for 41 days
    assert counts.pending.tolist() == [[0, 1, 0, 1, 0, 0]]
    assert counts.rows.sum() == 4


def test_what_is_older_than_the_horizon_is_in_the_last_bin_and_outcomes_after_it_never_come():
    counts = counted(as_of=np.datetime64("2024-06-01"), horizon=np.timedelta64(15, "D"), bins=3)

    assert counts.arrived.sum(axis=(0, 2)).tolist() == [0, 1]  # the outcome after 20 days is too late
    assert counts.pending.tolist() == [[0, 0, 0, 3]]


def test_ages_in_terms_put_loans_of_any_length_on_one_scale():
    counts = delays([0.0, 0.0], [18.0, 30.0], [1, 1], 60.0, edges=[0, 1], horizon=1.2, term=[36.0, 60.0], bins=12)

    assert counts.arrived[0, 1, 5] == 2  # both at half of their term
    assert counts.followed[0, 1, [10, 12]].tolist() == [1, 1]  # followed for one term, and past the horizon


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_times_may_be_of_any_resolution_and_of_datetime(unit: str):
    predicted = np.array(["2024-03-01", "2024-03-12", "2024-03-12", "2024-03-31"], dtype=f"datetime64[{unit}]")
    objects = predicted.astype("datetime64[us]").astype(object)

    for times in (predicted, objects):
        assert all((one == other).all() for one, other in zip(counted(predicted=times), counted(), strict=True))


def test_parts_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 100, 500)
    known = np.where(rng.random(500) < 0.8, start + rng.exponential(20, 500), np.nan)
    outcome, term = rng.integers(0, 2, 500), rng.choice([1.0, 2.0], 500)

    def part(rows: slice) -> Delays:
        return delays(
            start[rows], known[rows], outcome[rows], 100.0, edges=[0, 50, 100], horizon=30, term=term[rows], bins=9
        )

    whole, merged = part(slice(None)), part(slice(123)).plus(part(slice(123, None)))
    assert all((one == other).all() for one, other in zip(whole, merged, strict=True))
    assert whole.rows.sum() == 500


def test_cases_outside_the_windows_and_of_the_future_are_left_out():
    assert counted(as_of=np.datetime64("2024-03-12")).rows.sum() == 3
    assert counted(edges=MARCH - 20).rows.sum() == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outcome": [1, 0]}, r"one value a case, not shapes \(4,\), \(4,\), \(2,\)"),
        ({"outcome": np.array([1, 2, 0, 0])}, "has to be 1 or 0.*one against the rest"),
        ({"outcome": np.array(["yes", "no", "no", "no"])}, "has to be 1 or 0"),
        ({"known": np.array(["2024-02-03"] + ["NaT"] * 3, dtype="datetime64[D]")}, "1 outcomes are known before"),
        ({"predicted": np.array(["NaT"] * 4, dtype="datetime64[D]")}, "every prediction need a time"),
        ({"predicted": ["soon"] * 4}, "datetime64 or numbers of days"),
        ({"as_of": np.datetime64("NaT", "s")}, "as_of and every prediction"),
        ({"edges": MARCH[::-1]}, "increasing"),
        ({"edges": MARCH[:1]}, "two times or more"),
        ({"horizon": 0}, "above 0; horizon is 0"),
        ({"horizon": float("nan")}, "above 0; horizon is nan"),
        ({"bins": 0}, "bins 0"),
        ({"term": np.array([36.0, 36.0, 0.0, 36.0])}, "term and bins have to be above 0"),
    ],
)
def test_what_cannot_be_counted_is_said(changes: dict[str, Any], told: str):
    with pytest.raises(wakeful.DataError, match=told):
        counted(**changes)


def test_counts_of_other_windows_are_not_added():
    with pytest.raises(wakeful.DataError, match="other windows or ages"):
        counted().plus(counted(bins=6))
