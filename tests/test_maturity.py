"""Late outcomes: delay curves against lifelines, windows against simulated truth, and real loans month by month."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import AalenJohansenFitter, KaplanMeierFitter

import wakeful
from wakeful.curves import delay_curve, known_curve
from wakeful.delays import Delays, delays
from wakeful.maturity import Windows, by_age, dispersion, windows

TERM = 360.0


class Loans:
    """Loans of a lender: those that default do so within the term, those that are repaid are known at its end."""

    def __init__(self, shares: list[float], seed: int, each: int = 400, slower: float = 1.0, lost: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        self.edges = np.arange(len(shares) + 1) * 90.0
        at = np.repeat(np.arange(len(shares)), each)
        self.start = rng.uniform(self.edges[at], self.edges[at + 1])
        self.bad = rng.random(len(at)) < np.array(shares)[at]
        default = TERM * rng.beta(1.5, 2.5, len(at)) * np.linspace(1, slower, len(shares))[at]
        repaid = np.where(rng.random(len(at)) < 0.3, rng.uniform(0, TERM, len(at)), TERM)
        self.known = self.start + np.where(self.bad, default, repaid)
        self.known[rng.random(len(at)) < lost] = np.nan

    def counts(self, as_of: float, bins: int = 120, horizon: float = TERM) -> Delays:
        return delays(self.start, self.known, self.bad, as_of, edges=self.edges, horizon=horizon, bins=bins)

    def ages(self, as_of: float) -> tuple[Any, Any, Any]:
        """Age at arrival or now, whether the outcome is known, and positive; of the cases predicted by now."""
        now = self.start <= as_of
        there = self.known[now] <= as_of
        age = np.where(there, self.known[now], as_of) - self.start[now]
        return age, there, self.bad[now]


FALLING = [0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1]  # lending after a crisis
AS_OF = 630.0


# ---------------------------------------------------------------- curves


def test_the_curve_of_all_outcomes_is_lifelines_kaplan_meier():
    loans = Loans(FALLING, seed=1)
    age, there, _ = loans.ages(AS_OF)
    per_bin = TERM / 120
    at = np.arange(121)
    whole = np.floor(np.minimum(age, TERM) / per_bin + 1e-9)
    followed = np.minimum(np.floor((AS_OF - loans.start[loans.start <= AS_OF]) / per_bin + 1e-9), 120)
    arrival = np.minimum(whole, 119)
    there &= arrival < followed  # known from the end of its bin on
    fitted = KaplanMeierFitter().fit(np.where(there, arrival + 1, followed + 0.5), there)

    curve = known_curve(loans.counts(AS_OF), alpha=0.025)

    assert np.allclose(curve.share, 1 - fitted.predict(at).to_numpy())
    bounds = fitted.confidence_interval_.reindex(at, method="ffill").to_numpy()
    inner = (curve.share > 0) & (curve.share < 1)
    assert np.allclose(curve.low[inner], 1 - bounds[inner, 1])
    assert np.allclose(curve.high[inner], 1 - bounds[inner, 0])


@pytest.mark.parametrize("positive", [False, True])
def test_the_curve_of_a_class_is_lifelines_in_reverse_time_with_delayed_entry(positive: bool):
    loans = Loans(FALLING, seed=2)
    now = (loans.known <= AS_OF) & (loans.bad == positive)
    per_bin = TERM / 120
    arrival = np.minimum(np.floor((loans.known - loans.start)[now] / per_bin + 1e-9), 119)
    followed = np.minimum(np.floor((AS_OF - loans.start[now]) / per_bin + 1e-9), 120)
    used = arrival < followed
    # counted from the horizon down, a case enters at the age it has been followed to, and its outcome is the event
    fitted = KaplanMeierFitter().fit(120 - arrival[used], entry=120 - followed[used])

    curve = delay_curve(loans.counts(AS_OF), positive, alpha=0.025)

    at = np.arange(120)
    inner = (curve.share[at] > 0) & (curve.share[at] < 1)
    assert np.allclose(curve.share[at], fitted.predict(120 - at).to_numpy())
    found = fitted.confidence_interval_
    bounds = found.to_numpy()[np.searchsorted(found.index, 120 - at, side="right") - 1]
    assert np.allclose(curve.low[at][inner], bounds[inner, 0])
    assert np.allclose(curve.high[at][inner], bounds[inner, 1])
    assert curve.share[120] == 1


def test_the_curve_holds_where_the_share_of_positives_falls_and_aalen_johansens_does_not():
    at, truth = 60, 1 - np.mean(np.random.default_rng(0).beta(1.5, 2.5, 400_000) > 0.5)
    ours, cumulative = [], []
    for seed in range(20):
        loans = Loans(FALLING, seed)
        ours.append(delay_curve(loans.counts(AS_OF), positive=True).share[at - 1])
        age, there, bad = loans.ages(AS_OF)
        event = np.where(there, np.where(bad, 1, 2), 0)
        jitter = np.random.default_rng(seed).uniform(0, 1e-6, len(age))  # lifelines wants no ties
        fitted = AalenJohansenFitter(calculate_variance=False).fit(age + jitter, event, 1)
        found = fitted.cumulative_density_.iloc[:, 0]
        cumulative.append(found[found.index <= TERM / 2].iloc[-1] / found.iloc[-1])

    assert np.mean(ours) == pytest.approx(truth, abs=0.01)
    assert np.mean(cumulative) < truth - 0.02


# ---------------------------------------------------------------- windows


def test_a_young_window_is_full_of_defaults_and_its_estimate_is_not():
    loans = Loans([0.2] * 8, seed=3, each=2_000)

    found = windows(loans.counts(AS_OF))

    assert found.status == ["mature"] * 3 + ["reweighted"] * 4 + ["maturing"]
    assert found.naive[5] > 0.4
    assert found.share[:3] == pytest.approx(found.naive[:3], abs=0.01)
    inside = (found.low <= 0.2) & (found.high >= 0.2)
    assert inside.all()
    assert (found.high - found.low)[:6].max() < 0.1
    assert np.isnan(found.share[7])
    assert found.rows.tolist() == [2_000] * 7 + [0]


def test_intervals_cover_the_share_that_a_window_was_drawn_with():
    outside = np.zeros((2, len(FALLING)))
    tries = 150
    for seed in range(tries):
        found = windows(Loans(FALLING, seed).counts(AS_OF), alpha=0.05)
        outside += np.array([found.low > FALLING, found.high < FALLING])

    assert outside[:, :7].max() / tries <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / tries)
    assert 0.02 < outside[:, 2:7].sum() / tries / 5 < 0.1  # of 10% that both sides may miss


def test_lost_outcomes_are_taken_to_be_like_the_others():
    loans = Loans([0.2] * 8, seed=4, each=2_000, lost=0.25)

    found = windows(loans.counts(AS_OF))

    assert found.share[:6] == pytest.approx(0.2, abs=0.035)
    assert found.known[0] == pytest.approx(0.75, abs=0.03)
    assert found.status[0] == "mature"  # what is lost does not come any more


@pytest.mark.parametrize("lost", [0.5, 1.0])
def test_a_window_whose_outcomes_were_lost_does_not_look_like_another_share(lost: float):
    loans = Loans([0.2] * 8, seed=4, each=2_000)
    broken = ((loans.start // 90 == 1) | (loans.start // 90 == 3)) & (np.random.default_rng(0).random(16_000) < lost)
    loans.known[broken] = np.nan

    found = windows(loans.counts(AS_OF))

    assert found.status[1] == "mature"
    assert found.status[3] == "reweighted"
    for at in (1, 3):
        assert found.low[at] <= 0.2 <= found.high[at]
        if lost == 1:
            assert found.known[at] == 0
            assert np.isnan(found.share[at])
        else:
            assert found.share[at] == pytest.approx(0.2, abs=0.05)
    assert found.share[[0, 2, 4, 5]] == pytest.approx(0.2, abs=0.05)


def test_before_the_horizon_is_reached_the_interval_leaves_room_for_what_may_come():
    loans = Loans([0.2] * 8, seed=5, each=2_000)

    found = windows(loans.counts(200.0))

    assert found.maturity[0] < 0.5
    assert "mature" not in found.status
    assert (found.low <= 0.2).all()
    assert (found.high >= 0.7).all()


def test_delays_that_differ_from_window_to_window_widen_the_intervals():
    alike, slower = Loans([0.3] * 12, seed=6, each=1_500), Loans([0.3] * 12, seed=6, each=1_500, slower=0.3)

    assert dispersion(alike.counts(1_000.0), positive=True) < 1.6
    assert dispersion(slower.counts(1_000.0), positive=True) > 5
    narrow, wide = (windows(one.counts(1_000.0)) for one in (alike, slower))
    assert narrow.status[9] == wide.status[9] == "reweighted"
    assert wide.high[9] - wide.low[9] > 2 * (narrow.high[9] - narrow.low[9])


def test_the_class_that_is_known_first_tells_the_share_of_the_other():
    loans = Loans([0.2] * 8, seed=7, each=2_000)
    counts = loans.counts(AS_OF)
    turned = Delays(counts.arrived[:, ::-1], counts.followed[:, ::-1], counts.pending)

    found, mirrored = windows(counts), windows(turned)

    assert mirrored.status == found.status
    assert np.allclose(mirrored.share[:7], 1 - found.share[:7])
    assert np.allclose(mirrored.low, 1 - found.high)


def test_windows_without_any_outcome_say_nothing_and_raise_nothing():
    counts = delays([0.0, 1.0], [np.nan, np.nan], [0, 0], 5.0, edges=[0, 1, 2, 3], horizon=10)

    found = windows(counts)

    assert found.status == ["maturing"] * 3
    assert np.isnan(found.share).all()
    assert found.low.tolist() == [0, 0, 0]
    assert found.high.tolist() == [1, 1, 1]


# ---------------------------------------------------------------- by age


def truth(age: float) -> dict[str, float]:
    """The share of the outcomes of a class that is known at an age."""
    default = np.random.default_rng(0).beta(1.5, 2.5, 400_000) * TERM
    return {"bad": float(np.mean(default <= age)), "good": 0.3 * age / TERM if age < TERM else 1.0}


@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_maturity_by_age_is_that_of_the_class_behind_however_many_are_lost(lost: float):
    """And however the share of positives falls; of all cases, a naive share would count the lost as pending."""
    found = [by_age(Loans(FALLING, seed, lost=lost).counts(AS_OF), by_class=True) for seed in range(20)]

    for bin in (30, 60, 90, 119):
        known = [shares[bin] for shares in found]
        assert np.mean(known) == pytest.approx(min(truth(bin * TERM / 120).values()), abs=0.02)
    assert all((np.diff(shares) >= 0).all() and shares[-1] == 1 for shares in found)


def test_maturity_by_age_promises_nothing_that_nobody_has_seen():
    """Before the horizon is reached, what is pending may be of either class; at older ages, nothing is said."""
    found = [by_age(Loans(FALLING, seed).counts(180.0), by_class=True) for seed in range(20)]

    for shares in found:
        assert np.isnan(shares[60:]).all() and not np.isnan(shares[:50]).any()
    for bin in (15, 30, 45):
        assert np.mean([shares[bin] for shares in found]) <= min(truth(bin * TERM / 120).values()) + 0.01


def test_without_outcomes_there_is_no_maturity():
    counts = delays(np.zeros(100), np.full(100, np.nan), np.zeros(100), 50.0, edges=[0, 1], horizon=10)

    assert np.isnan(by_age(counts, by_class=True)).all()
    assert np.isnan(by_age(counts, by_class=False)).all()


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 0.7}, {"floor": 1.2}, {"least": 0.0}, {"least": 0.95}])
def test_a_floor_or_an_error_rate_that_is_none_is_said(bad: dict[str, float]):
    with pytest.raises(wakeful.DataError, match="belongs between"):
        windows(Loans([0.2], seed=0).counts(50.0), **bad)


# ---------------------------------------------------------------- real loans

AsOf = Callable[[np.datetime64], Windows]


@pytest.fixture(scope="module")
def lending(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_parquet(
        shared_data("lending_club.parquet"), columns=["issue_d", "term", "defaulted", "outcome_known_date"]
    )


def windowed(loans: pd.DataFrame, edges: Any, as_of: Any) -> Windows:
    """Ages in terms: loans over 60 months, issued from May 2010 on, then share the curve of those over 36."""
    terms = loans["term"].to_numpy(dtype=np.float64) * 30.4375
    return windows(
        delays(
            loans["issue_d"],
            loans["outcome_known_date"],
            loans["defaulted"],
            as_of,
            edges=edges,
            horizon=1.25,
            term=terms,
        )
    )


def test_at_the_end_of_2011_a_naive_monitor_sees_24_percent_defaults_of_2010_and_ours_the_truth(lending: pd.DataFrame):
    years = np.arange("2007", "2013", dtype="datetime64[Y]")
    truth = lending.loc[lending["issue_d"].dt.year == 2010, "defaulted"].mean()

    found = windowed(lending, years, np.datetime64("2011-12-31"))

    assert truth == pytest.approx(0.140, abs=0.001)
    assert found.naive[3] == pytest.approx(0.24, abs=0.01)
    assert found.status == ["mature", "mature", "reweighted", "reweighted", "maturing"]
    assert found.low[3] < truth < found.high[3]
    assert found.high[3] < 0.19 < found.naive[3]
    assert found.share[3] == pytest.approx(truth, abs=0.015)


@pytest.mark.parametrize(("every", "misses"), [("Y", 0.0), ("Q", 0.01)])
def test_the_interval_holds_the_final_truth_month_by_month(lending: pd.DataFrame, every: str, misses: float):
    step = {"Y": 12, "Q": 3}[every]
    edges = np.arange("2007-01", "2012-02", step, dtype="datetime64[M]")
    groups = lending.groupby(np.searchsorted(edges, lending["issue_d"].to_numpy(), side="right") - 1)["defaulted"]
    truth = groups.mean().reindex(range(len(edges) - 1)).to_numpy()
    at = partial(windowed, lending, edges)
    inside, errors, naive = [], [], []
    for as_of in np.arange("2010-02", "2015-02", dtype="datetime64[M]"):
        found = at(as_of.astype("datetime64[D]") - 1)
        closed = (edges[1:] <= as_of) & (found.rows > 0)
        inside += ((found.low <= truth) & (truth <= found.high))[closed].tolist()
        young = closed & (np.array(found.status) == "reweighted")
        errors += abs(found.share - truth)[young].tolist()
        naive += abs(found.naive - truth)[young].tolist()

    assert np.mean(inside) >= 1 - misses
    assert len(errors) > 100
    assert np.median(errors) < 0.01
    assert np.median(errors) < np.median(naive) / 10
