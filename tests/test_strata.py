"""Weights of known rows, and as how many equal ones they know a share, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wakeful.strata import Group, Strata


def strata(rows: list[float], known: list[tuple[float, float]], of: list[int]) -> Strata:
    return Strata(np.array(rows), np.array(known, dtype=float), np.array(of))


def test_rows_of_a_stratum_stand_for_equally_many():
    """100 and 60 rows, of which 20 and 40 are known: each stands for 160 / 60; of the others for 500 / 10."""
    found = strata([100, 60, 500], [(5, 15), (10, 30), (1, 9)], [1, 1, 0])
    assert found.weights == pytest.approx([160 / 60, 160 / 60, 50])
    assert np.allclose(found.groups, [Group(500.0, 0.9, 10.0), Group(160.0, 0.75, 60.0)])
    assert found.unseen == 0


def test_strata_with_few_known_rows_are_judged_together_by_their_heaviest():
    """60 positives among 100 in one, 50 among 200 in the other: 110 of 300; the heaviest row stands for 50."""
    found = strata([100, 200], [(2, 3), (3, 1)], [0, 1])
    assert found.weights.tolist() == [20, 50]
    assert found.groups == [Group(300.0, pytest.approx(110 / 300), 6.0)]


def test_scores_of_which_nothing_is_known_are_taken_for_the_nearest_and_known_as_one_row():
    found = strata([100, 100, 100, 100], [(0, 50), (25, 25), (0, 0), (0, 0)], [0, 1, 2, 3])
    assert found.unseen == 200
    assert found.weights.tolist() == [2, 6, 6, 6]
    one, *others = found.groups
    assert one == Group(200.0, 0.5, 1.0)
    assert others == [Group(100.0, 1.0, 50.0), Group(100.0, 0.5, 50.0)]


def test_where_nothing_is_known_there_are_no_weights():
    found = strata([10, 5], [(0, 0), (0, 0)], [0, 1])
    assert np.isnan(found.weights).all()
    assert [(one.rows, math.isnan(one.share), one.n) for one in found.groups] == [(15.0, True, 0.0)]
    empty = strata([0, 0], [(0, 0), (0, 0)], [0, 0])
    assert empty.weights.tolist() == [0, 0]
    assert [one.rows for one in empty.groups] == [0.0]


def test_weighted_rows_add_up_to_all():
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows = rng.integers(0, 50, 12).astype(float)
        known = np.floor(rows * rng.random(12))
        positive = np.floor(known * rng.random(12))
        found = Strata(rows, np.stack([known - positive, positive], axis=1), rng.integers(0, 4, 12))
        if known.sum():
            assert (found.weights * known).sum() == pytest.approx(rows.sum())
            assert sum(one.rows for one in found.groups) == rows.sum()
            by_group = sum(one.rows * one.share for one in found.groups)
            assert by_group == pytest.approx((found.weights * positive).sum())
