"""Shares of rows: exact, so they are what a person counts."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wakeful

Value = Callable[..., float]
ROWS = 2000


@cache
def training() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    grade = rng.choice(["A", "B", "C"], ROWS, p=[0.6, 0.3, 0.1]).tolist()
    grade[::50] = [f"once {at}" for at in range(len(grade[::50]))]
    income = np.round(rng.uniform(1000, 9000, ROWS), 2)
    income[rng.random(ROWS) < 0.2] = 0.0
    return {
        "income": np.where(rng.random(ROWS) < 0.05, np.nan, income),
        "rooms": rng.choice([1, 2, 4, 8], ROWS),
        "grade": [None if rng.random() < 0.1 else one for one in grade],
        "zip": rng.choice([10115, 20095], ROWS),
        "owner": (rng.random(ROWS) < 0.25).tolist(),
        "at": [dt.datetime(2024, 1, 1) + dt.timedelta(minutes=37 * at) for at in range(ROWS)],
        "score": rng.random(ROWS),
    }


@cache
def reference() -> wakeful.Reference:
    return wakeful.learn(training(), score="score", threshold=0.5, kinds={"zip": "categorical"})


def bins(name: str) -> Any:
    return reference().layout.bins[name]


def rows(**columns: list[Any]) -> dict[str, Any]:
    n = len(next(iter(columns.values())))
    return {"score": [0.5] * n} | columns


# ---------------------------------------------------------------- stories


def test_what_is_missing(value: Value):
    live = rows(income=[1000.0, None, math.nan, math.inf], grade=["A", None, "B", "Z"])
    assert value(reference(), live, "missing", "income") == 1 / 2
    assert value(reference(), live, "missing", "grade") == 1 / 4
    assert value(reference(), live, "missing", "rooms") == 1  # no such column at all
    assert value(reference(), live, "missing", "at.hour") == 1


def test_what_is_invalid(value: Value):
    live = rows(income=[1000.0, None, -math.inf, math.inf], grade=["A", None, "B", "Z"])
    assert value(reference(), live, "invalid", "income") == 1 / 2
    assert value(reference(), live, "invalid", "grade") == 0
    assert value(reference(), rows(income=["a", "b", None]), "invalid", "income") == pytest.approx(2 / 3)
    assert value(reference(), rows(grade=[1, 2, 3, None]), "invalid", "grade") == 3 / 4
    assert value(reference(), rows(owner=["yes", "no"]), "invalid", "owner") == 1
    assert value(reference(), rows(at=["2024-01-01"]), "invalid", "at.weekday") == 1


def test_names_that_training_did_not_show(value: Value):
    rare = next(one for one in training()["grade"] if one is not None and one.startswith("once"))
    live = rows(grade=["A", "Z", None, rare, "B"])
    assert value(reference(), live, "unseen", "grade") == 1 / 4  # of the rows that have a value
    assert value(reference(), rows(zip=[10115, 10116]), "unseen", "zip") == 1 / 2


def test_numbers_in_a_gap_where_training_had_none(value: Value):
    live = rows(rooms=[1, 3, 6, 8, 4, 2, 100, 0])
    assert value(reference(), live, "unseen", "rooms") == 2 / 8  # 3 and 6; 0 and 100 are out of range
    assert value(reference(), live, "out_of_range", "rooms") == 2 / 8


def test_numbers_out_of_the_range_that_training_showed(value: Value):
    seen = [one for one in training()["income"] if not math.isnan(one)]
    low, high = min(seen), max(seen)
    near = [low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf), None, math.inf]
    assert value(reference(), rows(income=near), "out_of_range", "income") == 2 / 4
    assert value(reference(), None, "out_of_range", "income") == 0


def test_numbers_with_more_decimals_than_training_had(value: Value):
    live = rows(
        income=[1000.0, 1000.25, 47.3, 1000.125, None, math.inf, 0.473, 1e300], rooms=[1, 2, 4, 8, 3, 2.5, 6, 9]
    )
    assert (bins("income").decimals, bins("rooms").decimals, bins("score").decimals) == (2, 0, None)
    assert value(reference(), live, "off_grid", "income") == 2 / 6
    assert value(reference(), live, "off_grid", "rooms") == 1 / 8
    assert value(reference(), rows(income=np.float32([47.3, 8999.99, 0.01])), "off_grid", "income") == 0
    assert value(reference(), None, "off_grid", "income") == 0


def test_nothing_is_off_the_grid_where_there_is_none(estimate: Callable[..., Any]):
    found = estimate(reference(), {"score": [0.1234567891, 0.5]}, "off_grid", "score")
    assert (found.value, found.n) == (0, 2)
    assert estimate(reference(), None, "off_grid", "score").value == 0


def test_a_unit_change_inside_the_range_leaves_the_grid(value: Value):
    income = np.array(training()["income"]) * 0.97
    found = np.mean(np.round(income[income > 0], 2) != np.round(income[income > 0], 4))
    assert value(reference(), rows(income=income[income > 0]), "off_grid", "income") == found > 0.9


@pytest.mark.parametrize(
    ("column", "one"), [("grade", "A"), ("zip", 20095), ("owner", True), ("income", 0.0), ("rooms", 4), ("at.hour", 7)]
)
def test_the_share_of_one_value(column: str, one: Any, value: Value):
    source = training()[column.split(".")[0]]
    values = [one.hour for one in source] if column == "at.hour" else list(source)
    known = [found for found in values if found is not None and found == found]
    assert value(reference(), None, "share", column, value=one) == known.count(one) / len(known)


def test_new_names_to_expect_in_healthy_traffic_are_as_many_as_came_once(value: Value):
    """Good 1953: the chance that the next name is new is about the share of names seen once."""
    known = [one for one in training()["grade"] if one is not None]
    once = sum(1 for times in Counter(known).values() if times == 1)
    assert once > 30
    assert value(reference(), None, "unseen", "grade") == pytest.approx(once / len(known))


def test_new_names_of_the_next_day_are_as_many_as_expected(value: Value):
    rng = np.random.default_rng(3)
    found, expected = [], []
    for _ in range(10):
        names = rng.zipf(1.5, 8000).astype(str)
        learnt = wakeful.learn({"name": names[:4000].tolist(), "score": rng.random(4000)}, score="score")
        expected.append(value(learnt, None, "unseen", "name"))
        live = {"name": names[4000:].tolist(), "score": rng.random(4000)}
        found.append(value(learnt, live, "unseen", "name"))
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


# ---------------------------------------------------------------- any rows

_names = st.lists(st.sampled_from(["A", "B", "C", "once 1", "Z", "", None]), min_size=1, max_size=30)
_numbers = st.lists(
    st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1000.0, 1e9, -5.0])), min_size=1, max_size=30
)


@given(names=_names, data=st.data())
def test_shares_are_what_a_person_counts(names: list[str | None], data: Any, value: Value):
    numbers = data.draw(st.lists(_numbers.flatmap(st.sampled_from), min_size=len(names), max_size=len(names)))
    live = rows(grade=names, income=numbers)
    trained = {one for one in training()["grade"] if one is not None}
    known = [one for one in names if one is not None]
    finite = [one for one in numbers if one is not None and math.isfinite(one)]
    low, high = bins("income").low, bins("income").high
    n = len(names)

    def ask(name: str, column: str, **arguments: Any) -> float:
        return value(reference(), live, name, column, **arguments)

    assert ask("missing", "grade") == names.count(None) / n
    assert ask("missing", "income") == sum(1 for one in numbers if one is None or math.isnan(one)) / n
    assert ask("invalid", "income") == sum(1 for one in numbers if one is not None and math.isinf(one)) / n
    if known:
        assert ask("unseen", "grade") == sum(1 for one in known if one not in trained) / len(known)
        assert ask("share", "grade", value="A") == known.count("A") / len(known)
    if finite:
        outside = sum(1 for one in finite if one < low or one > high)
        assert ask("out_of_range", "income") == outside / len(finite)
        assert ask("off_grid", "income") <= sum(1 for one in finite if one != round(one, 2)) / len(finite)
        assert ask("share", "income", value=0) == finite.count(0.0) / len(finite)


# ---------------------------------------------------------------- edges


@pytest.mark.parametrize("name", ["missing", "invalid", "unseen", "out_of_range", "off_grid"])
def test_without_rows_there_is_no_share(name: str, estimate: Callable[..., Any]):
    found = estimate(reference(), {"score": []}, name, "income")
    assert math.isnan(found.value)
    assert found.n == 0


@pytest.mark.parametrize(("column", "one"), [("income", 1234.5), ("grade", "a"), ("grade", "once 1"), ("zip", "10115")])
def test_a_value_without_a_count_of_its_own_is_refused(column: str, one: Any, value: Value):
    with pytest.raises(wakeful.UnknownName, match=f"frequent value of {column}"):
        value(reference(), None, "share", column, value=one)


def test_shares_of_numbers_are_not_asked_of_names(value: Value):
    with pytest.raises(wakeful.SignalError, match="numeric"):
        wakeful.Monitor(reference()).live["grade"].out_of_range()
    with pytest.raises(wakeful.SignalError, match="numeric"):
        wakeful.Monitor(reference()).live["grade"].off_grid()
