"""Windows of two hours and longer are added up from what was recorded of shorter ones, over hours and days.

Replicas grow unevenly; one starts again midway, another comes midway. What is expected is counted by numpy.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from parity import TOLERANCE, Tool, compiled, expectation

import wakeful
from wakeful.budget import duration
from wakeful.compile.plan import ESTIMATE, VERDICT, Recording
from wakeful.compile.promql import quoted
from wakeful.compile.recorded import numbers
from wakeful.compile.sources import tiles
from wakeful.compile.tracing import plan_of
from wakeful.counts import Counts
from wakeful.live.export.batch import reading
from wakeful.live.export.exporter import Exporter
from wakeful.loading import load_monitor

KINDS = 4  # of applicants, who come at times of their own
ROWS = 200  # that come again and again, of each kind in turn
Totals = NDArray[np.int64]  # how often a replica has counted each row, at each scrape; -1 before it came


def loans(seed: int, kind: int, n: int) -> pd.DataFrame:
    """Every kind has its own mix of cities, ages and outcomes."""
    random = np.random.default_rng([seed, kind])
    some = pd.DataFrame({"city": random.choice([*"ABC"], n, p=np.roll([0.6, 0.3, 0.1], kind))})
    some["age"] = random.choice([20.0, 30.0, 40.0, 50.0], n, p=np.roll([0.4, 0.3, 0.2, 0.1], kind))
    some["score"] = np.round(4 * random.beta(2, 2 + kind, n)) / 4
    some = some.mask(random.random(some.shape) < 0.02)
    return some.assign(paid=(random.random(n) < some["score"]).astype(int))


@pytest.fixture(scope="module")
def reference() -> wakeful.Reference:
    known = pd.concat([loans(ROWS, kind, 1_000) for kind in range(KINDS)])
    return wakeful.learn(known, score="score", label="paid", threshold=0.5, name="loans")


MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")
"""
CHECK = """

@loans.check(window="{window}", page="x")
def of_{window}(live):
    assert live.traffic() >= 20_000
    assert live["city"].share("A") <= 0.4
    assert live.features.d1() <= 0.05
    assert live.features.missing() <= 0.021
    assert live["age"].mean() <= 36
    assert live.precision() >= 0.65
"""


class Trial(NamedTuple):
    """What Prometheus scrapes and evaluates, all in seconds.

    Attributes:
        windows: of the checks.
        scraped: from one scrape to the next.
        evaluated: from one evaluation of the rules to the next.
        moments: when windows end that are looked at.
        restart, arrival: when one replica starts again, and when one comes.
    """

    windows: tuple[str, ...]
    scraped: int
    evaluated: int
    moments: tuple[int, ...]
    restart: int
    arrival: int


HOUR, DAY = 3_600, 86_400
HOURS = Trial(("2h",), 60, 60, (2 * HOUR + 300, 3 * HOUR + 240), HOUR + 1_380, 2 * HOUR + 480)
DAYS = Trial(
    ("24h", "7d"), 300, HOUR, (DAY - 5 * HOUR, 7 * DAY + HOUR, 8 * DAY - HOUR), 7 * DAY - 3_300, 7 * DAY - 5_400
)


# as 15 s is to a tile of 5 minutes, but at other seconds of each
BETWEEN = HOURS._replace(scraped=13, evaluated=300, moments=(2 * HOUR, 3 * HOUR + 300))

EXACT = f"<= {TOLERANCE} * (1 + abs(expected_{{record}}))"
NEAR = (  # a tenth of an interval; what has none, the rows, by a hundredth
    "<= 0.1 * (expected_high - expected_low) + 0.01 * expected_{record} * (expected_high == bool expected_low)"
)


@pytest.mark.parametrize("trial", [HOURS, DAYS], ids=["hours", "days"])
def test_tiles_add_up_to_what_was_counted(
    reference: wakeful.Reference, promtool: Tool, tmp_path: Path, trial: Trial
) -> None:
    """Where scrapes stand at the ends of tiles, Prometheus 2 has nothing to estimate."""
    monitor = watched(reference, trial.windows, tmp_path)
    series, wanted = told(monitor, trial)
    assert {one.value for one in wanted if one.record == VERDICT} == {0.0, 1.0, 2.0}
    evaluate(promtool, tmp_path, monitor, trial, series, wanted, EXACT, {one.record for one in wanted})


def test_scrapes_between_the_ends_of_tiles_cost_little(
    reference: wakeful.Reference, promtool: Tool, tmp_path: Path
) -> None:
    """What comes between the last scrape of a tile and the first of the next is guessed from the tile's own rate.

    That is a 23rd of the rows here, a 20th in service. Guesses of 24 tiles err to both sides, even in bursts.
    """
    monitor = watched(reference, BETWEEN.windows, tmp_path)
    series, wanted = told(monitor, BETWEEN)
    evaluate(promtool, tmp_path, monitor, BETWEEN, series, wanted, NEAR, {ESTIMATE})


def watched(reference: wakeful.Reference, windows: Sequence[str], folder: Path) -> wakeful.Monitor:
    """A monitor with the same check of every window."""
    reference.save(folder / "reference.json")
    path = folder / "monitor.py"
    path.write_text(MONITOR + "".join(CHECK.format(window=window) for window in windows))
    return load_monitor(path)


_BURST = 400  # seconds


def grown(trial: Trial) -> Iterator[Totals]:
    """What replicas have counted: each kind at times of its own, and in bursts of some minutes."""
    random = np.random.default_rng(1)
    at = times(trial)
    phases = at[:, None] / max(trial.moments) * [6.0, 17.0, 29.0, 41.0] + [0.0, 1.0, 2.0, 3.0]
    for replica in range(3):
        bursts = 1 + 9 * (random.random((at[-1] // _BURST + 1, KINDS)) < 0.1)
        rates = 50 / len(at) * (1 + np.sin(phases)) * bursts[at // _BURST]
        rows = random.poisson(np.tile(rates, ROWS // KINDS))
        rows[at <= (trial.arrival if replica == 2 else 0)] = 0
        total = rows.cumsum(axis=0)
        if replica == 1:
            total[at >= trial.restart] -= total[at < trial.restart][-1]
        if replica == 2:
            total[at < trial.arrival] = -1
        yield total


def times(trial: Trial) -> NDArray[np.int64]:
    """Of all scrapes."""
    return np.arange(0, max(trial.moments) + 1, trial.scraped)


def counted(trial: Trial, replicas: list[Totals], rows: list[Counts], window: str, moment: int) -> Counts:
    """What all replicas have counted in a window, which ends with the last whole tile."""
    tile = int(duration(tiles(window)[-2]))
    end = moment // tile * tile
    at = times(trial)
    found = np.zeros(ROWS, dtype=np.int64)
    for total in replicas:
        known = total.clip(0)
        grown = np.diff(known, axis=0, prepend=known[:1])
        grown = np.where(grown < 0, known, grown)  # it has started again
        found += grown[(at > end - duration(window)) & (at <= end)].sum(axis=0)
    return Counts(rows[0].layout, sum(number * one.vector for number, one in zip(found, rows, strict=True)))


class Wanted(NamedTuple):
    """What is to be recorded at a moment."""

    moment: int
    record: str
    labels: str
    value: float


def told(monitor: wakeful.Monitor, trial: Trial) -> tuple[Iterator[tuple[str, str]], list[Wanted]]:
    """What is scraped, and what the checks say of it."""
    rows = [monitor.count(loans(row, row % KINDS, 1)) for row in range(ROWS)]
    replicas = list(grown(trial))
    wanted = []
    for moment, check in itertools.product(trial.moments, monitor.checks):
        for one in monitor.judge(check, counted(trial, replicas, rows, check.window, moment)):
            column = f",column={quoted(one.judgement.column)}" if one.judgement.column else ""
            labels = f'check="{check.name}",at="{one.at}"{column}'
            found = numbers(one.judgement)
            wanted += [Wanted(moment, name, labels, value) for name, value in found.items() if math.isfinite(value)]
    return scraped(monitor, trial, replicas, rows), wanted


def scraped(
    monitor: wakeful.Monitor, trial: Trial, replicas: list[Totals], rows: list[Counts]
) -> Iterator[tuple[str, str]]:
    """Every series that is read, with its values."""
    plan = compiled(monitor)
    read = " ".join(one.expr for one in plan.shared)
    exporter = Exporter(monitor.reference, Path("nowhere"))
    told = [exporter.metrics([reading("", one, math.inf)]) for one in rows]
    for metrics in zip(*told, strict=True):
        for samples in zip(*(one.samples for one in metrics), strict=True):
            name, labels = samples[0].name, samples[0].labels
            if f"{name}{{" not in read:
                continue
            each = np.array([one.value for one in samples])
            for replica, total in enumerate(replicas):
                text = ",".join(
                    f"{label}={quoted(word)}" for label, word in {**labels, "instance": str(replica)}.items()
                )
                values = total @ each if name.endswith("_total") else np.full(len(total), each[0])
                shown = np.where(total[:, 0] < 0, "_", [f"{value:.17g}" for value in values])
                yield f"{name}{{{text}}}", " ".join(shown)


def evaluate(
    promtool: Tool,
    folder: Path,
    monitor: wakeful.Monitor,
    trial: Trial,
    series: Iterator[tuple[str, str]],
    wanted: list[Wanted],
    near: str,
    records: Collection[str],
) -> None:
    """Let promtool record everything all the time, and count what is as expected of some at the moments."""
    plan = compiled(monitor)
    rules = [one._asdict() for one in (*plan.shared, *(one for some in plan.checks.values() for one in some))]
    group = {"name": "all", "interval": f"{trial.evaluated}s", "rules": rules}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    expected: dict[str, list[str]] = {}
    for one in wanted:
        values = expected.setdefault(f"{expectation(one.record)}{{{one.labels}}}", ["_"] * len(times(trial)))
        values[one.moment // trial.scraped] = repr(one.value)
    inputs = [*series, *((name, " ".join(values)) for name, values in expected.items())]
    test = {
        "interval": f"{trial.scraped}s",
        "input_series": [{"series": name, "values": values} for name, values in inputs],
        "promql_expr_test": [
            {"expr": as_expected(record, near), "eval_time": f"{moment}s", "exp_samples": [{"value": number}]}
            for (moment, record), number in Counter((one.moment, one.record) for one in wanted).items()
            if record in records
        ],
    }
    content = {"rule_files": ["rules.yml"], "evaluation_interval": f"{trial.evaluated}s", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(content))
    promtool("test", "rules", "test.yml", cwd=folder)


def as_expected(record: str, near: str) -> str:
    """How many series of a record are near what is expected."""
    on = "on (check, version, at, column)"
    limit = near.format(record=record.rsplit(":", 1)[1])
    return f"count(abs({record} - {on} {expectation(record)}) {limit.replace('<=', f'<= {on}', 1)})"


def people(seed: int, youngest: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"age": random.integers(youngest, youngest + 40, 2_000).astype(float), "score": 0.5})


def of_people(youngest: int) -> wakeful.Monitor:
    """A reference, and a check of two hours that no traffic passes."""
    monitor = wakeful.Monitor(wakeful.learn(people(1, youngest), score="score", name="people"))

    @monitor.check(window="2h", page="x")
    def ages(live: Any) -> None:
        assert live["age"].mean() <= 10

    return monitor


def counters(monitor: wakeful.Monitor, rows: pd.DataFrame, version: str, values: str) -> Iterator[dict[str, str]]:
    """What a version of a service exports, as input of promtool; ``values`` are written with those of some rows."""
    exporter = Exporter(monitor.reference, Path("nowhere"), version=version)
    for metric in exporter.metrics([reading(version, monitor.count(rows), math.inf)]):
        for one in metric.samples:
            if one.name.endswith("_total"):
                text = ",".join(f"{label}={quoted(word)}" for label, word in one.labels.items())
                yield {"series": f"{one.name}{{{text}}}", "values": values.format(one.value)}


def every_five_minutes(
    promtool: Tool, folder: Path, rules: list[Recording], series: list[dict[str, str]], asked: list[dict[str, Any]]
) -> None:
    """Let promtool scrape and evaluate so often, and ask."""
    group = {"name": "all", "interval": "5m", "rules": [one._asdict() for one in rules]}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    test = {"interval": "5m", "input_series": series, "promql_expr_test": asked}
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(content))
    promtool("test", "rules", "test.yml", cwd=folder)


def test_a_new_reference_is_not_added_to_the_one_before(promtool: Tool, tmp_path: Path) -> None:
    """The service starts again with it, as the same version of the model; a window reaches back to before."""
    before, since, rows = of_people(18), of_people(25), people(2, 25)
    series = [*counters(before, people(2, 18), "", "0+{0!r}x24 _x24"), *counters(since, rows, "", "_x27 0+{0!r}x24")]
    rules = [*plan_of(before).shared, *plan_of(since).shared, *plan_of(since).checks["ages"]]
    expr = f"sum(abs({ESTIMATE} - {float(rows['age'].mean())!r}) < bool 0.5)"
    asked = [{"expr": expr, "eval_time": "3h", "exp_samples": [{"value": 1}]}]
    every_five_minutes(promtool, tmp_path, rules, series, asked)


def test_a_version_that_is_gone_is_not_judged_for_as_long_as_its_window_lasts(promtool: Tool, tmp_path: Path) -> None:
    """Else a model that was replaced because it failed would fail on, for a week."""
    monitor = of_people(18)
    broken, mended = (counters(monitor, people(2, 18), *one) for one in [("1", "0+{0!r}x30"), ("2", "_x30 0+{0!r}x30")])
    plan = plan_of(monitor)
    asked = [
        {
            "expr": f"count by (version) ({VERDICT} == 2)",
            "eval_time": moment,
            "exp_samples": [{"labels": f'{{version="{version}"}}', "value": 1} for version in failing],
        }
        for moment, failing in [("2h30m", "1"), ("3h25m", "12"), ("3h35m", "2"), ("4h10m", "2")]
    ]
    rules = [*plan.shared, *plan.checks["ages"]]
    every_five_minutes(promtool, tmp_path, rules, [*broken, *mended], asked)
