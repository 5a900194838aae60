"""Burn rates tell a collapse hours sooner, and spend next to nothing of the alarm budget while an objective is kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SIMULATION = Path(__file__).resolve().parents[2] / "bench" / "burns.py"
pytestmark = pytest.mark.skipif(
    not SIMULATION.exists(), reason="bench/ is not here: a source distribution leaves it out"
)


@pytest.fixture(scope="module")
def simulation() -> Any:
    spec = importlib.util.spec_from_file_location("burns_simulated", SIMULATION)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("limit", [0.99, 0.95, 0.3])
@pytest.mark.parametrize(("rho", "learnt"), [(0.0, 0.0), (0.01, 0.0), (0.05, 0.05)])
def test_where_the_truth_is_at_the_limit_they_alarm_for_less_than_a_hundredth_of_the_budget(
    simulation: Any, limit: float, rho: float, learnt: float
):
    """Two years, in which one false alarm a day is allowed, so that there would be many to see."""
    own, burns = simulation.looks_of(limit, budget="1/1d", learnt=learnt)
    same = [one._replace(limit=limit) for one in burns]  # the same windows, held against the objective itself
    found = simulation.false_alarms([own, *burns, *same], limit, 60.0, 2.0, rho)
    allowed = 2 * 365
    assert sum(found[1 : 1 + len(burns)]) < allowed / 100 < sum(found[1 + len(burns) :])
    assert found[0] <= allowed


@pytest.mark.parametrize("an_hour", [6.0, 60.0, 600.0])
@pytest.mark.parametrize("limit", [0.9999, 0.999, 0.99, 0.95, 0.8, 0.5, 0.3, 0.1])
@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
def test_even_if_every_look_were_an_alarm_by_itself_they_would_spend_a_hundredth_of_the_budget(
    simulation: Any, window: str, limit: float, an_hour: float
):
    """By the exact probability that one look refutes the limit, at the budget that a monitor has by default."""
    _, burns = simulation.looks_of(limit, window)
    a_week = 7 * 24 * 60 * sum(one.chance(limit, an_hour / 60) for one in burns)
    assert 0 <= a_week < 7 / 90 / 100
    assert all(one._replace(limit=limit).chance(limit, an_hour / 60) <= one.alpha for one in burns)


@pytest.mark.parametrize(
    ("limit", "truth", "an_hour", "times"), [(0.95, 0.475, 60, 4), (0.95, 0.0, 600, 15), (0.3, 0.0, 60, 10)]
)
def test_a_collapse_is_told_much_sooner_than_by_the_check_itself(
    simulation: Any, limit: float, truth: float, an_hour: float, times: float
):
    own, burns = simulation.delays(limit, an_hour, truth, runs=20)
    assert times * burns < own < 7 * 24 * 60
