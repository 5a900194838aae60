"""What Prometheus calculates from a plan is what the checks say of the same counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parity import Tool, compare, compiled

import wakeful
from wakeful.compile.files import compile_monitors
from wakeful.counts import Counts


def rows(seed: int, n: int = 6_000) -> pd.DataFrame:
    """Loans with numbers, categories whose names need care, and holes."""
    random = np.random.default_rng(seed)
    debt = np.where(random.random(n) < 0.1, np.nan, random.normal(0, 1, n))
    score = 1 / (1 + np.exp(-np.nan_to_num(debt) - random.normal(0, 1, n)))
    return pd.DataFrame(
        {
            "debt": debt,
            "age": random.integers(18, 70, n).astype(float),
            'ci"ty': random.choice(["Berlin", "Köln", 'a|b"\n\\c', "(missing)"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "platform": random.choice(["web", "app"], n, p=[0.7, 0.3]),
            "score": score,
            "paid": (random.random(n) < score).astype(int),
        }
    )


@pytest.fixture(scope="module")
def reference() -> wakeful.Reference:
    return wakeful.learn(rows(1), score="score", label="paid", threshold=0.5, segments=["platform"], name='lo"ans{$x}')


def windows(monitor: wakeful.Monitor, number: int) -> Iterator[Counts]:
    """Windows of no rows, of few and of many, and of rows in which something has changed."""
    random = np.random.default_rng(5)
    yield Counts.zero(monitor.reference.layout)
    for seed in range(2, number + 1):
        some = rows(seed, int(10 ** random.uniform(0, 3.6)))
        if random.random() < 0.5:
            break_something(some, random)
        yield monitor.count(some)


def break_something(some: pd.DataFrame, random: np.random.Generator) -> None:
    """Shift, scale, empty, rename: as far as chance wants it."""
    far = random.choice([0.03, 0.1, 0.3, 1.0])
    hit = random.random(len(some)) < far
    some["age"] += 20 * far * random.normal()
    some["debt"] = some["debt"].where(~hit | (random.random() < 0.5))
    some.loc[hit & (random.random(len(some)) < 0.5), 'ci"ty'] = random.choice(["Berlin", "Paris", "Köln"])
    some["score"] = some["score"] ** (1 + far * random.normal())


def test_every_number_and_verdict_is_the_same(reference: wakeful.Reference, promtool: Tool, tmp_path: Path) -> None:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="x")
    def columns(live: Any) -> None:
        assert live.score.d1() <= 0.15
        assert live.features.d1() <= 0.2
        assert live.features.psi() <= 0.2
        assert live.features.jensen_shannon() <= 0.05
        assert live.features.linf() <= 0.1
        assert live.features.total_variation() < 0.1
        assert live.features.missing() <= live.reference.features.missing() + 0.02
        assert live.features.unseen() <= live.reference.features.unseen() + 0.01
        assert live["age", "debt"].out_of_range() <= 0.01
        assert live["age", "debt"].off_grid() <= live.reference["age", "debt"].off_grid() + 0.01
        assert live["age"].mean() <= 44
        assert live['ci"ty'].share("Berlin") >= 0.5
        assert live.traffic() >= 100
        assert abs(live["age"].mean() - live["debt"].mean()) <= 46
        assert live.score.total_variation() <= 0.02 + live["age"].total_variation()
        assert live.by("platform")["age"].mean() <= 44
        assert live.by("platform").traffic() >= 100
        assert live.by("platform").features.missing() <= live.reference.by("platform").features.missing() + 0.05

    @monitor.check(window="1h", ticket="x", min_n=500)
    def only_many(live: Any) -> None:
        assert live["age"].mean() <= 44

    compare(promtool, tmp_path, monitor, compiled(monitor), list(windows(monitor, 24)))


def test_columns_that_stray_differently_are_asked_in_one_rule(promtool: Tool, tmp_path: Path) -> None:
    """Formulas take other ways where a column strays from day to day, or its missing share does."""

    def days(seed: int, n: int, number: int) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        day = np.repeat(np.arange(number), n)
        alike = np.tile(np.linspace(-2, 2, n), number)  # every day
        some = pd.DataFrame(dict.fromkeys(("steady", "restless", "patchy", "both"), alike))
        some[["restless", "both"]] += random.normal(0, 0.3, (number, 2))[day]
        for name in ("patchy", "both"):
            some[name] = some[name].where(random.random(len(day)) > random.beta(2, 8, number)[day])
        return some.assign(
            score=random.random(len(day)), at=pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D")
        )

    reference = wakeful.learn(days(1, 400, 20), score="score", time="at", name="loans")
    ways = {name: (rate.shape > 0, rate.missing > 0) for name, rate in reference.stray(86_400).columns.items()}
    assert len({ways[name] for name in ("steady", "restless", "patchy", "both")}) == 4
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="x")
    def columns(live: Any) -> None:
        assert live.features.d1() <= 0.2
        assert live.features.missing() <= live.reference.features.missing() + 0.02
        assert live.features.linf() <= 0.1

    plan = compiled(monitor)
    rules = [(one.record, *one.labels.items()) for one in (*plan.shared, *plan.checks["columns"])]
    assert len(rules) == len(set(rules))
    random = np.random.default_rng(2)
    some = [Counts.zero(reference.layout)]
    some += [monitor.count(days(seed, int(10 ** random.uniform(0, 3.5)), 1)) for seed in range(2, 12)]
    compare(promtool, tmp_path, monitor, plan, some)
    compile_monitors([monitor]).write(tmp_path / "deploy")
    promtool("check", "rules", "rules.yml", cwd=tmp_path / "deploy")
    promtool("test", "rules", "rules_test.yml", cwd=tmp_path / "deploy")


def test_a_thousand_windows_are_judged_the_same(promtool: Tool, tmp_path: Path) -> None:
    """Of columns with few values, as promtool reads no more than 10,000 samples at once."""

    def loans(random: np.random.Generator, n: int, moved: float) -> pd.DataFrame:
        grades, terms = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.5, 0.3, 0.2])
        grade, term = (p * np.exp(moved * random.normal(size=len(p))) for p in (grades, terms))
        some = pd.DataFrame({"grade": random.choice([*"ABCD"], n, p=grade / grade.sum())})
        some["term"] = random.choice([12.0, 36.0, 60.0], n, p=term / term.sum())
        some["score"] = np.round(random.beta(2, 3, n) ** (1 + moved * random.normal()), 1)
        some["paid"] = (random.random(n) < some["score"]).astype(int)
        some.loc[random.random(n) < moved / 20, "grade"] = "Z"
        return some.mask(random.random(some.shape) < 0.02)

    training = loans(np.random.default_rng(1), 5_000, 0.0)
    monitor = wakeful.Monitor(wakeful.learn(training, score="score", label="paid", threshold=0.5, name="loans"))

    @monitor.check(window="1h", page="x")
    def moved(live: Any) -> None:
        assert live.score.d1() <= 0.1
        assert live.features.psi() <= 0.02
        assert live.features.missing() <= live.reference.features.missing() + 0.02
        assert live["grade"].unseen() <= live.reference["grade"].unseen() + 0.01
        assert live["term"].mean() <= 28
        assert live.precision() >= 0.65

    random = np.random.default_rng(2)
    moves = random.choice([0.0, 0.1, 0.5], 1_000)
    some = [monitor.count(loans(random, int(10 ** random.uniform(0, 4)), moved)) for moved in moves]
    verdicts = [one.judgement.verdict for counts in some for one in monitor.judge(monitor.checks[0], counts)]
    assert min(Counter(verdicts).values()) > 200  # of each kind
    compare(promtool, tmp_path, monitor, compiled(monitor), some, summed=True)


def test_errors_of_a_regression_are_the_same(promtool: Tool, tmp_path: Path) -> None:
    def houses(seed: int, n: int = 3_000, off: float = 0.0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        price = random.lognormal(12, 0.4, n)
        guess = price * (1 + off + random.normal(0, 0.1, n))
        return pd.DataFrame({"rooms": random.integers(1, 9, n), "guess": guess, "price": price})

    monitor = wakeful.Monitor(wakeful.learn(houses(1), score="guess", label="price", name="houses"))

    @monitor.check(window="1h", page="x")
    def guesses_are_right(live: Any) -> None:
        assert live.mean_absolute_error() <= 1.1 * live.reference.mean_absolute_error()
        assert live.root_mean_squared_error() <= 30_000
        assert -5_000 <= live.bias() <= 5_000
        assert live.r2() >= 0.85

    random = np.random.default_rng(2)
    some = [Counts.zero(monitor.reference.layout)]
    for seed in range(2, 42):
        known = houses(seed, int(10 ** random.uniform(0, 3.5)), random.choice([0.0, 0.1 * random.normal()]))
        known["price"] = known["price"].where(random.random(len(known)) < random.random())
        some.append(monitor.count(known))
    compare(promtool, tmp_path, monitor, compiled(monitor), some)


def test_classes_are_the_same(promtool: Tool, tmp_path: Path) -> None:
    def pets(seed: int, n: int = 3_000, wrong: float = 0.1) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        true = random.choice(["cat", 'd"og', "(other)"], n, p=[0.6, 0.3, 0.1])
        guess = np.where(random.random(n) < wrong, random.choice(["cat", 'd"og', "emu"], n), true)
        return pd.DataFrame({"size": random.normal(size=n), "guess": guess, "pet": true})

    monitor = wakeful.Monitor(wakeful.learn(pets(1), score="guess", label="pet", task="multiclass", name="pets"))

    @monitor.check(window="1h", page="x")
    def answers_are_right(live: Any) -> None:
        assert live.accuracy() >= 0.85
        assert live.recall(label='d"og') >= live.reference.recall(label='d"og') - 0.05
        assert live.precision(label="cat") >= 0.9
        assert live.f1(label="cat") >= 0.9
        assert live.confusion(true="cat", predicted='d"og') <= 0.05

    random = np.random.default_rng(2)
    some = [
        monitor.count(pets(seed, int(10 ** random.uniform(0, 3.5)), random.choice([0.1, 0.5]))) for seed in range(40)
    ]
    compare(promtool, tmp_path, monitor, compiled(monitor), some)


def test_quality_of_decisions_is_the_same(promtool: Tool, tmp_path: Path) -> None:
    def decided(seed: int, n: int = 6_000, wrong: float = 0.0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        some = rows(seed, n)
        some["paid"] = np.where(random.random(n) < wrong, 1 - some["paid"], some["paid"])
        some["held"] = np.where(some["score"] >= 0.5, (random.random(n) < 0.2).astype(float), np.nan)
        return some

    reference = wakeful.learn(
        decided(1), score="score", label="paid", threshold=0.5, holdout="held", segments=["platform"], name="loans"
    )
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="x")
    def decisions_are_right(live: Any) -> None:
        assert 0.4 <= live.flagged_share() <= 0.6
        assert live.holdout.precision() >= 0.75
        assert live.holdout.recall() >= 0.7
        assert live.holdout.accuracy() >= live.reference.holdout.accuracy() - 0.05
        assert live.specificity() >= 0.7
        assert live.false_positive_rate() <= 0.3
        assert live.holdout.f1() >= 0.7
        assert live.holdout.value(true_positive=10, false_positive=-30) >= 0
        assert live.by("platform").precision() >= 0.75
        assert 0.15 <= live.holdout_share() <= 0.25
        assert live.holdout_d1() <= 0.2

    random = np.random.default_rng(2)
    some = [Counts.zero(monitor.reference.layout)]
    for seed in range(2, 32):
        known = decided(seed, int(10 ** random.uniform(0, 3.5)), random.choice([0.0, 0.2]))
        hidden = random.choice([0.0, 0.3, 1.0])
        known["paid"] = known["paid"].where((known["held"] != 0) | (random.random(len(known)) > hidden))
        if random.random() < 0.2:
            known["held"] = np.nan
        some.append(monitor.count(known))
    compare(promtool, tmp_path, monitor, compiled(monitor), some)
