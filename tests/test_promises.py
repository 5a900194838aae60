"""The statistical promises, shown by simulation: intervals cover, clean monitors keep their alarm budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import wakeful
from wakeful import signals
from wakeful.bins import NumericBins
from wakeful.bounds import share_bounds
from wakeful.counts import Counts
from wakeful.expression import keys_of
from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor
from wakeful.monitor import Monitor
from wakeful.views import ColumnCounts, outcomes

ALPHA = 0.025


def at_most(rate: float, errors: int, trials: int) -> bool:
    """Whether so many errors are credible at that rate: one simulation in a thousand is told so wrongly."""
    return errors <= stats.binom(trials, rate).isf(0.001)


@pytest.mark.parametrize("alpha", [0.025, 1e-3, 1e-6])
@pytest.mark.parametrize("n", [1, 7, 40, 300, 2_000])
def test_a_share_lies_within_its_bounds_for_every_n_and_every_share(n: int, alpha: float) -> None:
    """Exact, by summing the binomial distribution instead of drawing from it."""
    bounds = np.array([share_bounds(k, n, alpha) for k in range(n + 1)])
    for p in [1e-5, 1e-3, 0.01, 0.07, 0.3, 0.5, 0.8, 0.95, 0.995, 0.9999]:
        chance = stats.binom(n, p).pmf(np.arange(n + 1))
        assert chance[bounds[:, 0] > p].sum() <= alpha
        assert chance[bounds[:, 1] < p].sum() <= alpha


def test_bounds_of_a_share_are_hardly_wider_than_those_of_clopper_and_pearson() -> None:
    for part, whole in [(0, 50), (3, 60), (129, 182), (480, 500), (900, 20_000)]:
        low, high = share_bounds(part, whole, ALPHA)
        exact = stats.binomtest(part, whole).proportion_ci(1 - 2 * ALPHA)
        assert high - low <= 1.2 * (exact.high - exact.low)


def column(counts: np.ndarray) -> ColumnCounts:
    """A numeric column whose bins hold these rows."""
    edges = np.arange(len(counts) - 1, dtype=float)
    bins = NumericBins(edges[0], float(np.nextafter(edges[-1], -np.inf)), tuple(edges[1:-1]), (), 5.0)
    assert bins.size == len(counts)
    return ColumnCounts("x", "numeric", bins, counts, counts > 0, 0.0, 0.0, np.zeros(128), np.zeros(3))


DISTANCES = ["d1", "total_variation", "linf", "ks", "wasserstein", "psi", "jensen_shannon"]


@pytest.mark.parametrize("change", [0.0, 0.3, 1.0], ids=["no change", "some change", "much change"])
@pytest.mark.parametrize("name", DISTANCES)
def test_the_true_distance_lies_within_its_bounds(name: str, change: float) -> None:
    """Live and reference samples of 1,000 and 5,000 rows from known distributions over 20 bins."""
    rng = np.random.default_rng(11)
    signal, trials = signals.find(name, "column"), 400
    p = np.concatenate([[0.0], rng.dirichlet(np.full(18, 5.0)), [0.0]])
    q = p * np.exp(change * np.linspace(-1, 1, 20))
    q /= q.sum()
    huge = 10**9
    truth = signal.estimate(column(q * huge), column(p * huge), {}, ALPHA).value
    below = above = 0
    values, noises = [], []
    for _ in range(trials):
        found = signal.estimate(
            column(rng.multinomial(1_000, q).astype(float)), column(rng.multinomial(5_000, p).astype(float)), {}, ALPHA
        )
        below += found.low > truth + 1e-9
        above += found.high < truth - 1e-9
        values.append(found.value)
        noises.append(found.noise)
    assert at_most(ALPHA, below, trials)
    assert at_most(ALPHA, above, trials)
    if change == 0.0 and name in ("d1", "total_variation", "psi", "jensen_shannon"):
        assert np.mean(values) == pytest.approx(np.mean(noises), rel=0.06)


def scored(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Calibrated scores and their outcomes."""
    score = rng.beta(1.2, 2.5, n)
    return {"score": score, "label": (rng.random(n) < score).astype(float)}


QUALITY: dict[str, dict[str, float]] = {
    "precision": {}, "recall": {}, "specificity": {}, "accuracy": {}, "f1": {}, "roc_auc": {},
    "average_precision": {}, "brier_score": {}, "log_loss": {}, "bias": {}, "flagged_share": {},
    "value": {"true_positive": 3.0, "false_positive": -5.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier() -> Monitor:
    rng = np.random.default_rng(1)
    data = scored(rng, 20_000)
    return Monitor(wakeful.learn(data, score="score", label="label", threshold=0.5, holdout="held"))


@pytest.mark.parametrize("holdout", [None, 0.3], ids=["all outcomes known", "a holdout of 30%"])
def test_true_quality_lies_within_its_bounds(classifier: Monitor, holdout: float | None) -> None:
    rng = np.random.default_rng(2)
    trials, errors = 300, {name: [0, 0] for name in QUALITY}
    reference = outcomes(classifier.reference.counts)
    whole = outcomes(classifier.count(scored(rng, 1_000_000)))
    truth = {
        name: signals.find(name, "binary").estimate(whole, reference, arguments, ALPHA).value
        for name, arguments in QUALITY.items()
    }
    for _ in range(trials):
        data = scored(rng, 800)
        if holdout is not None:
            flagged = data["score"] >= 0.5
            data["held"] = flagged & (rng.random(800) < holdout)
            data["label"][flagged & ~data["held"]] = np.nan
        live = outcomes(classifier.count(data), held_out=True)
        for name, arguments in QUALITY.items():
            found = signals.find(name, "binary").estimate(live, reference, arguments, ALPHA)
            errors[name][0] += found.low > truth[name]
            errors[name][1] += found.high < truth[name]
    # Bounds by the delta method are approximate: they may err half as often again as they claim.
    assert {name: sides for name, sides in errors.items() if not at_most(1.5 * ALPHA, max(sides), trials)} == {}


REGRESSION = ["mean_absolute_error", "root_mean_squared_error", "bias", "r2"]


def test_true_errors_of_a_regression_lie_within_their_bounds() -> None:
    rng = np.random.default_rng(3)

    def rows(n: int) -> dict[str, Any]:
        label = rng.normal(100, 20, n)
        return {"y": label, "p": label + rng.normal(1, 8, n)}

    monitor = Monitor(wakeful.learn(rows(20_000), score="p", label="y", task="regression"))
    reference, whole = outcomes(monitor.reference.counts), outcomes(monitor.count(rows(1_000_000)))
    trials, errors = 400, {name: [0, 0] for name in REGRESSION}
    truth = {name: signals.find(name, "regression").estimate(whole, reference, {}, ALPHA).value for name in REGRESSION}
    for _ in range(trials):
        live = outcomes(monitor.count(rows(300)))
        for name in REGRESSION:
            found = signals.find(name, "regression").estimate(live, reference, {}, ALPHA)
            errors[name][0] += found.low > truth[name]
            errors[name][1] += found.high < truth[name]
    assert {name: sides for name, sides in errors.items() if not at_most(1.5 * ALPHA, max(sides), trials)} == {}


class CleanWorld:
    """Columns of every kind whose true distribution over the cells of a reference is known."""

    def __init__(self, columns: int, folder: Path, budget: str) -> None:
        self.rng = np.random.default_rng(columns)
        self.columns = columns
        start(self._rows(5_000), Roles("score", "label", 0.5, name="clean"), folder)
        file = folder / "monitor_clean.py"
        file.write_text(file.read_text().replace('"reference.json"', f'"reference.json", alarm_budget="{budget}"'))
        self.monitor = load_monitor(file)
        self.truth = self.monitor.count(self._rows(400_000 if columns <= 50 else 100_000))

    def _rows(self, n: int) -> dict[str, Any]:
        """A table whose columns repeat five kinds: smooth, skewed, with zeros and gaps, counts, names."""
        rng, table = self.rng, scored(self.rng, n)
        for at in range(self.columns):
            kind = at % 5
            if kind == 0:
                table[f"x{at}"] = rng.normal(size=n)
            elif kind == 1:
                table[f"x{at}"] = rng.lognormal(size=n)
            elif kind == 2:
                values = np.where(rng.random(n) < 0.3, 0.0, rng.exponential(100, n))
                table[f"x{at}"] = np.where(rng.random(n) < 0.1, np.nan, values)
            elif kind == 3:
                table[f"x{at}"] = rng.poisson(4, n)
            else:
                table[f"x{at}"] = rng.choice(np.array(["web", "app", "shop", "phone"]), n, p=[0.6, 0.25, 0.12, 0.03])
        return table

    def window(self, n: int) -> Counts:
        """Counts of n rows drawn anew from the truth, column by column."""
        layout, truth = self.truth.layout, self.truth.table[0]
        counts = Counts.zero(layout)
        row = counts.table[0]
        row[0] = n
        for place in layout.cells.values():
            cells = slice(place.start, place.start + place.values + 2)
            row[cells] = self.rng.multinomial(n, truth[cells] / truth[cells].sum())
            prints = slice(cells.stop, cells.stop + place.fingerprints)
            spread = truth[prints].sum()
            if spread:
                known = min(1.0, spread / truth[cells][: place.values].sum())
                continuous = self.rng.binomial(int(row[cells][: place.values].sum()), known)
                row[prints] = self.rng.multinomial(continuous, truth[prints] / spread)
        outcome = truth[layout.outcome_start :].reshape(-1, layout.outcome_shape[-1])
        drawn = self.rng.multinomial(n, outcome[:, 0] / outcome[:, 0].sum())
        means = np.divide(outcome, outcome[:, :1], out=np.zeros_like(outcome), where=outcome[:, :1] > 0)
        row[layout.outcome_start :] = (means * drawn[:, None]).ravel()
        return counts

    def promised(self) -> float:
        """False alarms to expect of one look at one window, at most: the sum of all error rates."""
        return sum(
            self.monitor.alpha(check, one) * len(keys_of(one.comparison.left, one.comparison.right))
            for check in self.monitor.checks
            for one in self.monitor.assertions(check)
        )


@pytest.mark.parametrize(("columns", "windows"), [(5, 120), (50, 30), (500, 5)])
def test_a_clean_monitor_keeps_its_alarm_budget(columns: int, windows: int, tmp_path: Path) -> None:
    """Default checks, with a budget so large that alarms would be seen; and no alarm at all with the usual one."""
    generous = CleanWorld(columns, tmp_path, "30/1d")
    promised = generous.promised()
    assert 0.05 < promised < 1.6  # large enough to be seen, small enough to be broken
    for n in (100, 1_000, 100_000):
        drawn = [generous.window(n) for _ in range(windows)]
        wrong = sum(len({(one.check, one.assertion) for one in generous.monitor.test(one).failed}) for one in drawn)
        assert wrong <= stats.poisson(promised * windows).isf(0.001), f"n={n}: {wrong} false alarms"
    usual = CleanWorld(columns, tmp_path / "usual", "1/90d").monitor
    for counts in drawn:
        assert usual.test(Counts(usual.reference.layout, counts.vector)).ok


def test_adding_columns_makes_each_comparison_surer(tmp_path: Path) -> None:
    few, many = (CleanWorld(columns, tmp_path / str(columns), "1/90d") for columns in (5, 50))
    assert many.promised() == pytest.approx(few.promised(), rel=0.3)
    assert many.monitor.least_alpha < few.monitor.least_alpha / 5


def test_what_is_false_passes_a_strict_test_one_time_in_twenty_at_most(classifier: Monitor) -> None:
    rng = np.random.default_rng(4)
    whole = outcomes(classifier.count(scored(rng, 1_000_000)))
    limit = signals.find("precision", "binary").estimate(whole, whole, {}, ALPHA).value + 0.0005
    passed = sum(bool(classifier.on(scored(rng, 500), strict=True).precision() >= limit) for _ in range(400))
    assert at_most(0.05, passed, 400)


def test_a_window_that_slides_stays_within_what_the_budget_allows_for() -> None:
    """A share over a sliding window, looked at 50 times per length, beside the allowance for sliding."""
    from wakeful.budget import AlarmBudget

    rng = np.random.default_rng(5)
    looks, lengths, p = 50, 4_000, 0.2
    per_look = rng.binomial(20, p, looks * lengths)
    sums = np.convolve(per_look, np.ones(looks), mode="valid")
    n = 20 * looks
    alpha = AlarmBudget(lengths * 0.05, float(lengths)).alpha(1, 1, 1.0)  # five alarms in a hundred lengths
    alarms, quiet_until = 0, -1
    for at in np.flatnonzero(sums / n > p):
        if at >= quiet_until and share_bounds(float(sums[at]), n, alpha)[0] > p:
            alarms, quiet_until = alarms + 1, int(at) + looks
    assert 0 < alarms <= 0.05 * lengths + 3 * np.sqrt(0.05 * lengths)
