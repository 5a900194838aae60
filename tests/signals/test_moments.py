"""Mean, spread and quantiles on counts against numpy on rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wakeful
from wakeful.bins import NumericBins

Value = Callable[..., float]


def sample(kind: str, rows: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    shapes = {
        "normal": lambda: rng.normal(50, 10, rows),
        "skewed": lambda: rng.lognormal(3, 1, rows),
        "zeros": lambda: np.where(rng.random(rows) < 0.6, 0.0, rng.lognormal(10, 1, rows)),
        "few": lambda: rng.integers(-2, 4, rows).astype(float),
        "large": lambda: 1e9 + rng.normal(0, 1, rows),
        "tiny": lambda: rng.normal(0, 1e-9, rows),
        "constant": lambda: np.full(rows, 42.0),
        "humps": lambda: rng.normal(rng.choice([20, 80], rows), 3),
    }
    return shapes[kind]()


KINDS = ("normal", "skewed", "zeros", "few", "large", "tiny", "constant", "humps")


@cache
def reference(kind: str) -> wakeful.Reference:
    data = {"x": sample(kind, 3000, 1), "score": np.random.default_rng(0).random(3000)}
    return wakeful.learn(data, score="score")


def bins_of(kind: str) -> NumericBins:
    bins = reference(kind).layout.bins["x"]
    assert isinstance(bins, NumericBins)
    return bins


def live_rows(kind: str, rows: int, seed: int, stretch: float) -> Any:
    """Rows of the same kind, some of them stretched; none farther than four ranges from what was usual."""
    bins = bins_of(kind)
    values = sample(kind, rows, seed)
    values = bins.center + stretch * (values - bins.center)
    reach = 4 * (bins.high - bins.low)
    return np.clip(values, bins.center - reach, bins.center + reach)


_rows, _seeds = st.sampled_from([1, 2, 10, 300, 5000]), st.integers(0, 10**6)
_levels = st.sampled_from([0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 1])
_stretch = st.sampled_from([0.0, 0.1, 1.0, 1.5, 3.0])


# ---------------------------------------------------------------- stories


@given(kind=st.sampled_from(KINDS), rows=_rows, seed=_seeds, stretch=_stretch)
@settings(max_examples=200)
def test_mean_and_std_are_right_to_a_65536th_of_the_range(
    kind: str, rows: int, seed: int, stretch: float, value: Value
):
    live = live_rows(kind, rows, seed, stretch)
    data = {"x": live, "score": np.zeros(rows)}
    bins = bins_of(kind)
    unit = (bins.high - bins.low or abs(bins.center)) / 65_536
    rounding = 1e-12 * abs(bins.center)
    assert abs(value(reference(kind), data, "mean", "x") - live.mean()) <= unit + rounding
    assert abs(value(reference(kind), data, "std", "x") - live.std()) <= 1.01 * unit + rounding


@given(kind=st.sampled_from(KINDS), rows=_rows, seed=_seeds, stretch=_stretch, level=_levels)
@settings(max_examples=300)
def test_a_quantile_lies_in_the_bin_of_the_row_that_it_is_on(
    kind: str, rows: int, seed: int, stretch: float, level: float, value: Value
):
    live = np.sort(live_rows(kind, rows, seed, stretch))
    bins = bins_of(kind)
    found = value(reference(kind), {"x": live, "score": np.zeros(rows)}, "quantile", "x", level=level)
    row = float(np.quantile(live, level, method="inverted_cdf"))
    cell = int(bins.cells(np.array([row]))[0])
    left = bins.low if cell == 0 else bins.edges[cell - 1]
    right = bins.low if cell == 0 else bins.high if cell == bins.size - 1 else bins.edges[cell]
    assert min(left, bins.high) <= found <= right
    if bins.is_single[cell]:
        assert found == pytest.approx(row, rel=1e-15, abs=5e-324)
    assert abs(found - np.clip(row, bins.low, bins.high)) <= right - min(left, bins.high)


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_rise_with_their_level(kind: str, value: Value):
    data = {"x": sample(kind, 777, 3), "score": np.zeros(777)}
    found = [value(reference(kind), data, "quantile", "x", level=level) for level in np.linspace(0, 1, 78)]
    assert found == sorted(found)


def test_a_quantile_at_a_border_is_the_last_row_before_it(value: Value):
    """Half of the rows here, half of them far away: the median is here, as for numpy's inverted_cdf."""
    data = {"x": [-2.0] * 50 + [3.0] * 50, "score": [0.5] * 100}
    assert value(reference("few"), data, "quantile", "x", level=0.5) == pytest.approx(-2)
    assert value(reference("few"), data, "quantile", "x", level=0.51) == pytest.approx(3)
    assert value(reference("few"), {"x": [0.0] * 9, "score": [0.5] * 9}, "quantile", "x", level=1) == pytest.approx(0)


def test_quantile_bounds_hold_the_quantile_and_tell_when_the_data_do_not(estimate: Callable[..., Any]):
    few = {"x": [50.0, 51.0, 52.0], "score": [0.5] * 3}
    bins = bins_of("normal")
    high = estimate(reference("normal"), few, "quantile", "x", level=0.99)
    assert high.high == bins.high  # three rows cannot say how far up the last hundredth lies
    assert estimate(reference("normal"), few, "quantile", "x", level=0.01).low == bins.low
    many = {"x": sample("normal", 5000, 4), "score": np.zeros(5000)}
    median = estimate(reference("normal"), many, "quantile", "x", level=0.5)
    assert 49 < median.low < 50 < median.high < 51


# ---------------------------------------------------------------- edges


def test_one_absurd_value_cannot_move_the_mean_without_bound(value: Value):
    bins = bins_of("normal")
    spread = bins.high - bins.low
    for absurd, sign in ((1e300, 1), (-1e300, -1)):
        data = {"x": [bins.center] * 999 + [absurd], "score": [0.5] * 1000}
        shift = value(reference("normal"), data, "mean", "x") - bins.center
        assert 4 * spread / 1000 <= sign * shift + 1e-6
        assert sign * shift <= 8 * spread / 1000 + 1e-6


def test_values_out_of_range_have_the_range_s_border_as_quantile(value: Value):
    bins = bins_of("normal")
    data = {"x": [1e6] * 30 + [-1e6] * 70, "score": [0.5] * 100}
    assert value(reference("normal"), data, "quantile", "x", level=0.5) == bins.low
    assert value(reference("normal"), data, "quantile", "x", level=0.9) == bins.high


def test_gaps_and_infinity_are_no_part_of_a_mean(value: Value):
    data = {"x": [49.0, None, 51.0, math.inf, math.nan, -math.inf], "score": [0.5] * 6}
    assert value(reference("normal"), data, "mean", "x") == pytest.approx(50, abs=0.01)
    assert value(reference("normal"), data, "std", "x") == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_without_rows_there_is_no_mean(name: str, value: Value):
    assert math.isnan(value(reference("normal"), {"x": [None], "score": [0.5]}, name, "x"))
    assert math.isnan(value(reference("normal"), {"x": [None], "score": [0.5]}, "quantile", "x", level=0.5))


@pytest.mark.parametrize("level", [-0.1, 1.1, math.nan])
def test_a_level_that_is_no_share_is_refused(level: float, value: Value):
    with pytest.raises(wakeful.SignalError, match="between 0 and 1"):
        value(reference("normal"), None, "quantile", "x", level=level)
