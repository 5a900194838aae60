"""Limits that the first monitor file is written with."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wakeful.initialise import start
from wakeful.learning import Roles


def weeks(turned: list[float], rows: int = 2_000) -> pd.DataFrame:
    """A calibrated score; in every week, so many outcomes turn round."""
    rng = np.random.default_rng(0)
    week = np.repeat(np.arange(len(turned)), rows)
    score = rng.beta(0.8, 1.6, len(week))
    late = (rng.random(len(week)) < score) ^ (rng.random(len(week)) < np.array(turned)[week])
    at = pd.Timestamp("2025-01-06") + pd.to_timedelta(week * 7 + rng.integers(0, 7, len(week)), unit="D")
    return pd.DataFrame({"score": score, "late": late.astype(int), "at": at})


@pytest.mark.parametrize(("turned", "least", "most"), [([0.0], 0.05, 0.05), ([0.0, 0.0, 0.3], 0.1, 0.3)])
def test_the_limit_of_label_noise_gives_way_where_the_reference_strayed(
    turned: list[float], least: float, most: float, tmp_path: Path
):
    written = start(weeks(turned * (30 // len(turned))), Roles(score="score", label="late", time="at"), tmp_path)
    [limit] = re.findall(r"assert live\.label_noise\(\) <= (\S+)", written.monitor.read_text(encoding="utf-8"))
    assert least <= float(limit) <= most


@pytest.mark.parametrize("label", ["late", None])
def test_where_a_label_exists_a_check_says_whether_outcomes_arrive(label: str | None, tmp_path: Path):
    rows = weeks([0.0]) if label else weeks([0.0]).drop(columns="late")

    written = start(rows, Roles(score="score", label=label, time="at"), tmp_path).monitor.read_text(encoding="utf-8")

    asserts = re.findall(r"assert live\.(outcomes_\w+)\(\)", written)
    assert asserts == (["outcomes_arrived", "outcomes_late", "outcomes_contradicted"] if label else [])
