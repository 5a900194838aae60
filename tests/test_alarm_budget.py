"""A monitor of default checks keeps its alarm budget, however many columns and rows there are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import wakeful
from wakeful.bins import CategoryBins, Floats, NumericBins
from wakeful.bounds import share_bounds
from wakeful.budget import AlarmBudget
from wakeful.counts import Counts
from wakeful.expression import keys_of
from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor
from wakeful.signals import find
from wakeful.verdicts import Window
from wakeful.views import column_counts


@dataclass(frozen=True)
class Numbers:
    """Numbers of a distribution, some of them missing, some exactly 0."""

    distribution: Any
    missing: float = 0.0
    zeros: float = 0.0
    whole: bool = False

    def rows(self, rng: np.random.Generator, n: int) -> Any:
        values = self.distribution.rvs(n, random_state=rng).astype(float)
        values[rng.random(n) < self.zeros] = 0.0
        values[rng.random(n) < self.missing] = np.nan
        return values

    def cells(self, bins: NumericBins) -> tuple[Floats, Floats]:
        """The true share of every cell, and of every fingerprint among values without a bin of their own."""
        edges, even = bins.edges, np.ones(bins.fingerprints)
        below = self.distribution.cdf(np.ceil(edges) - 1 if self.whole else edges)
        below = self.zeros * (edges > 0) + (1 - self.zeros) * below
        values = np.diff(np.concatenate(([0.0], below, [1.0])))
        if self.whole:
            values_seen = np.arange(self.distribution.isf(1e-12) + 1)
            mass = self.distribution.pmf(values_seen) * ~np.isin(values_seen, bins.singles)
            even = np.bincount(bins.fingerprint(values_seen).astype(int), mass, bins.fingerprints)
        shares = np.concatenate((values * (1 - self.missing), [self.missing, 0.0]))
        return np.maximum(shares, 0), even / even.sum() if even.sum() > 0 else np.full(len(even), 1 / len(even))


@dataclass(frozen=True)
class Names:
    """Names or booleans, some of them missing."""

    shares: tuple[float, ...]
    missing: float = 0.0
    boolean: bool = False

    @property
    def names(self) -> list[Any]:
        return [False, True] if self.boolean else [f"name {at}" for at in range(len(self.shares))]

    def rows(self, rng: np.random.Generator, n: int) -> Any:
        values = np.array(self.names, dtype=object)[rng.choice(len(self.shares), n, p=self.shares)]
        values[rng.random(n) < self.missing] = None
        return values

    def cells(self, bins: CategoryBins) -> tuple[Floats, None]:
        found = np.zeros(bins.size + 2)
        for name, share in zip(self.names, self.shares, strict=True):
            found[bins.index.get((type(name), name), bins.unknown)] += share * (1 - self.missing)
        found[bins.size] = self.missing
        return found, None


def rank_shares(names: int) -> tuple[float, ...]:
    """Zipf's law: few frequent names, many rare ones."""
    weights = 1 / np.arange(1, names + 1) ** 1.1
    return tuple(weights / weights.sum())


KINDS: list[Any] = [
    Numbers(stats.norm(50, 10), missing=0.02),
    Numbers(stats.lognorm(1)),
    Names((0.5, 0.3, 0.15, 0.04, 0.01)),
    Numbers(stats.expon(scale=100), missing=0.1, zeros=0.3),
    Names(rank_shares(400)),
    Numbers(stats.poisson(4), whole=True),
    Names((0.9, 0.1), boolean=True),
    Numbers(stats.t(3), missing=0.005),
    Names(rank_shares(12), missing=0.05),
    Numbers(stats.poisson(300), missing=0.3, whole=True),
    Numbers(stats.uniform()),
    Names((0.997, 0.003), boolean=True),
]
THRESHOLD = 0.4


class World:
    """Rows of a model whose true shares are known, so that windows of any size are drawn as counts.

    The score is calibrated. With a holdout, only so many of the flagged rows have a label.
    """

    def __init__(self, columns: int, holdout: float | None = None) -> None:
        self.columns = {f"column {at}": KINDS[at % len(KINDS)] for at in range(columns)}
        self.holdout = holdout
        self.score, self.of_positives = stats.beta(1, 3), stats.beta(2, 3)

    def rows(self, rng: np.random.Generator, n: int) -> dict[str, Any]:
        score = self.score.rvs(n, random_state=rng)
        features = {name: one.rows(rng, n) for name, one in self.columns.items()}
        return features | {"score": score, "label": (rng.random(n) < score).astype(int)}

    def monitor(self, rng: np.random.Generator, rows: int, folder: Path) -> wakeful.Monitor:
        """What `wakeful init` writes, loaded."""
        roles = Roles("score", "label", threshold=THRESHOLD, holdout="held" if self.holdout else None)
        return load_monitor(start(self.rows(rng, rows), roles, folder).monitor)

    def truth(self, reference: wakeful.Reference) -> dict[str, float]:
        """Quality of the model, ranked by the bins of its score."""
        flagged, positives = self.score.sf(THRESHOLD), self.of_positives.sf(THRESHOLD)
        edges = np.concatenate(([-1.0], reference.layout.bins["score"].edges, [2.0]))  # type: ignore[union-attr]
        positive = np.diff(self.of_positives.cdf(edges)) / 4
        negative = np.diff(self.score.cdf(edges)) - positive
        area = (positive * (np.cumsum(negative) - negative / 2)).sum() / positive.sum() / negative.sum()
        return {"flagged": flagged, "precision": positives / 4 / flagged, "recall": positives, "roc_auc": area}

    def windows(self, reference: wakeful.Reference) -> Callable[[np.random.Generator, int], Counts]:
        """A function that draws the counts of so many rows."""
        layout = reference.layout
        cells = {name: one.cells(layout.bins[name]) for name, one in self.columns.items()}
        bins = layout.bins["score"]
        assert isinstance(bins, NumericBins)
        edges = np.concatenate(([-1.0], bins.edges, [2.0]))
        positive = np.diff(self.of_positives.cdf(edges)) / 4
        shares = np.stack([np.diff(self.score.cdf(edges)) - positive, positive], axis=1)
        flagged = edges[:-1] >= THRESHOLD
        table = np.zeros(layout.outcome_shape[:4])
        known, answers = self.holdout or 1.0, len(flagged)
        table[0, 0, :answers, :2] = shares * ~flagged[:, None]
        table[-1, 1, :answers, :2] += shares * flagged[:, None] * known
        table[0, 1, :answers, 2] += shares.sum(axis=1) * flagged * (1 - known)
        table = np.maximum(table, 0) / table.sum()

        def column(row: Floats, name: str, rows: Any, even: Floats | None, rng: np.random.Generator) -> None:
            place, of = layout.cells[name], layout.bins[name]
            row[place.start : place.start + len(rows)] = rows
            if even is not None:
                spread = int(rows[: place.values][~of.is_single].sum())
                begin = place.start + place.values + 2
                row[begin : begin + place.fingerprints] = rng.multinomial(spread, even)

        def draw(rng: np.random.Generator, n: int) -> Counts:
            counts = Counts.zero(layout)
            row = counts.table[0]
            row[0] = n
            for name, (p, even) in cells.items():
                column(row, name, rng.multinomial(n, p), even, rng)
            outcomes = rng.multinomial(n, table.ravel()).reshape(table.shape)
            counts.outcome(0)[..., 0] = outcomes
            even = np.full(bins.fingerprints, 1 / bins.fingerprints)
            column(row, "score", outcomes.sum(axis=(0, 1, 3)), even, rng)
            return counts

        return draw


def false_alarms(monitor: wakeful.Monitor, windows: list[Counts], budget: str) -> tuple[list[Counts], Counter[str]]:
    """The windows in which any assertion of any check failed, and how."""
    monitor.budget = AlarmBudget.parse(budget)
    plan = [(one, monitor.alpha(check, one)) for check in monitor.checks for one in monitor.assertions(check)]
    alarms, which = [], Counter[str]()
    for counts in windows:
        failed = [
            f"{one.source}: {judged.message}"
            for one, alpha in plan
            for judged in Window(monitor.reference, counts, alpha).judge(one.comparison)
            if judged.verdict == "fail"
        ]
        alarms += [counts] if failed else []
        which.update(failed)
    return alarms, which


def allowed(monitor: wakeful.Monitor) -> float:
    """Share of windows, looked at once each, that may have a false alarm: the error rates add up."""
    return sum(
        monitor.alpha(check, one) * len(keys_of(one.comparison.left, one.comparison.right))
        for check in monitor.checks
        for one in monitor.assertions(check)
    )


def most(share: float, trials: int) -> float:
    """So many of the trials at most, chance of one in 1,000 aside."""
    return float(stats.binom.isf(1e-3, trials, share))


def assert_silent(monitor: wakeful.Monitor, windows: list[Counts]) -> None:
    """Clean windows with a budget that allows an alarm in some of ten, and with the default one."""
    alarms, which = false_alarms(monitor, windows, "1/6h")
    assert 0.08 <= allowed(monitor) <= 0.3
    assert len(alarms) <= most(allowed(monitor), len(windows)), which.most_common(3)
    # A smaller budget widens every interval, so only these windows could alarm.
    alarms, which = false_alarms(monitor, alarms, "1/90d")
    assert not alarms, which.most_common(3)


def assert_budget_is_kept(world: World, rows: int, sizes: dict[int, int], folder: Path, references: int = 1) -> None:
    """Default checks, a few references, and so many windows of each size."""
    for seed in range(references):
        rng = np.random.default_rng(seed)
        monitor = world.monitor(rng, rows, folder / f"{seed}")
        draw = world.windows(monitor.reference)
        for n, times in sizes.items():
            assert_silent(monitor, [draw(rng, n) for _ in range(times)])


@pytest.mark.parametrize("rows", [1_000, 5_000, 20_000])
def test_a_monitor_of_5_columns_keeps_its_budget(tmp_path: Path, rows: int):
    assert_budget_is_kept(World(5), rows, {100: 40, 1_000: 40, 100_000: 40}, tmp_path, references=3)


@pytest.mark.parametrize("rows", [1_000, 5_000, 20_000])
def test_a_monitor_of_50_columns_keeps_its_budget(tmp_path: Path, rows: int):
    assert_budget_is_kept(World(50), rows, {100: 8, 1_000: 8, 100_000: 8}, tmp_path, references=2)


@pytest.mark.parametrize("rows", [5_000, 20_000])
def test_a_monitor_of_500_columns_keeps_its_budget(tmp_path: Path, rows: int):
    assert_budget_is_kept(World(500), rows, {100: 2, 1_000: 2, 100_000: 2}, tmp_path)


@pytest.mark.parametrize("held", [0.02, 0.1])
def test_a_monitor_with_a_small_holdout_keeps_its_budget(tmp_path: Path, held: float):
    """Windows of 100 rows have one held-out row or none: it cannot tell how good the model is."""
    assert_budget_is_kept(World(1, held), 5_000, {100: 150, 300: 150, 1_000: 150, 100_000: 50}, tmp_path)


def tight(world: World, reference: wakeful.Reference) -> wakeful.Monitor:
    """Every limit is the truth itself, so nothing but the error rates stands between noise and an alarm."""
    monitor, truth = wakeful.Monitor(reference), world.truth(reference)

    @monitor.check(window="6h", page="on-call")
    def no_room(live: Any) -> None:
        assert live.features.missing() <= live.reference.features.missing()
        assert live.features.unseen() <= live.reference.features.unseen()
        assert live.features.spike() <= 0
        assert live.features.fault() <= 0
        assert live.features.vanished() <= 0
        assert live.features.d1() <= 0
        assert live.features.psi() <= 0
        assert live.features.jensen_shannon() <= 0
        assert live.score.ks() <= 0
        assert truth["flagged"] <= live.flagged_share() <= truth["flagged"]
        quality = live.holdout if world.holdout else live
        assert quality.precision() >= truth["precision"]
        assert quality.recall() >= truth["recall"]
        assert quality.roc_auc() >= truth["roc_auc"]

    return monitor


@pytest.mark.parametrize(
    "columns, holdout, times", [(5, None, 20), (5, 0.05, 20), (50, None, 4)], ids=["5", "5, holdout", "50"]
)
@pytest.mark.parametrize("n", [100, 1_000, 100_000])
def test_limits_without_any_room_keep_the_budget(
    tmp_path: Path, columns: int, holdout: float | None, times: int, n: int
):
    """The hardest monitor there is; every few windows have a reference of their own."""
    world, alarms, trials, which = World(columns, holdout), 0, 0, Counter[str]()
    for seed in range(6):
        rng = np.random.default_rng(100 * n + seed)
        reference = world.monitor(rng, (1_000, 5_000, 20_000)[seed % 3], tmp_path / f"{seed}").reference
        monitor, draw = tight(world, reference), world.windows(reference)
        found, why = false_alarms(monitor, [draw(rng, n) for _ in range(times)], "1/6h")
        alarms, trials, which = alarms + len(found), trials + times, which + why
    assert 0.08 <= allowed(monitor) <= 0.3
    assert alarms <= most(allowed(monitor), trials), which.most_common(3)


def test_counts_drawn_here_are_those_of_rows(tmp_path: Path):
    """The simulation's windows against rows that were counted: the same on average, cell by cell."""
    world = World(12)
    rng = np.random.default_rng(5)
    monitor = world.monitor(rng, 2_000, tmp_path)
    drawn = world.windows(monitor.reference)(rng, 60_000).table[0]
    rows = monitor.count(world.rows(rng, 60_000)).table[0]
    sums = np.zeros(len(rows), dtype=bool)  # moments are not drawn
    for place in monitor.reference.layout.cells.values():
        sums[place.stop - place.sums : place.stop] = True
    sums[monitor.reference.layout.outcome_start :] = True
    outcomes = np.zeros(monitor.reference.layout.outcome_shape, dtype=bool)
    outcomes[..., 0] = True
    sums[monitor.reference.layout.outcome_start :] = ~outcomes.ravel()
    surprise = (drawn - rows)[~sums] / np.sqrt(np.maximum(1, drawn + rows)[~sums])
    assert np.abs(surprise).max() < 5
    assert 0.7 < np.std(surprise[(drawn + rows)[~sums] > 20]) < 1.2


# Other models.


def regression(rng: np.random.Generator, n: int) -> dict[str, Any]:
    size = rng.gamma(3, 10, n)
    part = rng.choice(["north", "south"], n, p=[0.8, 0.2])
    return {"size": size, "part": part, "prediction": size, "label": size * (1 + 0.2 * (rng.exponential(1, n) - 1))}


def classes(rng: np.random.Generator, n: int) -> dict[str, Any]:
    names, shares = np.array(list("abcd")), [0.5, 0.3, 0.15, 0.05]
    truth = rng.choice(4, n, p=shares)
    answer = names[np.where(rng.random(n) < 0.75, truth, rng.choice(4, n, p=shares))]
    return {"size": rng.normal(size=n), "part": rng.choice(["x", "y"], n), "prediction": answer, "label": names[truth]}


@pytest.mark.parametrize("draw", [regression, classes])
def test_monitors_of_other_models_and_of_segments_keep_their_budget(tmp_path: Path, draw: Any):
    rng = np.random.default_rng(8)
    roles = Roles("prediction", "label", segments=("part",))
    monitor = load_monitor(start(draw(rng, 5_000), roles, tmp_path).monitor)
    assert "by_part" in " ".join(check.name for check in monitor.checks)
    for n, times in ((100, 60), (1_000, 60), (20_000, 20)):
        assert_silent(monitor, [monitor.count(draw(rng, n)) for _ in range(times)])


# Traffic that varies by itself.

_STEPS = 20


def one_day(rng: np.random.Generator, rho: float, n: int) -> dict[str, Any]:
    """Rows of a day on which twentieths of every distribution hold more or less than usual."""

    def level() -> Floats:
        mix = rng.gamma(np.full(_STEPS, (1 / rho - 1) / _STEPS))
        return (rng.choice(_STEPS, n, p=mix / mix.sum()) + rng.random(n)) / _STEPS

    total = 1 / rho - 1
    gone = rng.beta(0.05 * total, 0.95 * total)
    score = 0.999 * level() ** 2
    return {
        "normal": np.where(rng.random(n) < gone, np.nan, stats.norm.ppf(level())),
        "exponential": stats.expon.ppf(level()),
        "name": np.array(list("abcde"))[np.searchsorted([0.4, 0.7, 0.85, 0.95], level())],
        "score": score,
        "label": (rng.random(n) < score).astype(int),
    }


def days(rng: np.random.Generator, rho: float, number: int, n: int) -> dict[str, Any]:
    every = [one_day(rng, rho, n) for _ in range(number)]
    start_of_day = np.datetime64("2024-01-01", "s") + 86_400 * np.repeat(np.arange(number), n)
    times = start_of_day + rng.integers(0, 86_400, number * n)
    return {name: np.concatenate([day[name] for day in every]) for name in every[0]} | {"time": times}


@pytest.mark.parametrize("rho", [0.003, 0.02])
def test_days_that_differ_by_themselves_keep_the_budget_once_it_is_known_how_much(tmp_path: Path, rho: float):
    """Dispersion is learnt from 60 days of 400 rows; then come days of any size, which differ as much."""
    rng = np.random.default_rng(9)
    roles = Roles("score", "label", threshold=0.5, time="time")
    monitor = load_monitor(start(days(rng, rho, 60, 400), roles, tmp_path).monitor)
    learnt = monitor.reference.dispersion
    assert all(0.5 * rho < learnt[name].shape < 2 * rho for name in ("normal", "exponential", "name", "score"))
    assert 0.4 * rho < learnt["normal"].missing < 2.5 * rho
    for n in (400, 20_000):
        assert_silent(monitor, [monitor.count(one_day(rng, rho, n)) for _ in range(30)])


@pytest.mark.parametrize("rho", [0.003, 0.02])
def test_shares_of_days_that_differ_by_themselves_are_known_as_well_as_they_can_be(rho: float):
    """Limits without room. The dispersion is itself an estimate: from 60 days, errors may be half as many again."""
    failed, trials, alpha = Counter[str](), 0, 0.025
    for seed in range(6):
        rng = np.random.default_rng(seed)
        reference = wakeful.learn(days(rng, rho, 60, 400), score="score", label="label", threshold=0.5, time="time")
        monitor = wakeful.Monitor(reference)

        @monitor.check()
        def no_room(live: Any) -> None:
            assert live["name"].share("a") <= 0.4
            assert live["name"].share("a") >= 0.4
            assert live["normal"].missing() <= live.reference["normal"].missing()
            assert live["normal"].quantile(0.9) <= float(stats.norm.ppf(0.9))
            assert live["normal"].d1() <= 0
            assert live["name"].psi() <= 0
            assert live["name"].spike() <= 0

        for n in (400, 20_000):
            for _ in range(25):
                trials += 1
                window = Window(reference, monitor.count(one_day(rng, rho, n)), alpha)
                for one in monitor.assertions(monitor.checks[0]):
                    failed[one.source] += any(judged.verdict == "fail" for judged in window.judge(one.comparison))
    assert max(failed.values()) <= most(1.5 * alpha, trials), failed


# Windows that slide.


def episodes(alarms: Any, length: int) -> int:
    """Alarms of a sliding window, those less than its length apart counted once."""
    at = np.flatnonzero(alarms)
    return int(len(at) > 0) + int((np.diff(at) > length).sum())


@pytest.mark.parametrize("steps", [12, 60, 360])
@pytest.mark.parametrize("each", [0.1, 0.02, 0.004])
def test_a_sliding_window_alarms_no_oftener_than_its_budget(steps: int, each: float):
    """A share that is exactly at its limit, looked at ``steps`` times per length of its window."""
    alpha = AlarmBudget(each, 3600.0).alpha(1, 1, 3600.0)
    lengths, per_step, p = 4_000 if steps > 100 else 12_000, 5, 0.3
    rng = np.random.default_rng(steps)
    rows, hits = np.full(lengths * steps, per_step), rng.binomial(per_step, p, lengths * steps)
    n = int(rows[:steps].sum())
    fails = np.array([share_bounds(k, n, alpha)[0] > p for k in range(n + 1)])
    in_window = np.convolve(hits, np.ones(steps, dtype=int), "valid")
    seen = episodes(fails[in_window], steps)
    assert seen <= most(each, lengths)
    if each <= 0.05 and steps >= 60:  # the allowance for sliding is needed: without it, the budget is overdrawn
        without = np.array([share_bounds(k, n, each)[0] > p for k in range(n + 1)])
        assert episodes(without[in_window], steps) > 2 * each * lengths


def test_a_sliding_distance_alarms_no_oftener_than_its_budget():
    rng = np.random.default_rng(3)
    world = World(1)
    reference = wakeful.learn(world.rows(rng, 5_000), score="score", label="label", threshold=THRESHOLD)
    expected = column_counts(reference.counts, "score")
    steps, lengths, each = 30, 150, 0.2
    alpha = AlarmBudget(each, 3600.0).alpha(1, 1, 3600.0)
    edges = np.concatenate(([-1.0], reference.layout.bins["score"].edges, [2.0]))  # type: ignore[union-attr]
    p = np.diff(world.score.cdf(edges))
    minutes = np.cumsum(rng.multinomial(40, p / p.sum(), steps * lengths), axis=0)
    alarms: dict[str, list[bool]] = {"d1": [], "psi": []}
    for end in range(steps, steps * lengths):
        counts = Counts.zero(reference.layout)
        live = column_counts(counts, "score")
        live.values[:] = minutes[end] - minutes[end - steps]
        for name, found in alarms.items():
            found.append(find(name, "column").estimate(live, expected, {}, alpha).low > 0)
    for name, found in alarms.items():
        assert episodes(np.array(found), steps) <= most(each, lengths), name


def test_error_rates_add_up_to_the_budget():
    """However many checks, columns and windows: no more alarms are allowed than the team can bear."""
    for text, bears in (("1/90d", 1.0), ("3/30d", 3.0)):
        budget = AlarmBudget.parse(text)
        for window in (600.0, 3_600.0, 7 * 86_400.0):
            lengths = budget.seconds / window
            for asserts, elements in ((1, 1), (10, 1), (10, 500)):
                alpha = budget.alpha(asserts, elements, window)
                z = stats.norm.isf(alpha)
                # 1 + z²: how much oftener a window that slides crosses z than one look does.
                assert alpha * (1 + z * z) * lengths * asserts * elements <= 1.06 * bears or alpha == 0.05
    assert AlarmBudget.parse("1000/1d").alpha(1, 1, 86_400.0) == 0.05
    rates = [AlarmBudget.parse("1/90d").alpha(asserts, 1, 3_600.0) for asserts in (1, 2, 20, 200)]
    assert all(math.isfinite(one) and one > 0 for one in rates) and rates == sorted(rates, reverse=True)
