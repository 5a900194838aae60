"""Prometheus prolongs an increase to the ends of its window, but none to where its counter would be below 0."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import wakeful
from wakeful.compile.plan import ESTIMATE
from wakeful.compile.promql import quoted
from wakeful.compile.tracing import plan_of
from wakeful.live.export.exporter import Exporter
from wakeful.live.shared.slots import Reading

BEFORE, SINCE = 12, 8  # samples, seven minutes apart: the first in the window of an hour is four minutes late


def test_a_mean_is_right_where_some_bins_are_new(promtool: Any, tmp_path: Path) -> None:
    def people(seed: int, *ages: int) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        return pd.DataFrame({"age": random.integers(*ages, 4_000).astype(float), "score": random.random(4_000)})

    monitor = wakeful.Monitor(wakeful.learn(people(1, 18, 70), score="score", name="people"))

    @monitor.check(window="1h")
    def ages(live: Any) -> None:
        assert live["age"].mean() <= 44
        assert live["age"].missing() <= 0.0

    since = people(3, 18, 70)
    is_recorded(promtool, tmp_path, monitor, people(2, 18, 40), since, [since["age"].mean(), 0.0], within=1.0)


def test_a_bias_is_right_where_some_predictions_are_new(promtool: Any, tmp_path: Path) -> None:
    def houses(seed: int, *prices: float) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        price = random.uniform(*prices, 4_000)
        return pd.DataFrame({"guess": price + random.normal(0, 5, 4_000), "price": price})

    monitor = wakeful.Monitor(wakeful.learn(houses(1, 100, 900), score="guess", label="price", name="houses"))

    @monitor.check(window="1h")
    def guesses(live: Any) -> None:
        assert live.bias() <= 5

    since = houses(3, 100, 900)
    wanted = (since["guess"] - since["price"]).mean()
    is_recorded(promtool, tmp_path, monitor, houses(2, 100, 400), since, [wanted], within=0.1)


def is_recorded(
    promtool: Any, folder: Path, monitor: wakeful.Monitor, before: Any, since: Any, wanted: list[float], within: float
) -> None:
    """Rows come before the window, and others all through it: these alone have to be seen."""
    exporter = Exporter(monitor.reference, Path("nowhere"))
    first, more = (monitor.count(some).vector for some in (before, since))
    first, last = (np.append(one, np.zeros(exporter.identity.counters - len(one))) for one in (first, first + more))

    def told(vector: Any) -> list[tuple[str, float]]:
        reading = Reading("", vector, np.zeros((0, 3)), math.inf)
        every = [sample for metric in exporter.metrics([reading]) for sample in metric.samples]
        return [
            (f"{one.name}{{{','.join(f'{label}={quoted(word)}' for label, word in one.labels.items())}}}", one.value)
            for one in every
        ]

    series = []
    for (name, start), (_, end) in zip(told(first), told(last), strict=True):
        each = (end - start) / SINCE
        values = f"{start!r}x{BEFORE} {start + each!r}{each:+}x{SINCE - 1}"
        series.append({"series": name, "values": values})
    plan = plan_of(monitor)
    rules = [one._asdict() for some in ([*plan.shared], *plan.checks.values()) for one in some]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "interval": "20m", "rules": rules}]}))
    asked = [
        {
            "expr": f'sum(abs({ESTIMATE}{{at="{at}"}} - {value!r}) < bool {within})',
            "eval_time": "140m",
            "exp_samples": [{"value": 1}],
        }
        for at, value in enumerate(map(float, wanted))
    ]
    test = {"interval": "7m", "input_series": series, "promql_expr_test": asked}
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "20m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(content))
    promtool("test", "rules", "test.yml", cwd=folder)
