"""What a plan says, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import wakeful
from wakeful.compile.plan import Plan
from wakeful.compile.promql import number, one_of, quoted
from wakeful.compile.sources import tiles
from wakeful.compile.symbols import CannotSay, Symbol, cases, explore
from wakeful.compile.tracing import plan_of


@pytest.fixture(scope="module")
def reference() -> wakeful.Reference:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"age": random.normal(40, 9, 2_000), "city": random.choice([*"ABC"], 2_000)})
    rows["score"] = random.random(2_000)
    rows["paid"] = (random.random(2_000) < rows["score"]).astype(int)
    return wakeful.learn(rows, score="score", label="paid", threshold=0.5, name="loans")


def test_what_promql_cannot_say_is_refused_by_name_with_what_comes_nearest(reference: wakeful.Reference) -> None:
    monitor = wakeful.Monitor(reference)

    @wakeful.signal
    def middle(live: Any) -> float:
        return float(live.values[:3].sum() / live.n)

    @monitor.check(page="x")
    def mixed(live: Any) -> None:
        assert live.score.d1() <= 0.1
        assert live.features.spike() <= 0.01
        assert live["age"].quantile(0.5) <= 50
        assert live.roc_auc() >= 0.7
        assert middle(live["age"]) <= 0.5
        assert live.precision() >= 0.5
        assert live.recall() >= 0.5
        assert live.accuracy() >= 0.5

    plan = plan_of(monitor)
    refused = {one.assertion.source.removeprefix("assert "): (one.reason, one.instead) for one in plan.refusals}
    assert list(refused) == [
        "live.features.spike() <= 0.01",
        "live['age'].quantile(0.5) <= 50",
        "live.roc_auc() >= 0.7",
        "middle(live['age']) <= 0.5",
    ]
    assert refused["live.features.spike() <= 0.01"] == (
        "spike: it needs fingerprints of values, which stay inside the service",
        "linf, or share of the value you fear",
    )
    assert refused["live.roc_auc() >= 0.7"][1] == "precision, recall, or accuracy"  # none of which is refused
    assert "adds bins up" in refused["live['age'].quantile(0.5) <= 50"][0]
    assert all(one.check.name == "mixed" for one in plan.refusals)
    said = {one.labels["assertion"] for one in plan.checks["mixed"] if "assertion" in one.labels}
    quality = {"live.precision() >= 0.5", "live.recall() >= 0.5", "live.accuracy() >= 0.5"}
    assert said == {"live.score.d1() <= 0.1"} | quality


def test_the_same_monitor_gives_the_same_plan(reference: wakeful.Reference) -> None:
    def plan() -> Plan:
        monitor = wakeful.Monitor(reference)

        @monitor.check(window="24h", page="x")
        def shape(live: Any) -> None:
            assert live.features.d1() <= 0.2
            assert live.features.missing() <= live.reference.features.missing() + 0.02

        return plan_of(monitor)._replace(refusals=())

    assert plan() == plan()


@pytest.mark.parametrize(
    ("window", "made_of"),
    [("30m", []), ("1h", []), ("2h", ["5m"]), ("6h", ["5m"]), ("24h", ["1h"]), ("7d", ["1h"]),
     ("24d", ["1h", "1d"]), ("7m", [])],
)  # fmt: skip
def test_long_windows_are_made_of_short_ones(window: str, made_of: list[str]) -> None:
    assert tiles(window) == [*made_of, window]


def test_every_recording_reads_only_what_stands_before_it(reference: wakeful.Reference) -> None:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", page="x")
    def first(live: Any) -> None:
        assert live.features.d1() <= 0.2

    @monitor.check(window="24h", page="x")
    def second(live: Any) -> None:
        assert live.features.d1() <= 0.3
        assert live.recall() >= 0.2

    plan = plan_of(monitor)
    for some in plan.checks.values():
        known = {"wakeful:reference:share", "wakeful:reference:groups"}
        everything = {one.record for one in (*plan.shared, *some)}
        for one in (*plan.shared, *some):
            assert not {name for name in everything - known if name.startswith("wakeful:part") and name in one.expr}
            known.add(one.record)


def test_a_precision_records_nothing_of_answers_without_outcomes(reference: wakeful.Reference) -> None:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="7d", page="x")
    def answers_are_right(live: Any) -> None:
        assert live.precision() >= 0.2

    counters = {one.record.split(":")[1] for one in plan_of(monitor).shared if ":increase" in one.record}
    assert counters == {"outcome"}


def test_a_formula_is_run_for_every_way_that_it_may_go_and_ways_that_lead_to_the_same_are_one() -> None:
    x = Symbol("series", ("x",), ("model",))

    def capped() -> Any:
        return 1.0 if x > 1 else x if x > 0 else 0.0

    found = explore(capped)
    assert [[holds for _, holds in one.conditions] for one in found] == [[True], [False, True], [False, False]]
    assert cases(explore(lambda: (x, x)[not x > 1])) is x
    assert cases(explore(lambda: float("nan") if x > 1 else x)).operation == "cases"


def test_a_symbol_is_no_number_and_no_array() -> None:
    x = Symbol("series", ("x",), ("bin", "model"))
    for use in (float, int, len, np.cumsum, np.sort, list):
        with pytest.raises((CannotSay, TypeError)):
            use(x)  # type: ignore[operator]
    with pytest.raises(CannotSay, match="whether a live value is true"):
        bool(x > 0)
    with pytest.raises(CannotSay, match="different columns"):
        x + Symbol("series", ("y",), ("column", "model"))


def test_numbers_and_names_are_written_as_promql_reads_them() -> None:
    assert [number(one) for one in (1.0, -0.5, 1e-7, float("inf"), float("nan"))] == [
        "1", "(-0.5)", "1e-07", "+Inf", "NaN",
    ]  # fmt: skip
    assert quoted('a"b\\\n') == r'"a\"b\\\n"'
    assert one_of(["a|b", "c.d"]) == r'"a\\|b|c\\.d"'
