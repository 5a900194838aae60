"""Where hours of the week differ, what is usual at the hours of any window is told as counters."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import wakeful
from wakeful.backfill import backfill
from wakeful.bins import HALF, REACH, NumericBins
from wakeful.counts import Counts
from wakeful.errors import DataError
from wakeful.live.export.batch import count
from wakeful.live.export.series import bin_labels

Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def orders(start: str, hours: int, rows: int, seed: int) -> pd.DataFrame:
    """Baskets and channels that differ by night, some rows without a time."""
    random = np.random.default_rng(seed)
    at = pd.Timestamp(start) + pd.to_timedelta(random.integers(0, hours * 3600, rows), unit="s")
    night = (np.asarray(at.hour) < 7) * 1.0
    return pd.DataFrame(
        {
            "basket": np.where(random.random(rows) < 0.1, np.nan, random.gamma(4, 10 + 8 * night, rows).round(2)),
            "channel": np.where(random.random(rows) < 0.2 + 0.4 * night, "app", "web"),
            "score": random.beta(2, 4 - 2 * night, rows),
            "at": at.where(random.random(rows) < 0.97),
        }
    )


@pytest.fixture(scope="module")
def shop() -> wakeful.Reference:
    """Four weeks without their weekends."""
    trained = orders("2024-01-01", 4 * 168, 8_000, 1)
    trained = trained[trained["at"].dt.day_of_week < 5]
    return wakeful.learn(trained, score="score", time="at", segments=["channel"], name="shop")


def told(reference: wakeful.Reference, counts: Counts) -> Told:
    """What a service tells of some counts, of its own meters nothing."""
    return {
        (sample.name, frozenset(item for item in sample.labels.items() if item[0] not in ("model", "version"))): value
        for metric in count(reference, counts)
        for sample in metric.samples
        if "reference" in sample.labels
        for value in [sample.value]
    }


def increases(reference: wakeful.Reference, before: Counts, after: Counts) -> Any:
    """By how much counters grew, by name and labels."""
    ends = [told(reference, one) for one in (before, after)]

    def of(name: str, **labels: str) -> float:
        wanted = (name, frozenset({**labels, "reference": reference.layout.fingerprint}.items()))
        return ends[1][wanted] - ends[0][wanted]

    return of


def test_increases_over_a_window_are_the_reference_at_its_hours(shop: wakeful.Reference):
    monitor = wakeful.Monitor(shop)
    before = monitor.count(orders("2024-02-05", 40, 3_000, 2))
    window = monitor.count(orders("2024-02-09 18:00", 9, 400, 3))  # of Friday night, and some hours of Saturday
    expected = shop.at_hours_of(window).counts
    assert expected is not shop.counts
    grown = increases(shop, before, before + window)

    assert grown("wakeful_timed_rows_total") == window.hours.sum() < 400
    known = grown("wakeful_usual_rows_total")
    assert known == window.hours[: 5 * 24].sum() < window.hours.sum()
    days = ("Mon", "Tue", "Wed", "Thu", "Fri")
    names = [f"{day} {hour:02d}" for day in days for hour in range(24)]
    factor = known / sum(grown("wakeful_usual_hour_total", hour=name) ** 2 for name in names)
    assert known * factor == pytest.approx(expected.table[0, 0])
    for column in shop.model.columns:
        name, bins = column.name, shop.layout.bins[column.name]
        place, labels = shop.layout.cells[column.name], bin_labels(shop.layout.bins[column.name])
        rows = np.array([grown("wakeful_usual_bin_total", column=name, bin=label) for label in labels]) * factor
        assert rows == pytest.approx(expected.table[0, place.start : place.start + len(labels)]), name
        if isinstance(bins, NumericBins):
            step, upper, lower, off = expected.table[0, place.stop - 4 : place.stop]
            sums = "wakeful_usual_column_sum_total"
            steps = grown(sums, column=name, statistic="steps") * factor - REACH * rows[:-2].sum()
            assert steps == pytest.approx(step, rel=1e-6)
            assert grown(sums, column=name, statistic="squared_steps") * factor == pytest.approx(upper * HALF + lower)
            if bins.decimals is not None:
                assert grown("wakeful_usual_off_grid_total", column=name) * factor == pytest.approx(off)


def test_only_where_hours_differ_and_only_of_all_traffic(shop: wakeful.Reference, reference: wakeful.Reference):
    assert not [name for name, _ in told(reference, Counts.zero(reference.layout)) if "usual" in name]
    found = [(name, dict(labels)) for name, labels in told(shop, Counts.zero(shop.layout)) if "usual" in name]
    bins = sum(len(bin_labels(shop.layout.bins[one.name])) for one in shop.model.columns)
    assert len([name for name, _ in found if name == "wakeful_usual_bin_total"]) == bins
    assert len([name for name, _ in found if name == "wakeful_usual_hour_total"]) == 5 * 24
    assert not [labels for _, labels in found if "segment" in labels]


def test_they_are_within_the_budget(shop: wakeful.Reference):
    number = sum(len(metric.samples) for metric in count(shop, Counts.zero(shop.layout)))
    count(shop, Counts.zero(shop.layout), series=number)
    with pytest.raises(DataError, match="its budget is"):
        count(shop, Counts.zero(shop.layout), series=number - 1)


def test_none_ever_falls_although_they_are_no_whole_numbers(shop: wakeful.Reference):
    monitor, counts, seen = wakeful.Monitor(shop), Counts.zero(shop.layout), []
    for seed in range(12):
        seen.append(told(shop, counts))
        some = orders("2024-02-05", 100, int(10 ** (seed % 4)), seed)
        some.loc[0, "basket"] = (-1e300, 1e300)[seed % 2]
        counts = counts + monitor.count(some)
    for before, after in itertools.pairwise(seen):
        assert [one for one, value in before.items() if "_total" in one[0] and after[one] < value] == []


def test_a_history_that_is_filled_in_tells_them(shop: wakeful.Reference, tmp_path: Path):
    monitor, rows = wakeful.Monitor(shop), orders("2024-02-05", 72, 2_000, 4).dropna(subset="at")
    rows.to_parquet(tmp_path / "history.parquet")
    *_, last = backfill(monitor, tmp_path / "history.parquet", every="6h", time="at")
    found = {(one.name, *sorted(one.labels.items())): one.value for metric in last.metrics for one in metric.samples}
    wanted = {
        (one.name, *sorted(one.labels.items())): one.value
        for metric in count(shop, monitor.count(rows))
        for one in metric.samples
        if "usual" in one.name
    }
    assert {one: found[one] for one in wanted} == pytest.approx(wanted)
    assert sum(value for one, value in wanted.items() if one[0] == "wakeful_usual_rows_total") == len(rows)
