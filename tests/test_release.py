"""How a holdout is drawn: shares per bin of the score, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.bins import NumericBins
from wakeful.release import released

Reference = wakeful.Reference


def bins_of(reference: Reference) -> NumericBins:
    bins = reference.layout.bins["score"]
    assert isinstance(bins, NumericBins)
    return bins


def test_a_function_gives_a_share_to_every_bin_that_may_be_flagged(reference: Reference) -> None:
    bins = bins_of(reference)
    asked: list[float] = []

    def share(score: float) -> float:
        asked.append(score)
        return 0.2 if score < 0.7 else 0.02

    found = released(share, "flagged", reference.layout)
    flagged = bins.middles >= 0.5
    assert min(asked) >= 0.5, "below the threshold, nobody is held out: the function need not know such scores"
    assert found.shares[: bins.size][flagged].tolist() == [0.2 if score < 0.7 else 0.02 for score in asked]
    assert len(set(found.strata[: bins.size][flagged].tolist())) == 2
    everywhere = released(share, "all", reference.layout)
    assert min(asked) < 0.1
    assert set(everywhere.shares[: bins.size][~flagged].tolist()) == {0.2}


def test_one_share_for_all_is_one_stratum(reference: Reference) -> None:
    found = released(0.1, "flagged", reference.layout)
    assert set(found.shares.tolist()) == {0.1}
    assert set(found.strata.tolist()) == {0}
    assert set(found.odds.tolist()) == {1.0}


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0, r"at least 0 and below 1, not 1\.0: of 100 flagged, 2 are 0\.02"),
        (-0.1, "at least 0 and below 1, not -0.1"),
        ("a tenth", "at least 0 and below 1, not 'a tenth'"),
        (float("nan"), "at least 0 and below 1, not nan"),
        (lambda score: 0.0 if score > 0.9 else 0.1, r"is 0\.0: it must lie above 0 and below 1.* no outcome would be"),
        (lambda score: 1.2, r"holdout_share\(0\.5\d*\) is 1\.2"),
        (lambda score: None, "is None"),
        (lambda score: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_what_is_no_share_is_refused_when_the_monitor_is_made(reference: Reference, share: Any, told: str) -> None:
    with pytest.raises(wakeful.DataError, match=told):
        wakeful.Monitor(reference, holdout_share=share)


def test_a_holdout_is_drawn_from_flagged_cases_or_from_all(reference: Reference) -> None:
    with pytest.raises(wakeful.DataError, match="must be 'flagged' or 'all', not 'some'"):
        wakeful.Monitor(reference, holdout_share=0.1, holdout_from="some")  # type: ignore[arg-type]


def test_classes_have_no_share_by_score() -> None:
    rows = {"answer": ["cat", "dog"] * 50, "truth": ["cat", "dog"] * 50}
    learnt = wakeful.learn(rows, score="answer", label="truth", task="multiclass", holdout="held")
    with pytest.raises(wakeful.DataError, match="a function of the score, but 'answer' is no number"):
        wakeful.Monitor(learnt, holdout_share=lambda score: 0.1)


def test_odds_make_the_rest_comparable_with_the_holdout(reference: Reference) -> None:
    shares = released(lambda score: 0.2 if score < 0.7 else 0.02, "all", reference.layout)
    rest, held = 1_000 * (1 - shares.shares), 1_000 * shares.shares
    assert np.allclose(rest * shares.odds, held)
