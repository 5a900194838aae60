"""The share of rows whose id came before: its value, its bounds, and when it can be asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.counts import IDS
from wakeful.evidence import Repeats
from wakeful.signals import find

CELLS = 1024


@cache
def reference(rows: int = 2_000, repeated: int = 0) -> wakeful.Reference:
    """Of a model whose training data have ids, the last of which repeat the first."""
    return wakeful.learn(
        traffic(rows, repeated), score="score", threshold=0.75, id="order", segments=["platform"], name="loans"
    )


def traffic(rows: int, repeated: int = 0, first: int = 10**6) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    order = np.arange(first, first + rows)
    order[rows - repeated :] = order[:repeated]
    return {"order": order, "platform": rng.choice(["web", "app"], rows), "score": rng.random(rows)}


@pytest.fixture(scope="session")
def asked(estimate: Callable[..., Any]) -> Callable[..., Any]:
    """The signal of some rows; of the reference where there are none."""
    return lambda known, data, **named: estimate(known, data, "duplicates", **named)


# ---------------------------------------------------------------- stories


def test_retries_that_repeat_rows_fail_a_check_and_clean_traffic_passes():
    monitor = wakeful.Monitor(reference())

    @monitor.check(page="loans", fear="We decide the same application twice")
    def nothing_is_sent_twice(live: Any) -> None:
        assert live.duplicates() <= 0.02

    assert monitor.test(traffic(5_000)).ok
    (verdict,) = monitor.test(traffic(5_000, repeated=1_500)).failed
    assert verdict.judgement.estimate == pytest.approx(0.3, abs=0.1)
    assert "duplicates 0.2" in verdict.judgement.message
    assert verdict.judgement.n == 5_000


def test_ids_that_repeat_in_training_are_held_against_training():
    """Customers come back: a window of equal length repeats as many of their ids."""
    customers = wakeful.Monitor(reference(2_000, repeated=200))

    @customers.check(page="loans")
    def no_more_than_usual(live: Any) -> None:
        assert live.duplicates() <= live.reference.duplicates() + 0.02

    assert customers.test(traffic(2_000, repeated=200, first=1)).ok
    assert not customers.test(traffic(2_000, repeated=1_000, first=1)).ok


def test_ids_may_exist_in_live_data_only(asked: Callable[..., Any]):
    data = traffic(500)
    del data["order"]
    monitor = wakeful.Monitor(wakeful.learn(data, score="score", threshold=0.75, id="order"))
    assert np.isnan(asked(monitor.reference, None).value)
    assert monitor.on(traffic(2_000)).duplicates() <= 0.02
    assert not (monitor.on(traffic(2_000, repeated=600)).duplicates() <= 0.02)
    assert np.isnan(asked(monitor.reference, data).value)  # and none here: nothing is said


def test_a_segment_has_duplicates_of_its_own(asked: Callable[..., Any]):
    data = traffic(4_000)
    web = np.flatnonzero(data["platform"] == "web")
    data["order"][web[:600]] = data["order"][web[-600:]]
    assert asked(reference(), data, part=("platform", "web")).value == pytest.approx(600 / len(web), abs=0.1)
    assert asked(reference(), data, part=("platform", "app")).low == 0


# ---------------------------------------------------------------- the value


def test_it_is_half_of_what_cells_are_less_even_than_chance(asked: Callable[..., Any]):
    data = traffic(3_000, repeated=500)
    counts = wakeful.Monitor(reference()).count(data)
    place = counts.layout.cells[IDS]
    rows = counts.table[0, place.start : place.start + CELLS]
    even = 3_000 / CELLS
    uneven = ((rows - even) ** 2 / even).sum() / (CELLS - 1)
    assert asked(reference(), data).value == pytest.approx((uneven - 1) / 2, rel=1e-12)


def test_on_average_it_is_the_share_of_repeats():
    for share in (0.0, 0.02, 0.3, 0.5):
        pairs = _pairs(1_000, round(share * 1_000), 4_000, seed=3)
        raw = (pairs - 1_000 * 999 / 2 / CELLS) / (1 - 1 / CELLS) / 1_000  # before it is held at 0
        assert raw.mean() == pytest.approx(share, abs=4 * raw.std() / np.sqrt(len(raw)))


def test_ids_that_come_more_often_are_overstated_up_to_all_rows(asked: Callable[..., Any]):
    rng = np.random.default_rng(2)
    thrice = rng.permutation(np.repeat(rng.integers(0, 2**60, 2_000), 3))
    assert asked(reference(), {"order": thrice, "score": np.full(6_000, 0.5)}).value == pytest.approx(0.9995, abs=0.1)
    assert asked(reference(), {"order": np.ones(100), "score": np.full(100, 0.5)}).value == 0.99


def test_rows_without_an_id_say_nothing(asked: Callable[..., Any]):
    data = traffic(1_000, repeated=300)
    more = {
        "order": [*data["order"].tolist(), *[None] * 500, *[np.inf] * 500],
        "score": np.full(2_000, 0.5),
    }
    assert asked(reference(), more) == asked(reference(), data)
    assert np.isnan(asked(reference(), {"score": [0.5]}).value)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_prove_nothing(rows: int, asked: Callable[..., Any]):
    found = asked(reference(), {"order": [7] * rows, "score": [0.5] * rows}, alpha=1e-4)
    assert found.value == (rows - 1) / rows
    assert found.low <= found.value <= found.high <= (rows - 1) / rows


def test_hours_of_the_week_leave_ids_of_the_reference_alone(tmp_path: Path, asked: Callable[..., Any]):
    hours = np.datetime64("2024-01-01T00") + np.arange(8_000).astype("timedelta64[h]") % np.timedelta64(24 * 70, "h")
    evening = (hours.astype(int) % 24) >= 18
    data = traffic(8_000, repeated=2_000) | {
        "at": hours.astype("datetime64[s]"),
        "score": np.random.default_rng(1).random(8_000) ** (1 + 5 * evening),
    }
    learnt = wakeful.learn(data, score="score", threshold=0.5, id="order", time="at")
    learnt.save(tmp_path / "reference.json")
    for known in (learnt, wakeful.Reference.load(tmp_path / "reference.json")):
        assert known.seasons is not None
        live = wakeful.Monitor(known).count({name: values[evening] for name, values in data.items()})
        alike = known.at_hours_of(live)
        assert alike.counts != known.counts
        assert asked(alike, None) == asked(known, None)
        assert asked(known, None).value == pytest.approx(0.25, abs=0.05)


# ---------------------------------------------------------------- the bounds


def _pairs(rows: int, repeated: int, windows: int, seed: int) -> Any:
    """Pairs of rows in one cell, window by window, where so many rows repeat another, shape (windows,)."""
    rng = np.random.default_rng(seed)
    times = np.ones(rows - repeated)
    times[:repeated] = 2
    found = []
    step = max(1, 2_000_000 // max(rows, CELLS))
    for start in range(0, windows, step):
        part = min(step, windows - start)
        joint = rng.integers(0, CELLS, (part, len(times))) + np.arange(part)[:, None] * CELLS
        cells = np.bincount(joint.ravel(), np.tile(times, part), minlength=part * CELLS).reshape(part, CELLS)
        found.append((cells * (cells - 1)).sum(axis=1) / 2)
    return np.concatenate(found)


def _bounds(pairs: Any, rows: int, alpha: float) -> tuple[Any, Any]:
    """Bounds of every window, shape (windows,); most windows have as many pairs as others."""
    distinct, where = np.unique(pairs, return_inverse=True)
    found = [Repeats(one, rows, CELLS).estimate(alpha) for one in distinct]
    return np.array([one.low for one in found])[where], np.array([one.high for one in found])[where]


@pytest.mark.parametrize(("rows", "windows"), [(10, 100_000), (100, 100_000), (1_000, 20_000), (10_000, 2_000)])
def test_unique_ids_alarm_no_more_often_than_claimed(rows: int, windows: int):
    pairs = _pairs(rows, 0, windows, seed=rows)
    for alpha in (1e-2, 1e-3, 1e-4):
        alarms = (_bounds(pairs, rows, alpha)[0] > 0).sum()
        assert alarms <= alpha * windows + 3 * np.sqrt(alpha * windows) + 1
    assert rows < 100 or (_bounds(pairs, rows, 1e-2)[0] > 0).sum() >= 0.3 * 1e-2 * windows  # nor never


def test_with_many_rows_a_cell_the_alarm_rate_is_that_of_chi2():
    """100,000 rows: cells are even to a chi² of 1,023 degrees, which scipy knows in closed form."""
    chi2 = pytest.importorskip("scipy.stats").chi2
    rows = 100_000
    for alpha in (1e-2, 1e-3, 1e-4):
        for rate, alarms in ((alpha * 0.97, True), (alpha * 1.03, False)):
            uneven = chi2.isf(rate, CELLS - 1)
            pairs = (uneven * rows / CELLS + rows**2 / CELLS - rows) / 2
            assert (Repeats(pairs, rows, CELLS).estimate(alpha).low > 0) == alarms


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(("rows", "windows"), [(100, 20_000), (1_000, 10_000), (10_000, 1_000)])
def test_bounds_hold_the_share_of_doubled_rows(rows: int, windows: int, share: float):
    pairs = _pairs(rows, round(share * rows), windows, seed=rows + 1)
    alpha = 0.025
    low, high = _bounds(pairs, rows, alpha)
    allowed = alpha * windows + 3 * np.sqrt(alpha * windows)
    assert (low > share).sum() <= allowed
    assert (high < share).sum() <= allowed
    assert (high - low).mean() < 0.35  # and they say something


@pytest.mark.parametrize("form", ["consecutive", "random", "text", "UUIDs"])
def test_ids_as_programs_make_them_are_random_to_the_hash(form: str):
    """400 windows of 2,000 ids each: neither more nor less even than chance."""
    from wakeful.ids import encode_ids

    rng = np.random.default_rng(9)
    numbers = np.arange(800_000) if form == "consecutive" else rng.integers(0, 2**63, 800_000)
    texts = {"text": "A{:08d}", "UUIDs": "{:08x}-7c3a-4b58-9a3f-0c1d2e3f4a5b"}
    ids = [texts[form].format(number) for number in range(800_000)] if form in texts else numbers.tolist()
    cells = encode_ids(ids).reshape(400, 2_000)
    rows = np.array([np.bincount(one, minlength=CELLS)[:CELLS] for one in cells])
    uneven = ((rows - rows.mean()) ** 2 / rows.mean()).sum(axis=1) / (CELLS - 1)
    spread = np.sqrt(2 / (CELLS - 1))
    assert uneven.mean() == pytest.approx(1, abs=4 * spread / np.sqrt(400))
    assert uneven.std() == pytest.approx(spread, rel=0.2)


# ---------------------------------------------------------------- what is refused


def test_without_an_id_column_it_says_how_to_name_one():
    data = traffic(100)
    monitor = wakeful.Monitor(wakeful.learn(data, score="score", threshold=0.75))
    with pytest.raises(wakeful.SignalError, match=r"no id column was named .* --id COLUMN"):
        monitor.on(data).duplicates()
    with pytest.raises(wakeful.SignalError, match="no id column"):
        find("duplicates", "rows")(monitor.on(data))


def test_it_is_asked_of_rows():
    live = wakeful.Monitor(reference()).on(traffic(100))
    with pytest.raises(wakeful.SignalError, match="signal of all rows"):
        live.score.duplicates()
    assert live.by("platform").duplicates() <= 0.02
