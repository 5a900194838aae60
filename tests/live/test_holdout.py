"""Who is let through: by whether a case is flagged, its id and its score, the same everywhere and always."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wakeful


def share(score: float) -> float:
    """A fifth of the doubtful, one in fifty of the others."""
    return 0.2 if score < 0.7 else 0.02


def monitor(reference: wakeful.Reference, **options: Any) -> wakeful.Monitor:
    return wakeful.Monitor(reference, **{"holdout_share": share, **options})


def share_held(found: wakeful.Monitor, score: object, cases: int = 20_000) -> float:
    return float(np.mean([found.decide(at, score).holdout for at in range(cases)]))


def test_cases_near_the_threshold_are_let_through_more_often(reference: wakeful.Reference) -> None:
    found = monitor(reference)
    for score, expected in [(0.55, 0.2), (0.95, 0.02), (0.4, 0.0)]:
        assert share_held(found, score) == pytest.approx(expected, abs=4 * np.sqrt(0.16 / 20_000))
    decision = next(one for at in range(100) if (one := found.decide(at, 0.55)).holdout)
    assert decision == (True, True, False)


def test_who_is_let_through_at_a_small_share_is_so_at_a_larger_one(reference: wakeful.Reference) -> None:
    """One hash per id: a share that is raised keeps those whose outcomes are awaited."""
    found = monitor(reference)
    few = {at for at in range(5_000) if found.decide(at, 0.95).holdout}
    assert few
    assert few <= {at for at in range(5_000) if found.decide(at, 0.55).holdout}


def test_scores_of_one_bin_are_let_through_alike_whatever_the_function_says_inside(
    reference: wakeful.Reference,
) -> None:
    found = monitor(reference, holdout_share=lambda score: score / 10)
    edges = reference.layout.bins["score"].edges  # type: ignore[union-attr]
    left, right = next((a, b) for a, b in pairwise(edges) if a >= 0.5 and b > a + 0.005)
    inside = np.linspace(left, np.nextafter(right, 0), 5)
    for at in range(2_000):
        assert len({found.decide(at, float(score)).holdout for score in inside}) == 1
    assert any(found.decide(at, left).holdout != found.decide(at, 0.999).holdout for at in range(2_000))


@pytest.mark.parametrize("score", [0.55, np.float32(0.55), np.float64(0.55)])
def test_any_number_is_a_score(reference: wakeful.Reference, score: Any) -> None:
    found = monitor(reference)
    assert [found.decide(at, score) for at in range(300)] == [found.decide(at, 0.55) for at in range(300)]


def test_from_all_unflagged_cases_are_let_through_too(reference: wakeful.Reference) -> None:
    found = monitor(reference, holdout_share=0.1, holdout_from="all")
    assert share_held(found, 0.2) == pytest.approx(0.1, abs=0.01)
    assert share_held(found, 0.9) == pytest.approx(0.1, abs=0.01)
    held = next(one for at in range(100) if (one := found.decide(at, 0.2)).holdout)
    assert held == (False, True, False)


@pytest.mark.parametrize("score", [None, "0.9", float("nan"), float("inf"), [1], object()])
def test_what_is_no_score_is_never_flagged_and_let_through_as_seldom_as_any(
    reference: wakeful.Reference, score: object
) -> None:
    assert not any(monitor(reference).decide(at, score).flagged for at in range(50))
    assert share_held(monitor(reference, holdout_from="all"), score, 5_000) == pytest.approx(0.02, abs=0.01)


@pytest.mark.parametrize("id", [None, float("nan"), [], object()])
def test_without_an_id_nobody_is_let_through(reference: wakeful.Reference, id: object) -> None:
    assert not monitor(reference, holdout_from="all").decide(id, 0.55).holdout


def test_another_process_decides_alike(reference: wakeful.Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "reference.json")
    program = (
        "import sys, wakeful\n"
        "found = wakeful.Monitor(sys.argv[1], holdout_share=lambda s: 0.2 if s < 0.7 else 0.02, holdout_from='all')\n"
        "print([at for at in range(500) if found.decide(at, at / 500).holdout])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "reference.json")],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    here = monitor(reference, holdout_from="all")
    assert told.strip() == str([at for at in range(500) if here.decide(at, at / 500).holdout])


@pytest.mark.parametrize("source", ["flagged", "all"])
def test_what_is_observed_counts_as_it_was_decided(traffic: Any, source: Any, tmp_path: Path) -> None:
    """Row by row, and as one table, whose decisions are drawn again from ids and scores."""
    rows = traffic(2_000, seed=5)
    del rows["held"], rows["rejected"]
    rows["case"] = np.arange(2_000)
    learnt = wakeful.learn(traffic(5_000, seed=0), score="score", label="rejected", threshold=0.5, holdout="held",
                           id="case", name="loans")  # fmt: skip
    decider = monitor(learnt, holdout_from=source)
    decisions = [decider.decide(id, score) for id, score in zip(rows["case"], rows["score"], strict=True)]
    for name in ("rows", "table"):
        watching = monitor(learnt, holdout_from=source)
        watching.start(counts=tmp_path / name, registry=None)
        if name == "table":
            watching.observe_batch(rows)
        else:
            for at in range(2_000):
                features = {key: values[at] for key, values in rows.items() if key not in ("score", "case")}
                watching.observe(features, score=rows["score"][at], id=rows["case"][at])
        watching.stop()
        held = watching.counts(tmp_path / name).outcome(0)[2, ..., 0].sum(axis=(1, 2))
        assert held.tolist() == [sum(one.holdout and one.flagged is flagged for one in decisions)
                                 for flagged in (False, True)]  # fmt: skip
        assert (held[0] > 0) == (source == "all")
