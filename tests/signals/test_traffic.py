"""How much traffic there is, and how much of it is flagged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import wakeful


@cache
def reference() -> wakeful.Reference:
    rng = np.random.default_rng(0)
    data = {"platform": rng.choice(["web", "app"], 500).tolist(), "score": rng.random(500)}
    return wakeful.learn(data, score="score", threshold=0.75, segments=["platform"])


@pytest.mark.parametrize("rows", [0, 1, 77, 70_000])
def test_traffic_is_the_number_of_rows(rows: int, estimate: Callable[..., Any]):
    found = estimate(reference(), {"score": np.full(rows, 0.5)}, "traffic")
    assert found[:4] == (rows, rows, rows, rows)  # it is known, not estimated


def test_rows_without_a_score_are_traffic(value: Callable[..., float]):
    assert value(reference(), {"score": [0.5, None, np.nan, np.inf]}, "traffic") == 4


def test_traffic_of_a_segment(value: Callable[..., float]):
    live = {"score": [0.9, 0.9, 0.1, 0.1, 0.1], "platform": ["web", "app", "web", None, "tv"]}
    for name, rows, flagged in (("web", 2, 0.5), ("app", 1, 1.0), ("(missing)", 1, 0.0), ("(unseen)", 1, 0.0)):
        assert value(reference(), live, "traffic", part=("platform", name)) == rows
        assert value(reference(), live, "flagged_share", part=("platform", name)) == flagged


def test_the_flagged_share_needs_no_labels(estimate: Callable[..., Any]):
    score = np.random.default_rng(1).random(4000)
    found = estimate(reference(), {"score": score}, "flagged_share")
    assert found.value == (score >= 0.75).mean()
    assert found.low < 0.25 < found.high
    assert found.n == 4000
