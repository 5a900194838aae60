"""Counts: windows add up, differ, travel through files, and never mix with those of another reference."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import wakeful
from wakeful.counts import Counts, Slice


@cache
def reference(seed: int = 0) -> wakeful.Reference:
    rng = np.random.default_rng(seed)
    data = {
        "income": rng.lognormal(10, 1, 500),
        "platform": rng.choice(["web", "app"], 500),
        "score": rng.random(500),
        "label": rng.integers(0, 2, 500),
    }
    return wakeful.learn(data, score="score", label="label", threshold=0.5, segments=["platform"])


def count(rows: int, seed: int = 1) -> Counts:
    rng = np.random.default_rng(seed)
    data = {"income": rng.lognormal(10, 1, rows), "score": rng.random(rows), "platform": ["web"] * rows}
    return wakeful.Monitor(reference()).count(data)


# ---------------------------------------------------------------- stories


def test_a_day_is_the_sum_of_its_hours_and_an_hour_the_difference_of_two_moments():
    hours = [count(10 + hour, seed=hour) for hour in range(24)]
    day = sum(hours, Counts.zero(reference().layout))
    assert day.rows == sum(one.rows for one in hours) == 516
    until_noon = sum(hours[:12], Counts.zero(reference().layout))
    afternoon = day - until_noon
    assert afternoon == sum(hours[12:], Counts.zero(reference().layout))
    assert afternoon != until_noon


def test_replicas_add_up_in_any_order():
    replicas = [count(50, seed=seed) for seed in range(6)]
    whole = sum(replicas, Counts.zero(reference().layout))
    for seed in range(5):
        random.Random(seed).shuffle(replicas)
        assert sum(replicas, Counts.zero(reference().layout)) == whole


def test_counts_travel_through_a_file(tmp_path: Path):
    counts = count(40)
    counts.save(tmp_path / "hour.npz")
    loaded = Counts.load(tmp_path / "hour.npz", reference().layout)
    assert loaded == counts
    assert loaded.rows == 40
    assert loaded.absent == counts.absent == frozenset()


def test_a_column_that_one_part_of_the_data_lacked_stays_named(tmp_path: Path):
    counts = count(10) + wakeful.Monitor(reference()).count({"score": [0.5]})
    counts.save(tmp_path / "hour.npz")
    assert Counts.load(tmp_path / "hour.npz", reference().layout).absent == {"income", "platform"}


# ---------------------------------------------------------------- what is refused


def test_counts_of_different_references_neither_add_nor_load(tmp_path: Path):
    mine, other = count(10), Counts.zero(reference(seed=1).layout)
    for mix in (lambda: mine + other, lambda: mine - other, lambda: other + mine):
        with pytest.raises(wakeful.DataError, match="Count both with one") as caught:
            mix()
        assert reference().layout.fingerprint in str(caught.value)
    assert mine != other
    mine.save(tmp_path / "hour.npz")
    with pytest.raises(wakeful.DataError, match="Count again"):
        Counts.load(tmp_path / "hour.npz", reference(seed=1).layout)


def _damaged(path: Path, how: str) -> Path:
    content = path.read_bytes()
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a byte changed":
        at = content.index(b"vector") + 200  # inside the compressed numbers
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("these are no counts")
    elif how == "another array":
        np.savez(path, something=np.zeros(3))
    elif how == "a bare array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "objects":
        np.savez(path, vector=np.array([{}], dtype=object), layout="x", absent=np.array([], dtype=str))
    elif how == "another length":
        np.savez(path, vector=np.zeros(3), layout=reference().layout.fingerprint, absent=np.array([], dtype=str))
    return path


@pytest.mark.parametrize(
    "how",
    [
        "cut short", "a byte changed", "empty", "text", "another array", "a bare array", "objects", "another length"
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, how: str):
    count(200).save(tmp_path / "hour.npz")
    path = _damaged(tmp_path / "hour.npz", how)
    with pytest.raises(wakeful.DataError, match=r"hour\.npz"):
        Counts.load(path, reference().layout)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path):
    with pytest.raises(wakeful.DataError, match=r"no counts at .*hour\.npz"):
        Counts.load(tmp_path / "hour.npz", reference().layout)


def test_counts_are_no_keys_and_equal_nothing_else():
    with pytest.raises(TypeError):
        hash(count(1))
    assert count(1) != "counts"


# ---------------------------------------------------------------- the layout


def test_a_slice_for_every_value_of_a_segment_and_for_what_is_no_known_value():
    layout = reference().layout
    values = [one.value for one in layout.slices if one.segment == "platform"]
    assert values[-4:] == ["(other)", "(unseen)", "(missing)", "(invalid)"]
    assert set(values[:-4]) == {"web", "app"}
    assert layout.slices[0] == Slice(None, None)
    assert str(layout.slices[0]) == ""
    assert str(layout.slices[layout.find_slice("platform", "web")]) == "platform=web"


def test_an_unknown_slice_is_refused_with_near_misses():
    with pytest.raises(wakeful.UnknownName, match="Did you mean 'web'"):
        reference().layout.find_slice("platform", "wbe")


def test_cells_tile_a_slice_without_gap_or_overlap():
    layout = reference().layout
    at = 1
    for column in layout.model.columns:
        assert layout.cells[column.name].start == at
        at = layout.cells[column.name].stop
    assert layout.outcome_start == at
    assert layout.width == at + int(np.prod(layout.outcome_shape))
    assert layout.size == layout.width * len(layout.slices) == len(Counts.zero(layout).vector)


def test_the_fingerprint_is_that_of_the_layout_and_of_nothing_else():
    assert reference(seed=2).layout.fingerprint != reference(seed=3).layout.fingerprint
    again = wakeful.Reference(reference().layout, count(3))
    assert again.layout.fingerprint == reference().layout.fingerprint
