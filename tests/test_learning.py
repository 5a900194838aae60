"""Learning: which bins, which kinds, how far windows stray, what matters; in bounded memory, the same each time."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wakeful
from wakeful.bins import CategoryBins, NumericBins
from wakeful.learning import Roles, learn_all
from wakeful.learning.binning import bins_of_categories, bins_of_numbers


def numbers_of(reference: wakeful.Reference, name: str) -> NumericBins:
    bins = reference.layout.bins[name]
    assert isinstance(bins, NumericBins)
    return bins


def categories_of(reference: wakeful.Reference, name: str) -> CategoryBins:
    bins = reference.layout.bins[name]
    assert isinstance(bins, CategoryBins)
    return bins


def values_of(reference: wakeful.Reference, name: str) -> Any:
    """Rows per value bin."""
    place = reference.layout.cells[name]
    return reference.counts.table[0, place.start : place.start + place.values]


@cache
def loans(rows: int = 5000, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    income = np.round(rng.lognormal(10, 0.8, rows), 2)
    income[rng.random(rows) < 0.08] = 0.0
    debt = rng.gamma(2, 1000, rows)
    score = 1 / (1 + np.exp(-(debt / 1000 - np.log1p(income) / 3 + rng.normal(0, 0.3, rows))))
    return {
        "income": income,
        "debt": debt,
        "noise": rng.normal(size=rows),
        "rooms": rng.integers(1, 7, rows),
        "grade": rng.choice(list("ABCDEFG"), rows, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.04, 0.01]).tolist(),
        "owner": (rng.random(rows) < 0.3).tolist(),
        "at": pd.date_range("2024-01-01", periods=rows, freq="19min"),
        "score": score,
        "label": (rng.random(rows) < score).astype(int),
    }


LOANS = {"score": "score", "label": "label", "threshold": 0.6}


# ---------------------------------------------------------------- the bins that are chosen


def test_numbers_get_about_twenty_bins_of_equal_mass_and_single_values_their_own():
    reference = wakeful.learn(loans(), **LOANS)
    income, counts = numbers_of(reference, "income"), values_of(reference, "income")
    assert income.singles == (0.0,)
    assert income.low == 0.0
    assert income.high == max(loans()["income"])
    assert counts[income.is_single].tolist() == [np.sum(loans()["income"] == 0)]
    bulk = counts[~income.is_single]
    wide = bulk[bulk > 0.02 * bulk.sum()]
    assert 15 <= len(wide) <= 25
    assert wide.max() < 2 * wide.min()
    assert counts[0] == counts[-1] == 0  # below and above the seen range


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.95])
def test_a_single_value_that_holds_a_visible_share_has_a_bin(share: float):
    rng = np.random.default_rng(int(share * 100))
    values = np.where(rng.random(8000) < share, -999.0, rng.normal(50, 9, 8000))
    reference = wakeful.learn({"x": values, "score": rng.random(8000)}, score="score")
    bins = numbers_of(reference, "x")
    assert bins.singles == (-999.0,)
    assert values_of(reference, "x")[bins.is_single].tolist() == [np.sum(values == -999.0)]


def test_values_that_nobody_repeats_get_no_bin_of_their_own():
    assert numbers_of(wakeful.learn(loans(), **LOANS), "debt").singles == ()


def _drawn(what: str, rng: np.random.Generator) -> Any:
    price = np.round(rng.lognormal(6, 1, 3000), 2)
    temperature = np.round(rng.normal(12, 8, 3000), 1)
    return {
        "whole numbers": rng.integers(0, 90_000, 3000),
        "whole numbers with gaps": np.where(rng.random(3000) < 0.2, np.nan, rng.integers(0, 90, 3000)),
        "large whole numbers": rng.integers(0, 10**10, 3000),
        "nothing but zeros": np.zeros(3000),
        "prices": price,
        "prices as float32": price.astype(np.float32),
        "prices, nearly all": np.where(np.arange(3000) < 3, price / 3, price),
        "prices, not nearly all": np.where(np.arange(3000) < 30, price / 3, price),
        "temperatures": temperature,
        "temperatures as float32": temperature.astype(np.float32),
        "temperatures with infinity": np.where(rng.random(3000) < 0.1, np.inf, temperature),
        "differences of tenths": temperature - (temperature.round() - temperature.round() % 3) - 0.1,
        "sums of tenths": np.cumsum(np.full(3000, 0.1)),
        "quarters": rng.integers(0, 40, 3000) / 4,
        "four decimals": np.round(rng.random(3000), 4),
        "five decimals": np.round(rng.random(3000), 5),
        "continuous": rng.normal(size=3000),
        "continuous as float32": rng.normal(size=3000).astype(np.float32),
        "continuous and tiny": rng.random(3000) * 1e-9,
        "continuous and huge": rng.random(3000) * 1e15,
        "continuous, huge and float32": (rng.random(3000) * 1e9).astype(np.float32),
        "continuous, of many sizes": rng.lognormal(0, 9, 3000),
    }[what]


@pytest.mark.parametrize(
    ("what", "decimals"),
    [
        ("whole numbers", 0), ("whole numbers with gaps", 0), ("large whole numbers", 0), ("nothing but zeros", 0),
        ("prices", 2), ("prices as float32", 2), ("prices, nearly all", 2), ("prices, not nearly all", None),
        ("temperatures", 1), ("temperatures as float32", 1), ("temperatures with infinity", 1),
        ("sums of tenths", 1), ("differences of tenths", 1),
        ("quarters", 2), ("four decimals", 4), ("five decimals", None), ("continuous", None),
        ("continuous as float32", None), ("continuous and tiny", None), ("continuous and huge", None),
        ("continuous, huge and float32", None), ("continuous, of many sizes", None),
    ],
)  # fmt: skip
def test_a_grid_is_learnt_where_nearly_all_values_have_few_decimals(what: str, decimals: int | None):
    rng = np.random.default_rng(2)
    bins = numbers_of(wakeful.learn({"x": _drawn(what, rng), "score": rng.random(3000)}, score="score"), "x")
    assert bins.decimals == decimals


def test_a_few_values_are_no_grid():
    assert bins_of_numbers(np.arange(19.0), 0.0, 18.0).decimals is None
    assert bins_of_numbers(np.arange(20.0), 0.0, 19.0).decimals == 0


def test_a_numeric_score_has_a_grid_too():
    rng = np.random.default_rng(2)
    learnt = wakeful.learn({"x": rng.random(900), "score": np.round(rng.random(900), 3)}, score="score")
    assert numbers_of(learnt, "score").decimals == 3


def test_few_different_values_get_a_bin_each():
    reference = wakeful.learn(loans(), **LOANS)
    rooms = numbers_of(reference, "rooms")
    assert rooms.singles == (1, 2, 3, 4, 5, 6)
    times = Counter(loans()["rooms"].tolist())
    assert values_of(reference, "rooms")[rooms.is_single].tolist() == [times[one] for one in range(1, 7)]


@pytest.mark.parametrize("threshold", [0.03, 0.25, 0.5, 1 / 3, 0.6180339887498949, 0.999])
def test_the_decision_threshold_is_a_border_of_the_score_s_bins(threshold: float):
    """So that what is flagged is a sum of bins: quality at the threshold is exact."""
    data = loans() | {"score": np.round(loans()["score"], 2)}
    reference = wakeful.learn(data, score="score", label="label", threshold=threshold)
    bins, counts = numbers_of(reference, "score"), values_of(reference, "score")
    assert threshold in bins.edges
    flagged = bins.cells(np.array([threshold]))[0]
    assert counts[flagged:].sum() == np.sum(data["score"] >= threshold)
    assert (bins.low, bins.high) == (0.0, 1.0)  # a probability's range, whatever was seen


def test_the_threshold_is_read_from_the_decisions_where_they_follow_one():
    data = loans() | {"flagged": loans()["score"] >= 0.7}
    reference = wakeful.learn(data, score="score", label="label", decision="flagged")
    assert reference.model.threshold == min(one for one in data["score"] if one >= 0.7)
    assert reference.model.threshold in numbers_of(reference, "score").edges
    data["flagged"] = data["flagged"] ^ (np.arange(5000) % 50 == 0)
    assert wakeful.learn(data, score="score", label="label", decision="flagged").model.threshold is None


def test_score_bins_carry_the_label_rate():
    reference = wakeful.learn(loans(), **LOANS)
    table = reference.counts.outcome(0)[0].sum(axis=0)[..., 0]  # answers by truth
    cells = numbers_of(reference, "score").cells(loans()["score"])
    for cell in np.unique(cells):
        labels = loans()["label"][cells == cell]
        assert table[cell, :2].tolist() == [np.sum(labels == 0), np.sum(labels == 1)]


def test_categories_get_a_bin_each_most_frequent_first_and_the_rare_share_one():
    rng = np.random.default_rng(1)
    frequent = rng.choice(list("ABC"), 5000, p=[0.5, 0.3, 0.2])
    rare = rng.choice([f"r{at}" for at in range(50)], 5000)
    city = np.where(rng.random(5000) < 0.9, frequent, rare)
    reference = wakeful.learn({"city": city.tolist(), "score": rng.random(5000)}, score="score")
    bins = categories_of(reference, "city")
    assert bins.categories[:3] == ("A", "B", "C")
    assert len(bins.categories) == 30
    assert {*bins.categories, *bins.tail} == set(city)
    assert values_of(reference, "city").sum() == 5000
    assert values_of(reference, "city")[-1] == 0  # nothing of what training showed is unseen
    assert not bins.open


def test_a_column_with_a_hundred_thousand_names_is_bounded_and_keeps_the_frequent_ones(tmp_path: Path):
    rng = np.random.default_rng(1)
    names = [f"n{at}" for at in range(100_000)] + ["often"] * 20_000 + ["now and then"] * 3000
    rng.shuffle(names)
    data = {"name": names, "score": rng.random(len(names))}
    reference = wakeful.learn(data, score="score")
    bins = categories_of(reference, "name")
    assert bins.open
    assert bins.categories == ("often", "now and then")
    assert bins.tail == ()
    assert values_of(reference, "name").tolist() == [20_000, 3000, 100_000, 0]
    reference.save(tmp_path / "reference.json")
    assert (tmp_path / "reference.json").stat().st_size < 50_000


_values = st.lists(st.floats(), min_size=1, max_size=60)


@given(_values, st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2))
@settings(max_examples=200)
def test_any_numbers_get_bins_into_which_they_fall(values: list[float], borders: list[float]):
    sample = np.array(values)
    finite = sample[np.isfinite(sample)]
    low, high = (finite.min(), finite.max()) if len(finite) else (np.inf, -np.inf)
    with np.errstate(all="ignore"):  # as learning does
        bins = bins_of_numbers(sample, low, high, borders)
        cells, steps = bins.cells(sample), bins.fixed_point(sample)
    assert ((cells == bins.size) == np.isnan(sample)).all()
    assert ((cells == bins.size + 1) == np.isinf(sample)).all()
    if len(finite):
        assert (cells[np.isfinite(sample)] > 0).all()
        assert (cells[np.isfinite(sample)] < bins.size - 1).all()
        assert all(border in bins.edges for border in borders if low < border <= high)
        assert set(bins.singles) <= set(finite)
    assert (np.diff(bins.edges) > 0).all()
    assert np.isfinite(steps).all()
    if bins.decimals is not None:
        assert len(finite) >= 20
        with np.errstate(all="ignore"):
            assert bins.off_grid(sample).sum() <= 0.001 * len(finite)


@given(st.lists(st.sampled_from([*"ABCDEFGH", "ü", ""]), max_size=60), st.integers(1, 5))
def test_any_names_get_bins_into_which_they_fall(values: list[str], most: int):
    bins = bins_of_categories(Counter(values), truncated=False, most=most)
    assert len(bins.categories) <= max(most, 2)
    assert {*bins.categories, *bins.tail} == set(values)
    times = Counter(values)
    assert [times[one] for one in bins.categories] == sorted((times[one] for one in bins.categories), reverse=True)
    assert all(times[a] >= times[b] for a in bins.categories for b in bins.tail)


# ---------------------------------------------------------------- what a column is


def test_kinds_are_inferred():
    reference = wakeful.learn(loans(), **LOANS)
    assert {column.name: column.kind for column in reference.model.features} == {
        "income": "numeric", "debt": "numeric", "noise": "numeric", "rooms": "numeric", "grade": "categorical",
        "owner": "boolean", "at.hour": "hour", "at.weekday": "weekday",
    }  # fmt: skip


def test_kinds_can_be_overruled():
    kinds = {"rooms": "categorical", "owner": "numeric", "noise": "ignore", "grade": "categorical"}
    reference = wakeful.learn(loans() | {"old": loans()["rooms"] % 2}, **LOANS, kinds=kinds | {"old": "boolean"})
    found = {column.name: column.kind for column in reference.model.features}
    assert (found["rooms"], found["owner"], found["old"]) == ("categorical", "numeric", "boolean")
    assert "noise" not in found
    assert set(categories_of(reference, "rooms").categories) == {1, 2, 3, 4, 5, 6}
    assert set(categories_of(reference, "old").categories) == {0, 1}
    assert numbers_of(reference, "owner").singles == (0.0, 1.0)
    for name in found:
        assert values_of(reference, name).sum() == 5000, name  # every value found its bin


@pytest.mark.parametrize(
    ("name", "kind"), [("grade", "numeric"), ("grade", "datetime"), ("debt", "categorical"), ("at", "boolean")]
)
def test_a_kind_that_no_value_can_be_of_is_refused(name: str, kind: str):
    with pytest.raises(wakeful.DataError, match=f"'{name}' cannot be {kind}"):
        wakeful.learn(loans(), **LOANS, kinds={name: kind})


def test_integers_with_gaps_stay_categories_when_pandas_makes_them_floats():
    frame = pd.DataFrame(loans())
    frame["rooms"] = frame["rooms"].astype(float).where(frame.index % 9 > 0)
    reference = wakeful.learn(frame, **LOANS, kinds={"rooms": "categorical"})
    assert set(categories_of(reference, "rooms").categories) == {1, 2, 3, 4, 5, 6}
    place = reference.layout.cells["rooms"]
    assert reference.counts.table[0, place.start + place.values] == np.sum(frame.index % 9 == 0)


def test_identifiers_and_free_text_are_left_out_with_a_note():
    data = loans() | {"loan_id": np.arange(5000), "remark": [f"remark {at}" for at in range(5000)]}
    learnt = learn_all(data, Roles("score", "label", 0.6))
    assert not {"loan_id", "remark"} & {column.name for column in learnt.reference.model.features}
    assert [note.split(":")[0] for note in learnt.notes] == ["loan_id", "remark"]


def test_roles_are_no_features():
    data = loans() | {"held": [False] * 5000, "key": np.arange(5000), "day": loans()["at"]}
    reference = wakeful.learn(data, **LOANS, holdout="held", id="key", time="day")
    assert not {"score", "label", "held", "key", "day.hour"} & {column.name for column in reference.model.features}


@pytest.mark.parametrize(
    ("score", "label", "task"),
    [
        (np.linspace(0, 1, 60), [0, 1] * 30, "binary"),
        (np.linspace(0, 1, 60), [True, False] * 30, "binary"),
        (np.linspace(0, 1, 60), [0.0, 1.0, None] * 20, "binary"),
        (np.linspace(-5, 5, 60), [0, 1] * 30, "binary"),
        (np.linspace(0, 1, 60), None, "binary"),
        (["yes", "no", "maybe"] * 20, ["no", "yes", "yes"] * 20, "multiclass"),
        (["yes", "no", "maybe"] * 20, None, "multiclass"),
        ([0, 1, 2] * 20, [2, 1, 0] * 20, "multiclass"),
        ([0.0, 1.0, 2.0, None] * 15, [2, 1, None, 0] * 15, "multiclass"),
        (np.linspace(5, 99, 60), np.linspace(4, 98, 60), "regression"),
        (np.linspace(5, 99, 60), np.arange(60), "regression"),
        (np.linspace(5, 99, 60), None, "regression"),
    ],
)
def test_the_task_is_inferred_from_score_and_label(score: Any, label: Any, task: str):
    data = {"score": score} | ({} if label is None else {"label": label})
    reference = wakeful.learn(data, score="score", label=None if label is None else "label")
    assert reference.model.task == task


# ---------------------------------------------------------------- importance


def test_importance_orders_columns_by_what_they_say_of_the_score():
    importance = wakeful.learn(loans(), **LOANS).importance
    assert importance["debt"] > 0.7 > importance["income"] > 0.1
    for name in ("noise", "rooms", "grade", "owner", "at.hour", "at.weekday"):
        assert importance[name] < 0.06, name
    assert all(0 <= one <= 1 for one in importance.values())


def test_importance_sees_bends_names_and_gaps():
    rng = np.random.default_rng(2)
    x, noise = rng.normal(size=6000), rng.normal(size=6000)
    grade = rng.choice(["a", "b", "c"], 6000)
    gap = rng.random(6000) < 0.3
    for score, data in (
        (x**2, {"x": x}),
        ((grade == "b") * 1.0, {"x": grade.tolist()}),
        (gap * 1.0, {"x": np.where(gap, np.nan, noise)}),
    ):
        data = data | {"noise": noise, "score": score / 30}
        importance = wakeful.learn(data, score="score", task="binary").importance
        assert importance["x"] > 0.9
        assert importance["noise"] < 0.1


def test_importance_of_a_predicted_class():
    rng = np.random.default_rng(3)
    x, noise = rng.normal(size=6000), rng.normal(size=6000)
    answer = np.select([x < -1, x > 1], ["low", "high"], "middle").tolist()
    importance = wakeful.learn({"x": x, "noise": noise, "answer": answer}, score="answer").importance
    assert importance["x"] > 0.8
    assert importance["noise"] < 0.1


def test_importance_is_adjusted_for_the_number_of_bins():
    """Thirty categories of pure noise explain something by chance; it is not counted."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(20):
        names = rng.choice([f"n{at}" for at in range(30)], 600).tolist()
        data = {"x": names, "score": rng.random(600)}
        found.append(wakeful.learn(data, score="score").importance["x"])
    assert np.median(found) < 0.1  # unadjusted it would be sqrt(29/600) = 0.22


# ---------------------------------------------------------------- dispersion


def _weeks(shares: Any, rows: int, rng: np.random.Generator) -> dict[str, Any]:
    """One week per row of ``shares``, with so many rows each."""
    names = np.array([f"c{at}" for at in range(shares.shape[1])])
    city = np.concatenate([rng.choice(names, rows, p=one) for one in shares])
    at = np.repeat(pd.date_range("2020-01-06", periods=len(shares), freq="W-MON"), rows)
    return {"city": city.tolist(), "at": at, "score": rng.random(len(city))}


def test_dispersion_of_independent_rows_is_next_to_nothing():
    rng = np.random.default_rng(5)
    usual = np.array([0.4, 0.3, 0.2, 0.1])
    found = []
    for _ in range(10):
        data = _weeks(np.tile(usual, (30, 1)), 300, rng)
        reference = wakeful.learn(data, score="score", time="at")
        assert reference.windows == ("week", 30)
        found += [reference.dispersion["city"].shape, reference.dispersion["score"].shape]
    # The estimate's standard deviation is about sqrt(2 / 30) / 300 / sqrt(bins - 1), here below 0.0006.
    assert max(found) < 0.002
    assert np.mean(found) < 0.0004


@pytest.mark.parametrize("rho", [0.005, 0.02, 0.1])
def test_dispersion_finds_the_intraclass_correlation_that_windows_were_drawn_with(rho: float):
    """Dirichlet-multinomial windows: the variance of a share is p(1-p)(1/n + rho (n-1)/n)."""
    rng = np.random.default_rng(6)
    usual = np.array([0.4, 0.3, 0.2, 0.1])
    found = []
    for _ in range(8):
        shares = rng.dirichlet(usual * (1 / rho - 1), size=60)
        reference = wakeful.learn(_weeks(shares, 250, rng), score="score", time="at")
        found.append(reference.dispersion["city"].shape)
    # The mean of 8 estimates has a standard deviation of about 6% of rho.
    assert np.mean(found) == pytest.approx(rho, rel=0.2)
    assert reference.dispersion["score"].shape < 0.002


def test_dispersion_of_gaps_is_learnt_apart_from_that_of_values():
    rng = np.random.default_rng(7)
    rows, weeks, rho, rate = 300, 80, 0.05, 0.2
    gaps = rng.beta(rate * (1 / rho - 1), (1 - rate) * (1 / rho - 1), weeks)
    missing = np.concatenate([rng.random(rows) < one for one in gaps])
    data = {
        "x": np.where(missing, np.nan, rng.normal(size=rows * weeks)),
        "at": np.repeat(pd.date_range("2020-01-06", periods=weeks, freq="W-MON"), rows),
        "score": rng.random(rows * weeks),
    }
    found = wakeful.learn(data, score="score", time="at").dispersion["x"]
    assert found.missing == pytest.approx(rho, rel=0.4)
    assert found.shape < 0.002


def test_dispersion_of_outcomes_is_that_of_the_label_at_a_given_score():
    rng = np.random.default_rng(8)
    rows, weeks = 400, 60
    at = np.repeat(pd.date_range("2020-01-06", periods=weeks, freq="W-MON"), rows)
    score = rng.random(rows * weeks)
    calm = (rng.random(rows * weeks) < score).astype(int)
    tide = np.repeat(rng.normal(0, 0.15, weeks), rows)  # some weeks more positives than the score says
    stormy = (rng.random(rows * weeks) < np.clip(score + tide, 0, 1)).astype(int)
    found = {}
    for name, label in (("calm", calm), ("stormy", stormy)):
        data = {"at": at, "score": score, "label": label}
        found[name] = wakeful.learn(data, score="score", label="label", time="at").outcome_dispersion
    assert found["calm"] < 0.001
    # Mean of (tide)² over p(1-p) = 1/6 of uniform scores; clipping takes some of it.
    assert 0.05 < found["stormy"] < 0.16


def test_windows_are_the_smallest_calendar_units_with_enough_rows():
    rng = np.random.default_rng(9)

    def unit(times: Any) -> Any:
        data = {"at": times, "score": rng.random(len(times))}
        return wakeful.learn(data, score="score", time="at").windows

    day = dt.timedelta(days=1)
    start = dt.datetime(2023, 1, 2)
    assert unit([start + day * at / 6000 for at in range(6000)]) == ("hour", 24)
    assert unit([start + day * at / 250 for at in range(5000)]) == ("day", 20)
    assert unit([(start + day * (at // 250)).date() for at in range(5000)]) == ("day", 20)
    assert unit([start + day * at / 50 for at in range(5000)])[0] == "week"
    assert unit([dt.datetime(2020 + at // 12, 1 + at % 12, 1) for at in range(24) for _ in range(250)])[0] == "month"
    assert unit([start + day * at for at in range(100)]) is None


def test_time_that_says_nothing_is_refused_or_noted():
    data = loans() | {"day": ["monday"] * 5000, "never": [None] * 5000}
    with pytest.raises(wakeful.DataError, match="must hold dates or timestamps"):
        wakeful.learn(data, **LOANS, time="day")
    with pytest.raises(wakeful.DataError, match="'never'"):
        wakeful.learn(data, **LOANS, time="never")
    short = {name: values[:100] for name, values in loans().items()}
    learnt = learn_all(short, Roles("score", "label", 0.6, time="at"))
    assert learnt.reference.windows is None
    assert any("too few rows" in note for note in learnt.notes)


# ---------------------------------------------------------------- the same bytes


def _bytes(data: Any, folder: Path, **roles: Any) -> bytes:
    wakeful.learn(data, **roles).save(folder / "reference.json")
    return (folder / "reference.json").read_bytes()


def test_learning_twice_gives_the_same_bytes_whatever_the_data_come_in(tmp_path: Path):
    table = pa.table({name: pa.array(values) for name, values in loans().items()})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=700)
    pq.write_table(table, tmp_path / "b.parquet", use_dictionary=False)
    table.to_pandas().to_csv(tmp_path / "c.csv", index=False)
    inputs: dict[str, Callable[[], Any]] = {
        "again": lambda: table,
        "mapping": loans,
        "pandas": table.to_pandas,
        "polars": lambda: pl.from_arrow(table),
        "duckdb": lambda: duckdb.from_arrow(table),
        "stream": lambda: table.to_reader(max_chunksize=123),
        "chunks": lambda: pa.Table.from_batches(table.to_batches(max_chunksize=101)),
        "parquet": lambda: tmp_path / "a.parquet",
        "other row groups": lambda: str(tmp_path / "b.parquet"),
        "csv": lambda: tmp_path / "c.csv",
    }
    first = _bytes(table, tmp_path, **LOANS, time="at", segments=["grade"])
    for name, data in inputs.items():
        assert _bytes(data(), tmp_path, **LOANS, time="at", segments=["grade"]) == first, name


def test_batches_leave_no_trace_where_rows_and_names_are_too_many_to_remember(tmp_path: Path):
    rng = np.random.default_rng(10)
    n = 450_000
    table = pa.table({
        "name": pa.array(rng.integers(0, 30_000, n)).cast(pa.string()),
        "x": rng.normal(size=n),
        "sign": rng.choice([0.0, -0.0, 1.0], n),
        "score": rng.random(n),
    })  # fmt: skip
    first = _bytes(table, tmp_path, score="score")
    assert b'"open": true' in first
    for size in (1000, 33_333, 450_000):
        assert _bytes(table.to_reader(max_chunksize=size), tmp_path, score="score") == first, size


def test_the_order_of_keys_and_nothing_else_of_a_process_shows(tmp_path: Path):
    """Hashes of strings differ between processes; the file must not."""
    code = (
        "import sys, wakeful\n"
        "names = ['a', 'b', 'c', 'd', 'e'] * 20\n"
        "data = {'x': names, 'y': [one * 2 for one in names], 'score': [at / 100 for at in range(100)]}\n"
        "wakeful.learn(data, score='score', segments=['y']).save(sys.argv[1])\n"
    )
    found = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.json"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env={"PYTHONHASHSEED": seed})
        found.append(path.read_bytes())
    assert found[0] == found[1]


# ---------------------------------------------------------------- memory

_MEASURE = """
import json, re, sys
from pathlib import Path
import numpy as np, pyarrow as pa, wakeful

def peak():  # of resident memory; unlike ru_maxrss it does not start with that of the parent process
    status = Path("/proc/self/status")
    return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists() else 0

tiny = {"x": np.linspace(0, 1, 100), "g": ["a", "b"] * 50, "score": np.linspace(0, 1, 100), "label": [0, 1] * 50}
wakeful.learn(tiny, score="score", label="label", threshold=0.5)  # what is imported and cached is no part of it
before = peak()
wakeful.learn(sys.argv[1], score="score", label="label", threshold=0.5)
print(json.dumps([peak() - before, pa.default_memory_pool().max_memory()]))
"""


def test_memory_does_not_grow_with_the_rows_of_a_parquet_file(tmp_path: Path):
    """Beyond the sample of 200,000 rows (twice that while it is drawn) and the batches on their way."""
    rng = np.random.default_rng(11)
    peaks = {}
    for rows in (1_000_000, 4_000_000):
        path = tmp_path / f"{rows}.parquet"
        schema = pa.schema([("x", "f8"), ("g", "string"), ("score", "f8"), ("label", "i8")])
        with pq.ParquetWriter(path, schema) as writer:
            for _ in range(rows // 100_000):
                n = 100_000
                part = {
                    "x": rng.normal(size=n),
                    "g": rng.choice(["x", "y", "z"], n),
                    "score": rng.random(n),
                    "label": rng.integers(0, 2, n),
                }
                writer.write_table(pa.table(part, schema), row_group_size=50_000)
        run = subprocess.run([sys.executable, "-c", _MEASURE, str(path)], check=True, capture_output=True, text=True)
        peaks[rows] = json.loads(run.stdout)
    (small_rss, small_pool), (large_rss, large_pool) = peaks.values()
    assert large_pool < 1.5 * small_pool, peaks  # four times the rows
    assert large_rss <= 1.75 * small_rss, peaks  # batches wait where the cores are busy; all rows would double it


# ---------------------------------------------------------------- what is refused


def test_data_that_teach_nothing_are_refused():
    few = {name: values[:19] for name, values in loans().items()}
    with pytest.raises(wakeful.DataError, match="at least 20 rows, but the data have 19"):
        wakeful.learn(few, **LOANS)
    with pytest.raises(wakeful.DataError, match="have 0"):
        wakeful.learn({name: values[:0] for name, values in loans().items()}, **LOANS)
    for score in ([None] * 5000, [float("nan")] * 5000, [float("inf")] * 5000):
        with pytest.raises(wakeful.DataError, match="no finite number"):
            wakeful.learn(loans() | {"score": score}, **LOANS, task="binary")


def test_roles_that_columns_cannot_play_are_refused():
    with pytest.raises(wakeful.UnknownName, match="Did you mean 'score'"):
        wakeful.learn(loans(), score="scores")
    with pytest.raises(wakeful.UnknownName, match="'lable'"):
        wakeful.learn(loans(), score="score", label="lable")
    with pytest.raises(wakeful.DataError, match="both 'score'"):
        wakeful.learn(loans(), score="score", label="score")
    with pytest.raises(wakeful.DataError, match="flags nothing"):
        wakeful.learn(loans(), score="score", label="label", threshold=2.0)
    with pytest.raises(wakeful.DataError, match="finite"):
        wakeful.learn(loans(), score="score", label="label", threshold=float("nan"))
    with pytest.raises(wakeful.DataError, match="must be 0 or 1"):
        wakeful.learn(loans() | {"label": loans()["rooms"]}, **LOANS)
    with pytest.raises(wakeful.DataError, match="must be 0 or 1"):
        wakeful.learn(loans() | {"label": loans()["grade"]}, **LOANS)
    with pytest.raises(wakeful.DataError, match="1 in every row"):
        wakeful.learn(loans() | {"label": [1] * 5000}, **LOANS)
    with pytest.raises(wakeful.DataError, match="same in every row"):
        wakeful.learn(loans() | {"flagged": [1] * 5000}, score="score", label="label", decision="flagged")
    with pytest.raises(wakeful.DataError, match="segment 'city' has 5,000"):
        wakeful.learn(loans() | {"city": [f"c{at}" for at in range(5000)]}, **LOANS, segments=["city"])
    with pytest.raises(wakeful.DataError, match="kind 'number'"):
        wakeful.learn(loans(), **LOANS, kinds={"debt": "number"})
    with pytest.raises(wakeful.DataError, match="task 'ranking'"):
        wakeful.learn(loans(), score="score", task="ranking")  # type: ignore[arg-type]


def test_columns_that_are_constant_or_empty_are_learnt():
    data = loans() | {"one": [1.0] * 5000, "none": [None] * 5000, "a": ["a"] * 5000, "yes": [True] * 5000}
    learnt = learn_all(data, Roles("score", "label", 0.6))
    assert numbers_of(learnt.reference, "one").singles == (1.0,)
    assert categories_of(learnt.reference, "a").categories == ("a",)
    assert "none: missing in every row" in learnt.notes
    for name in ("one", "a", "yes"):
        assert values_of(learnt.reference, name).sum() == 5000
        assert learnt.reference.importance[name] == 0.0


def test_numbers_beyond_all_reason_are_learnt_without_a_warning(tmp_path: Path):
    rng = np.random.default_rng(12)
    data = {
        "huge": rng.choice([1.7e308, -1.7e308, 0.0, np.inf, -np.inf, np.nan], 500),
        "tiny": rng.random(500) * 1e-310,
        "wide": rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500),
        "whole": rng.integers(-(2**63), 2**63 - 1, 500),
        "score": rng.random(500),
    }
    reference = wakeful.learn(data, score="score")
    reference.save(tmp_path / "reference.json")
    assert wakeful.Reference.load(tmp_path / "reference.json").counts == reference.counts
    for name in ("tiny", "wide", "whole"):
        assert values_of(reference, name)[1:-1].sum() == 500, name


# ---------------------------------------------------------------- real loans


def test_real_loans_are_learnt_the_same_from_every_input(shared_data: Callable[[str], Path], tmp_path: Path):
    path = shared_data("lending_club.parquet")
    roles: dict[str, Any] = {
        "score": "int_rate", "label": "defaulted", "threshold": 0.14, "time": "issue_d", "id": "id",
        "segments": ["home_ownership"], "kinds": {"outcome_known_date": "ignore"},
    }  # fmt: skip
    table = pq.read_table(path)
    first = _bytes(path, tmp_path, **roles)
    reference = wakeful.Reference.load(tmp_path / "reference.json")
    inputs = {
        "pandas": table.to_pandas(),
        "polars": pl.from_arrow(table),
        "stream": table.to_reader(max_chunksize=777),
        "duckdb": duckdb.from_arrow(table),
    }
    for name, data in inputs.items():
        assert _bytes(data, tmp_path, **roles) == first, name
    # The grade is the lender's own reading of the rate; where somebody lives says nothing of it.
    ranked = sorted(reference.importance, key=lambda name: -reference.importance[name])
    assert ranked[0] == "grade"
    assert reference.importance["grade"] > 0.9 > 0.2 > reference.importance["addr_state"]
    assert reference.windows is not None
    assert reference.windows.unit == "month"
    assert 40 < reference.windows.number <= 55
    # Portfolios change over the years, more than independent draws would.
    assert 0.0005 < reference.dispersion["purpose"].shape < 0.1


def test_real_loans_add_up_month_by_month_and_row_by_row(shared_data: Callable[[str], Path]):
    table = pq.read_table(shared_data("lending_club.parquet"))
    reference = wakeful.learn(table.slice(0, 10_000), score="int_rate", label="defaulted", threshold=0.14)
    monitor = wakeful.Monitor(reference)
    whole = monitor.count(table)
    months = table["issue_d"].unique()
    assert len(months) == 55
    parts = [monitor.count(table.filter(pa.compute.equal(table["issue_d"], month))) for month in months]
    assert sum(parts, wakeful.Counts.zero(reference.layout)) == whole
    assert monitor.count(table.slice(20_000, 2000).to_pylist()) == monitor.count(table.slice(20_000, 2000))


def test_hours_of_the_week_add_up_to_the_whole_and_know_their_rows_off_the_grid(tmp_path: Path):
    rng = np.random.default_rng(0)
    at = pd.date_range("2024-01-01", periods=12_000, freq="7min")
    x = np.round(rng.normal(20 + 10 * np.sin(at.hour.to_numpy() / 4), 1), 1)
    x[::2500] += 0.05
    data = {"at": at, "x": x, "score": rng.random(12_000)}
    wakeful.learn(data, score="score", time="at").save(tmp_path / "reference.json")
    reference = wakeful.Reference.load(tmp_path / "reference.json")
    assert reference.seasons is not None
    place, whole = reference.layout.cells["x"], reference.counts.table[0]
    assert reference.seasons[:, place.stop - 1].sum() == whole[place.stop - 1] == 5
    hours, start = reference.seasons.sum(axis=0), place.start
    assert (hours[start : start + place.values + 2] == whole[start : start + place.values + 2]).all()
    assert (hours[place.stop - place.sums : place.stop] == whole[place.stop - place.sums : place.stop]).all()
    alike = reference.at_hours_of(reference.counts).counts.table[0, place.stop - 1]
    assert 0 < alike < 10
