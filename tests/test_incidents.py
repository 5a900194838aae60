"""The incident suite runs, and says of wakeful what it should: silent while nothing happens, awake when it does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

RUN = Path(__file__).resolve().parents[1] / "bench" / "incidents" / "run.py"
NOT_HERE = "bench/ is not here: a source distribution leaves it out"


@pytest.fixture(scope="module")
def judged(shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every judgement of wakeful and a hand-written rule in one small world."""
    if not RUN.is_file():
        pytest.skip(NOT_HERE)
    shared_data("bike_sharing_hourly.parquet")
    out = tmp_path_factory.mktemp("incidents") / "judged.jsonl"
    options = ["--tool", "wakeful", "d1-rule", "--world", "bikes", "--clean", "20", "--draws", "1", "--json", str(out)]
    run = subprocess.run([sys.executable, str(RUN), *options], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in out.read_text().splitlines()]


def alarms(judged: list[dict[str, Any]], tool: str, kind: str) -> list[bool]:
    return [one["alarm"] for one in judged if (one["tool"], one["kind"]) == (tool, kind)]


def test_wakeful_is_silent_on_clean_windows_and_benign_changes(judged: list[dict[str, Any]]) -> None:
    assert alarms(judged, "wakeful", "clean") == [False] * 20
    assert not any(alarms(judged, "wakeful", "benign"))


def test_wakeful_catches_incidents_and_names_their_culprit(judged: list[dict[str, Any]]) -> None:
    caught = alarms(judged, "wakeful", "incident")
    assert sum(caught) / len(caught) > 0.8
    named = [
        one["ranking"][:1] in [[name] for name in one["culprit"]]
        for one in judged
        if one["tool"] == "wakeful" and one["alarm"] and one["culprit"]
    ]
    assert sum(named) / len(named) > 0.9


def test_a_hand_written_rule_alarms_on_most_clean_windows(judged: list[dict[str, Any]]) -> None:
    assert sum(alarms(judged, "d1-rule", "clean")) > 10


def test_tools_judge_the_same_windows(judged: list[dict[str, Any]]) -> None:
    windows = [
        [(one["scenario"], one["draw"], one["at"], one["culprit"]) for one in judged if one["tool"] == tool]
        for tool in ("wakeful", "d1-rule")
    ]
    assert windows[0] == windows[1]
    assert {at for _, _, at, _ in windows[0]} == {1, 2}


def test_outcomes_are_known_where_a_service_would_know_them(shared_data: Callable[[str], Path], scripts: Any) -> None:
    folder = shared_data("bike_sharing_hourly.parquet").parent
    if not RUN.is_file():
        pytest.skip(NOT_HERE)
    with scripts(RUN.parent) as load, threadpool_limits(1):
        datasets, traffic, worlds = map(load, ("datasets", "traffic", "worlds"))
        data = datasets.DATA_SETS["bikes"]
        world = worlds.build(data, data.load([folder]))
        first, second = traffic.windows(world, traffic.CLEAN, 1000, 2, seed=0, draw=0)
    hidden = first["flagged"] & ~first["holdout"]
    assert (first[world.label].isna() == hidden).all()
    assert 0.2 < first["holdout"].sum() / first["flagged"].sum() < 0.4
    assert first["request_id"].is_unique
    both = pd.concat([first, second])[world.features]
    assert both.duplicated().sum() <= world.live[world.features].duplicated().sum()  # no row is drawn twice
