"""Distances on counts against their definitions, and scipy's, on rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

import wakeful
from wakeful.bins import NumericBins
from wakeful.signals import find
from wakeful.views import column_counts

Value = Callable[..., float]


def sample(kind: str, rows: int, seed: int) -> Any:
    """Numbers of several shapes: smooth, skewed, with spikes, few values, two humps."""
    rng = np.random.default_rng(seed)
    shapes = {
        "normal": lambda: rng.normal(50, 10, rows),
        "shifted": lambda: rng.normal(55, 10, rows),
        "wider": lambda: rng.normal(50, 25, rows),
        "skewed": lambda: rng.lognormal(3, 1, rows),
        "spiked": lambda: np.where(rng.random(rows) < 0.3, 40.0, rng.normal(50, 10, rows)),
        "few": lambda: rng.integers(45, 52, rows).astype(float),
        "humps": lambda: rng.normal(rng.choice([20, 80], rows), 3),
        "far": lambda: rng.normal(500, 10, rows),
    }
    return shapes[kind]()


KINDS = ("normal", "shifted", "wider", "skewed", "spiked", "few", "humps", "far")


@cache
def reference(kind: str, rows: int = 3000) -> wakeful.Reference:
    rng = np.random.default_rng(0)
    data = {"x": sample(kind, rows, 1), "grade": grades(rows, 2), "score": rng.random(rows)}
    return wakeful.learn(data, score="score")


def grades(rows: int, seed: int, p: Any = (0.4, 0.3, 0.2, 0.1)) -> list[str]:
    return np.random.default_rng(seed).choice(list("ABCD"), rows, p=p).tolist()


def bins_of(kind: str) -> NumericBins:
    bins = reference(kind).layout.bins["x"]
    assert isinstance(bins, NumericBins)
    return bins


def shares_on_rows(kind: str, live: Any) -> tuple[Any, Any]:
    """Live and reference share per bin, counted by searching the borders."""
    bins = bins_of(kind)
    q, p = (
        np.bincount(np.searchsorted(bins.edges, values, side="right"), minlength=bins.size) / len(values)
        for values in (live, sample(kind, 3000, 1))
    )
    return q, p


pairs = pytest.mark.parametrize("kind", KINDS[:-1])


# ---------------------------------------------------------------- on bins: exact


@pairs
@pytest.mark.parametrize("other", KINDS)
def test_distances_are_those_of_the_bins(kind: str, other: str, value: Value):
    live = sample(other, 2000, 3)
    q, p = shares_on_rows(kind, live)
    data = {"x": live, "score": np.zeros(2000)}
    assert value(reference(kind), data, "d1", "x") == pytest.approx(np.abs(p - q).sum(), abs=1e-12)
    assert value(reference(kind), data, "total_variation", "x") == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-12)
    assert value(reference(kind), data, "linf", "x") == pytest.approx(np.abs(p - q).max(), abs=1e-12)
    divergence = jensenshannon(p, q, base=2) ** 2
    assert value(reference(kind), data, "jensen_shannon", "x") == pytest.approx(divergence, abs=1e-9)


@pairs
@pytest.mark.parametrize("other", KINDS)
def test_psi_is_that_of_the_bins_with_half_a_row_added(kind: str, other: str, value: Value):
    live = sample(other, 2000, 3)
    q, p = shares_on_rows(kind, live)
    k, used = len(p), (q > 0) | (p > 0)
    q, p = (2000 * q + 0.5) / (2000 + 0.5 * k), (p + 1e-4) / (1 + 1e-4 * k)
    found = value(reference(kind), {"x": live, "score": np.zeros(2000)}, "psi", "x")
    assert found == pytest.approx(((q - p) * np.log(q / p))[used].sum(), rel=1e-9)


def test_psi_is_the_textbook_s_where_every_bin_holds_rows(value: Value):
    names = grades(100_000, 5, (0.3, 0.3, 0.2, 0.2))
    q, p = (np.array([one.count(name) for name in "ABCD"]) / len(one) for one in (names, grades(3000, 2)))
    found = value(reference("normal"), {"grade": names, "score": np.zeros(100_000)}, "psi", "grade")
    assert found == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=0.01)


@pytest.mark.parametrize("name", ["d1", "total_variation", "linf", "jensen_shannon"])
def test_the_range_of_a_distance_is_that_of_its_docstring(name: str, value: Value):
    most = {"d1": 2.0, "total_variation": 1.0, "linf": 1.0, "jensen_shannon": 1.0}[name]
    apart = {"grade": ["Z"] * 3000, "score": np.zeros(3000)}
    together = {"grade": grades(3000, 2), "score": np.zeros(3000)}
    assert value(reference("normal"), together, name, "grade") == pytest.approx(0, abs=1e-12)
    found = value(reference("normal"), apart, name, "grade")
    assert found == pytest.approx(most, abs=1e-12)


def test_what_is_missing_or_invalid_is_no_part_of_a_distance(value: Value):
    rng = np.random.default_rng(6)
    live = sample("shifted", 2000, 3)
    holes = np.concatenate([live, np.full(500, np.nan), np.full(500, np.inf)])
    rng.shuffle(holes)
    for name in ("d1", "psi", "jensen_shannon", "ks", "wasserstein"):
        whole = value(reference("normal"), {"x": live, "score": np.zeros(2000)}, name, "x")
        assert value(reference("normal"), {"x": holes, "score": np.zeros(3000)}, name, "x") == pytest.approx(whole)


@pytest.mark.parametrize("name", ["d1", "psi", "jensen_shannon", "linf", "ks", "wasserstein"])
def test_without_rows_there_is_no_distance(name: str, value: Value):
    assert math.isnan(value(reference("normal"), {"x": [None] * 5, "score": [0.5] * 5}, name, "x"))


# ---------------------------------------------------------------- few rows, few bins


@pytest.mark.parametrize(("rows", "most"), [(50, 5), (399, 5), (400, 10), (999, 10), (1000, 99)])
def test_small_windows_are_judged_on_few_bins(rows: int, most: int, value: Value):
    """Merging bins can only take distance away; the bins of small windows are sums of neighbours."""
    live = sample("shifted", rows, 7)
    q, p = shares_on_rows("normal", live)
    found = value(reference("normal"), {"x": live, "score": np.zeros(rows)}, "d1", "x")
    whole = np.abs(p - q).sum()
    if most == 99:
        assert found == pytest.approx(whole)
        return
    mass = np.cumsum(p) - p / 2
    groups = np.minimum(np.floor(most * mass), most - 1).astype(int)
    assert len(set(groups)) == most
    merged = np.abs(np.bincount(groups, q - p)).sum()
    assert found == pytest.approx(merged)
    assert found <= whole + 1e-12


# ---------------------------------------------------------------- on rows: within the stated bound

_seeds = st.integers(0, 10**6)
_sizes = st.sampled_from([1, 2, 7, 60, 500, 3000])


@given(kind=st.sampled_from(KINDS[:-1]), other=st.sampled_from(KINDS), rows=_sizes, seed=_seeds)
@settings(max_examples=150)
def test_ks_is_at_most_that_on_rows_and_less_by_no_more_than_a_bin_s_share(
    kind: str, other: str, rows: int, seed: int, value: Value
):
    live = sample(other, rows, seed)
    q, p = shares_on_rows(kind, live)
    exact = ks_2samp(live, sample(kind, 3000, 1), method="asymp").statistic
    found = value(reference(kind), {"x": live, "score": np.zeros(rows)}, "ks", "x")
    spread = ~bins_of(kind).is_single
    assert found <= exact + 1e-12
    assert found >= exact - max(p[spread].max(), q[spread].max()) - 1e-12


@given(kind=st.sampled_from(KINDS[:-1]), other=st.sampled_from(KINDS), rows=_sizes, seed=_seeds)
@settings(max_examples=150)
def test_wasserstein_is_off_by_the_widest_bin_at_most_and_by_how_far_rows_lie_out_of_range(
    kind: str, other: str, rows: int, seed: int, value: Value
):
    bins, live = bins_of(kind), sample(other, rows, seed)
    exact = wasserstein_distance(live, sample(kind, 3000, 1))
    found = value(reference(kind), {"x": live, "score": np.zeros(rows)}, "wasserstein", "x")
    widest = np.diff(np.minimum(np.append(bins.edges, bins.high), bins.high)).max()
    beyond = np.maximum(0, np.maximum(bins.low - live, live - bins.high)).mean()
    assert abs(found - exact) <= widest + beyond + 1e-9


def test_ks_and_wasserstein_are_exact_where_every_value_has_a_bin(value: Value):
    rng = np.random.default_rng(8)
    for _ in range(20):
        live = rng.choice(np.arange(45.0, 52.0), 700, p=rng.dirichlet(np.ones(7)))
        data = {"x": live, "score": np.zeros(700)}
        trained = sample("few", 3000, 1)
        assert value(reference("few"), data, "wasserstein", "x") == pytest.approx(wasserstein_distance(live, trained))
        exact = ks_2samp(live, trained, method="asymp").statistic
        assert value(reference("few"), data, "ks", "x") == pytest.approx(exact)


# ---------------------------------------------------------------- where a distance is not defined


@pytest.mark.parametrize("name", ["ks", "wasserstein"])
def test_names_have_no_order_and_no_unit(name: str):
    live = wakeful.Monitor(reference("normal")).live
    with pytest.raises(wakeful.SignalError, match="numeric"):
        getattr(live["grade"], name)()


def test_the_reference_has_no_distance_from_itself():
    for kind in KINDS[:-1]:
        counts = column_counts(reference(kind).counts, "x")
        assert counts.n == 3000
        for name in ("d1", "linf", "jensen_shannon", "ks", "wasserstein"):
            assert find(name, "column").estimate(counts, counts, {}, 0.05).value == pytest.approx(0, abs=1e-12)
